//! Charters that the right people signed: they may still hold anything. They are checked, planned and followed.

#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use tacit_accord::{Consensus, Proposal, Text, canonical, decide};
use tacit_fuzz::keys::{MANAGER, OWNER};
use tacit_job::{Job, RowRules, Task, plan_of};
use tacit_model::UnixMillis;
use tacit_pki::Identity;
use tacit_pki::envelope::{Context, sign_detached};

fuzz_target!(|text: &str| {
    let (text, job) = text.split_once('\0').unwrap_or((text, ""));
    let Ok(text) = serde_json::from_str::<Text>(text) else { return };
    let (Ok(written), Ok(id)) = (canonical(&text), text.id()) else { return };
    let line = |signer: &Identity| {
        let signature = sign_detached(signer, Context::Charter, &id.0);
        serde_json::json!({ "key": signer.public_key().to_base64(), "signature": STANDARD.encode(signature) })
    };
    let document = serde_json::json!({ "text": written, "signatures": [line(&MANAGER), line(&OWNER)] }).to_string();
    let unchecked = Consensus::read(&document).expect("a canonical text is read");
    assert_eq!(unchecked.id(), id);
    let Ok(consensus) = unchecked.check_first(MANAGER.public_key()) else { return };

    let charter = consensus.charter();
    assert!(charter.check().is_ok());
    for member in &charter.members {
        assert_eq!(charter.member(&member.fingerprint), Some(member));
    }
    if let Some(configuration) = &charter.configuration {
        let _ = RowRules::of(configuration).map(|rules| rules.shape.fits(1));
    }
    if let Some(task) = Task::standing(charter) {
        plan(&consensus, task, job);
    }
    // A change by the same people.
    let Ok(next) = Proposal::new(Some(&consensus), charter.clone(), UnixMillis(0)) else { return };
    if let Ok(next) = decide(Some(&consensus), next.sign(&MANAGER).sign(&OWNER)) {
        assert_eq!(next.text().previous, Some(consensus.id()));
    }
});

/// A job as a gateway may send it, made to fit this consensus.
fn plan(consensus: &Consensus, task: Task, job: &str) {
    let charter = consensus.charter();
    let keys = |members: &mut dyn Iterator<Item = &tacit_accord::Member>| members.map(|m| m.fingerprint).collect();
    let mut job = serde_json::from_str::<Job>(job).unwrap_or_else(|_| Job {
        session: tacit_model::SessionId([1; 16]),
        group: charter.group,
        charter: consensus.id(),
        run: tacit_model::RunId(1),
        slot: tacit_model::Slot(0),
        attempt: tacit_model::Attempt(0),
        task: task.clone(),
        inputs: keys(&mut charter.inputs()),
        compute: keys(&mut charter.computing()),
        recipients: keys(&mut charter.recipients()),
    });
    (job.group, job.charter, job.task) = (charter.group, consensus.id(), task);
    match plan_of(consensus, &job) {
        Ok(plan) => assert!(plan.members().iter().all(|member| charter.member(member).is_some())),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
