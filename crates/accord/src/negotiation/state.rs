use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tacit_model::UnixMillis;

use super::{Act, Agreement, Form, Invitation, NegotiationId, Reading, SignedAct, Signing};

/// Longer texts are not taken, in bytes.
pub const MAX_TEXT: usize = 1 << 20;
/// More than this of one signer's texts is not taken, in bytes, superseded ones too: all of them are kept and replayed.
const MAX_TEXTS: usize = 16 << 20;
/// More acts of one signer are not taken.
pub const MAX_TURNS: u32 = 1000;
/// More invitations are not taken.
const MAX_INVITATIONS: usize = 1000;

/// How a negotiation began. Never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    /// Its name, drawn at random.
    pub id: NegotiationId,
    /// The key of who opened it.
    pub opener: String,
    /// What it is about, for people.
    pub title: String,
    /// When it was opened.
    pub at: UnixMillis,
    /// From when on nothing more is taken.
    pub expires: UnixMillis,
    /// Who decides.
    pub authority: Authority,
    /// Who else may take part.
    pub invitations: Vec<Invitation>,
}

/// Who decides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authority {
    /// The keys that decide: the owners of a charter, or its manager. If there is none, everybody who takes
    /// part must sign, and everybody who was invited must take part.
    pub deciders: BTreeSet<String>,
    /// How many of them must sign; 0 means all.
    pub quorum: u32,
}

/// A step that was taken. Its list, in order, is the whole history of a negotiation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// When.
    pub at: UnixMillis,
    /// What, and by whom.
    pub by: SignedAct,
}

/// Where a negotiation stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It goes on.
    Open,
    /// All who must have signed one text.
    Done(Agreement),
    /// Who opened it ended it.
    Cancelled,
}

/// Where a negotiation stands at some time, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It goes on.
    Open,
    /// There is a consensus.
    Done,
    /// Its time is over without one.
    Expired,
    /// Who opened it ended it.
    Cancelled,
}

/// A text that somebody put forward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contribution {
    /// Counted from 1 in this negotiation.
    pub number: u32,
    /// When it arrived.
    pub at: UnixMillis,
    /// Whose it is.
    pub signer: String,
    /// The text.
    pub text: String,
    /// Whether it accepts.
    pub accepts: bool,
    /// Whether it is the signer's present one: not superseded and not withdrawn.
    pub live: bool,
    /// What was signed with it.
    pub signing: Signing,
    reading: Reading,
}

/// A negotiation. Only [`Negotiation::open`], [`Negotiation::replay`] and [`Step`] make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiation {
    opening: Opening,
    /// Shared with the states before: a step copies no texts.
    contributions: Vec<Arc<Contribution>>,
    turns: BTreeMap<String, u32>,
    /// Invitations with the key that used them.
    invitations: BTreeMap<Invitation, Option<String>>,
    events: u32,
    state: State,
}

/// A step that may be taken: make `event` durable, then go on with `after`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What to store, as entry number [`Negotiation::events`] counted from 0: an entry that is there already
    /// means that somebody else was faster, and the step is computed anew.
    pub event: Event,
    /// The negotiation after it.
    pub after: Negotiation,
}

/// Why a step is not taken. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NegotiationError {
    /// It is over.
    #[error("the negotiation is not open: {0}")]
    NotOpen(&'static str),
    /// The signer has no part in it.
    #[error("this key has no part in the negotiation; ask who opened it for an invitation")]
    Stranger,
    /// The secret is none of this negotiation.
    #[error("this invitation is unknown; ask who opened the negotiation for a new one")]
    UnknownInvitation,
    /// The secret was used by another key.
    #[error("this invitation was used already; ask who opened the negotiation for a new one")]
    UsedInvitation,
    /// The signature does not verify.
    #[error("the signature is not valid for this act, this negotiation and this key")]
    BadSignature,
    /// The act was taken already, or comes too early.
    #[error("turn {given} of this key is not its next one, {next}: the request was sent before, or one is missing")]
    Replayed {
        /// What was signed.
        given: u32,
        /// What would be taken.
        next: u32,
    },
    /// Only who opened it may do this.
    #[error("only who opened the negotiation may do this")]
    NotOpener,
    /// There is nothing to withdraw.
    #[error("there is no contribution of this key to withdraw")]
    NothingToWithdraw,
    /// The text cannot be taken.
    #[error("{0}")]
    Text(String),
    /// The text names others as its signers.
    #[error("no proper set of signatures: the text names its signers, and this key is not among them")]
    NotASigner,
    /// A bound was reached.
    #[error("{0}")]
    TooMuch(&'static str),
}

impl Negotiation {
    /// A new negotiation.
    pub fn open(opening: Opening) -> Result<Self, NegotiationError> {
        let fits = opening.title.chars().count() <= 120 && !opening.title.chars().any(char::is_control);
        if !fits {
            return Err(NegotiationError::Text("a title has at most 120 printable characters".to_owned()));
        }
        if opening.invitations.len() > MAX_INVITATIONS {
            return Err(NegotiationError::TooMuch("more than 1000 invitations"));
        }
        if opening.expires <= opening.at {
            return Err(NegotiationError::Text("it would end before it begins".to_owned()));
        }
        let quorum = usize::try_from(opening.authority.quorum).unwrap_or(usize::MAX);
        if quorum > opening.authority.deciders.len() {
            return Err(NegotiationError::Text("the quorum is above the number of those who decide".to_owned()));
        }
        let invitations = opening.invitations.iter().cloned().map(|invitation| (invitation, None)).collect();
        Ok(Self {
            opening,
            contributions: Vec::new(),
            turns: BTreeMap::new(),
            invitations,
            events: 0,
            state: State::Open,
        })
    }

    /// A negotiation as it was stored, every step checked again. The first that does not hold is the error.
    pub fn replay(form: &dyn Form, opening: Opening, events: Vec<Event>) -> Result<Self, NegotiationError> {
        Self::open(opening)?.resume(form, events)
    }

    /// The same, with steps that were stored after it.
    pub fn resume(mut self, form: &dyn Form, events: Vec<Event>) -> Result<Self, NegotiationError> {
        for event in events {
            self = self.step(form, event.by, event.at)?.after;
        }
        Ok(self)
    }

    /// How it began.
    pub fn opening(&self) -> &Opening {
        &self.opening
    }

    /// How many steps were taken.
    pub fn events(&self) -> u32 {
        self.events
    }

    /// Where it stands, apart from time.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Where it stands at this time.
    pub fn status(&self, now: UnixMillis) -> Status {
        match self.state {
            State::Done(_) => Status::Done,
            State::Cancelled => Status::Cancelled,
            State::Open if now >= self.opening.expires => Status::Expired,
            State::Open => Status::Open,
        }
    }

    /// What was agreed, once it was.
    pub fn agreement(&self) -> Option<&Agreement> {
        match &self.state {
            State::Done(agreement) => Some(agreement),
            _ => None,
        }
    }

    /// All contributions in their order, superseded and withdrawn ones too.
    pub fn contributions(&self) -> &[Arc<Contribution>] {
        &self.contributions
    }

    /// The contributions that count: one per signer.
    pub fn live(&self) -> impl Iterator<Item = &Contribution> {
        self.contributions.iter().map(|c| &**c).filter(|c| c.live)
    }

    /// The turn that a key signs next.
    pub fn next_turn(&self, signer: &str) -> u32 {
        self.turns.get(signer).copied().unwrap_or(0) + 1
    }

    /// How many acts each key has done.
    pub fn turns(&self) -> &BTreeMap<String, u32> {
        &self.turns
    }

    /// Whether a key has a part in it: it opened it, decides, or was invited and came.
    pub fn is_member(&self, signer: &str) -> bool {
        self.opening.opener == signer
            || self.opening.authority.deciders.contains(signer)
            || self.invitations.contains_key(&Invitation::Key(signer.to_owned()))
            || self.invitations.values().any(|used| used.as_deref() == Some(signer))
    }

    /// Invitations with the key that used each, if one did.
    pub fn invitations(&self) -> impl Iterator<Item = (&Invitation, Option<&str>)> {
        self.invitations.iter().map(|(invitation, used)| (invitation, used.as_deref()))
    }

    /// How often the terms changed from one contribution to the next, the first ones included.
    pub fn round(&self) -> usize {
        let mut round = 0;
        let mut before: Option<&str> = None;
        for contribution in &self.contributions {
            if before != Some(contribution.text.as_str()) {
                round += 1;
            }
            before = Some(&contribution.text);
        }
        round
    }

    /// Whose signature is still missing under the text that most of those who decide accept; all of them
    /// while nobody accepts.
    pub fn pending(&self) -> BTreeSet<String> {
        let mut asked: BTreeSet<String> = if self.opening.authority.deciders.is_empty() {
            let invited = self.invitations.iter().filter_map(|(invitation, used)| match (invitation, used) {
                (Invitation::Key(key), _) => Some(key.clone()),
                (Invitation::Secret(_), used) => used.clone(),
            });
            invited.chain(self.live().map(|c| c.signer.clone())).collect()
        } else {
            self.opening.authority.deciders.clone()
        };
        let mut support: HashMap<&str, usize> = HashMap::new();
        self.live().filter(|c| c.accepts).for_each(|c| *support.entry(&c.text).or_default() += 1);
        let leading = self.live().filter(|c| c.accepts).max_by_key(|c| support[c.text.as_str()]);
        if let Some(leading) = leading {
            let deciders = &self.opening.authority.deciders;
            asked.extend(leading.reading.consenting.iter().filter(|key| !deciders.contains(*key)).cloned());
            let signed = self.supporters(&leading.text);
            asked.retain(|key| !signed.contains(key.as_str()));
        }
        asked
    }

    /// Looks at an act and says what would follow. Changes nothing: the caller stores the event first.
    pub fn step(&self, form: &dyn Form, act: SignedAct, now: UnixMillis) -> Result<Step, NegotiationError> {
        self.check_open(now)?;
        let id = &self.opening.id;
        if let Act::Contribute { text, .. } = &act.act
            && text.len() > MAX_TEXT
        {
            return Err(NegotiationError::TooMuch("a text has at most 1 MiB"));
        }
        // Everything costs less than a signature, so strangers are turned away before one is checked.
        let invitation = self.admission(&act)?;
        let next = self.next_turn(&act.signer);
        if act.turn != next {
            return Err(NegotiationError::Replayed { given: act.turn, next });
        }
        if next > MAX_TURNS {
            return Err(NegotiationError::TooMuch("one key has at most 1000 turns"));
        }
        if let Act::Contribute { text, .. } = &act.act {
            let before = self.contributions.iter().filter(|c| c.signer == act.signer).map(|c| c.text.len());
            if before.sum::<usize>() + text.len() > MAX_TEXTS {
                return Err(NegotiationError::TooMuch("the texts of one key have at most 16 MiB together"));
            }
        }
        if !form.is_signed(id, &act) {
            return Err(NegotiationError::BadSignature);
        }
        let reading = match &act.act {
            Act::Contribute { text, .. } => Some(form.read(id, text).map_err(NegotiationError::Text)?),
            _ => None,
        };
        if !form.is_decided(&act) {
            return Err(NegotiationError::BadSignature);
        }
        let mut after = self.clone();
        if let Some(invitation) = invitation {
            after.invitations.insert(invitation, Some(act.signer.clone()));
        }
        after.turns.insert(act.signer.clone(), next);
        after.events += 1;
        match &act.act {
            Act::Contribute { text, invitation, decision } => {
                let reading = reading.unwrap_or_default();
                let signing = Signing {
                    turn: act.turn,
                    signature: act.signature.clone(),
                    invitation: invitation.clone(),
                    decision: decision.clone(),
                };
                after.contribute(&act.signer, text, reading, signing, now)?;
                after.close_if_agreed(text, now);
            }
            Act::Withdraw => {
                let mine = after.contributions.iter_mut().find(|c| c.live && c.signer == act.signer);
                Arc::make_mut(mine.ok_or(NegotiationError::NothingToWithdraw)?).live = false;
            }
            Act::Invite(whom) => {
                self.only_opener(&act.signer)?;
                if after.invitations.len() >= MAX_INVITATIONS {
                    return Err(NegotiationError::TooMuch("more than 1000 invitations"));
                }
                after.invitations.entry(whom.clone()).or_insert(None);
            }
            Act::Cancel => {
                self.only_opener(&act.signer)?;
                after.state = State::Cancelled;
            }
        }
        Ok(Step { event: Event { at: now, by: act }, after })
    }

    fn check_open(&self, now: UnixMillis) -> Result<(), NegotiationError> {
        match self.status(now) {
            Status::Open => Ok(()),
            Status::Done => Err(NegotiationError::NotOpen("there is a consensus already")),
            Status::Expired => Err(NegotiationError::NotOpen("its time is over")),
            Status::Cancelled => Err(NegotiationError::NotOpen("who opened it ended it")),
        }
    }

    fn only_opener(&self, signer: &str) -> Result<(), NegotiationError> {
        if self.opening.opener == signer { Ok(()) } else { Err(NegotiationError::NotOpener) }
    }

    /// The invitation that a newcomer uses up; none for a member, and no way in for a stranger.
    fn admission(&self, act: &SignedAct) -> Result<Option<Invitation>, NegotiationError> {
        let Act::Contribute { invitation: Some(hash), .. } = &act.act else {
            return if self.is_member(&act.signer) { Ok(None) } else { Err(NegotiationError::Stranger) };
        };
        let invitation = Invitation::Secret(hash.clone());
        match self.invitations.get(&invitation) {
            None => Err(NegotiationError::UnknownInvitation),
            Some(Some(used)) if *used != act.signer => Err(NegotiationError::UsedInvitation),
            Some(_) => Ok(Some(invitation)),
        }
    }

    fn contribute(
        &mut self,
        signer: &str,
        text: &str,
        reading: Reading,
        signing: Signing,
        now: UnixMillis,
    ) -> Result<(), NegotiationError> {
        if !reading.signers.is_empty() && !reading.signers.contains(signer) {
            return Err(NegotiationError::NotASigner);
        }
        for before in self.contributions.iter_mut().filter(|c| c.live && c.signer == signer) {
            Arc::make_mut(before).live = false;
        }
        self.contributions.push(Arc::new(Contribution {
            number: u32::try_from(self.contributions.len()).unwrap_or(u32::MAX).saturating_add(1),
            at: now,
            signer: signer.to_owned(),
            text: text.to_owned(),
            accepts: reading.accepts,
            live: true,
            signing,
            reading,
        }));
        Ok(())
    }

    /// Those whose live contribution accepts exactly this text.
    fn supporters(&self, text: &str) -> BTreeSet<&str> {
        self.live().filter(|c| c.accepts && c.text == text).map(|c| c.signer.as_str()).collect()
    }

    fn close_if_agreed(&mut self, text: &str, now: UnixMillis) {
        let signed = self.supporters(text);
        let Some(reading) = self.live().find(|c| c.accepts && c.text == text).map(|c| &c.reading) else { return };
        let asked: BTreeSet<&str> = reading.signers.iter().map(String::as_str).collect();
        let exact = asked.is_empty() || asked == signed;
        // Those who decide anyway are asked by the quorum; those who get a say by this text, all of them.
        let deciders = &self.opening.authority.deciders;
        let consented = reading.consenting.iter().all(|key| deciders.contains(key) || signed.contains(key.as_str()));
        if !(exact && consented && self.decided_by(&signed)) {
            return;
        }
        let signings = self
            .live()
            .filter(|c| c.accepts && c.text == text)
            .map(|c| (c.signer.clone(), c.signing.clone()))
            .collect();
        self.state =
            State::Done(Agreement { negotiation: self.opening.id, text: text.to_owned(), signings, closed_at: now });
    }

    fn decided_by(&self, signed: &BTreeSet<&str>) -> bool {
        let Authority { deciders, quorum } = &self.opening.authority;
        if deciders.is_empty() {
            // Everybody who takes part, and nobody who was invited is missing.
            let all_live = self.live().all(|c| signed.contains(c.signer.as_str()));
            return all_live
                && self.invitations.iter().all(|(invitation, used)| match (invitation, used) {
                    (Invitation::Key(key), _) => signed.contains(key.as_str()),
                    (Invitation::Secret(_), Some(key)) => signed.contains(key.as_str()),
                    (Invitation::Secret(_), None) => false,
                });
        }
        let have = deciders.iter().filter(|key| signed.contains(key.as_str())).count();
        let need = usize::try_from(*quorum).ok().filter(|quorum| *quorum > 0).unwrap_or(deciders.len());
        have >= need
    }
}
