//! Which result stands, and whose.

use tacit_model::api::{Decimal, TaskResult};

use super::*;

/// The gateway was interrupted after the end: it asks again, and hears what was told before.
#[test]
fn f13_a_resumed_task_is_done_with_its_result() {
    let (charter, mut job) = scene();
    job.recipients.truncate(2);
    let done = |told: Option<&str>| {
        let told = told.map(|sealed| Told::Sealed(sealed.to_owned()));
        Some(Report::Done {
            agreement: Some("a".to_owned()),
            contributors: 2,
            faults: Vec::new(),
            left_out: Vec::new(),
            told,
            session: None,
        })
    };
    let frozen = || Some(Report::Declined { why: Decline::Frozen { done: None, session: None } });
    let mut reported = BTreeMap::from([(who(0), done(Some("x"))), (who(1), done(None)), (who(2), frozen())]);
    match nonces(&reported, &job, &Names(&charter)) {
        Err(Outcome::Done(agreed)) => {
            assert_eq!((agreed.agreement.as_str(), agreed.contributors), ("a", 2));
            assert_eq!(agreed.told, [Told::Sealed("x".to_owned())]);
        }
        other => panic!("{other:?}"),
    }
    // A result of somebody who does not receive it is none.
    let prepared = || Some(Report::Prepared { nonce: "0".repeat(64) });
    let invented = BTreeMap::from([(who(0), prepared()), (who(1), prepared()), (who(2), done(Some("y")))]);
    let mut one = job.clone();
    one.recipients.truncate(1);
    assert!(matches!(nonces(&invented, &one, &Names(&charter)), Err(Outcome::Failed { .. })));
    // A recipient without the result, or with another one, leaves none.
    for odd in [
        frozen(),
        Some(Report::Done {
            agreement: Some("b".to_owned()),
            contributors: 2,
            faults: Vec::new(),
            left_out: Vec::new(),
            told: None,
            session: None,
        }),
    ] {
        reported.insert(who(1), odd);
        assert!(matches!(nonces(&reported, &job, &Names(&charter)), Err(Outcome::Failed { .. })));
    }
}

/// The only recipient was cut off, maybe after its result was durable: it is asked again, and tells it.
#[test]
fn f13_a_recipient_that_was_cut_off_is_asked_again() {
    let (charter, mut job) = scene();
    job.recipients.truncate(1);
    let names = Names(&charter);
    let done = |agreement: Option<&str>| {
        Some(Report::Done {
            agreement: agreement.map(str::to_owned),
            contributors: 3,
            faults: Vec::new(),
            left_out: Vec::new(),
            told: None,
            session: None,
        })
    };
    let mut reported = BTreeMap::from([(who(0), None), (who(1), done(None)), (who(2), done(None))]);
    let unheard = |outcome| matches!(outcome, Outcome::Unheard { recipients, .. } if recipients == [who(0)]);
    assert!(unheard(judge(&reported, &job, &names)));
    reported.insert(who(0), failed(Fault::FewShares));
    assert!(matches!(judge(&reported, &job, &names), Outcome::Failed { .. }), "it says that it has none");

    let frozen = || Some(Report::Declined { why: Decline::Frozen { done: None, session: None } });
    let mut asked = BTreeMap::from([(who(1), frozen()), (who(2), frozen())]);
    for not_yet in [None, Some(Report::Declined { why: Decline::Busy })] {
        asked.insert(who(0), not_yet);
        assert!(nonces(&asked, &job, &names).is_err_and(unheard));
    }
    asked.insert(who(0), frozen());
    assert!(matches!(nonces(&asked, &job, &names), Err(Outcome::Failed { .. })));
    asked.insert(who(0), done(Some("a")));
    assert!(matches!(nonces(&asked, &job, &names), Err(Outcome::Done(agreed)) if agreed.agreement == "a"));
}

/// Which of two results has the larger hash says nothing about who is right.
#[test]
fn f21_nobody_is_named_alone_without_a_majority() {
    let (charter, mut job) = scene();
    job.recipients.push(who(3));
    let told = |agreements: &[&str]| {
        let done = |agreement: &&str| {
            let agreement = Some((*agreement).to_owned());
            Some(Report::Done {
                agreement,
                contributors: 3,
                faults: Vec::new(),
                left_out: Vec::new(),
                told: None,
                session: None,
            })
        };
        let reported: Reported = (0..).map(who).zip(agreements.iter().map(done)).collect();
        match judge(&reported, &job, &Names(&charter)) {
            Outcome::Failed { why } => why,
            other => panic!("{other:?}"),
        }
    };
    let odd = |name: &str| format!("the results disagree: {name} differs from the others");
    assert_eq!(told(&["a", "a", "b"]), odd("m2"));
    assert_eq!(told(&["b", "a", "b"]), odd("m1"));
    assert_eq!(told(&["a", "b"]), "the results disagree: m0, m1 hold different ones");
    assert_eq!(told(&["b", "c", "a"]), "the results disagree: m2, m0, m1 hold different ones");
    let stranger = who(3).short();
    let tie = |names: &str| format!("the results disagree: {names} hold different ones");
    assert_eq!(told(&["a", "b", "a", "b"]), tie(&format!("m0, m2, m1, {stranger}")));
    assert_eq!(told(&["a", "b", "a", "c"]), tie(&format!("m0, m2, m1, {stranger}")));
}

/// In the model `guaranteed` t operators cannot take away a result that was computed before an interruption, nor prevent
/// one by saying that there was an interruption. Elsewhere all recipients must say the same, and whoever is bound ends it.
#[test]
fn rule5_guaranteed_results_are_not_voided_when_a_task_is_resumed() {
    let done = |agreement: &str, contributors: u32, session: u8| {
        Some(Report::Done {
            agreement: Some(agreement.to_owned()),
            contributors,
            faults: Vec::new(),
            left_out: Vec::new(),
            told: Some(Told::Sealed(agreement.to_owned())),
            session: Some(SessionId([session; 16])),
        })
    };
    let frozen = || Some(Report::Declined { why: Decline::Frozen { done: None, session: None } });
    let recorded = || {
        let (done, session) = (Some("a".to_owned()), Some(SessionId([7; 16])));
        Some(Report::Declined { why: Decline::Frozen { done, session } })
    };
    let busy = || Some(Report::Declined { why: Decline::Busy });
    let ready = || Some(Report::Prepared { nonce: "0".repeat(64) });
    let right = || done("a", 4, 7);
    let heard = |model: &str, reports: &[Option<Report>; 4], operators: [u8; 4]| {
        let (charter, job) = four(model, operators);
        let reported = (0..).map(who).zip(reports.iter().cloned()).collect();
        nonces(&reported, &job, &Names(&charter))
    };
    let each = [0, 1, 2, 3];
    // (what members report, what is told, what is remarked)
    let stand = [
        ([right(), right(), frozen(), frozen()], 2, "m2, m3 did not receive the result"),
        ([right(), right(), ready(), None], 2, "m2, m3 did not receive the result"),
        ([right(), right(), right(), done("b", 9, 9)], 3, "the result of m3 differs"),
        ([done("b", 9, 9), recorded(), right(), None], 1, "the result of m0 differs"),
    ];
    for (reports, told, remark) in &stand {
        match heard("guaranteed", reports, each) {
            Err(Outcome::Done(agreed)) => {
                assert_eq!((agreed.agreement.as_str(), agreed.contributors), ("a", 4));
                assert_eq!(agreed.session, SessionId([7; 16]));
                assert_eq!(agreed.told, vec![Told::Sealed("a".to_owned()); *told]);
                assert!(agreed.remarks.iter().any(|said| said.starts_with(remark)), "{:?}", agreed.remarks);
            }
            other => panic!("{reports:?}: {other:?}"),
        }
        for model in ["semi-honest", "malicious"] {
            assert!(matches!(heard(model, reports, each), Err(Outcome::Failed { .. })), "{model} {reports:?}");
        }
        // Members of one operator are one voice.
        assert!(matches!(
            heard("guaranteed", reports, [0, 0, 0, 0]),
            Err(Outcome::Failed { .. } | Outcome::Repair { .. })
        ));
    }
    for lie in [frozen(), right(), recorded()] {
        let reports = [lie, ready(), ready(), ready()];
        match heard("guaranteed", &reports, each) {
            Err(Outcome::Repair { without, .. }) => assert_eq!(without, [who(0)]),
            other => panic!("{reports:?}: {other:?}"),
        }
        assert!(matches!(heard("malicious", &reports, each), Err(Outcome::Failed { .. })));
        // Those who do not answer may be bound, too: then more than t are.
        for silent in [None, busy()] {
            let reports = [reports[0].clone(), silent, ready(), ready()];
            assert!(matches!(heard("guaranteed", &reports, each), Err(Outcome::Failed { .. })), "{reports:?}");
        }
    }
    let halves = [right(), right(), done("b", 4, 7), done("b", 4, 7)];
    assert!(matches!(heard("guaranteed", &halves, each), Err(Outcome::Failed { .. })));

    // The agreement does not cover how many contributed: operators have a voice each, not members.
    let reports = [done("a", 9, 9), done("a", 9, 9), right(), right()];
    match heard("guaranteed", &reports, [0, 0, 2, 3]) {
        Err(Outcome::Done(agreed)) => assert_eq!((agreed.contributors, agreed.session), (4, SessionId([7; 16]))),
        other => panic!("{other:?}"),
    }
    let (charter, job) = four("guaranteed", [0, 0, 0, 3]);
    let reports = [done("a", 9, 7), done("a", 9, 7), done("a", 9, 7), right()];
    match judge(&(0..).map(who).zip(reports).collect(), &job, &Names(&charter)) {
        Outcome::Done(agreed) => assert_eq!(agreed.contributors, 4, "no more than somebody else says"),
        other => panic!("{other:?}"),
    }
}

/// In the model `guaranteed` the results of t+1 operators stand, whatever up to t others say; the gateway's log says
/// who says it. Elsewhere, and where t+1 others do not hold the same, the slot has no result.
#[test]
fn rule5_guaranteed_results_are_not_voided_by_t_recipients() {
    let done = |agreement: &str, contributors: u32| Report::Done {
        agreement: Some(agreement.to_owned()),
        contributors,
        faults: Vec::new(),
        left_out: Vec::new(),
        told: Some(Told::Sealed(agreement.to_owned())),
        session: None,
    };
    let doubt = || Report::Failed { fault: Fault::Shares, frozen: true };
    let judged = |model: &str, reports: &[Report], operators: [u8; 4]| {
        let (charter, job) = four(model, operators);
        let reported = (0..).map(who).zip(reports.iter().cloned().map(Some)).collect();
        judge(&reported, &job, &Names(&charter))
    };
    let each = [0, 1, 2, 3];
    let right = || done("a", 4);
    for (lie, says) in [(doubt(), "m2 reports: "), (done("b", 9), "the result of m2 differs")] {
        let reports = [right(), right(), lie.clone(), right()];
        match judged("guaranteed", &reports, each) {
            Outcome::Done(agreed) => {
                assert_eq!((agreed.agreement.as_str(), agreed.contributors), ("a", 4));
                assert_eq!(agreed.told, vec![Told::Sealed("a".to_owned()); 3], "nothing of the one that lies");
                assert!(agreed.remarks.iter().any(|remark| remark.starts_with(says)), "{:?}", agreed.remarks);
            }
            other => panic!("{other:?}"),
        }
        for model in ["semi-honest", "malicious"] {
            assert!(matches!(judged(model, &reports, each), Outcome::Failed { .. }), "{model}");
        }
        // Members of one operator are one voice.
        assert!(matches!(judged("guaranteed", &reports, [0, 0, 2, 0]), Outcome::Failed { .. }));
    }
    // The agreement says nothing about what is told in clear.
    let tells = |number: u128| Report::Done {
        agreement: Some("a".to_owned()),
        contributors: 4,
        faults: Vec::new(),
        left_out: Vec::new(),
        told: Some(Told::Open(Box::new(TaskResult {
            id: "t".to_owned(),
            window: Slot(0),
            statistics: Vec::new(),
            no_result: None,
            values: vec![Decimal(number)],
            contributors: 4,
        }))),
        session: None,
    };
    for liar in [0, 3] {
        let mut reports = [tells(5), tells(5), tells(5), tells(5)];
        reports[liar] = tells(99);
        match judged("guaranteed", &reports, each) {
            Outcome::Done(agreed) => {
                let Report::Done { told: Some(right), .. } = tells(5) else { panic!() };
                assert_eq!(agreed.told, vec![right; 3]);
                assert!(agreed.remarks.iter().any(|remark| remark.starts_with("what m")), "{:?}", agreed.remarks);
            }
            other => panic!("{other:?}"),
        }
        match judged("semi-honest", &reports, each) {
            Outcome::Failed { why } => assert!(why.contains("tell different numbers"), "{why}"),
            other => panic!("{other:?}"),
        }
    }
    // Two results with t+1 operators each: more than t lie, and nothing says who.
    let halves = [right(), right(), done("b", 4), done("b", 4)];
    assert!(matches!(judged("guaranteed", &halves, each), Outcome::Failed { .. }));
    let one = [right(), doubt(), doubt(), doubt()];
    assert!(matches!(judged("guaranteed", &one, each), Outcome::Failed { .. }));
    let doubted = [right(), right(), doubt(), doubt()];
    assert!(matches!(judged("guaranteed", &doubted, each), Outcome::Failed { .. }));
}

/// Rule 11: what a client asked for with a key nobody tells in clear but who has made it up.
#[test]
fn rule11_what_is_told_in_clear_unasked_is_nobodys_result() {
    let told = |told: Told| Report::Done {
        agreement: Some("a".to_owned()),
        contributors: 4,
        faults: Vec::new(),
        left_out: Vec::new(),
        told: Some(told),
        session: None,
    };
    let sealed = Told::Sealed("for its key".to_owned());
    let bogus = Told::Open(Box::new(TaskResult {
        id: "t".to_owned(),
        window: Slot(0),
        statistics: Vec::new(),
        no_result: None,
        values: vec![Decimal(99)],
        contributors: 4,
    }));
    for clear in [false, true] {
        let (charter, mut job) = four("malicious", [0, 1, 2, 3]);
        let asked = TaskRequest::about(GroupId(1), "temperature", "sum", "HVAC");
        let request = TaskRequest { tell_gateway: clear, result_key: Some("key".to_owned()), ..asked };
        let ticket = TaskSignature { key: String::new(), signature: String::new() };
        job.task.source = Source::Series(Box::new(Ask { request: request.into(), client: None, ticket }));
        let reports = [sealed.clone(), bogus.clone(), sealed.clone(), sealed.clone()].map(told);
        let reported = (0..).map(who).zip(reports.into_iter().map(Some)).collect();
        match judge(&reported, &job, &Names(&charter)) {
            Outcome::Done(agreed) => {
                assert_eq!(agreed.told.contains(&bogus), clear);
                assert_eq!(agreed.told.iter().filter(|told| **told == sealed).count(), 3);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn rule8_a_contradicted_result_fails_the_slot() {
    let cheated =
        [Fault::OutOfBounds { members: vec![who(0)] }, Fault::Disputed { members: vec![who(0)] }, Fault::Equivocated];
    for fault in [Fault::Shares, Fault::Misbehaved { member: who(0) }, Fault::Range].into_iter().chain(cheated) {
        match judged(failed(fault.clone()), |_| {}) {
            Outcome::Failed { why } => assert!(why.contains("m2 reports") && why.contains("m0, m1 holds"), "{why}"),
            other => panic!("{fault:?}: {other:?}"),
        }
        // Who is no recipient has no result to compare.
        assert!(matches!(judged(failed(fault), |job| job.recipients.truncate(2)), Outcome::Done(_)));
    }
    let losses = [failed(Fault::FewShares), failed(Fault::Lost { members: vec![who(1)] }), failed(Fault::Ended), None];
    for loss in losses {
        match judged(loss, |_| {}) {
            Outcome::Done(agreed) => assert_eq!(agreed.remarks, ["m2 did not receive the result"]),
            other => panic!("{other:?}"),
        }
    }
}
