//! Evidence stays until the results of its run go, or its party does.

use tacit_model::{GroupId, RunId, SessionId, Slot};
use tacit_store::EvidenceRow;

use crate::{Fixture, at, on_both};

fn evidence(session: u8, moment: i64) -> EvidenceRow {
    let (session, body) = (SessionId([session; 16]), format!("evidence {session}"));
    EvidenceRow {
        session,
        gid: GroupId(1),
        run: RunId(1),
        slot: Slot(0),
        accused: "one two".to_owned(),
        body,
        at: at(moment),
    }
}

async fn evidence_is_kept_once_and_goes_with_the_results_of_its_run(f: &Fixture) {
    let s = &f.store;
    s.put_evidence("p", evidence(1, 1)).await.unwrap();
    s.put_evidence("p", evidence(2, 2)).await.unwrap();
    s.put_evidence("q", evidence(1, 3)).await.unwrap();
    s.put_evidence("p", EvidenceRow { body: "again".to_owned(), ..evidence(1, 9) }).await.unwrap();
    assert_eq!(s.evidence("p", SessionId([1; 16])).await.unwrap(), Some(evidence(1, 1)));
    assert_eq!(s.evidence("p", SessionId([3; 16])).await.unwrap(), None);
    let short = |row| EvidenceRow { body: String::new(), ..row };
    assert_eq!(s.all_evidence("p", 9).await.unwrap(), [short(evidence(2, 2)), short(evidence(1, 1))]);
    assert_eq!(s.all_evidence("p", 1).await.unwrap(), [short(evidence(2, 2))]);
    // A run that is open keeps it.
    s.purge(at(100)).await.unwrap();
    assert_eq!(s.all_evidence("p", 9).await.unwrap().len(), 2);
    s.close_run_rows("p", RunId(1), at(5)).await.unwrap();
    s.purge(at(100)).await.unwrap();
    assert_eq!((s.all_evidence("p", 9).await.unwrap().len(), s.all_evidence("q", 9).await.unwrap().len()), (0, 1));
}

on_both!(evidence_is_kept_once_and_goes_with_the_results_of_its_run);
