//! Noise from inside the computation (rule 9): its distribution, what it promises, and what is refused without it.

use std::collections::BTreeMap;

use tacit_algebra::F61;
use tacit_engine::arithmetic::Arithmetic;
use tacit_engine::{PlanError, SecurityModel, SessionError, Sharing};

use crate::arithmetic_world::lockstep_of;
use crate::evaluations::{result, statistics, world};
use crate::malicious::accused;
use crate::world::{FREEZE, World, change_one, error, kinds, outcome};

/// Pearson's statistic of counts, and how far it is above its mean in standard deviations.
fn excess(observed: &[usize], chances: &[f64]) -> f64 {
    let total: usize = observed.iter().sum();
    let terms = observed.iter().zip(chances).map(|(found, chance)| {
        let wanted = chance * total as f64;
        (*found as f64 - wanted).powi(2) / wanted
    });
    let degrees = (observed.len() - 1) as f64;
    (terms.sum::<f64>() - degrees) / (2.0 * degrees).sqrt()
}

const MODELS: [SecurityModel; 2] = [SecurityModel::SemiHonest, SecurityModel::Malicious];

#[test]
fn rule9_coins_have_their_probability() {
    for (n, model) in [3, 4, 5, 7].into_iter().flat_map(|n| MODELS.map(|model| (n, model))) {
        let verified = model == SecurityModel::Malicious;
        let each = if verified { 80 } else { 2000 };
        let thresholds: Vec<u64> = [1, 1 << 32, 1 << 60, 1 << 63, u64::MAX / 3, u64::MAX].repeat(each);
        let (tosses, _) = lockstep_of((n, (n - 1) / 2), 5, verified, async |context: &mut Arithmetic<'_, F61>| {
            let coins = context.biased_bits(&thresholds).await.expect("coins");
            context.open(&coins).await.expect("open")
        });
        let ones = |kind: usize| {
            let of_kind = tosses[0].iter().skip(kind).step_by(6);
            of_kind.map(|coin| usize::try_from(tacit_algebra::Field::to_u128(*coin)).expect("a bit")).sum::<usize>()
        };
        assert!(tosses.iter().all(|party| *party == tosses[0]));
        assert_eq!((ones(0), ones(1), ones(5)), (0, 0, each));
        for (kind, chance) in [(2, 1.0 / 16.0), (3, 0.5), (4, 1.0 / 3.0)] {
            assert!(excess(&[ones(kind), each - ones(kind)], &[chance, 1.0 - chance]) < 10.0, "n = {n}, coin {kind}");
        }
    }
}

/// A vector of 1500 sums: each gets its own noise, of the discrete Laplace distribution.
#[test]
fn rule9_noise_has_its_distribution() {
    for (n, epsilon, scale) in [(3, "7.5", 200.0), (5, "20", 75.0)] {
        let world = world(n, "noisy_sum", 1500, &[("epsilon", epsilon)], 9).with_max(1);
        let privacy = world.plan().privacy().expect("noise");
        assert_eq!((privacy.epsilon, privacy.hides_peers), (epsilon.parse().expect("a number"), true));
        assert!(0.0 < privacy.delta && privacy.delta < 2f64.powi(-19));
        let found = result(&world).expect("a result");
        let sums = world.sum_of(&world.request.inputs);
        let noise: Vec<f64> = found.iter().zip(&sums).map(|(noisy, sum)| noisy.value - *sum as f64).collect();
        assert_eq!(noise.len(), 1500);
        let alpha = f64::exp(-1.0 / scale);
        // The chance of less than -q, between -q and q, ... by quarters of the scale.
        let edges: Vec<i32> = (-8..=8).map(|i| i * scale as i32 / 4).collect();
        // P(X < k).
        let below = |k: i32| match k {
            k if k <= 0 => alpha.powi(1 - k) / (1.0 + alpha),
            k => 1.0 - alpha.powi(k) / (1.0 + alpha),
        };
        let mut cumulated: Vec<f64> = edges.iter().map(|edge| below(*edge)).collect();
        cumulated.push(1.0);
        let chances: Vec<f64> = cumulated.iter().scan(0.0, |last, c| Some(c - std::mem::replace(last, *c))).collect();
        let mut observed = vec![0; chances.len()];
        for value in &noise {
            observed[edges.iter().filter(|edge| *value >= f64::from(**edge)).count()] += 1;
        }
        assert!(excess(&observed, &chances) < 4.0, "n = {n}: {observed:?}");
        let deviation = (noise.iter().map(|x| x * x).sum::<f64>() / 1500.0).sqrt();
        let foreseen = found.iter().find(|s| s.name == "noise_std_deviation(sum)").expect("told").value;
        assert!((deviation / foreseen - 1.0).abs() < 0.15, "{deviation} is not about {foreseen}");
        // Other noise in another attempt.
        let mut again = world.clone().fresh();
        (again.nonce, again.seed) = (1, 10);
        assert_ne!(result(&again).expect("a result")[..1500], found[..1500]);
    }
}

#[test]
fn rule9_counts_means_and_histograms_with_noise() {
    let records: Vec<Vec<u64>> = vec![(0..200).collect(), (0..100).collect(), vec![7; 50]];
    for (n, model) in [3, 4, 5, 7].into_iter().flat_map(|n| MODELS.map(|model| (n, model))) {
        with_little_noise(n, model, &records);
    }
}

fn with_little_noise(n: usize, model: SecurityModel, records: &[Vec<u64>]) {
    let result = |name: &str, parameters: &[(&str, &str)]| -> BTreeMap<String, f64> {
        let mut world = world(n, name, 1, parameters, 4).with_max(200);
        world.request.model = model;
        // The others have none.
        world.inputs = (0..n).map(|peer| Some(records.get(peer).cloned().unwrap_or_default())).collect();
        statistics(&world)
    };
    // So little noise that some of it would be astonishing: alpha = e^-20.
    let count = result("noisy_count", &[("epsilon", "20"), ("max_records", "200")]);
    assert_eq!((count["count"], count["epsilon"]), (350.0, 20.0));
    assert!(count["noise_std_deviation(count)"] < 1e-4);
    let histogram = result("noisy_histogram", &[("epsilon", "20"), ("max_records", "200"), ("edges", "0,10,150")]);
    let buckets = ["bucket(x1,[0,10))", "bucket(x1,[10,150))", "bucket(x1,[150,inf))"].map(|name| histogram[name]);
    assert_eq!(buckets, [70.0, 230.0, 50.0]);
    let mean = result("noisy_mean", &[("epsilon", "20"), ("max_records", "200")]);
    assert_eq!(mean["count"], 350.0);
    // (19900 + 4950 + 350) / 350 is 72; the sum's noise has scale 20, twice that of one number.
    assert!((mean["mean(x1)"] - 72.0).abs() < 1.0, "{mean:?}");
    assert!((mean["noise_std_deviation(sum)"] - 2f64.sqrt() * 20.0).abs() < 0.1, "{mean:?}");
    // Whole peers take max_records times as much.
    let peers = result("noisy_count", &[("epsilon", "20"), ("max_records", "200"), ("hides", "peer")]);
    assert!((peers["noise_std_deviation(count)"] - 2f64.sqrt() * 10.0).abs() < 0.1, "{peers:?}");
}

#[test]
fn rule9_noise_is_refused_where_it_would_not_protect() {
    let refusal = |change: &dyn Fn(&mut World)| {
        let mut world = world(5, "noisy_count", 1, &[("epsilon", "1")], 1);
        change(&mut world);
        tacit_engine::Plan::build(world.request).expect_err("refused")
    };
    let set = |key: &'static str, value: &'static str| {
        move |world: &mut World| _ = world.request.parameters.insert(key.to_owned(), value.to_owned())
    };
    let name = "noisy_count";
    assert_eq!(refusal(&set("bounds", "declared")), PlanError::NoiseNeedsBounds { name });
    assert_eq!(refusal(&set("epsilon", "0")), PlanError::BadParameter { name, parameter: "epsilon".to_owned() });
    assert_eq!(refusal(&set("hides", "me")), PlanError::BadParameter { name, parameter: "hides".to_owned() });
    assert_eq!(refusal(&|w| w.request.parameters.clear()), PlanError::MissingParameter { name, parameter: "epsilon" });
    assert_eq!(refusal(&|w| w.request.sharing = Sharing::Additive), PlanError::SharingNotOffered { name });
    let model = SecurityModel::Guaranteed;
    assert_eq!(refusal(&|w| w.request.model = model), PlanError::ModelNotOffered { name, model });
    let coins = refusal(&|w| {
        (w.request.aggregator, w.request.items) = ("noisy_sum".to_owned(), 1_000_000);
        w.request.max_element = 1;
    });
    assert!(matches!(coins, PlanError::TooManyCoins { .. }), "{coins}");
    // Long vectors, too, are proven.
    let mut world = world(5, "noisy_sum", 30_000, &[("epsilon", "1")], 1);
    world.request.max_element = 100_000;
    assert!(world.plan().bounds_proven());
    let note = "hides every single peer's input, with epsilon = 1 ";
    assert!(world.plan().forecast().notes.iter().any(|text| text.contains(note)));
}

/// A compute peer that leaves while noise is drawn, or before the opening: nobody gets another result.
#[test]
fn rule9_a_loss_never_leads_to_a_second_noise() {
    let base = world(3, "noisy_sum", 2, &[("epsilon", "1")], 3).with_max(3);
    let mut results = std::collections::BTreeSet::new();
    let mut ended = 0;
    for crash in 0..60 {
        let world = base.clone().fresh();
        for end in world.run(|simulator| simulator.crash_after(0, crash)) {
            match (outcome(&end), error(&end)) {
                (Some(outcome), _) => _ = results.insert(outcome.values.clone().expect("a recipient")),
                (_, Some(SessionError::LostDuringEvaluation { .. })) => ended += 1,
                _ => {}
            }
        }
    }
    assert!(ended > 0 && results.len() == 1, "{ended} {results:?}");
}

/// A compute peer that changes any one of its messages while noise is drawn, in a whole session: whoever accepts a result has the one
/// that there would have been, nobody else is named, and what it dealt or multiplied wrongly ends the session for all.
#[test]
fn rule9_no_single_change_makes_other_noise() {
    const INPUT: u8 = 1;
    const RESHARE: u8 = 2;
    for (n, t, step) in [(3, 1, 1), (4, 1, 2), (5, 2, 3), (7, 3, 7)] {
        let mut world = world(n, "noisy_count", 1, &[("epsilon", "2"), ("max_records", "1")], 6).with_max(1);
        world.request.sharing = Sharing::Shamir { threshold: t };
        world.request.model = SecurityModel::Malicious;
        let (ends, wire) = world.clone().fresh().tapped();
        let right = outcome(&ends[0]).expect("honest").values.clone();
        assert!(right.is_some());
        let sent = kinds(&wire, 0);
        let frozen = sent.iter().rposition(|kind| *kind == FREEZE).expect("a signature");
        // With more peers a part of the messages, of every kind and step.
        for target in (frozen + 1..sent.len()).step_by(step) {
            for change in 0..2 {
                let ends = world.clone().fresh().run(|simulator| {
                    change_one(simulator, 0, target, move |mut message| {
                        let at = if change == 0 { 5 } else { message.len() - 8 };
                        message[at] ^= 1;
                        Some(message)
                    });
                });
                let what = format!("n = {n}, message {target} of kind {}", sent[target]);
                for end in &ends[1..] {
                    assert!(outcome(end).is_none_or(|outcome| outcome.values == right), "{what}: other noise");
                    assert!(outcome(end).is_none() || ![INPUT, RESHARE].contains(&sent[target]), "{what}: accepted");
                }
                assert!(accused(&ends, 1..n).iter().all(|member| *member == 0), "{what}: somebody else is named");
            }
        }
    }
}
