//! Cheaters before the freeze, over real links: what honest peers report names the offender as far as it can be
//! known, and never an honest peer.

use std::collections::BTreeMap;

use tacit_accord::{MemberRole, OnMissingInput};
use tacit_algebra::{F61, Field};
use tacit_engine::Plan;
use tacit_job::{Fault, Job, Report, plan_of};
use tacit_model::Fingerprint;

use crate::liar::Liar;
use crate::world::{RUN, World};

/// Messages of the engine by their first byte: a commitment, shares, and what a compute peer holds.
const COMMITMENT: u8 = 1;
const SHARES: u8 = 3;
const HOLD: u8 = 13;
/// The charter's threshold.
const T: usize = 1;

/// Two honest input peers, three honest privacy peers, and the liar.
async fn world(liar: &Liar, on_missing: OnMissingInput) -> (World, Job) {
    let change = |charter: &mut tacit_accord::Charter| {
        charter.members.push(liar.member());
        charter.slots.on_missing_input = on_missing;
        let configuration = charter.configuration.as_mut().unwrap();
        configuration.parameters.insert("security_model".to_owned(), "malicious".to_owned());
    };
    let mut world = World::with(|_| {}, change).await;
    world.peers[0].rows(&["1;3"]).await;
    world.peers[1].rows(&["2;5"]).await;
    let job = world.job(0);
    (world, job)
}

/// What the liar deals as its first number has a "bit" that is 2, by polynomials that fit.
fn out_of_bounds(plan: &Plan, me: usize) -> impl FnMut(usize, Vec<u8>) -> Option<Vec<u8>> + use<> {
    let points: Vec<F61> = plan.points().iter().map(|point| F61::from_u128(*point)).collect();
    // The shares of one compute peer come from a seed: the change is zero there.
    let slot = plan.inputs().binary_search(&me).unwrap();
    let seeded = points[slot % points.len()].inv().unwrap();
    let compute = plan.compute().to_vec();
    move |to, mut message| {
        if message[0] == SHARES && message[1..5] == [0; 4] {
            let point = points[compute.binary_search(&to).unwrap()];
            // Elements of a number: a mask, then its bits.
            let bit = 5 + F61::BYTES..5 + 2 * F61::BYTES;
            let share = F61::from_bytes_checked(&message[bit.clone()]).unwrap();
            let mut changed = Vec::new();
            (share + F61::from_i64(2) * (F61::ONE - point * seeded)).write_bytes(&mut changed);
            message[bit].copy_from_slice(&changed);
        }
        Some(message)
    }
}

/// The liar tells one of the compute peers something else than the others.
fn two_faced(plan: &Plan, me: usize, kind: u8) -> impl FnMut(usize, Vec<u8>) -> Option<Vec<u8>> + use<> {
    let victim = *plan.compute().iter().find(|member| **member != me).unwrap();
    move |to, mut message| {
        if message[0] == kind && to == victim {
            *message.last_mut().unwrap() ^= 1;
        }
        Some(message)
    }
}

/// More compute peers than may lie report this fault, and no other of them names anybody.
fn found_by_compute_peers(job: &Job, reports: &BTreeMap<Fingerprint, Report>, fault: &Fault) {
    let mut found = 0;
    for (member, report) in reports {
        match report {
            Report::Failed { fault: said, frozen: false } if said == fault => found += 1,
            Report::Failed { fault: Fault::FewShares | Fault::Ended | Fault::Lost { .. }, frozen: false } => {}
            other => panic!("{}: {other:?}", member.short()),
        }
        if let Report::Failed { fault: Fault::Lost { members }, .. } = report {
            assert!(members.iter().all(|lost| job.compute.contains(lost)), "{report:?}");
        }
    }
    assert!(found > T, "{reports:?}");
}

#[tokio::test]
async fn p19_a_cheating_input_peer_is_named_and_the_others_are_unharmed() {
    for dealt in [SHARES, COMMITMENT] {
        for on_missing in [OnMissingInput::Fail, OnMissingInput::Proceed(2)] {
            let liar = Liar::start(MemberRole::Input).await;
            let (mut world, job) = world(&liar, on_missing).await;
            let plan = plan_of(&world.consensus, &job).unwrap();
            let members = vec![liar.fingerprint()];
            let finish = |_: &Plan, lied: crate::liar::Lied| lied.finish();
            let row = Some(&[4, 4][..]);
            let me = plan.index_of(&liar.fingerprint()).unwrap();
            let (reports, fault) = match dealt {
                SHARES => {
                    let cheat = out_of_bounds(&plan, me);
                    (liar.run(&mut world, &job, row, cheat, finish).await, Fault::OutOfBounds { members })
                }
                _ => {
                    let cheat = two_faced(&plan, me, COMMITMENT);
                    (liar.run(&mut world, &job, row, cheat, finish).await, Fault::Disputed { members })
                }
            };
            if on_missing == OnMissingInput::Fail {
                found_by_compute_peers(&job, &reports, &fault);
                let trouble = world.peers[2].party().status().await.unwrap().last_trouble.unwrap().what;
                assert!(trouble.contains("is liar"), "its owner reads the name: {trouble}");
            } else {
                for (member, report) in &reports {
                    let Report::Done { contributors, faults, left_out, .. } = report else { panic!("{report:?}") };
                    assert!(faults.is_empty(), "nobody's shares were wrong: {report:?}");
                    if job.compute.contains(member) {
                        assert_eq!((*contributors, &left_out[..]), (2, &[fault.clone()][..]));
                    }
                }
                for peer in &world.peers[..2] {
                    assert_eq!(peer.party().results(RUN).await.unwrap()[0].text(), "3;8");
                }
            }
            world.close().await;
        }
    }
}

#[tokio::test]
async fn rule5_a_compute_peer_that_equivocates_has_no_honest_peer_blamed() {
    let liar = Liar::start(MemberRole::Privacy).await;
    let (mut world, job) = world(&liar, OnMissingInput::Proceed(2)).await;
    let plan = plan_of(&world.consensus, &job).unwrap();
    let cheat = two_faced(&plan, plan.index_of(&liar.fingerprint()).unwrap(), HOLD);
    let reports = liar.run(&mut world, &job, None, cheat, |_, lied| lied.finish()).await;
    found_by_compute_peers(&job, &reports, &Fault::Equivocated);
    assert!(world.peers[0].party().results(RUN).await.unwrap().is_empty());
    world.close().await;
}
