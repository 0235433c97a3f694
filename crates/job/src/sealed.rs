//! What recipients seal for a client, and which of it the client takes.
//!
//! A seal says nothing about who made it: the gateway that carries it has the client's public key, too. So each recipient
//! signs the result and the consensus under which it was computed, inside its seal. The client takes what members of more
//! operators signed than may be corrupted, since one of them is honest; how many that are, and who is a member, says that
//! consensus, which the client finds in a chain it has checked from the first decision on.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tacit_accord::{Charter, Consensus, ConsensusId, Member};
use tacit_model::api::{TaskRequest, TaskResult, TaskSignature};
use tacit_model::{CLOCK_SKEW_MS, Fingerprint, Slot, UnixMillis};
use tacit_pki::envelope::{Context, sign_detached, verify_detached};
use tacit_pki::result_key::{self, ResultKey};
use tacit_pki::{Identity, PublicKey};
use zeroize::Zeroizing;

use crate::ask::named_recipients;
use crate::terms::moment_of;

/// What is signed.
#[derive(Serialize)]
struct Said<'a> {
    result: &'a TaskResult,
    consensus: &'a ConsensusId,
}

/// What is sealed: a reader that knows no signatures finds the result.
#[derive(Serialize, Deserialize)]
struct Text {
    #[serde(flatten)]
    result: TaskResult,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    consensus: Option<ConsensusId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    teller: Option<TaskSignature>,
}

fn signed_text(result: &TaskResult, consensus: &ConsensusId) -> Option<Zeroizing<Vec<u8>>> {
    serde_json::to_vec(&Said { result, consensus }).ok().map(Zeroizing::new)
}

/// Seals a result for a client's public key, signed by the recipient as what was computed under this consensus. `None` if
/// that is no key.
pub fn seal_result(result: TaskResult, consensus: ConsensusId, key: &str, teller: &Identity) -> Option<String> {
    let about = result.id.clone();
    let signed = signed_text(&result, &consensus)?;
    let teller = TaskSignature {
        key: teller.public_key().to_base64(),
        signature: hex::encode(sign_detached(teller, Context::Agreement, &signed)),
    };
    let text = Text { result, consensus: Some(consensus), teller: Some(teller) };
    let text = Zeroizing::new(serde_json::to_vec(&text).ok()?);
    result_key::seal(key, about.as_bytes(), &text).ok()
}

/// One recipient's word.
#[derive(Clone, Debug, PartialEq)]
pub struct Telling {
    /// What it says; `None` if the seal does not open, or what is in it is about something else.
    pub result: Option<TaskResult>,
    /// Whose signature is under that, if there is one, and under which consensus it says that it was computed.
    pub teller: Option<(Fingerprint, ConsensusId)>,
}

impl Telling {
    /// Opens what was sealed for this key about a computation of a task.
    pub fn open(sealed: &str, id: &str, window: Slot, key: &ResultKey) -> Self {
        let read = || {
            let text = key.open(sealed, id.as_bytes()).ok()?;
            let Text { result, consensus, teller } = serde_json::from_slice(&text).ok()?;
            // The gateway may have exchanged what was said of two computations: that is nobody's lie.
            let about_this = result.id == id && result.window == window;
            let teller = teller.zip(consensus).and_then(|(teller, consensus)| {
                Some((signer(&signed_text(&result, &consensus)?, &teller)?, consensus))
            });
            about_this.then_some((result, teller))
        };
        let (result, teller) = read().map_or((None, None), |(result, teller)| (Some(result), teller));
        Self { result, teller }
    }
}

fn signer(signed: &[u8], teller: &TaskSignature) -> Option<Fingerprint> {
    let key = PublicKey::from_base64(&teller.key).ok()?;
    let mut signature = [0; 64];
    hex::decode_to_slice(&teller.signature, &mut signature).ok()?;
    verify_detached(&key, Context::Agreement, signed, &signature).ok()?;
    Some(key.fingerprint())
}

/// A consensus of a chain that a client has checked.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What was agreed.
    pub consensus: Consensus,
    /// When the client was first shown it, by its own clock: it was decided by then. The text itself may name an earlier
    /// moment, at which its owners began to sign.
    pub since: UnixMillis,
}

/// What the words about one computation come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    /// What is taken.
    pub result: TaskResult,
    /// The consensus under which it was computed.
    pub consensus: ConsensusId,
    /// On whose word it rests alone: those who signed it, where no more operators were to learn it than may be corrupted.
    /// Empty where one of those who signed is honest.
    pub word_of: BTreeSet<Fingerprint>,
    /// Members that said something else under their signatures.
    pub liars: BTreeSet<Fingerprint>,
    /// So many other words could not be read, or no recipient is known to have said them.
    pub unclear: usize,
}

/// Why nothing is taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsettled {
    /// Whoever carries seals could have made these.
    #[error(
        "no recipient that the group's charter of then names has signed what was told, so the gateway may have made it up; \
         nothing is taken"
    )]
    Nobody,
    /// Members of then may have no reason any more to be honest.
    #[error(
        "what was told is signed under a charter that was replaced before {moment}, the moment of the computation, so who \
         signed it may have left since; nothing is taken"
    )]
    Replaced {
        /// Of the computation.
        moment: UnixMillis,
    },
    /// All say the same, and they are too few.
    #[error(
        "{said} alone signed the result, and members of more than {may_lie} operators must, so that one of them is honest: \
         ask again when more recipients are there, or name those whose word is enough for you (--recipient)"
    )]
    TooFew {
        /// So many operators may be corrupted.
        may_lie: usize,
        /// Who said it.
        said: String,
    },
    /// They differ, and none has enough behind it.
    #[error(
        "the recipients sealed different results, and none is what members of more than {may_lie} operators say: {said}"
    )]
    NoMajority {
        /// So many operators may be corrupted.
        may_lie: usize,
        /// Who said the same, without what they said.
        said: String,
    },
}

/// The same word of several recipients.
struct Saying<'a> {
    result: &'a TaskResult,
    consensus: &'a Consensus,
    tellers: BTreeSet<Fingerprint>,
    /// Members by their operators.
    names: BTreeMap<&'a str, BTreeSet<&'a str>>,
}

impl Saying<'_> {
    fn may_lie(&self) -> usize {
        usize::try_from(self.consensus.charter().threshold).unwrap_or(usize::MAX)
    }

    fn has_an_honest_one(&self) -> bool {
        self.names.len() > self.may_lie()
    }

    fn who(&self) -> String {
        self.names.values().flatten().copied().collect::<Vec<_>>().join(" and ")
    }
}

/// Which result of a computation of a request a client takes, given the group's chain as it has checked it: `None` if nobody
/// told anything.
/// It takes what recipients of more operators signed than may be corrupted; where no more operators than that were to learn
/// it, by the client's own choice or the charter's, what all of them who told signed alike, and says so.
///
/// Promise: whoever carries the words can keep a result back, and cannot have another one taken. With at most `threshold`
/// corrupted operators no wrong result is taken unless `word_of` names who said it, and no honest member is among the liars.
pub fn settle(
    tellings: &[Telling],
    request: &TaskRequest,
    window: Slot,
    chain: &[Seen],
) -> Result<Option<Settled>, Unsettled> {
    if tellings.is_empty() {
        return Ok(None);
    }
    let named = |telling: &Telling| -> Option<(Fingerprint, usize, &Member)> {
        let (teller, under) = telling.teller?;
        let at = chain.iter().position(|seen| seen.consensus.id() == under)?;
        let charter = chain[at].consensus.charter();
        let named = charter.group == request.group && named_recipients(request, charter).contains(&teller);
        Some((teller, at, charter.member(&teller).filter(|_| named)?))
    };
    let known = |telling: &Telling| -> Option<(Fingerprint, &Consensus, &Member)> {
        let (teller, at, member) = named(telling)?;
        let in_force = replaced(chain, at, request, window) == Some(None);
        in_force.then_some((teller, &chain[at].consensus, member))
    };
    let mut sayings: Vec<Saying<'_>> = Vec::new();
    for telling in tellings {
        let (Some(result), Some((teller, consensus, member))) = (&telling.result, known(telling)) else { continue };
        let same = |other: &Saying<'_>| other.result == result && other.consensus.id() == consensus.id();
        let at = sayings.iter().position(same).unwrap_or_else(|| {
            sayings.push(Saying { result, consensus, tellers: BTreeSet::new(), names: BTreeMap::new() });
            sayings.len() - 1
        });
        sayings[at].tellers.insert(teller);
        sayings[at].names.entry(&member.operator).or_default().insert(&member.name);
    }
    let mut enough = sayings.iter().filter(|saying| saying.has_an_honest_one());
    let (taken, word_of) = match (enough.next(), enough.next(), &sayings[..]) {
        (Some(saying), None, _) => (saying, BTreeSet::new()),
        (None, None, []) => {
            let late = |telling: &Telling| replaced(chain, named(telling)?.1, request, window).flatten();
            let moment = tellings.iter().filter(|telling| telling.result.is_some()).find_map(late);
            return Err(moment.map_or(Unsettled::Nobody, |moment| Unsettled::Replaced { moment }));
        }
        (None, None, [only]) if tellers_needed(request, only.consensus.charter()) <= only.names.len() => {
            (only, only.tellers.clone())
        }
        (None, None, [only]) => return Err(Unsettled::TooFew { may_lie: only.may_lie(), said: only.who() }),
        _ => {
            let mut said: Vec<String> = sayings.iter().map(Saying::who).collect();
            // Tellings come in the order of fingerprints, which says nothing.
            said.sort_unstable();
            let nobody = tellings.iter().filter(|telling| telling.result.is_none() || known(telling).is_none()).count();
            if nobody > 0 {
                said.push(format!("{nobody} that nobody is known to have said"));
            }
            let may_lie = sayings.iter().map(Saying::may_lie).max().unwrap_or_default();
            return Err(Unsettled::NoMajority { may_lie, said: said.join(", against ") });
        }
    };
    let others = || tellings.iter().filter(|telling| telling.result.as_ref() != Some(taken.result));
    Ok(Some(Settled {
        result: taken.result.clone(),
        consensus: taken.consensus.id(),
        word_of,
        liars: others().filter_map(|telling| Some(known(telling)?.0)).collect(),
        unclear: tellings.iter().filter(|telling| telling.result.is_none() || known(telling).is_none()).count(),
    }))
}

/// The moment of the computation, if another consensus had replaced this one of the chain before it: who has left since may
/// have no reason any more to be honest. `None` if it is no computation of the request.
///
/// When a consensus was decided, its text does not say: owners sign what was proposed hours before, and until the last of
/// them did, all compute by the one before. It was decided when the client first saw it, and when the next one was proposed.
/// What the client asked after it had seen it is for nobody of before; otherwise clocks may differ.
fn replaced(chain: &[Seen], at: usize, request: &TaskRequest, window: Slot) -> Option<Option<UnixMillis>> {
    let (issued, moment) = (UnixMillis::from_rfc3339(&request.issued)?, moment_of(request, window)?);
    let long_before = |decided: UnixMillis| decided.plus(CLOCK_SKEW_MS) < moment;
    let by_next = chain.get(at + 1).is_some_and(|next| next.since <= issued || long_before(next.since));
    let by_another = chain.get(at + 2).is_some_and(|after| long_before(after.consensus.text().decided_at));
    Some((by_next || by_another).then_some(moment))
}

/// Recipients of so many operators must sign a result alike for a client to take it: more than may be corrupted. Where no
/// more than those are to learn it, one is enough, whose word it then is.
pub fn tellers_needed(request: &TaskRequest, charter: &Charter) -> usize {
    let may_lie = usize::try_from(charter.threshold).unwrap_or(usize::MAX);
    match operators_of(&named_recipients(request, charter), charter) {
        named if named > may_lie => may_lie + 1,
        _ => 1,
    }
}

/// How many operators these members of a charter belong to.
pub fn operators_of(members: &[Fingerprint], charter: &Charter) -> usize {
    let operator = |member: &Fingerprint| Some(charter.member(member)?.operator.as_str());
    members.iter().filter_map(operator).collect::<BTreeSet<_>>().len()
}

#[cfg(test)]
mod tests;
