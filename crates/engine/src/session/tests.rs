//! Cheaters that run the protocol with other numbers than any records give: each in range, with proofs as good as they can be.

use std::collections::BTreeMap;

use super::*;
use crate::aggregate::Term;
use crate::aggregate::records::Records;
use crate::plan::tests::{member, request};
use crate::plan::{OnMissing, PlanRequest, Sharing};
use crate::simulator::{Ended, SimulatedEnvironment, Simulator};

/// The largest number of a column, and the most records of a peer.
const MAX: u64 = 10;
const MOST: u64 = 5;
/// Never true.
const NEVER: Term = Term::Within { column: 0, from: MAX + 1, to: None };

/// How numbers that do not belong together are made.
struct Cheat {
    what: &'static str,
    aggregator: &'static str,
    columns: usize,
    /// The records of everybody.
    row: &'static [u64],
    change: fn(&mut Records),
}

const CHEATS: [Cheat; 15] = [
    Cheat {
        what: "one record, and the sum of five",
        aggregator: "mean",
        columns: 2,
        row: &[MAX, 1, MAX, 0, MAX, 0, MAX, 0, MAX, 0],
        change: |records| records.terms[0] = Term::Value(1),
    },
    Cheat {
        what: "no record, and a sum",
        aggregator: "mean",
        columns: 1,
        row: &[1, 1],
        change: |records| records.terms[0] = NEVER,
    },
    Cheat {
        what: "squares above the sum",
        aggregator: "variance",
        columns: 2,
        row: &[MAX, 1, MAX, 1],
        change: |records| records.terms[1] = Term::Value(1),
    },
    Cheat {
        what: "no squares",
        aggregator: "std_deviation",
        columns: 1,
        row: &[1, 1],
        change: |records| records.terms[2] = NEVER,
    },
    Cheat {
        what: "squares below the tangent",
        aggregator: "variance",
        columns: 2,
        row: &[MAX, 1, MAX, 1],
        change: |records| records.terms[3] = Term::Product(0, 1),
    },
    Cheat {
        what: "products above a column's",
        aggregator: "covariance",
        columns: 2,
        row: &[MAX, 1, MAX, 1],
        change: |records| records.terms[4] = Term::Product(0, 0),
    },
    Cheat {
        what: "products below the envelope",
        aggregator: "linear_regression",
        columns: 2,
        row: &[MAX, MAX, MAX, MAX],
        change: |records| records.terms[4] = NEVER,
    },
    Cheat {
        what: "columns of different totals",
        aggregator: "histogram",
        columns: 2,
        row: &[MAX, MAX, MAX, MAX],
        change: |records| records.terms[2..].fill(NEVER),
    },
    Cheat {
        what: "each record in every bucket",
        aggregator: "histogram",
        columns: 1,
        row: &[1, 1, 1],
        change: |records| records.terms.fill(Term::One),
    },
    Cheat {
        what: "more weighed than weights",
        aggregator: "weighted_mean",
        columns: 2,
        row: &[MAX, 1, MAX, 1],
        change: |records| records.terms[1] = Term::Product(0, 0),
    },
    Cheat {
        what: "a slack that does not fit",
        aggregator: "mean",
        columns: 1,
        row: &[3, 3],
        change: |records| records.ties.linear[0].terms[0].1 += 1,
    },
    Cheat {
        what: "two slacks exchanged",
        aggregator: "correlation",
        columns: 2,
        row: &[3, 5, 3, 5],
        change: |records| records.ties.linear.swap(1, 2),
    },
    Cheat {
        // 2 and 10 and 20, where 50 is least: between all tangents.
        what: "squares below the sum's square",
        aggregator: "variance",
        columns: 2,
        row: &[5, 2, 5, 2],
        change: |records| records.terms[3] = Term::Product(0, 1),
    },
    Cheat {
        // A column of fives has nothing to do with any other: 55 is the only sum of products, and 50 is given.
        what: "products beyond those of Cauchy and Schwarz",
        aggregator: "correlation",
        columns: 2,
        row: &[5, 5, 5, 6],
        change: |records| records.terms[4] = Term::Product(0, 0),
    },
    Cheat {
        what: "a regression on what does not vary",
        aggregator: "linear_regression",
        columns: 2,
        row: &[5, 5, 5, 6],
        change: |records| records.terms[4] = Term::Product(0, 0),
    },
];

/// Three input peers beside n that compute; the second cheats.
fn task(cheat: &Cheat, n: usize, model: SecurityModel, on_missing: OnMissing) -> PlanRequest {
    let threshold = if model == SecurityModel::Guaranteed { (n - 1) / 3 } else { (n - 1) / 2 };
    let takes = |name: &str| name != "edges" || cheat.aggregator == "histogram";
    let parameters = [("max_records", MOST.to_string()), ("edges", "0,5".to_owned())];
    let parameters = parameters.into_iter().filter(|(name, _)| takes(name));
    PlanRequest {
        aggregator: cheat.aggregator.to_owned(),
        parameters: parameters.map(|(name, value)| (name.to_owned(), value)).collect::<BTreeMap<_, _>>(),
        sharing: Sharing::Shamir { threshold },
        charter_threshold: threshold,
        charter_compute: n,
        model,
        items: cheat.columns,
        max_element: MAX,
        members: (1..=n as u8 + 3).map(member).collect(),
        inputs: (n..n + 3).collect(),
        compute: (0..n).collect(),
        recipients: (0..n + 3).collect(),
        on_missing,
        ..request()
    }
}

type Ends = Vec<Result<Outcome, SessionError>>;

/// Runs it, with the second input peer's plan changed.
fn run_with(request: PlanRequest, cheat: Option<&Cheat>, row: &[u64]) -> Ends {
    let (members, first) = (request.members.len(), request.inputs[0]);
    let plan = Plan::build(request).expect("a plan");
    let nonces = vec![[3; 32]; members];
    let mut simulator = Simulator::new(members, 7);
    for me in 0..members {
        let mut own = plan.clone();
        if let Some(cheat) = cheat.filter(|_| me == first + 1) {
            own = own.cheating(cheat.change);
        }
        let input = (me >= first).then(|| InputVector::new(row.to_vec()));
        let mailbox = simulator.mailbox(me);
        let mut environment = SimulatedEnvironment::new(7, me);
        let nonces = nonces.clone();
        simulator.spawn(me, async move { run(&own, me, &mailbox, &mut environment, &nonces, input).await });
    }
    let finished = |end: Ended<_>| end.finished().expect("everybody ends");
    simulator.run().into_iter().map(finished).collect()
}

/// Whoever gives sums that no records have stays out, and is named; the others' result comes.
fn stays_out(n: usize, model: SecurityModel) {
    for cheat in &CHEATS {
        let what = format!("{} among {n} in {}", cheat.what, model.name());
        let request = |on_missing| task(cheat, n, model, on_missing);
        let going_on = request(OnMissing::Proceed { min: 2 });
        let honest = run_with(going_on.clone(), None, cheat.row);
        let cheated = run_with(going_on.clone(), Some(cheat), cheat.row);
        for (all, others) in honest.iter().zip(&cheated) {
            let (all, others) = (all.as_ref().expect("honest"), others.as_ref().expect("the others'"));
            assert!(all.faults.is_empty() && all.contributors == [n, n + 1, n + 2], "{what}");
            assert_eq!(others.contributors, [n, n + 2], "{what}");
            let (all, others) = (all.values.as_ref().expect("sums"), others.values.as_ref().expect("sums"));
            assert!(all.iter().zip(others).all(|(all, others)| all * 2 == others * 3), "{what}: {all:?}, {others:?}");
        }
        let fault = Fault { member: n + 1, kind: FaultKind::OutOfBounds };
        assert!(cheated[..n].iter().all(|end| end.as_ref().is_ok_and(|o| o.faults == [fault])), "{what}");
        if model != SecurityModel::Guaranteed {
            let ends = run_with(request(OnMissing::Fail), Some(cheat), cheat.row);
            let named = Some(SessionError::OutOfBounds { members: vec![n + 1] });
            assert!(ends[..n].iter().all(|end| end.as_ref().err() == named.as_ref()), "{what}");
        }
    }
}

#[test]
fn p19_engine_sums_that_no_records_give_stay_out_semi_honest() {
    [3, 4, 5, 7].into_iter().for_each(|n| stays_out(n, SecurityModel::SemiHonest));
}

#[test]
fn p19_engine_sums_that_no_records_give_stay_out_malicious() {
    [3, 4, 5, 7].into_iter().for_each(|n| stays_out(n, SecurityModel::Malicious));
}

/// And no histogram is void: one whose columns differ in their totals is not in it.
#[test]
fn p19_engine_sums_that_no_records_give_are_named_in_guaranteed() {
    [4, 7].into_iter().for_each(|n| stays_out(n, SecurityModel::Guaranteed));
}
