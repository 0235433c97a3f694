//! What the engine gets from this party.

use std::sync::{Arc, OnceLock};

use tacit_accord::Consensus;
use tacit_engine::{Environment, Evidence, FreezeRecord, FreezeRefused, Plan};
use tacit_job::{Job, Window};
use tacit_model::{CLOCK_SKEW_MS, Clock, Fingerprint, RunId, UnixMillis};
use tacit_pki::envelope::{Context, sign_detached, verify_all_detached, verify_detached};
use tacit_pki::{Identity, PublicKey, random};
use tacit_store::{AskedRow, Company, FreezeOutcome, NewFreeze, OpenedRow, SpendRow, Store, StoreError, What};

use crate::go_ahead::GoAhead;
use crate::jobs::Noted;
use crate::pair_secrets::PairSecrets;
use crate::policy::{Policy, TaskRefusal, freezes};
use crate::source::series;

/// What of the own series goes into a session, and what the result costs them.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// The windows, of a client's task.
    pub taken: Vec<AskedRow>,
    /// The windows of all who give, where this party computes.
    pub opened: Vec<OpenedRow>,
    /// Where the result has noise.
    pub spent: Vec<SpendRow>,
}

/// By what a frozen set is judged: the policy that this party was willing by, and the charter with everybody's operators.
pub struct Judges {
    /// The policy.
    pub policy: Arc<Policy>,
    /// The charter of the job.
    pub consensus: Arc<Consensus>,
}

/// The party around one session.
pub struct PartyEnvironment {
    /// Signs frozen sets.
    pub identity: Arc<Identity>,
    /// From the TLS exporter of each link.
    pub secrets: PairSecrets,
    /// Of the compute peers, by member.
    pub keys: Arc<[OnceLock<PublicKey>]>,
    /// Keeps frozen sets.
    pub store: Store,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Under this name sets are kept.
    pub party: String,
    /// The run.
    pub run: RunId,
    /// The charter of the job.
    pub charter: [u8; 32],
    /// The input peers of the job, see `name_members`.
    pub inputs: [u8; 32],
    /// The moment that a client's task is for.
    pub moment: Option<UnixMillis>,
    /// What goes in and is noted with the freeze.
    pub given: Given,
    /// Where the owner reads of the job, if that is noted with the freeze and not by the way.
    pub noted: Option<Arc<Noted>>,
    /// The client's task that the owner was asked about, if this party asks: what they refuse until then is not frozen.
    pub approved: Option<String>,
    /// Before it is given, others lack what they need to freeze a set.
    pub go_ahead: GoAhead,
    /// The group above, if this is a branch's part.
    pub above: Option<String>,
    /// Whether that must not overlap what went into results of others, by the policy when the links were there.
    pub disjoint: bool,
    /// Judges who gave data to a client's task; `None` where the job itself names them, as in a standing task.
    pub judges: Option<Judges>,
    /// Why a set was declined, for the owner.
    pub declined: Option<String>,
    /// If that was because it would have made a difference with an earlier one: who is missing, and from when on windows are
    /// free.
    pub apart: Option<(Vec<Fingerprint>, UnixMillis)>,
    /// Whether a set was, or may have been, bound.
    pub bound: bool,
    /// Contributors of the frozen set and their commitments, ascending, where this party computes.
    pub contributions: Vec<(Fingerprint, [u8; 32])>,
    /// What convicts compute peers of wrong shares, up to now.
    pub evidence: Vec<Evidence>,
}

impl Environment for PartyEnvironment {
    fn random(&mut self, out: &mut [u8]) {
        // To go on with bytes that somebody might guess would give inputs away.
        random::fill(out).expect("the operating system's random generator works");
    }

    fn pair_secret(&mut self, member: usize) -> [u8; 32] {
        self.secrets.with(member)
    }

    fn sign_freeze(&mut self, digest: &[u8; 32]) -> [u8; 64] {
        sign_detached(&self.identity, Context::Freeze, digest)
    }

    fn verify_freeze(&self, member: usize, digest: &[u8; 32], signature: &[u8; 64]) -> bool {
        let key = self.keys.get(member).and_then(OnceLock::get);
        key.is_some_and(|key| verify_detached(key, Context::Freeze, digest, signature).is_ok())
    }

    fn verify_freezes(&self, digest: &[u8; 32], signatures: &[(usize, [u8; 64])]) -> Result<(), usize> {
        freezes_hold(&self.keys, digest, signatures)
    }

    fn sign_message(&mut self, digest: &[u8; 32]) -> [u8; 64] {
        sign_detached(&self.identity, Context::Message, digest)
    }

    fn verify_message(&self, member: usize, digest: &[u8; 32], signature: &[u8; 64]) -> bool {
        let key = self.keys.get(member).and_then(OnceLock::get);
        key.is_some_and(|key| verify_detached(key, Context::Message, digest, signature).is_ok())
    }

    fn convicted(&mut self, evidence: Evidence) {
        self.evidence.push(evidence);
    }

    async fn go_ahead(&mut self) {
        if !self.go_ahead.came().await {
            // Whoever drives the session ends it.
            std::future::pending().await
        }
    }

    async fn freeze(&mut self, record: FreezeRecord) -> Result<(), FreezeRefused> {
        if let Some(Judges { policy, consensus }) = &self.judges
            && let Err(refusal) = policy.judge_company(&record.contributors, consensus.charter())
        {
            self.declined = Some(refusal.to_string());
            return Err(FreezeRefused::Declined);
        }
        // From here on a failure may have left a durable record behind.
        self.bound = true;
        let slot = record.slot;
        // Whose data is in, which may be fewer than the job names: that is what other windows are compared with.
        let members = name_company(&record.contributors, self.above.as_deref());
        let given = std::mem::take(&mut self.given);
        let gives = record.contributors.contains(&self.identity.fingerprint());
        let Given { mut taken, mut opened, spent } = match gives {
            true => given,
            false => Given { opened: given.opened, ..Given::default() },
        };
        taken.iter_mut().for_each(|row| row.members = members);
        // All who give have chosen their records by now. What is measured later is not in, and may be asked for with others.
        // Their clocks may be ahead.
        let now = self.clock.now().plus(CLOCK_SKEW_MS);
        for row in &mut opened {
            row.to_ms = series::end(Window { from: row.from_ms, to: row.to_ms }, now);
        }
        if let Some(named) = opened.first().map(|row| Arc::clone(&row.company)) {
            let those = Arc::new(those_of(&named, record.contributors.clone(), members, gives));
            opened.iter_mut().for_each(|row| row.company = Arc::clone(&those));
        }
        let windows = opened.clone();
        let new = NewFreeze {
            run: self.run,
            slot,
            attempt: record.attempt,
            set_digest: record.digest,
            charter: self.charter,
            inputs: self.inputs,
            moment: self.moment,
            taken,
            opened,
            disjoint: self.disjoint,
            spent,
            job: self.noted.as_ref().and_then(|noted| noted.row()),
            approved: self.approved.clone(),
        };
        match self.store.freeze(&self.party, new, self.clock.now()).await {
            Ok(FreezeOutcome::Fresh) => {
                self.contributions = record.contributors.into_iter().zip(record.commitments).collect();
                Ok(())
            }
            Err(StoreError::Conflict {
                what: what @ (What::Overlap | What::Company | What::Budget | What::Refused),
            }) => {
                match what {
                    What::Company => {
                        let refusal = self.clash(&windows).await;
                        self.apart = refusal.as_ref().and_then(TaskRefusal::apart);
                        let why = refusal.map(|refusal| refusal.to_string());
                        self.declined = Some(why.unwrap_or_else(|| what.to_string()));
                    }
                    What::Refused => self.declined = Some(what.to_string()),
                    _ => {}
                }
                self.bound = false;
                Err(FreezeRefused::Declined)
            }
            // The digest covers salts that are drawn in each session: the same one twice is no accident.
            Ok(FreezeOutcome::Same) | Err(StoreError::Conflict { .. }) => Err(FreezeRefused::AlreadyFrozen),
            Err(error) => {
                tracing::error!(%error, %slot, "the input set was not stored");
                Err(FreezeRefused::NotDurable)
            }
        }
    }
}

impl PartyEnvironment {
    /// With which earlier results a set would make a difference that was just refused for it.
    async fn clash(&self, windows: &[OpenedRow]) -> Option<TaskRefusal> {
        let mut look = self.store.look();
        for row in windows {
            if let Ok(Some(clash)) = look.opened_with_others(&self.party, row).await {
                return Some(TaskRefusal::of(clash, row));
            }
        }
        None
    }
}

/// Whether all members' signatures hold under the digest of a set; the first member whose signature does not, or whose key is
/// not known.
fn freezes_hold(
    keys: &[OnceLock<PublicKey>],
    digest: &[u8; 32],
    signatures: &[(usize, [u8; 64])],
) -> Result<(), usize> {
    let known = signatures.iter().map_while(|(member, signature)| Some((keys.get(*member)?.get()?, signature)));
    let known: Vec<_> = known.collect();
    verify_all_detached(Context::Freeze, digest, &known).map_err(|place| signatures[place].0)?;
    signatures.get(known.len()).map_or(Ok(()), |(member, _)| Err(*member))
}

/// Those of a company whose data is in, who may be fewer than the job named.
fn those_of(named: &Company, givers: Vec<Fingerprint>, members: [u8; 32], own: bool) -> Company {
    let judging = named.judging.iter().filter(|member| givers.contains(member)).copied().collect();
    company(givers, judging, members, named.enough, own)
}

/// The members of a job as a company.
pub(crate) fn company_of(job: &Job, plan: &Plan, me: &Fingerprint, above: Option<&str>) -> Company {
    let judging = job.inputs.iter().filter(|member| freezes(member, job)).copied().collect();
    let members = name_company(&job.inputs, above);
    company(job.inputs.clone(), judging, members, plan.shares_needed(), job.inputs.contains(me))
}

fn company(
    mut givers: Vec<Fingerprint>,
    mut judging: Vec<Fingerprint>,
    members: [u8; 32],
    enough: usize,
    own: bool,
) -> Company {
    givers.sort_unstable();
    judging.sort_unstable();
    let id = tacit_accord::digest("company", &[members, name_members(&judging)].concat());
    Company { id, members, givers, judging, enough, own }
}

/// Names those with whom data went into a result. In a branch's part these are also all others below the same charter
/// above: who knows both a branch's own result and one over branches knows what the others gave.
pub(crate) fn name_company(members: &[Fingerprint], above: Option<&str>) -> [u8; 32] {
    let inside = name_members(members);
    match above {
        None => inside,
        Some(charter) => tacit_accord::digest("part", &[&inside[..], charter.as_bytes()].concat()),
    }
}

/// Names a set of members, whatever their order.
pub(crate) fn name_members(members: &[Fingerprint]) -> [u8; 32] {
    let mut members: Vec<_> = members.iter().map(|member| member.0).collect();
    members.sort_unstable();
    tacit_accord::digest("inputs", members.as_flattened())
}

#[cfg(test)]
mod tests {
    use tacit_pki::Identity;

    use super::*;

    #[test]
    fn rule3_a_set_is_signed_by_each_with_its_own_key() {
        let identity = |_| Identity::generate("a", time::OffsetDateTime::UNIX_EPOCH).expect("a key");
        let all: Vec<Identity> = (0..6).map(identity).collect();
        let keys: Vec<OnceLock<PublicKey>> = all.iter().map(|id| OnceLock::from(*id.public_key())).collect();
        let digest = [7; 32];
        // Of members 1 to 5, as member 0 hears them.
        let sign = |member: usize| (member, sign_detached(&all[member], Context::Freeze, &digest));
        let signatures: Vec<_> = (1..6).map(sign).collect();
        assert_eq!(freezes_hold(&keys, &digest, &signatures), Ok(()));
        assert_eq!(freezes_hold(&keys, &[8; 32], &signatures), Err(1), "of another set");
        let message = (3, sign_detached(&all[3], Context::Message, &digest));
        let swapped = (3, signatures[0].1);
        for forged in [message, swapped, (3, [0; 64])] {
            let mut signatures = signatures.clone();
            signatures[2] = forged;
            assert_eq!(freezes_hold(&keys, &digest, &signatures), Err(3));
        }
        let mut unknown = keys.clone();
        unknown[4] = OnceLock::new();
        assert_eq!(freezes_hold(&unknown, &digest, &signatures), Err(4), "its key is not known");
        assert_eq!(freezes_hold(&keys[..4], &digest, &signatures), Err(4), "it is no member");
        let mut both = signatures;
        both[0].1[5] ^= 1;
        assert_eq!(freezes_hold(&unknown, &digest, &both), Err(1), "the first one is named");
    }
}
