//! What a party does with evidence: keeps it, logs that there is some, and tells its owner.

use std::sync::OnceLock;

use tacit_accord::Consensus;
use tacit_accord::log::Kind;
use tacit_engine::Evidence;
use tacit_job::{EvidenceDocument, Job};
use tacit_pki::PublicKey;
use tacit_store::EvidenceRow;

use crate::party::Inner;

/// Keeps what convicts compute peers of wrong shares, before anybody hears of the result. The entries of the log hold no
/// share and no hash of one. The result is right without evidence: what cannot be kept is only told to the owner.
///
/// `keys` are those of the compute peers, by member, as they told them over their links.
pub(crate) async fn keep(
    party: &Inner,
    consensus: &Consensus,
    job: &Job,
    keys: &[OnceLock<PublicKey>],
    evidence: &[Evidence],
) {
    if evidence.is_empty() {
        return;
    }
    let own = std::iter::once(party.identity.public_key());
    let keys = keys.iter().filter_map(OnceLock::get).chain(own);
    let kept = kept(party, consensus, job, &EvidenceDocument::new(consensus, job, keys, evidence)).await;
    let slot = job.slot.counted();
    match kept {
        Ok(names) => party.trouble(format!(
            "slot {slot}: {names} signed a wrong share; the result is right nevertheless; show others the evidence: \
             tacit audit evidence {} {}",
            party.name, job.session,
        )),
        Err(why) => party.trouble(format!("slot {slot}: evidence of wrong shares was not kept: {why}")),
    }
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
