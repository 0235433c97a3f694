use tacit_accord::Charter;
use tacit_job::{Fault, Report};

use super::super::verdict::tests::{four, who};
use super::super::verdict::{all_linked, judge, nonces};
use super::super::{Outcome, Reported};
use super::*;

/// Five members, one of which may be corrupted; the last one only gives.
fn five() -> (Charter, Job) {
    let (mut charter, mut job) = four("semi-honest", [0, 1, 2, 3]);
    let mut device = charter.members[0].clone();
    (device.fingerprint, device.name, device.operator) = (who(4), "m4".to_owned(), "o4".to_owned());
    charter.members.push(device);
    job.inputs.push(who(4));
    (charter, job)
}

fn reported(reports: impl IntoIterator<Item = Option<Report>>) -> Reported {
    (0..).map(who).zip(reports).collect()
}

fn linked() -> Option<Report> {
    Some(Report::Linked)
}

fn unlinked(missing: &[u8]) -> Option<Report> {
    Some(Report::Unlinked { missing: missing.iter().copied().map(who).collect() })
}

fn lost(members: &[u8]) -> Option<Report> {
    let members = members.iter().copied().map(who).collect();
    Some(Report::Failed { fault: Fault::Lost { members }, frozen: false })
}

#[track_caller]
fn left_out_of(outcome: Outcome, expected: &[u8]) {
    match outcome {
        Outcome::Repair { without, .. } => {
            assert_eq!(without, expected.iter().copied().map(who).collect::<Vec<_>>());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn f13_one_member_without_links_goes_alone() {
    let (charter, job) = five();
    let names = Names(&charter);
    let goes = |reports: [Option<Report>; 5], expected: &[u8]| {
        left_out_of(all_linked(&reported(reports), &job, &names).expect_err("not all are linked"), expected);
    };
    // It reaches nobody, and nobody reaches it.
    goes([unlinked(&[1, 2, 3, 4]), unlinked(&[0]), unlinked(&[0]), unlinked(&[0]), unlinked(&[0])], &[0]);
    // A device that reaches none of those who compute, who wait for it.
    goes([unlinked(&[4]), unlinked(&[4]), unlinked(&[4]), unlinked(&[4]), unlinked(&[0, 1, 2, 3])], &[4]);
    // Two pairs that share nobody.
    goes([unlinked(&[1]), unlinked(&[0]), unlinked(&[3]), unlinked(&[2]), linked()], &[1, 3]);
    // One that compute peers need, and one that only gives: the latter.
    goes([unlinked(&[4]), linked(), linked(), linked(), unlinked(&[0])], &[4]);
    // Whoever does not answer goes, and what is said of it is no reason against anybody else.
    goes([None, unlinked(&[0]), unlinked(&[0]), linked(), linked()], &[0]);
    // A partition: one side stays.
    goes([unlinked(&[2, 3]), unlinked(&[2, 3]), unlinked(&[0, 1]), unlinked(&[0, 1]), linked()], &[2, 3]);
}

/// As many as may lie cannot have others left out who have their links, whomever they name.
#[test]
fn rule5_nobody_is_left_out_because_one_member_says_so() {
    let (charter, job) = five();
    let names = Names(&charter);
    for named in [&[1][..], &[1, 2], &[1, 2, 3, 4], &[4], &[0, 9], &[]] {
        let reports = [unlinked(named), linked(), linked(), linked(), linked()];
        left_out_of(all_linked(&reported(reports), &job, &names).expect_err("not all are linked"), &[0]);
    }
    // Two operators, of whom one is honest, are believed.
    let reports = [unlinked(&[2]), unlinked(&[2]), linked(), linked(), linked()];
    left_out_of(all_linked(&reported(reports), &job, &names).expect_err("not all are linked"), &[2]);
    // Members of one operator are one voice.
    let (charter, job) = four("guaranteed", [0, 0, 1, 2]);
    let reports = [unlinked(&[2]), unlinked(&[2]), linked(), linked()];
    let outcome = all_linked(&reported(reports), &job, &Names(&charter)).expect_err("not all are linked");
    left_out_of(outcome, &[0, 1]);
}

/// A nonce that is none would make all others give up: who sends it is not ready.
#[test]
fn rule5_a_member_without_a_nonce_does_not_end_the_attempt_of_others() {
    let (charter, job) = four("guaranteed", [0, 1, 2, 3]);
    let ready = |nonce: &str| Some(Report::Prepared { nonce: nonce.to_owned() });
    let good = "0a".repeat(32);
    for bad in ["x", "", &"g".repeat(64), &"0".repeat(1 << 20)] {
        let reports = [ready(&good), ready(bad), ready(&good), ready(&good)];
        left_out_of(nonces(&reported(reports), &job, &Names(&charter)).expect_err("one is not ready"), &[1]);
    }
}

/// Who ends because of a loss is lost to the next in turn; it is there for another attempt.
#[test]
fn f13_a_loss_in_the_session_leaves_out_who_is_gone_and_no_survivor() {
    let (charter, job) = five();
    let names = Names(&charter);
    let goes = |reports: [Option<Report>; 5], expected: &[u8]| {
        left_out_of(judge(&reported(reports), &job, &names), expected);
    };
    goes([None, lost(&[0]), lost(&[1]), lost(&[2]), lost(&[0])], &[0]);
    // Its report came, and its links are gone.
    goes([lost(&[1, 2, 3]), lost(&[0]), lost(&[0]), lost(&[0]), lost(&[0])], &[0]);
    // It was restarted, and does not know the session; its links of before are gone.
    let order = Some(Report::Failed { fault: Fault::Order, frozen: false });
    goes([order, lost(&[0]), lost(&[1]), lost(&[0]), lost(&[3])], &[0]);
    // It had a reason of its own; of a standing task's inputs nobody can be left out.
    let (charter, mut job) = five();
    job.inputs.retain(|member| *member != who(0));
    let own = Some(Report::Failed { fault: Fault::Own, frozen: false });
    let reports = [own, lost(&[0]), lost(&[1]), lost(&[0]), lost(&[3])];
    left_out_of(judge(&reported(reports), &job, &Names(&charter)), &[0]);
}
