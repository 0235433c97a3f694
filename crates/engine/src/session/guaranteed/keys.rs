//! Keys of sets of compute peers: what random vectors are made of that no t compute peers know, and of which every
//! compute peer computes its share itself (Cramer, Damgård, Ishai 2005).

use bytes::Bytes;
use tacit_algebra::Field;
use tacit_model::Fingerprint;
use tacit_model::codec::{DecodeError, Reader};
use zeroize::Zeroizing;

use crate::arithmetic::{sets, share_of_one};
use crate::environment::Environment;
use crate::keystream::Keystream;
use crate::session::{Party, SessionError, message};
use crate::transcript::Transcript;

type Key = Zeroizing<[u8; 32]>;
/// Of each dealer, the hashes of a peer's keys, if it has any.
type Report = Vec<Option<Vec<[u8; 32]>>>;

/// What is left of a dealer's sets after the reports.
pub(super) struct Kept {
    /// Which sets are not used.
    pub(super) dropped: Vec<bool>,
    /// Hash of which sets are used and of each one's key: who comes to the same one holds, of each of its sets that
    /// is used, the same key.
    pub(super) digest: [u8; 32],
}

impl Kept {
    /// `hashes` are those of the keys of the sets that are used.
    fn new(hashes: &[Option<[u8; 32]>], binding: &[u8; 32], dealer: &Fingerprint) -> Self {
        let mut transcript = Transcript::new("tacit/kept-keys/v1");
        transcript.bytes(binding).bytes(&dealer.0).number(hashes.len() as u64);
        for hash in hashes {
            transcript.bytes(hash.as_ref().map_or(&[], |hash| hash.as_slice()));
        }
        Self { dropped: hashes.iter().map(Option::is_none).collect(), digest: transcript.finish() }
    }

    /// Whether no set is left, so that nothing could hide the dealer's vector.
    pub(super) fn nothing(&self) -> bool {
        self.dropped.iter().all(|dropped| *dropped)
    }
}

/// What a dealer gave: a key for each set of n-t compute peers.
pub(super) struct Family {
    keys: Vec<Key>,
}

impl Family {
    /// Draws a key for each set and sends every compute peer those of its sets.
    pub(super) fn deal<E: Environment>(party: &mut Party<'_, E>, t: usize) -> Self {
        let n = party.plan.compute().len();
        let all: Vec<u64> = sets(n, t).collect();
        let keys: Vec<Key> = all
            .iter()
            .map(|_| {
                let mut key = Zeroizing::new([0; 32]);
                party.environment.random(&mut *key);
                key
            })
            .collect();
        for (position, member) in party.plan.compute().iter().enumerate() {
            if *member == party.me {
                continue;
            }
            let held = all.iter().zip(&keys).filter(|(set, _)| *set >> position & 1 == 1);
            let parts: Vec<&[u8]> = held.map(|(_, key)| key.as_slice()).collect();
            party.mailbox.send(*member, message::plain(message::KEYS, &parts));
        }
        Self { keys }
    }

    /// How many sets there are.
    pub(super) fn sets(&self) -> usize {
        self.keys.len()
    }

    /// What is left if these sets are dropped, as the dealer knows it.
    pub(super) fn kept(&self, dropped: &[bool], binding: &[u8; 32], dealer: &Fingerprint) -> Kept {
        let hash = |(key, dropped): (&Key, &bool)| (!dropped).then(|| key_hash(key, binding, dealer));
        let hashes: Vec<_> = self.keys.iter().zip(dropped).map(hash).collect();
        Kept::new(&hashes, binding, dealer)
    }

    /// Takes the streams of all sets that are left off a vector. Refuses if none is left: the vector would be bare.
    pub(super) fn subtract<F: Field>(
        &self,
        dropped: &[bool],
        label: &str,
        binding: &[u8; 32],
        dealer: &Fingerprint,
        vector: &mut [F],
    ) -> Result<(), SessionError> {
        if dropped.len() != self.keys.len() || dropped.iter().all(|dropped| *dropped) {
            return Err(SessionError::NotEnoughShares { found: 0, needed: 1 });
        }
        let mut part = Zeroizing::new(vec![F::ZERO; vector.len()]);
        for (key, _) in self.keys.iter().zip(dropped).filter(|(_, dropped)| !**dropped) {
            let mut stream = stream(key, label, binding, dealer)?;
            F::fill_uniform(&mut |bytes: &mut [u8]| stream.fill(bytes), &mut part);
            F::sub_assign_slice(vector, &part);
        }
        Ok(())
    }
}

/// A compute peer's keys of all dealers.
pub(super) struct Holder {
    position: usize,
    /// All sets; those of this peer; dealers by fingerprint.
    sets: Vec<u64>,
    mine: Vec<usize>,
    dealers: Vec<Fingerprint>,
    keys: Vec<Option<Vec<Key>>>,
}

impl Holder {
    /// Waits for every dealer's keys; who sends none, or something else, has none.
    pub(super) async fn collect<E: Environment>(
        party: &Party<'_, E>,
        t: usize,
        position: usize,
        dealers: &[usize],
        own: Option<&Family>,
    ) -> Self {
        let sets: Vec<u64> = sets(party.plan.compute().len(), t).collect();
        let mine: Vec<usize> = (0..sets.len()).filter(|set| sets[*set] >> position & 1 == 1).collect();
        let mut keys = Vec::with_capacity(dealers.len());
        for dealer in dealers {
            if *dealer == party.me {
                keys.push(own.map(|own| mine.iter().map(|set| own.keys[*set].clone()).collect()));
                continue;
            }
            let message = party.mailbox.recv(*dealer).await.ok();
            keys.push(message.and_then(|message| read_keys(&message, mine.len())));
        }
        let dealers = dealers.iter().map(|dealer| party.plan.members()[*dealer]).collect();
        Self { position, sets, mine, dealers, keys }
    }

    /// What this peer says of its keys: hashes.
    pub(super) fn report(&self, binding: &[u8; 32]) -> Vec<u8> {
        let mut out = Vec::new();
        for (dealer, keys) in self.dealers.iter().zip(&self.keys) {
            out.push(u8::from(keys.is_some()));
            for key in keys.iter().flatten() {
                out.extend_from_slice(&key_hash(key, binding, dealer));
            }
        }
        out
    }

    /// What is left of each dealer's sets: dropped is what is not alike at all members that say something. Silence drops
    /// nothing: who is silent takes no further part, and a slow peer must not cost a dealer the stream that hides its
    /// input. What this peer says itself is among the reports, so that it holds the keys that it keeps.
    pub(super) fn kept(&self, reports: &[Option<Bytes>], binding: &[u8; 32]) -> Vec<Kept> {
        let read: Vec<Option<Report>> = reports
            .iter()
            .map(|report| read_report(report.as_ref()?, self.dealers.len(), self.mine.len()).ok())
            .collect();
        let of_set = |dealer: usize, set: usize| {
            let members = (0..reports.len()).filter(|position| self.sets[set] >> position & 1 == 1);
            let mut hashes = members.filter(|position| reports[*position].is_some()).map(|position| {
                let place = (0..set).filter(|other| self.sets[*other] >> position & 1 == 1).count();
                read[position].as_ref().and_then(|report| report[dealer].as_ref()).map(|hashes| hashes[place])
            });
            let first = hashes.next().flatten();
            first.filter(|_| hashes.all(|hash| hash == first))
        };
        let of_dealer = |(dealer, fingerprint): (usize, &Fingerprint)| {
            let hashes: Vec<_> = (0..self.sets.len()).map(|set| of_set(dealer, set)).collect();
            Kept::new(&hashes, binding, fingerprint)
        };
        self.dealers.iter().enumerate().map(of_dealer).collect()
    }

    /// This peer's streams of a dealer's sets that are left, each with what a share of one of its set is here.
    pub(super) fn streams<F: Field>(
        &self,
        points: &[F],
        dealer: usize,
        dropped: &[bool],
        label: &str,
        binding: &[u8; 32],
    ) -> Result<Vec<(F, Keystream)>, SessionError> {
        let keys = self.mine.iter().zip(self.keys[dealer].iter().flatten());
        let left = keys.filter(|(set, _)| !dropped[**set]);
        left.map(|(set, key)| {
            let one = share_of_one(points, self.sets[*set], self.position);
            Ok((one, stream(key, label, binding, &self.dealers[dealer])?))
        })
        .collect()
    }

    /// This peer's share of a dealer's random vector.
    pub(super) fn share<F: Field>(
        &self,
        points: &[F],
        dealer: usize,
        dropped: &[bool],
        label: &str,
        binding: &[u8; 32],
        out: &mut [F],
    ) -> Result<(), SessionError> {
        out.fill(F::ZERO);
        let mut part = Zeroizing::new(vec![F::ZERO; out.len()]);
        for (one, mut stream) in self.streams(points, dealer, dropped, label, binding)? {
            F::fill_uniform(&mut |bytes: &mut [u8]| stream.fill(bytes), &mut part);
            F::scale_add(out, one, &part);
        }
        Ok(())
    }
}

/// What is said of a key. It has 256 random bits, so that its hash tells nothing.
fn key_hash(key: &Key, binding: &[u8; 32], dealer: &Fingerprint) -> [u8; 32] {
    let mut transcript = Transcript::new("tacit/key-report/v1");
    transcript.bytes(binding).bytes(&dealer.0).bytes(&**key);
    transcript.finish()
}

/// The stream of one key for one vector of one session.
fn stream(key: &Key, label: &str, binding: &[u8; 32], dealer: &Fingerprint) -> Result<Keystream, SessionError> {
    let mut transcript = Transcript::new("tacit/set-stream/v1");
    transcript.bytes(binding).bytes(&dealer.0).bytes(label.as_bytes()).bytes(&**key);
    Ok(Keystream::new(&Zeroizing::new(transcript.finish()))?)
}

fn read_keys(message: &Bytes, count: usize) -> Option<Vec<Key>> {
    let content = message::content(message, message::KEYS).ok()?;
    let (keys, rest) = content.as_chunks::<32>();
    (keys.len() == count && rest.is_empty()).then(|| keys.iter().map(|key| Zeroizing::new(*key)).collect())
}

/// Hashes per dealer, `None` where the peer has no keys of it.
fn read_report(bytes: &[u8], dealers: usize, held: usize) -> Result<Report, DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut report = Vec::with_capacity(dealers);
    for _ in 0..dealers {
        report.push(match reader.array::<1>()? {
            [0] => None,
            [1] => Some((0..held).map(|_| reader.array::<32>()).collect::<Result<_, _>>()?),
            _ => return Err(DecodeError::Unknown),
        });
    }
    reader.finish()?;
    Ok(report)
}
