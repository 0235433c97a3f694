use tacit_accord::{Charter, Member, MemberRole};
use tacit_job::{Ask, Source};
use tacit_model::api::{TaskRequest, TaskSignature};
use tacit_model::{Attempt, GroupId, RunId, SessionId, Slot};

use super::*;

mod results;

pub(in crate::execution) fn who(number: u8) -> Fingerprint {
    Fingerprint([number; 32])
}

/// Members 0 to 2 do everything.
fn scene() -> (Charter, Job) {
    let member = |number: u8| Member {
        name: format!("m{number}"),
        fingerprint: who(number),
        operator: format!("o{number}"),
        role: MemberRole::Both,
        endpoint: String::new(),
    };
    let members = (0..3).map(member).collect();
    let charter = Charter { members, ..Charter::new(GroupId(1), "g", String::new()) };
    let task = serde_json::json!({
        "purpose": "", "source": "queue", "aggregator": "sum", "items": 1, "max_element": "1", "modulus": null,
        "on_missing_input": "fail",
    });
    let task = serde_json::from_value(task).expect("a task");
    let all: Vec<_> = (0..3).map(who).collect();
    let job = Job {
        session: SessionId([0; 16]),
        group: GroupId(1),
        charter: tacit_accord::ConsensusId([0; 32]),
        run: RunId(1),
        slot: Slot(0),
        attempt: Attempt(0),
        task,
        inputs: all.clone(),
        compute: all.clone(),
        recipients: all,
    };
    (charter, job)
}

fn judged(third: Option<Report>, change: impl FnOnce(&mut Job)) -> Outcome {
    let (charter, mut job) = scene();
    change(&mut job);
    let done = || {
        Some(Report::Done {
            agreement: Some("a".to_owned()),
            contributors: 3,
            faults: Vec::new(),
            left_out: Vec::new(),
            told: None,
            session: None,
        })
    };
    let reported = BTreeMap::from([(who(0), done()), (who(1), done()), (who(2), third)]);
    judge(&reported, &job, &Names(&charter))
}

fn failed(fault: Fault) -> Option<Report> {
    Some(Report::Failed { fault, frozen: true })
}

#[test]
fn rule10_an_own_reason_is_not_told() {
    let (charter, mut job) = scene();
    let failed = |fault| Some(Report::Failed { fault, frozen: false });
    let missing = || failed(Fault::MissingInput { members: vec![who(2)] });
    let reported = BTreeMap::from([(who(0), missing()), (who(1), missing()), (who(2), failed(Fault::Own))]);
    match judge(&reported, &job, &Names(&charter)) {
        Outcome::Failed { why } => assert_eq!(why, "m2 had a reason of its own; its owner sees it"),
        other => panic!("{other:?}"),
    }
    // Of a member that only computes another attempt may be made without it.
    job.inputs.truncate(2);
    let lost = || failed(Fault::Lost { members: vec![who(2)] });
    let reported = BTreeMap::from([(who(0), lost()), (who(1), lost()), (who(2), failed(Fault::Own))]);
    match judge(&reported, &job, &Names(&charter)) {
        Outcome::Repair { without, .. } => assert_eq!(without, [who(2)]),
        other => panic!("{other:?}"),
    }
}

/// Whoever has said nothing is not taken for ready, or linked.
#[test]
fn f13_fewer_reports_than_members_are_not_all() {
    let (charter, job) = scene();
    let names = Names(&charter);
    let ready = || Some(Report::Prepared { nonce: "0".repeat(64) });
    let mut prepared = BTreeMap::from([(who(0), ready()), (who(1), ready())]);
    assert!(matches!(nonces(&prepared, &job, &names), Err(Outcome::Repair { without, .. }) if without.is_empty()));
    prepared.insert(who(2), ready());
    assert_eq!(nonces(&prepared, &job, &names).expect("all are ready").len(), 3);
    let mut linked = BTreeMap::from([(who(0), Some(Report::Linked)), (who(1), Some(Report::Linked))]);
    assert!(matches!(all_linked(&linked, &job, &names), Err(Outcome::Repair { without, .. }) if without.is_empty()));
    linked.insert(who(2), Some(Report::Linked));
    assert!(all_linked(&linked, &job, &names).is_ok());
}

/// Those who compute may decline because of those who give: these are left out first, and the others asked again.
#[test]
fn f05_who_only_gives_and_declines_is_left_out_before_those_who_compute() {
    let (charter, mut job) = scene();
    job.compute.truncate(2);
    let none = || TaskSignature { key: String::new(), signature: String::new() };
    let request = TaskRequest::about(GroupId(1), "temperature", "sum", "test");
    job.task.source = Source::Series(Box::new(Ask { request: request.into(), client: None, ticket: none() }));
    let declined = || Some(Report::Declined { why: Decline::Policy });
    let prepared = || Some(Report::Prepared { nonce: "0".repeat(64) });
    let without = |reports: [Option<Report>; 3]| {
        let reported = reports.into_iter().enumerate().map(|(at, report)| (who(at as u8), report)).collect();
        match nonces(&reported, &job, &Names(&charter)) {
            Err(Outcome::Repair { without, .. }) => without,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(without([declined(), declined(), declined()]), [who(2)]);
    assert_eq!(without([declined(), prepared(), declined()]), [who(2)]);
    // Without them it is their own.
    assert_eq!(without([declined(), prepared(), prepared()]), [who(0)]);
    assert_eq!(without([None, declined(), declined()]), [who(0), who(2)]);
}

/// That a set makes a difference with an earlier one is nobody's fault: the operator reads who is missing and until when, and
/// it takes more than may lie to say it. In the first phase, and at the freeze.
#[test]
fn rule3_a_set_that_makes_a_difference_is_told_by_who_is_missing() {
    let (mut charter, mut job) = scene();
    let only_gives = Member {
        name: "m3".to_owned(),
        fingerprint: who(3),
        operator: "o3".to_owned(),
        role: MemberRole::Input,
        endpoint: String::new(),
    };
    charter.members.push(only_gives);
    job.inputs = vec![who(2), who(3)];
    let none = || TaskSignature { key: String::new(), signature: String::new() };
    let request = TaskRequest::about(GroupId(1), "temperature", "sum", "test");
    job.task.source = Source::Series(Box::new(Ask { request: request.into(), client: None, ticket: none() }));
    let says = |missing: &[u8], until: i64| (missing.iter().copied().map(who).collect::<Vec<_>>(), UnixMillis(until));
    let declines = |missing: &[u8], until| {
        let (missing, until) = says(missing, until);
        Some(Report::Declined { why: Decline::Apart { missing, until } })
    };
    let faults = |missing: &[u8], until| {
        let (missing, until) = says(missing, until);
        Some(Report::Failed { fault: Fault::Apart { missing, until }, frozen: false })
    };
    let lost = || Some(Report::Failed { fault: Fault::Lost { members: vec![who(3)] }, frozen: false });
    let all = |reports: [Option<Report>; 4]| -> Reported {
        reports.into_iter().enumerate().map(|(at, report)| (who(at as u8), report)).collect()
    };
    let prepared = || Some(Report::Prepared { nonce: "0".repeat(64) });
    let at_first = |reports| nonces(&all(reports), &job, &Names(&charter)).expect_err("somebody declined");
    let at_the_freeze = |reports| judge(&all(reports), &job, &Names(&charter));
    let outcomes = [
        at_first([declines(&[3, 9], 700), declines(&[3], 800), declines(&[3], 900), prepared()]),
        // Who gives declines for the same reason, which its owner alone reads.
        at_first([
            declines(&[3], 800),
            declines(&[3], 800),
            prepared(),
            Some(Report::Declined { why: Decline::Policy }),
        ]),
        at_the_freeze([faults(&[3], 800), faults(&[3, 1], 900), lost(), None]),
    ];
    for outcome in outcomes {
        let Outcome::Apart { missing, until, why } = outcome else { panic!("{outcome:?}") };
        assert_eq!((missing, until), (vec![who(3)], UnixMillis(800)));
        assert!(why.contains("m3 gave to it and is not in this one") && why.contains("1970-01-01T00:00:00.8"), "{why}");
    }
    // One alone may lie, and is left out like anybody with a reason of its own.
    for outcome in [
        at_first([declines(&[3], 800), prepared(), prepared(), prepared()]),
        at_the_freeze([faults(&[3], 800), lost(), lost(), None]),
    ] {
        let Outcome::Repair { without, .. } = outcome else { panic!("{outcome:?}") };
        assert!(without.contains(&who(0)), "{without:?}");
    }
    // Somebody is new: those who give and stand against it are left out first, as before.
    let declined = || Some(Report::Declined { why: Decline::Policy });
    match at_first([declines(&[], 800), declines(&[], 800), prepared(), declined()]) {
        Outcome::Repair { without, .. } => assert_eq!(without, [who(3)]),
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        at_first([declines(&[], 800), declines(&[], 800), prepared(), prepared()]),
        Outcome::Apart { .. }
    ));
}

/// Two members of one operator that may lie do not move the moment from which on it could be asked.
#[test]
fn rule3_the_moment_of_a_difference_is_what_an_operator_says_not_a_member() {
    let (charter, job) = four("semi-honest", [0, 0, 2, 3]);
    let moment = |says: [i64; 3]| {
        let decline =
            |until| Report::Declined { why: Decline::Apart { missing: vec![who(9)], until: UnixMillis(until) } };
        let mut reports: Reported = (0..).map(who).zip(says.map(|until| Some(decline(until)))).collect();
        reports.insert(who(3), Some(Report::Prepared { nonce: "0".repeat(64) }));
        match nonces(&reports, &job, &Names(&charter)).expect_err("somebody declined") {
            Outcome::Apart { until: UnixMillis(until), .. } => until,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(moment([i64::MAX, i64::MAX, 800]), 800);
    assert_eq!(moment([700, i64::MAX, 800]), 800);
    assert_eq!(moment([0, 700, 800]), 700, "one of them may not have looked at all");
}

/// Reports of the three members, of a task that leaves nobody out.
fn three(reports: [Report; 3]) -> Outcome {
    let (charter, job) = scene();
    let reported = (0..3).map(who).zip(reports.map(Some)).collect();
    judge(&reported, &job, &Names(&charter))
}

#[test]
fn p19_who_finds_a_cheater_is_neither_blamed_nor_left_out() {
    let failed = |fault: &Fault| Report::Failed { fault: fault.clone(), frozen: false };
    let beyond = Fault::OutOfBounds { members: vec![who(2)] };
    let disputed = Fault::Disputed { members: vec![who(2)] };
    let fits = "what the compute peers hold of m2 does not fit together, by its fault or by that of one of them";
    let other = "some compute peer told the others different things; which one is not known";
    // (what two members report, what the third does, what the slot says)
    let cases = [
        (&beyond, failed(&Fault::Own), "numbers of m2 are out of bounds"),
        (&disputed, failed(&disputed), fits),
        (&Fault::Equivocated, failed(&Fault::Ended), other),
        (&Fault::Equivocated, failed(&Fault::Lost { members: vec![who(0)] }), other),
    ];
    for (found, third, says) in cases {
        match three([failed(found), failed(found), third]) {
            Outcome::Failed { why } => assert_eq!(why, says),
            repaired => panic!("{found:?}: {repaired:?}"),
        }
    }
    // t members that say it may lie.
    let lie = Fault::OutOfBounds { members: vec![who(1)] };
    match three([failed(&lie), failed(&Fault::FewShares), failed(&Fault::FewShares)]) {
        Outcome::Failed { why } => assert_eq!(why, "m0 says that numbers of m1 are out of bounds"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn p19_each_kind_of_fault_has_words_that_are_true() {
    let done = |faults: &[u8], left_out: &[Fault]| Report::Done {
        agreement: Some("a".to_owned()),
        contributors: 2,
        faults: faults.iter().copied().map(who).collect(),
        left_out: left_out.to_vec(),
        told: None,
        session: None,
    };
    let remarks = |reports| match three(reports) {
        Outcome::Done(agreed) => agreed.remarks,
        other => panic!("{other:?}"),
    };
    let beyond = [Fault::OutOfBounds { members: vec![who(2)] }];
    let disputed = [Fault::Disputed { members: vec![who(2)] }];
    let nothing = || done(&[], &[]);
    assert_eq!(
        remarks([done(&[], &beyond), done(&[], &beyond), nothing()]),
        ["numbers of m2 are out of bounds, which is left out"]
    );
    let [said] = &remarks([done(&[], &disputed), done(&[], &disputed), nothing()])[..] else { panic!() };
    assert!(said.contains("by its fault or by that of one of them") && !said.contains("wrong"), "{said}");
    assert_eq!(
        remarks([done(&[2], &[]), done(&[2], &[]), nothing()]),
        ["shares that m2 sent did not fit and were corrected"]
    );
    // One of three may lie, and is quoted; what is no reason to leave somebody out says nothing.
    assert_eq!(
        remarks([done(&[1], &beyond), done(&[], &[Fault::Own]), nothing()]),
        [
            "m0 says that numbers of m2 are out of bounds, which is left out",
            "m0 says that shares that m1 sent did not fit and were corrected"
        ]
    );
}

/// Members 0 to 3 of these operators do everything, and one operator may be corrupted.
pub(in crate::execution) fn four(model: &str, operators: [u8; 4]) -> (Charter, Job) {
    let (mut charter, mut job) = scene();
    charter.members.push(charter.members[0].clone());
    for (number, (member, operator)) in (0..).zip(charter.members.iter_mut().zip(operators)) {
        (member.fingerprint, member.name) = (who(number), format!("m{number}"));
        member.operator = format!("o{operator}");
    }
    charter.threshold = 1;
    job.task.parameters.insert("security_model".to_owned(), model.to_owned());
    for members in [&mut job.inputs, &mut job.compute, &mut job.recipients] {
        members.push(who(3));
    }
    (charter, job)
}
