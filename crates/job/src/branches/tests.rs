use tacit_accord::{MemberRole, OnMissingInput};
use tacit_engine::{LEVEL, aggregate};
use tacit_model::api::TaskRepeat;
use tacit_model::{Attempt, SessionId};
use tacit_pki::Identity;

use super::*;
use crate::Task;
use crate::job::PROVIDER;

fn ask(branches: u32) -> Ask {
    let request = TaskRequest {
        set: "rooms".to_owned(),
        preselector: "last_1h".to_owned(),
        decimals: 2,
        most: "100".to_owned(),
        recipients: vec![Fingerprint([9; 32])],
        tell_gateway: true,
        branches,
        issued: "2026-01-01T00:00:00Z".to_owned(),
        nonce: "0".repeat(32),
        repeat: Some(TaskRepeat { every_s: 60, times: 3 }),
        ..TaskRequest::about(GroupId(1), "energy", "mean", "energy")
    };
    let gateway = Identity::generate("root", time::OffsetDateTime::UNIX_EPOCH).expect("a key");
    Ask::admit(request, None, &gateway).expect("a task")
}

fn in_branch(above: &Ask, window: i64) -> Ask {
    let request = above.in_branch(ConsensusId([7; 32]), Slot(window), GroupId(2)).expect("a part");
    Ask { request: request.into(), client: None, ticket: above.ticket.clone() }
}

/// Rule 2: nobody can have a branch compute anything else than its part.
#[test]
fn w2_the_part_of_a_branch_follows_from_the_task_above() {
    let above = ask(3);
    let part = in_branch(&above, 2);
    assert_eq!(part.parent(), Ok(Some(above.clone())));
    assert_eq!((above.level(), part.level()), (Level::Root, Level::Branch));
    // The same records, two minutes later than those of the first computation.
    let (all, own) = (above.terms().expect("terms"), part.terms().expect("terms"));
    assert_eq!(all.window(Slot(2)), own.window(Slot(0)));
    assert_eq!(own.window(Slot(1)), None);
    assert!(above.in_branch(ConsensusId([7; 32]), Slot(3), GroupId(2)).is_err());
    let task = part.task().expect("a task");
    assert_eq!(task.parameters.get(LEVEL).map(String::as_str), Some("branch"));
    assert_eq!(task.on_missing_input, OnMissingInput::Proceed(3));
    assert_eq!(above.task().expect("a task").on_missing_input, OnMissingInput::Fail);
    assert!(part.run() != in_branch(&above, 1).run() && part.run() != above.run());

    let changes: [fn(&mut TaskRequest); 9] = [
        |task| task.purpose = "curiosity".to_owned(),
        |task| task.aggregator = "variance".to_owned(),
        |task| task.min_participants = 2,
        |task| task.most = "50".to_owned(),
        |task| task.preselector = "last_2h".to_owned(),
        |task| task.tell_gateway = true,
        |task| task.recipients = vec![Fingerprint([9; 32])],
        |task| task.issued = "2026-01-01T00:02:01Z".to_owned(),
        |task| task.group = GroupId(1),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let other = Ask { request: part.request.with(change), ..part.clone() };
        // Another group is another branch, and its part; whether this is that group is for its peers to see.
        assert_eq!(other.terms().is_err(), number != 8, "{number}");
    }
    let above = part.request.parent.as_deref().expect("a task above");
    let deeper = ParentTask { task: (*part.request).clone(), ..above.clone() };
    let chain = Ask { request: part.request.with(|task| task.parent = Some(Box::new(deeper))), ..part.clone() };
    assert!(chain.terms().is_err(), "three levels");
    let changes: [fn(&mut TaskRequest); 5] = [
        |task| task.branches = 1,
        |task| _ = task.parameters.insert(LEVEL.to_owned(), "root".to_owned()),
        |task| _ = task.parameters.insert(PROVIDER.to_owned(), "mpyc".to_owned()),
        |task| task.model = "malicious".to_owned(),
        |task| task.approval_s = 61,
    ];
    for change in changes {
        let right = ask(2);
        let wrong = Ask { request: right.request.with(change), ..right };
        assert!(matches!(wrong.terms(), Err(AskError::Field(_))));
    }
    let flat = ask(0);
    let request = flat.request.with(|task| {
        task.aggregator = "quantile".to_owned();
        task.parameters.insert(LEVEL.to_owned(), "0.5".to_owned());
    });
    let quantile = Ask { request, ..flat };
    assert_eq!(quantile.terms().err(), None);
    assert_eq!(quantile.level(), Level::Flat);
}

pub(crate) fn charter(members: &[(u8, &str, MemberRole)]) -> Charter {
    let member = |(number, operator, role): &(u8, &str, MemberRole)| Member {
        name: format!("m{number}"),
        fingerprint: Fingerprint([*number; 32]),
        operator: (*operator).to_owned(),
        role: *role,
        endpoint: String::new(),
    };
    let members = members.iter().map(member).collect();
    Charter { members, test_mode: true, ..Charter::new(GroupId(1), "campus", String::new()) }
}

/// Rules 1 and 8: a gateway cannot take a branch apart, nor let one branch read what the root computes on.
#[test]
fn w2_jobs_over_branches_name_whole_branches() {
    use MemberRole::{Both, Input, Privacy};
    let members = [
        (1, "a", Both),
        (2, "a", Input),
        (3, "a", Input),
        (4, "b", Both),
        (5, "b", Input),
        (6, "b", Input),
        // No branch: too few.
        (7, "c", Input),
        (8, "d", Privacy),
        (9, "a", Privacy),
    ];
    let charter = charter(&members);
    assert_eq!(branches(&charter).keys().copied().collect::<Vec<_>>(), ["a", "b"]);
    assert!(aggregate::find("mean").is_some_and(|mean| mean.composes()));
    let ask = ask(2);
    let who = |numbers: &[u8]| numbers.iter().map(|number| Fingerprint([*number; 32])).collect::<Vec<_>>();
    let check = |inputs: &[u8], compute: &[u8]| {
        let job = Job {
            session: SessionId([0; 16]),
            group: GroupId(1),
            charter: ConsensusId([0; 32]),
            run: ask.run(),
            slot: Slot(0),
            attempt: Attempt(0),
            task: Task { ..ask.task().expect("a task") },
            inputs: who(inputs),
            compute: who(compute),
            recipients: who(&[1]),
        };
        check_whole(&charter, &job, &ask)
    };
    assert_eq!(check(&[1, 2, 3, 4, 5, 6], &[1, 4, 8]), Ok(()));
    assert_eq!(check(&[1, 2, 3, 4, 5], &[1, 4, 8]), Err(JobError::PartOfBranch("b".to_owned())));
    assert_eq!(check(&[1, 2, 3], &[1, 4, 8]), Err(JobError::FewBranches { found: 1, wanted: 2 }));
    assert_eq!(check(&[1, 2, 3, 4, 5, 6, 7], &[1, 4, 8]), Err(JobError::Roster(Fingerprint([7; 32]))));
    assert_eq!(check(&[1, 2, 3, 4, 5, 6], &[1, 4, 9]), Err(JobError::BranchReads("a".to_owned())));
}
