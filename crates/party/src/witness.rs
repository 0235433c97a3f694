//! This party as a witness of its gateway's log.
//!
//! It co-signs a head only if a proof shows that it grew out of the last head it accepted, and out of every head that
//! another member of its group co-signed. What it accepted is durable before its cosignature leaves. If a proof fails,
//! both heads, each signed by the gateway, are kept as evidence, here and in this node's own log; the owner is told, and
//! nothing is co-signed any more.

use std::sync::Arc;

use tacit_accord::log::{Checkpoint, Disputed, Hash, Kind, cosign, cosigned, witness};
use tacit_job::{Cosigned, Shown, ToGateway};
use tacit_model::Fingerprint;
use tacit_pki::PublicKey;
use tacit_store::WitnessedRow;

use crate::PartyError;
use crate::party::Inner;

/// Looks at what the gateway shows, in turn, while other messages go on.
pub(crate) fn on_shown(party: &Arc<Inner>, shown: Shown) {
    let party = Arc::clone(party);
    party.tasks.clone().spawn(async move {
        let _turn = party.witnessing.lock().await;
        if let Err(error) = look(&party, shown).await {
            party.trouble(format!("the gateway's log was not witnessed: {error}"));
        }
    });
}

async fn look(party: &Inner, shown: Shown) -> Result<(), PartyError> {
    let key = PublicKey::from_base64(&shown.key)?;
    let gateway = key.fingerprint();
    if gateway != party.leading() {
        return Err(PartyError::Answer("it shows the log of another node".to_owned()));
    }
    let seen = party.store.witnessed(&party.name, gateway).await?;
    let size = seen.as_ref().map_or(0, |seen| seen.size);
    if seen.as_ref().is_some_and(|seen| seen.disputed.is_some()) {
        return answer(party, size, None);
    }
    let unreadable = |_| PartyError::Damaged("the last head of the gateway's log".to_owned());
    let last = seen.as_ref().map(|seen| Checkpoint::open(&seen.note, &key)).transpose().map_err(unreadable)?;
    let head = match Checkpoint::open(&shown.checkpoint, &key) {
        Ok(head) => head,
        Err(error) => return Err(PartyError::Answer(error.to_string())),
    };
    if shown.from != size && head.size >= size {
        // The gateway remembers another head of this party; told the right one, it shows the log again.
        return answer(party, size, None);
    }
    if let Err(why) = witness(&key, last.as_ref(), &shown.checkpoint, &hashes(&shown.consistency)) {
        return dispute(party, gateway, seen, &shown.checkpoint, &why).await;
    }
    for other in &shown.others {
        if let Some(why) = contradicts(party, &key, other, &shown.checkpoint) {
            let seen = WitnessedRow { note: other.note.clone(), size, disputed: None, at: party.clock.now() };
            return dispute(party, gateway, Some(seen), &shown.checkpoint, &why).await;
        }
    }
    if last.as_ref() != Some(&head) {
        let row =
            WitnessedRow { size: head.size, note: shown.checkpoint.clone(), disputed: None, at: party.clock.now() };
        party.store.set_witnessed(&party.name, gateway, row).await?;
    }
    let signed = cosign(&shown.checkpoint, &party.identity, party.clock.now());
    answer(party, head.size, Some(signed.map_err(|e| PartyError::Answer(e.to_string()))?))
}

/// Whether another member's head, which the gateway signed too, is not the beginning of the one shown. What the
/// gateway says others signed, and they did not, is no evidence and no reason.
fn contradicts(party: &Inner, gateway: &PublicKey, other: &Cosigned, shown: &str) -> Option<Disputed> {
    let key = PublicKey::from_base64(&other.key).ok()?;
    let known = party.roster.known()?;
    known.charter().member(&key.fingerprint())?;
    cosigned(&other.note, &key).ok()?;
    let theirs = Checkpoint::open(&other.note, gateway).ok()?;
    witness(gateway, Some(&theirs), shown, &hashes(&other.consistency)).err()
}

/// Keeps the evidence and says so. There is a head that was accepted before, or there would be nothing to dispute.
async fn dispute(
    party: &Inner,
    gateway: Fingerprint,
    seen: Option<WitnessedRow>,
    shown: &str,
    why: &Disputed,
) -> Result<(), PartyError> {
    let Some(seen) = seen else { return Err(PartyError::Answer(why.to_string())) };
    let facts = tacit_audit::facts([
        ("party", party.me.to_string()),
        ("log", gateway.to_string()),
        ("why", why.to_string()),
        ("known", seen.note.clone()),
        ("shown", shown.to_owned()),
    ]);
    party.log.append(Kind::Witness, facts).await.map_err(|e| PartyError::Damaged(e.to_string()))?;
    let size = seen.size;
    let row = WitnessedRow { disputed: Some(shown.to_owned()), at: party.clock.now(), ..seen };
    party.store.set_witnessed(&party.name, gateway, row).await?;
    party.trouble(format!("the gateway's log is disputed: {why}; both heads are kept, show them to the other members"));
    answer(party, size, None)
}

fn answer(party: &Inner, size: u64, cosigned: Option<String>) -> Result<(), PartyError> {
    let key = party.identity.public_key().to_base64();
    // Without a link the gateway shows its log again when there is one.
    party.line.send(&ToGateway::Witnessed { size, cosigned, key });
    Ok(())
}

/// What is no hash makes no proof.
fn hashes(texts: &[String]) -> Vec<Hash> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}
