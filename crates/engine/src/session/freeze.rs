//! The freeze: all compute peers agree on one input set, store it, sign it; then, and only then, is
//! there an [`OpeningAuthorised`].
//!
//! First all tell what they hold ([`View`]), and [prove](super::verify) that it is in range where bounds are proven; the last
//! of it each once its [environment](Environment::go_ahead) lets it. The set is every contributor whose shares are complete at
//! all compute peers under one commitment. Each peer makes the set durable, signs it, and waits for
//! all others' signatures over the same. A peer signs at most one set per session and its journal
//! holds at most one per slot; every set that is opened carries every honest peer's signature; so no
//! two sets are ever opened, whatever the others do.
//!
//! The views are not signed and bind nobody. Signing them at once would save the second round where
//! nothing is missing, but then a compute peer that crashes while shares are dealt would leave others
//! with a signed set that can never be opened, and the slot would have no result.

use tacit_algebra::Field;
use tacit_model::Fingerprint;
use zeroize::Zeroizing;

use super::input::Shared;
use super::message::{self, View, malformed};
use super::range::Layout;
use super::{Fault, FaultKind, Misbehaviour, Party, SessionError, verify};
use crate::environment::{Environment, FreezeRecord};
use crate::plan::{OnMissing, Plan, SecurityModel};
use crate::transcript::Transcript;

/// The right to open one sum: all compute peers signed its input set. Only [`freeze`] makes it, from the
/// very sharings that were frozen, and the opening consumes it.
pub(super) struct OpeningAuthorised<F: Field> {
    share: Zeroizing<Vec<F>>,
    /// Each contributor's items, where the evaluation asks for them.
    each: Vec<Zeroizing<Vec<F>>>,
    frozen: Frozen,
    signature: [u8; 64],
}

/// A set that all compute peers signed.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Frozen {
    /// Contributors and their commitments, in the order of the plan's inputs.
    pub(super) view: View,
    pub(super) digest: [u8; 32],
    /// Model `guaranteed`: the hash of everything that shares follow from besides the set; signed with it.
    pub(super) agreed: Option<[u8; 32]>,
    pub(super) faults: Vec<Fault>,
}

impl<F: Field> OpeningAuthorised<F> {
    pub(super) fn share(&self) -> &[F] {
        &self.share
    }

    pub(super) fn frozen(&self) -> &Frozen {
        &self.frozen
    }

    /// Hands the frozen inputs to the evaluation: the share of the sum, and of each contributor's items.
    pub(super) fn take_inputs(&mut self) -> (Zeroizing<Vec<F>>, Vec<Zeroizing<Vec<F>>>) {
        (std::mem::take(&mut self.share), std::mem::take(&mut self.each))
    }

    /// Adds whose shares turned out to be wrong since.
    pub(super) fn blame(&mut self, faults: impl Iterator<Item = Fault>) {
        self.frozen.faults.extend(faults);
    }

    /// What is opened instead of the sum.
    pub(super) fn with_share(self, share: Zeroizing<Vec<F>>) -> Self {
        Self { share, ..self }
    }

    /// What a recipient that does not compute gets in front of its shares.
    pub(super) fn header(&self) -> Vec<u8> {
        let mut header = self.frozen.agreed.map(Vec::from).unwrap_or_default();
        message::put_view(&self.frozen.view, &mut header);
        header.extend_from_slice(&self.signature);
        header
    }
}

/// Agrees with the other compute peers on the input set; with a layout, of those whose numbers are proven to be in range.
pub(super) async fn freeze<F: Field, E: Environment>(
    party: &mut Party<'_, E>,
    points: &[F],
    layout: Option<&Layout<F>>,
    mut shared: Shared<F>,
) -> Result<OpeningAuthorised<F>, SessionError> {
    let (view, faults) = match layout {
        Some(layout) => verify::verify(party, points, layout, &mut shared).await?,
        None => {
            party.environment.go_ahead().await;
            agreed_set(party.plan, &exchange_views(party, shared.view()).await?)?
        }
    };
    let digest = freeze_digest(party.plan, &party.binding, &view, None);
    let (share, each) = shared.into_inputs_of(&view)?;
    party.environment.freeze(record(party.plan, digest, &view)).await?;
    let signature = party.environment.sign_freeze(&digest);
    exchange_signatures(party, &digest, &signature).await?;
    let frozen = Frozen { view, digest, agreed: None, faults };
    Ok(OpeningAuthorised { share, each, frozen, signature })
}

/// Makes a set durable and signs it that all honest compute peers came to by themselves; n-t signatures (of the charter's n) are enough.
/// Any two sets with so many would share an honest signer. `agreed` is signed, too: so that no share of a signer can be
/// measured by those of others that followed from something else.
pub(super) async fn freeze_with<F: Field, E: Environment>(
    party: &mut Party<'_, E>,
    share: Zeroizing<Vec<F>>,
    each: Vec<Zeroizing<Vec<F>>>,
    view: View,
    agreed: [u8; 32],
    faults: Vec<Fault>,
    faulty: usize,
) -> Result<OpeningAuthorised<F>, SessionError> {
    let digest = freeze_digest(party.plan, &party.binding, &view, Some(&agreed));
    party.environment.freeze(record(party.plan, digest, &view)).await?;
    let signature = party.environment.sign_freeze(&digest);
    let others = party.other_compute_peers();
    party.mailbox.send_all(others.iter().copied(), &message::plain(message::FREEZE, &[&digest, &signature]));
    let mut found = 1;
    for member in others {
        let Ok(message) = party.mailbox.recv(member).await else { continue };
        let content = message::content(&message, message::FREEZE).unwrap_or_default();
        let Some((theirs, signature)) = content.split_first_chunk::<32>() else { continue };
        let Ok(signature) = signature.try_into() else { continue };
        found += usize::from(*theirs == digest && party.environment.verify_freeze(member, &digest, signature));
    }
    let needed = party.plan.compute().len() - faulty;
    if found < needed {
        return Err(SessionError::NotEnoughShares { found, needed });
    }
    let frozen = Frozen { view, digest, agreed: Some(agreed), faults };
    Ok(OpeningAuthorised { share, each, frozen, signature })
}

/// Checks the header that a compute peer sent to a recipient which does not compute.
pub(super) fn read_header<E: Environment>(
    party: &Party<'_, E>,
    member: usize,
    header: &[u8],
) -> Result<Frozen, SessionError> {
    let view_length = message::view_length(party.plan.inputs().len());
    let (agreed, header) = match party.plan.model() {
        SecurityModel::Guaranteed => header.split_first_chunk().map(|(agreed, rest)| (Some(*agreed), rest)),
        _ => Some((None, header)),
    }
    .ok_or(malformed(member))?;
    let (view, signature) = header.split_at_checked(view_length).ok_or(malformed(member))?;
    let view = message::read_view(view, party.plan.inputs().len()).map_err(|_| malformed(member))?;
    enough(party.plan, &view, &[]).map_err(|_| malformed(member))?;
    let signature: &[u8; 64] = signature.try_into().map_err(|_| malformed(member))?;
    let digest = freeze_digest(party.plan, &party.binding, &view, agreed.as_ref());
    if !party.environment.verify_freeze(member, &digest, signature) {
        return Err(bad_signature(member));
    }
    Ok(Frozen { view, digest, agreed, faults: Vec::new() })
}

/// Bytes of [`OpeningAuthorised::header`].
pub(super) fn header_length(plan: &Plan) -> usize {
    let agreed = if plan.model() == SecurityModel::Guaranteed { 32 } else { 0 };
    agreed + message::view_length(plan.inputs().len()) + 64
}

async fn exchange_views<E: Environment>(party: &Party<'_, E>, own: View) -> Result<Vec<View>, SessionError> {
    let others = party.other_compute_peers();
    let mut message = vec![message::VIEW];
    message::put_view(&own, &mut message);
    party.mailbox.send_all(others.iter().copied(), &message);
    let mut views = vec![own];
    for member in others {
        let message = receive(party, member).await?;
        let view = message::content(&message, message::VIEW).map_err(|_| malformed(member))?;
        views.push(message::read_view(view, party.plan.inputs().len()).map_err(|_| malformed(member))?);
    }
    Ok(views)
}

async fn exchange_signatures<E: Environment>(
    party: &Party<'_, E>,
    digest: &[u8; 32],
    signature: &[u8; 64],
) -> Result<(), SessionError> {
    let others = party.other_compute_peers();
    let message = message::plain(message::FREEZE, &[digest, signature]);
    party.mailbox.send_all(others.iter().copied(), &message);
    let mut signatures = Vec::with_capacity(others.len());
    let heard = hear_signatures(party, others, digest, &mut signatures).await;
    // Of those that were heard first: whoever forged one is named, whatever became of the others.
    party.environment.verify_freezes(digest, &signatures).map_err(bad_signature)?;
    heard
}

/// Hears from all others, or until somebody is lost or signed something else.
async fn hear_signatures<E: Environment>(
    party: &Party<'_, E>,
    others: Vec<usize>,
    digest: &[u8; 32],
    signatures: &mut Vec<(usize, [u8; 64])>,
) -> Result<(), SessionError> {
    for member in others {
        let message = receive(party, member).await?;
        let content = message::content(&message, message::FREEZE).map_err(|_| malformed(member))?;
        let (theirs, signature) = content.split_first_chunk::<32>().ok_or(malformed(member))?;
        let signature: &[u8; 64] = signature.try_into().map_err(|_| malformed(member))?;
        if theirs != digest {
            let signed = party.environment.verify_freeze(member, theirs, signature);
            return Err(if signed { SessionError::DifferentSets { member } } else { bad_signature(member) });
        }
        signatures.push((member, *signature));
    }
    Ok(())
}

fn bad_signature(member: usize) -> SessionError {
    SessionError::PeerMisbehaved { member, what: Misbehaviour::BadSignature }
}

async fn receive<E: Environment>(party: &Party<'_, E>, member: usize) -> Result<bytes::Bytes, SessionError> {
    party.mailbox.recv(member).await.map_err(|_| SessionError::LostBeforeFreeze { member })
}

/// Who is complete everywhere under one commitment, if the plan is content with that.
pub(super) fn agreed_set(plan: &Plan, views: &[View]) -> Result<(View, Vec<Fault>), SessionError> {
    let mut set = View::with_capacity(plan.inputs().len());
    let mut conflicting = Vec::new();
    for (slot, member) in plan.inputs().iter().enumerate() {
        let mut held = views.iter().filter_map(|view| view[slot]);
        let first = held.next();
        if held.any(|other| Some(other) != first) {
            conflicting.push(*member);
            set.push(None);
        } else {
            set.push(first.filter(|_| views.iter().all(|view| view[slot].is_some())));
        }
    }
    enough(plan, &set, &conflicting)?;
    let fault = |member| Fault { member, kind: FaultKind::ConflictingCommitments };
    Ok((set, conflicting.into_iter().map(fault).collect()))
}

/// Whether the plan goes on with this set.
fn enough(plan: &Plan, set: &View, conflicting: &[usize]) -> Result<(), SessionError> {
    let missing: Vec<usize> =
        plan.inputs().iter().zip(set).filter(|(_, entry)| entry.is_none()).map(|(member, _)| *member).collect();
    let found = set.len() - missing.len();
    match plan.on_missing() {
        _ if missing.is_empty() => Ok(()),
        OnMissing::Fail if !conflicting.is_empty() => Err(SessionError::Equivocation { members: conflicting.to_vec() }),
        OnMissing::Fail => Err(SessionError::MissingInput { members: missing }),
        OnMissing::Proceed { min } if found < min => {
            Err(SessionError::TooFewContributors { found, needed: min, missing })
        }
        OnMissing::Proceed { .. } => Ok(()),
    }
}

fn freeze_digest(plan: &Plan, binding: &[u8; 32], view: &View, agreed: Option<&[u8; 32]>) -> [u8; 32] {
    let mut transcript = Transcript::new("tacit/freeze/v1");
    transcript.bytes(binding).number(u64::from(plan.attempt().0));
    transcript.number(view.iter().flatten().count() as u64);
    for (fingerprint, commitment) in contributors(plan, view) {
        transcript.bytes(&fingerprint.0).bytes(&commitment);
    }
    if let Some(agreed) = agreed {
        transcript.bytes(agreed);
    }
    transcript.finish()
}

fn record(plan: &Plan, digest: [u8; 32], view: &View) -> FreezeRecord {
    let (contributors, commitments) = contributors(plan, view).unzip();
    FreezeRecord {
        charter: plan.request().charter,
        task: plan.request().task,
        slot: plan.slot(),
        session: plan.session(),
        attempt: plan.attempt(),
        plan: plan.digest(),
        digest,
        contributors,
        commitments,
    }
}

fn contributors(plan: &Plan, view: &View) -> impl Iterator<Item = (Fingerprint, [u8; 32])> {
    let entries = plan.inputs().iter().zip(view);
    entries.filter_map(|(member, entry)| entry.map(|commitment| (plan.members()[*member], commitment)))
}
