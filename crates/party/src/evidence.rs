//! What a party does with evidence: keeps it, logs that there is some, and tells its owner.

use std::sync::OnceLock;

use tacit_accord::Consensus;
use tacit_accord::log::Kind;
use tacit_engine::Evidence;
use tacit_job::{EvidenceDocument, Job};
use tacit_pki::PublicKey;
use tacit_store::EvidenceRow;

use crate::party::Inner;

/// Keeps what convicts compute peers of wrong shares, however the session ended and before anybody hears of that. The
/// entries of the log hold no share and no hash of one. What cannot be kept is only told to the owner.
///
/// `keys` are those of the compute peers, by member, as they told them over their links. Returns what the owner reads,
/// if there is evidence.
pub(crate) async fn keep(
    party: &Inner,
    consensus: &Consensus,
    job: &Job,
    keys: &[OnceLock<PublicKey>],
    evidence: &[Evidence],
) -> Option<String> {
    if evidence.is_empty() {
        return None;
    }
    let own = std::iter::once(party.identity.public_key());
    let keys = keys.iter().filter_map(OnceLock::get).chain(own);
    let kept = kept(party, consensus, job, &EvidenceDocument::new(consensus, job, keys, evidence)).await;
    Some(match kept {
        Ok(names) => format!(
            "{names} signed a wrong share; show others the evidence: tacit audit evidence {} {}",
            party.name, job.session,
        ),
        Err(why) => format!("evidence of wrong shares was not kept: {why}"),
    })
}

/// The names of those who are convicted.
async fn kept(party: &Inner, consensus: &Consensus, job: &Job, document: &EvidenceDocument) -> Result<String, String> {
    let body = document.text().map_err(|e| e.to_string())?;
    // What does not convince this party would convince nobody.
    let convicted = EvidenceDocument::verify(&body).map_err(|e| e.to_string())?.members;
    let accused: Vec<String> = convicted.iter().map(|(member, _)| member.to_string()).collect();
    let row = EvidenceRow {
        session: job.session,
        gid: job.group,
        run: job.run,
        slot: job.slot,
        accused: accused.join(" "),
        body,
        at: party.clock.now(),
    };
    party.store.put_evidence(&party.name, row).await.map_err(|e| e.to_string())?;
    for accused in accused {
        let facts = tacit_audit::facts([
            ("party", party.me.to_string()),
            ("accused", accused),
            ("group", job.group.to_string()),
            ("consensus", consensus.id().to_string()),
            ("session", job.session.to_string()),
            ("run", job.run.to_string()),
            ("slot", job.slot.to_string()),
        ]);
        party.log.append(Kind::Evidence, facts).await.map_err(|e| e.to_string())?;
    }
    Ok(convicted.into_iter().map(|(_, name)| name).collect::<Vec<_>>().join(", "))
}
