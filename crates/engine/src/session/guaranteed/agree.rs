//! Agreement on what each compute peer says: n broadcasts at once, by chains of signatures (Dolev and Strong,
//! "Authenticated algorithms for Byzantine agreement", 1983).
//!
//! In round 1 everybody sends its own text, signed. In every round up to t+1, whoever sees a text for the first time
//! under as many signatures as the round has, its author's among them, accepts it, adds its own signature and passes
//! it on. After t+1 rounds a text stands if it is its author's only one. A text that an honest peer accepts in the last
//! round has t+1 signatures, one of them honest, whose owner passed it to all before: so all honest peers accept the
//! same texts, whatever t others do. An author of two texts, or of none, has none.

use std::collections::BTreeMap;

use bytes::Bytes;
use tacit_model::codec::{Decode, DecodeError, Encode, Reader};

use crate::environment::Environment;
use crate::session::Party;
use crate::session::message;
use crate::transcript::Transcript;

/// The compute peers of a session.
pub(super) struct Agreement {
    /// How many of them may lie or be silent.
    pub(super) faulty: usize,
    pub(super) position: usize,
    pub(super) binding: [u8; 32],
}

/// A text, and who vouches for it.
#[derive(Clone)]
struct Chain {
    author: usize,
    text: Bytes,
    signatures: BTreeMap<usize, [u8; 64]>,
}

impl Agreement {
    /// Everybody's text in the order of the compute peers, the same for all honest ones. `stage` keeps the
    /// agreements of a session apart; rounds take the phases from `phase` on.
    pub(super) async fn reach<E: Environment>(
        &mut self,
        party: &mut Party<'_, E>,
        stage: u64,
        phase: u32,
        own: Vec<u8>,
    ) -> Vec<Option<Bytes>> {
        let n = party.plan.compute().len();
        let mut accepted: Vec<Vec<Bytes>> = vec![Vec::new(); n];
        let own = Bytes::from(own);
        accepted[self.position].push(own.clone());
        let mut passing = vec![Chain { author: self.position, text: own, signatures: BTreeMap::new() }];
        for round in 1..=self.faulty + 1 {
            party.mailbox.enter_phase(phase + round as u32 - 1);
            for chain in &mut passing {
                let digest = self.digest(stage, chain.author, &chain.text);
                chain.signatures.insert(self.position, party.environment.sign_freeze(&digest));
            }
            party.mailbox.send_all(party.other_compute_peers(), &encode(&passing));
            passing = Vec::new();
            for member in party.other_compute_peers() {
                // A loss is silence; so is what cannot be read.
                let Ok(message) = party.mailbox.recv(member).await else { continue };
                let Ok(chains) = decode(&message, n) else { continue };
                for chain in chains {
                    let known = &mut accepted[chain.author];
                    // Two different texts are enough to know that the author has none.
                    if known.len() < 2 && !known.contains(&chain.text) && self.holds(party, stage, round, &chain) {
                        known.push(chain.text.clone());
                        passing.push(chain);
                    }
                }
            }
        }
        let only = |texts: Vec<Bytes>| (texts.len() == 1).then(|| texts.into_iter().next()).flatten();
        accepted.into_iter().map(only).collect()
    }

    fn holds<E: Environment>(&self, party: &Party<'_, E>, stage: u64, round: usize, chain: &Chain) -> bool {
        let digest = self.digest(stage, chain.author, &chain.text);
        chain.signatures.len() >= round
            && chain.signatures.contains_key(&chain.author)
            && chain.signatures.iter().all(|(position, signature)| {
                party.environment.verify_freeze(party.plan.compute()[*position], &digest, signature)
            })
    }

    fn digest(&self, stage: u64, author: usize, text: &[u8]) -> [u8; 32] {
        let mut transcript = Transcript::new("tacit/agreement-of-texts/v1");
        transcript.bytes(&self.binding).number(stage).number(author as u64).bytes(text);
        transcript.finish()
    }
}

fn encode(chains: &[Chain]) -> Vec<u8> {
    let mut out = vec![message::AGREE];
    (chains.len() as u32).encode(&mut out);
    for chain in chains {
        (chain.author as u32).encode(&mut out);
        (chain.text.len() as u32).encode(&mut out);
        out.extend_from_slice(&chain.text);
        (chain.signatures.len() as u32).encode(&mut out);
        for (position, signature) in &chain.signatures {
            (*position as u32).encode(&mut out);
            out.extend_from_slice(signature);
        }
    }
    out
}

fn decode(message: &Bytes, n: usize) -> Result<Vec<Chain>, DecodeError> {
    let mut reader = Reader::new(message::content(message, message::AGREE)?);
    let position = |reader: &mut Reader<'_>| {
        let position = u32::decode(reader)? as usize;
        if position < n { Ok(position) } else { Err(DecodeError::Unknown) }
    };
    let total = u32::decode(&mut reader)? as usize;
    if total > 2 * n {
        return Err(DecodeError::TooLong);
    }
    let mut chains = Vec::with_capacity(total);
    for _ in 0..total {
        let author = position(&mut reader)?;
        let length = u32::decode(&mut reader)? as usize;
        let text = Bytes::copy_from_slice(reader.take(length)?);
        let count = u32::decode(&mut reader)? as usize;
        if count > n {
            return Err(DecodeError::TooLong);
        }
        let mut signatures = BTreeMap::new();
        for _ in 0..count {
            let position = position(&mut reader)?;
            signatures.insert(position, reader.array::<64>()?);
        }
        chains.push(Chain { author, text, signatures });
    }
    reader.finish()?;
    Ok(chains)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use tacit_model::{Attempt, Fingerprint, SessionId, Slot};

    use super::*;
    use crate::plan::{OnMissing, Plan, PlanRequest, SecurityModel, Sharing};
    use crate::simulator::{Ended, SimulatedEnvironment, Simulator};

    type Texts = Vec<Option<Bytes>>;

    fn plan() -> Plan {
        Plan::build(PlanRequest {
            session: SessionId([1; 16]),
            attempt: Attempt(0),
            slot: Slot(0),
            charter: [2; 32],
            task: [3; 32],
            aggregator: "sum".to_owned(),
            aggregator_version: 1,
            parameters: BTreeMap::new(),
            sharing: Sharing::Shamir { threshold: 1 },
            charter_threshold: 1,
            charter_compute: 4,
            model: SecurityModel::Guaranteed,
            items: 1,
            max_element: 1,
            modulus: None,
            members: (0..4).map(|i| Fingerprint([i; 32])).collect(),
            inputs: vec![0, 1, 2],
            compute: vec![0, 1, 2, 3],
            recipients: vec![0],
            on_missing: OnMissing::Proceed { min: 2 },
        })
        .expect("plan")
    }

    fn agreement(position: usize) -> Agreement {
        Agreement { faulty: 1, position, binding: [9; 32] }
    }

    /// Peers 0 to 2 are honest; peer 3 sends what `cheat` says for round and receiver: texts, each under its own signature
    /// and those of the peers listed, as far as it can make them (its own) or was given them (none).
    fn honest_texts(seed: u64, cheat: impl Fn(usize, usize) -> Vec<&'static [u8]>) -> Vec<Texts> {
        let plan = plan();
        let mut simulator: Simulator<'_, Texts> = Simulator::new(4, seed);
        for me in 0..3 {
            let (mailbox, plan) = (simulator.mailbox(me), &plan);
            simulator.spawn(me, async move {
                let mut environment = SimulatedEnvironment::new(seed, me);
                let mut party = Party {
                    plan,
                    me,
                    mailbox: &mailbox,
                    environment: &mut environment,
                    binding: [9; 32],
                    position: Some(me),
                    secrets: BTreeMap::new(),
                    convicted: BTreeSet::new(),
                };
                agreement(me).reach(&mut party, 1, 1, vec![me as u8; 3]).await
            });
        }
        let mailbox = simulator.mailbox(3);
        let cheat = &cheat;
        simulator.spawn(3, async move {
            let mut environment = SimulatedEnvironment::new(seed, 3);
            for round in 1..=2 {
                for to in 0..3 {
                    let chains: Vec<Chain> = cheat(round, to)
                        .into_iter()
                        .map(|text| {
                            let digest = agreement(3).digest(1, 3, text);
                            let signatures = BTreeMap::from([(3, environment.sign_freeze(&digest))]);
                            Chain { author: 3, text: Bytes::from_static(text), signatures }
                        })
                        .collect();
                    mailbox.send(to, encode(&chains));
                }
                for from in 0..3 {
                    let _heard = mailbox.recv(from).await;
                }
            }
            Texts::new()
        });
        let ends = simulator.run().into_iter().take(3);
        ends.map(|end| Ended::finished(end).expect("finished")).collect()
    }

    #[test]
    fn rule5_honest_peers_agree_whatever_an_author_does() {
        for seed in 0..20 {
            let agreed = |cheat: &dyn Fn(usize, usize) -> Vec<&'static [u8]>| {
                let all = honest_texts(seed, cheat);
                assert!(all.iter().all(|texts| *texts == all[0]));
                let honest = (0..3).all(|i| all[0][i].as_deref() == Some(&[i as u8; 3][..]));
                assert!(honest, "what honest peers say stands");
                all[0][3].clone()
            };
            // The same for all; one for some, another one for others; both for some.
            assert_eq!(agreed(&|round, _| if round == 1 { vec![b"a"] } else { vec![] }).as_deref(), Some(&b"a"[..]));
            assert_eq!(
                agreed(&|round, to| if round > 1 {
                    vec![]
                } else if to == 0 {
                    vec![b"a"]
                } else {
                    vec![b"b"]
                }),
                None
            );
            assert_eq!(agreed(&|round, to| if round == 1 && to == 1 { vec![b"a", b"b"] } else { vec![] }), None);
            // To one only: that one passes it on.
            let one = agreed(&|round, to| if round == 1 && to == 2 { vec![b"a"] } else { vec![] });
            assert_eq!(one.as_deref(), Some(&b"a"[..]));
            // Too late: one signature is not enough in round 2.
            assert_eq!(agreed(&|round, to| if round == 2 && to == 0 { vec![b"a"] } else { vec![] }), None);
            let late = agreed(&|round, to| {
                if round == 1 {
                    vec![b"a"]
                } else if to == 0 {
                    vec![b"b"]
                } else {
                    vec![]
                }
            });
            assert_eq!(late.as_deref(), Some(&b"a"[..]));
        }
    }
}
