//! Coins that all parties toss: public randomness that nobody knew or could bend before everybody was ready for it.
//!
//! ```text
//!   commit   hash of coin 1                                            all to all, once
//!   toss i   coin i, hash of coin i+1, digest of all hashes of coin i  all to all
//! ```
//!
//! The result is a hash of all coins. A party shows its coin only after it received everything that it waited for
//! before the toss; so whoever knows the result, knows that all honest parties hold all earlier messages, and its
//! own coin was fixed before. A party that committed differently to different peers is caught by the digests
//! before anybody uses the result. (An opening of shares would not do: t parties need one honest share to
//! know the secret, and may still owe messages to the other honest parties.) Commit and open: Blum 1981.
//!
//! One round a toss, one more before the first. Whatever t < n parties do, the result is uniform and the same for
//! all who accept it; they may end the computation.

use bytes::Bytes;
use tacit_algebra::Field;
use zeroize::Zeroizing;

use super::context::Arithmetic;
use super::error::ArithmeticError;
use super::wire::{self, Kind};
use crate::keystream::Keystream;
use crate::transcript::Transcript;

/// What the next toss rests on.
pub(super) struct Coins {
    own: Zeroizing<[u8; 32]>,
    /// Everybody's, of the next coin.
    hashes: Vec<[u8; 32]>,
    /// Of the next toss.
    number: u64,
}

impl<F: Field> Arithmetic<'_, F> {
    /// Commits to the first coins, unless that was done.
    pub(super) async fn ready_to_toss(&mut self) -> Result<(), ArithmeticError> {
        if self.coins.is_some() {
            return Ok(());
        }
        let operation = self.begin()?;
        let own = self.draw_coin();
        let hash = hide(&self.seeds.binding, 0, self.me, &own);
        let said = self.tell_all(operation, Kind::Commit, &hash).await;
        let said = self.end(said)?;
        let hashes = said.iter().filter_map(|hash| hash.first_chunk().copied()).collect();
        self.coins = Some(Box::new(Coins { own, hashes, number: 0 }));
        Ok(())
    }

    /// A stream that is the same for all, fixed now.
    pub(super) async fn toss(&mut self) -> Result<Keystream, ArithmeticError> {
        self.ready_to_toss().await?;
        let operation = self.begin()?;
        let result = self.show(operation).await;
        self.end(result)
    }

    async fn show(&mut self, operation: u32) -> Result<Keystream, ArithmeticError> {
        let Some(coins) = self.coins.take() else {
            return Err(ArithmeticError::WrongCall { what: "a coin is committed before it is shown" });
        };
        let Coins { own, hashes, number } = *coins;
        let mut transcript = Transcript::new("tacit/arithmetic/coins/v1");
        transcript.bytes(&self.seeds.binding).number(number);
        hashes.iter().for_each(|hash| _ = transcript.bytes(hash));
        let digest = transcript.finish();
        let next = self.draw_coin();
        let next_hash = hide(&self.seeds.binding, number + 1, self.me, &next);
        let shown = self.tell_all(operation, Kind::Coin, &[*own, next_hash, digest].concat()).await?;
        let mut next_hashes = Vec::with_capacity(self.n);
        let mut transcript = Transcript::new("tacit/arithmetic/toss/v1");
        transcript.bytes(&digest);
        for (party, shown) in shown.iter().enumerate() {
            let ([coin, next, theirs], _) = shown.as_chunks::<32>() else { return Err(self.malformed(party)) };
            if *theirs != digest {
                // Whoever committed differently to the two of us is at fault, or this party lies about it.
                return Err(ArithmeticError::Unverified);
            }
            if hide(&self.seeds.binding, number, party, coin) != hashes[party] {
                return Err(self.malformed(party));
            }
            next_hashes.push(*next);
            transcript.bytes(coin);
        }
        self.coins = Some(Box::new(Coins { own: next, hashes: next_hashes, number: number + 1 }));
        Ok(Keystream::new(&transcript.finish())?)
    }

    fn draw_coin(&mut self) -> Zeroizing<[u8; 32]> {
        let mut coin = Zeroizing::new([0; 32]);
        self.local.fill(&mut *coin);
        coin
    }

    /// A message of everybody, the own one included, all equally long.
    async fn tell_all(&self, operation: u32, kind: Kind, own: &[u8]) -> Result<Vec<Bytes>, ArithmeticError> {
        let mut message = Vec::with_capacity(wire::HEADER + own.len());
        wire::header(kind, operation, &mut message);
        message.extend_from_slice(own);
        for other in self.others() {
            self.send(other, message.clone());
        }
        let mut all = vec![Bytes::copy_from_slice(own); self.n];
        for other in self.others() {
            let message = self.recv(other).await?;
            wire::content(&message, kind, operation, own.len()).ok_or(self.malformed(other))?;
            all[other] = message.slice(wire::HEADER..);
        }
        Ok(all)
    }
}

fn hide(binding: &[u8; 32], number: u64, party: usize, coin: &[u8; 32]) -> [u8; 32] {
    let mut transcript = Transcript::new("tacit/arithmetic/coin/v1");
    transcript.bytes(binding).number(number).number(party as u64).bytes(coin);
    transcript.finish()
}
