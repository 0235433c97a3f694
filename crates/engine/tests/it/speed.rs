//! A rough measure of the engine alone: all parties in one thread, no encryption, no network.
//! `cargo test --release -p tacit-engine --test it speed -- --ignored --nocapture`

use std::time::Instant;

use crate::world::{Sim, World};

#[test]
#[ignore = "a measurement"]
fn speed_of_a_million_elements() {
    for (n, t) in [(3, 1), (5, 2), (7, 3), (11, 5)] {
        for items in [1, 288, 10_000, 1_000_000] {
            let world = World::decentralised(n, t, items, 1).with_max(1 << 40);
            let runs = 5;
            let mut times: Vec<f64> = (0..runs).map(|_| measure(&world.clone().fresh())).collect();
            times.sort_by(f64::total_cmp);
            println!("n={n} t={t} items={items}: {:.3} ms for all parties", times[runs / 2] * 1e3);
        }
    }
}

fn measure(world: &World) -> f64 {
    let plan = world.plan();
    let nonces = world.nonces();
    let mut simulator = Sim::new(world.request.members.len(), 1).without_delays();
    for member in 0..world.request.members.len() {
        let mailbox = simulator.mailbox(member);
        let mut environment = world.environment(member);
        let input = world.inputs[member].clone().map(Into::into);
        let (plan, nonces) = (&plan, &nonces);
        simulator.spawn(member, async move {
            tacit_engine::run(plan, member, &mailbox, &mut environment, nonces, input).await
        });
    }
    let start = Instant::now();
    let ends = simulator.run();
    let elapsed = start.elapsed().as_secs_f64();
    assert!(ends.into_iter().all(|end| matches!(end.finished(), Some(Ok(_)))));
    elapsed
}
