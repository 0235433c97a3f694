use std::collections::{BTreeMap, HashSet};

use tacit_model::codec::Decode;

use super::choose::evaluation_point;
use super::*;

pub(crate) fn member(i: u8) -> Fingerprint {
    Fingerprint([i; 32])
}

pub(crate) fn request() -> PlanRequest {
    PlanRequest {
        session: SessionId([1; 16]),
        attempt: Attempt(0),
        slot: Slot(7),
        charter: [2; 32],
        task: [3; 32],
        aggregator: "sum".to_owned(),
        aggregator_version: 1,
        parameters: BTreeMap::from([("bounds".to_owned(), "declared".to_owned())]),
        sharing: Sharing::Shamir { threshold: 2 },
        charter_threshold: 2,
        charter_compute: 5,
        model: SecurityModel::SemiHonest,
        items: 288,
        max_element: 1000,
        modulus: None,
        members: (1..=8).map(member).collect(),
        inputs: vec![0, 1, 2, 3, 4, 5, 6, 7],
        compute: vec![0, 1, 2, 3, 4],
        recipients: vec![0, 7],
        on_missing: OnMissing::Fail,
    }
}

fn refusal(change: impl FnOnce(&mut PlanRequest)) -> PlanError {
    let mut request = request();
    change(&mut request);
    Plan::build(request).expect_err("must be refused")
}

#[test]
fn rule2_digest_covers_every_field() {
    let base = Plan::build(request()).expect("plan");
    assert_eq!(base.digest(), Plan::build(request()).expect("plan").digest());
    let mut digests = HashSet::from([base.digest()]);
    let mut differs = |what: &str, plan: Plan| {
        let digest = plan.compute_digest();
        assert!(digests.insert(digest), "{what} is not in the digest");
    };
    type Change = fn(&mut PlanRequest);
    let changes: [(&str, Change); 20] = [
        ("session", |r| r.session.0[15] ^= 1),
        ("attempt", |r| r.attempt.0 += 1),
        ("slot", |r| r.slot.0 += 1),
        ("charter", |r| r.charter[0] ^= 1),
        ("task", |r| r.task[31] ^= 1),
        ("aggregator", |r| r.aggregator.push('x')),
        ("aggregator_version", |r| r.aggregator_version += 1),
        ("parameters", |r| _ = r.parameters.insert("a".to_owned(), "b".to_owned())),
        ("sharing", |r| r.sharing = Sharing::Additive),
        ("threshold", |r| r.sharing = Sharing::Shamir { threshold: 1 }),
        ("charter_threshold", |r| r.charter_threshold = 1),
        ("charter_compute", |r| r.charter_compute += 1),
        ("model", |r| r.model = SecurityModel::Malicious),
        ("items", |r| r.items += 1),
        ("max_element", |r| r.max_element += 1),
        ("modulus", |r| r.modulus = Some(0)),
        ("members", |r| r.members[3].0[5] ^= 1),
        ("inputs", |r| _ = r.inputs.pop()),
        ("compute", |r| _ = r.compute.pop()),
        ("recipients", |r| r.recipients.push(8)),
    ];
    for (what, change) in changes {
        let mut plan = base.clone();
        change(&mut plan.request);
        differs(what, plan);
    }
    for min in 2..4 {
        let mut plan = base.clone();
        plan.request.on_missing = OnMissing::Proceed { min };
        differs("on_missing", plan);
    }
    let mut plan = base.clone();
    plan.field = FieldChoice::F127;
    differs("field", plan);
    let mut plan = base.clone();
    plan.points[2] += 1;
    differs("points", plan);
    // A list cannot pass for another one.
    let mut plan = base.clone();
    plan.request.compute.pop();
    plan.request.recipients.insert(0, 4);
    differs("where lists end", plan);
}

#[test]
fn rule2_threshold_is_never_lowered() {
    let asked = |r: &mut PlanRequest| r.sharing = Sharing::Shamir { threshold: 1 };
    assert_eq!(refusal(asked), PlanError::ThresholdChanged { asked: 1, charter: 2 });
    // Losses before the freeze leave t as it is, down to t+1 compute peers.
    for left in 3..=5 {
        let mut smaller = request();
        smaller.compute.truncate(left);
        assert_eq!(Plan::build(smaller).expect("plan").shares_needed(), 3);
    }
    assert_eq!(refusal(|r| r.compute.truncate(2)), PlanError::TooFewLeft { left: 2, needed: 3, n: 5 });
}

/// A gateway that gives each half of an even group another set of inputs.
#[test]
fn rule3_two_disjoint_halves_are_refused() {
    for (n, t) in (3..=12).flat_map(|n| (1..=(n - 1) / 2).map(move |t| (n, t))) {
        for left in 1..=n {
            let mut half = request();
            half.members = (1..=12).map(member).collect();
            half.charter_compute = n;
            half.charter_threshold = t;
            half.sharing = Sharing::Shamir { threshold: t };
            half.compute = (0..left).collect();
            let plan = Plan::build(half);
            let needed = (t + 1).max(n / 2 + 1);
            assert_eq!(plan.is_ok(), left >= needed, "{left} of {n}, t={t}");
            assert!(left < needed || 2 * left > n);
        }
    }
}

#[test]
fn rule4_points_belong_to_fingerprints() {
    let all = Plan::build(request()).expect("plan");
    let mut fewer = request();
    fewer.compute = vec![1, 3, 4];
    let fewer = Plan::build(fewer).expect("plan");
    assert_eq!(fewer.points(), [all.points()[1], all.points()[3], all.points()[4]]);
    // The rank among the members does not matter either.
    let mut shifted = request();
    shifted.members.remove(0);
    shifted.inputs.pop();
    shifted.recipients = vec![0];
    let shifted = Plan::build(shifted).expect("plan");
    assert_eq!(shifted.points()[..4], all.points()[1..]);
    let distinct: HashSet<u128> = all.points().iter().copied().collect();
    assert_eq!(distinct.len(), 5);
    assert!(!distinct.contains(&0));
}

#[test]
fn rule4_small_fields_show_that_collisions_are_found() {
    // No two fingerprints with one point are known for the working fields.
    use tacit_algebra::Fp;
    let mut wide = request();
    wide.compute = (0..8).collect();
    assert!(matches!(evaluation_points::<Fp<7>>(&wide), Err(PlanError::PointCollision { .. })));
    assert!((0..200).all(|i| evaluation_point::<Fp<3>>(&member(i)) != Field::ZERO));
}

#[test]
fn rule5_refuses_fewer_than_three_compute_peers() {
    let two = |r: &mut PlanRequest| {
        r.charter_compute = 2;
        r.compute.truncate(2);
    };
    assert_eq!(refusal(two), PlanError::TooFewComputePeers { count: 2 });
}

#[test]
fn rule5_refuses_thresholds_that_do_not_protect() {
    for (n, t, ok) in
        [(3, 1, true), (3, 0, false), (3, 2, false), (4, 1, true), (4, 2, false), (5, 2, true), (5, 3, false)]
    {
        let mut changed = request();
        changed.charter_compute = n;
        changed.charter_threshold = t;
        changed.sharing = Sharing::Shamir { threshold: t };
        changed.compute.truncate(n);
        match Plan::build(changed) {
            Ok(_) => assert!(ok),
            Err(error) => {
                assert!(!ok);
                assert_eq!(error, PlanError::BadThreshold { threshold: t, n });
            }
        }
    }
}

#[test]
fn rule5_refuses_models_and_aggregators_by_name() {
    let model = SecurityModel::Guaranteed;
    let median = |r: &mut PlanRequest| {
        r.aggregator = "median".to_owned();
        r.model = SecurityModel::Guaranteed;
    };
    assert_eq!(refusal(median), PlanError::ModelNotOffered { name: "median", model });
    let model = SecurityModel::Malicious;
    assert_eq!(refusal(|r| r.model = model), PlanError::BoundsMustBeProven { model });
    let unknown = PlanError::UnknownAggregator { name: "mode".to_owned() };
    assert!(unknown.to_string().contains("mode"));
    assert_eq!(refusal(|r| r.aggregator = "mode".to_owned()), unknown);
    assert_eq!(refusal(|r| r.aggregator_version = 2), PlanError::AggregatorVersion { name: "sum", asked: 2, here: 1 });
    let parameter = |r: &mut PlanRequest| _ = r.parameters.insert("k".to_owned(), "3".to_owned());
    assert_eq!(refusal(parameter), PlanError::BadParameter { name: "sum", parameter: "k".to_owned() });
}

/// Whatever its length, a vector's bounds are proven unless the task says that they are not; then the plan says so, too.
#[test]
fn rule7_bounds_are_never_left_to_inputs_without_a_word() {
    let of = |items: usize, bounds: Option<&str>| {
        let mut request = request();
        request.items = items;
        request.parameters = bounds.map(|text| ("bounds".to_owned(), text.to_owned())).into_iter().collect();
        Plan::build(request)
    };
    // 22 elements per number up to 1000.
    for items in [1, 50_000, MAX_PROVEN / 22] {
        assert!(of(items, None).expect("plan").bounds_proven(), "{items}");
    }
    let long = MAX_PROVEN / 22 + 1;
    let refused = of(long, None).expect_err("too long");
    assert!(matches!(refused, PlanError::ProofTooLong { limit: MAX_PROVEN, .. }), "{refused}");
    assert!(refused.to_string().contains("set bounds=declared"), "{refused}");
    let declared = of(long, Some("declared")).expect("plan");
    assert!(!declared.bounds_proven());
    assert!(declared.forecast().notes.iter().any(|note| note.contains("bounds is left to the input peers")));
}

#[test]
fn rule5_refuses_additive_sharing_after_a_loss() {
    let lost = |r: &mut PlanRequest| {
        r.sharing = Sharing::Additive;
        r.compute.truncate(4);
    };
    assert_eq!(refusal(lost), PlanError::AdditiveWithLoss { left: 4, n: 5 });
}

#[test]
fn rule5_refuses_moduli_that_cannot_be_right() {
    assert_eq!(refusal(|r| r.modulus = Some(1015)), PlanError::CompositeModulus { modulus: 1015 });
    assert_eq!(refusal(|r| r.modulus = Some(1)), PlanError::CompositeModulus { modulus: 1 });
    let above = |max_element| {
        refusal(|r| {
            r.modulus = Some(1013);
            r.max_element = max_element;
        })
    };
    assert_eq!(above(1013), PlanError::MaxElementAboveModulus { max_element: 1013, modulus: 1013 });
    let mut fits = request();
    fits.modulus = Some(1013);
    fits.max_element = 1012;
    assert!(Plan::build(fits).is_ok());
}

#[test]
fn rule5_refuses_rosters_that_make_no_sense() {
    assert_eq!(refusal(|r| r.inputs.truncate(1)), PlanError::TooFewInputs { count: 1 });
    assert_eq!(refusal(|r| r.recipients.clear()), PlanError::NoRecipients);
    assert_eq!(refusal(|r| r.members[1] = r.members[0]), PlanError::DuplicateMember { member: member(1) });
    assert_eq!(refusal(|r| r.members.swap(1, 2)), PlanError::MembersNotSorted);
    assert_eq!(refusal(|r| r.inputs[7] = 8), PlanError::BadRoster { list: "inputs" });
    assert_eq!(refusal(|r| r.compute[1] = 0), PlanError::BadRoster { list: "compute" });
    assert_eq!(refusal(|r| r.recipients = vec![7, 0]), PlanError::BadRoster { list: "recipients" });
    assert_eq!(refusal(|r| r.on_missing = OnMissing::Proceed { min: 1 }), PlanError::BadMinimum { min: 1, inputs: 8 });
    assert_eq!(refusal(|r| r.on_missing = OnMissing::Proceed { min: 9 }), PlanError::BadMinimum { min: 9, inputs: 8 });
    assert_eq!(refusal(|r| r.items = 0), PlanError::NoItems);
    assert_eq!(
        refusal(|r| r.items = MAX_ITEMS + 1),
        PlanError::TooManyItems { items: MAX_ITEMS + 1, limit: MAX_ITEMS }
    );
    let more = |r: &mut PlanRequest| r.charter_compute = 4;
    assert!(matches!(refusal(more), PlanError::TooManyComputePeers { .. } | PlanError::BadThreshold { .. }));
}

#[test]
fn rule8_field_is_large_enough_for_every_sum() {
    let field = |max_element, inputs: usize| {
        let mut r = request();
        r.max_element = max_element;
        r.inputs.truncate(inputs);
        Plan::build(r).expect("plan").field()
    };
    let p = (1u64 << 61) - 1;
    assert_eq!(field((p - 1) / 2, 2), FieldChoice::F61);
    assert_eq!(field(p.div_ceil(2), 2), FieldChoice::F127);
    assert_eq!(field(u64::MAX, 8), FieldChoice::F127);
}

#[test]
fn aliases_give_the_same_plan() {
    let mut alias = request();
    alias.aggregator = "additive".to_owned();
    assert_eq!(Plan::build(alias).expect("plan").digest(), Plan::build(request()).expect("plan").digest());
}

#[test]
fn requests_survive_the_wire() {
    let mut r = request();
    r.parameters.insert("k".to_owned(), "3".to_owned());
    r.modulus = Some(1013);
    r.on_missing = OnMissing::Proceed { min: 2 };
    let bytes = r.to_bytes();
    assert_eq!(PlanRequest::from_bytes(&bytes), Ok(r));
    for end in 0..bytes.len() {
        assert!(PlanRequest::from_bytes(&bytes[..end]).is_err());
    }
}

#[test]
fn forecast_speaks_plainly() {
    let text = Plan::build(request()).expect("plan").forecast().to_string();
    assert!(text.contains("survives the loss of 2 compute peers after the freeze"), "{text}");
    assert!(text.contains("2 always noticed, 0 corrected and named"), "{text}");
    let corrected = |n: usize, t: usize| {
        let mut request = request();
        request.charter_compute = n;
        request.charter_threshold = t;
        request.sharing = Sharing::Shamir { threshold: t };
        request.compute = (0..n).collect();
        Plan::build(request).expect("plan").forecast().corrected
    };
    let found: Vec<usize> =
        [(3, 1), (4, 1), (5, 1), (5, 2), (6, 2), (7, 2), (8, 2)].map(|(n, t)| corrected(n, t)).into();
    assert_eq!(found, [0, 1, 1, 0, 0, 2, 2]);
}

#[test]
fn forecast_of_each_model() {
    let forecast = |model, n: usize, threshold| {
        let mut request = request();
        request.parameters.clear();
        (request.model, request.on_missing) = (model, OnMissing::Proceed { min: 2 });
        (request.charter_compute, request.charter_threshold) = (n, threshold);
        request.sharing = Sharing::Shamir { threshold };
        request.compute = (0..n).collect();
        Plan::build(request).expect("plan").forecast()
    };
    let survives = |model, n, t| {
        let forecast = forecast(model, n, t);
        (forecast.losses_before, forecast.losses, forecast.corrected)
    };
    assert_eq!(survives(SecurityModel::SemiHonest, 7, 2), (0, 4, 2));
    assert_eq!(survives(SecurityModel::Malicious, 5, 2), (0, 0, 0));
    assert_eq!(survives(SecurityModel::Malicious, 7, 2), (0, 2, 2));
    assert_eq!(survives(SecurityModel::Guaranteed, 7, 2), (2, 2, 2));
    let text = forecast(SecurityModel::Guaranteed, 4, 1).to_string();
    assert!(text.contains("survives the loss of 1 compute peers at any time"), "{text}");
    assert_eq!(forecast(SecurityModel::SemiHonest, 3, 1).rounds + 1, forecast(SecurityModel::Malicious, 3, 1).rounds);
}

proptest::proptest! {
    #[test]
    fn bytes_from_outside_never_panic(changes in proptest::collection::vec((0usize..800, proptest::num::u8::ANY), 1..6)) {
        let mut bytes = request().to_bytes();
        for (at, value) in changes {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        if let Ok(decoded) = PlanRequest::from_bytes(&bytes) {
            proptest::prop_assert_eq!(decoded.to_bytes(), bytes, "one encoding per request");
            let _ = Plan::build(decoded).map(|plan| plan.forecast().to_string());
        }
    }
}

/// However small the declared modulus is, checks and shares live in a field of 61 bits at least.
#[test]
fn rule6_small_moduli_are_computed_in_large_fields() {
    for modulus in
        [None, Some(5), Some(13), Some(257), Some(1013), Some(2_147_483_647), Some(9_223_372_036_854_775_783)]
    {
        let mut request = request();
        request.modulus = modulus;
        request.max_element = 1;
        let plan = Plan::build(request).expect("a plan");
        let bits = match plan.field() {
            FieldChoice::F61 => 61,
            FieldChoice::F127 => 127,
        };
        // Nothing that is opened reaches the field's end, so the modulus never wraps a sum.
        assert!(plan.bound(0) * 8 < 1 << (bits - 1), "{modulus:?}");
        assert_eq!(plan.request().modulus, modulus);
    }
    // Wide inputs get the wide field, not a tight one.
    let mut wide = request();
    wide.max_element = u64::MAX;
    assert_eq!(Plan::build(wide).expect("a plan").field(), FieldChoice::F127);
}

/// Peers of versions that exchange other messages have other digests, and decline each other's jobs.
#[test]
fn rule2_the_digest_covers_the_version_of_the_messages() {
    for (model, version) in [
        (SecurityModel::SemiHonest, None),
        (SecurityModel::Malicious, None),
        (SecurityModel::Guaranteed, Some(&b"tacit/guaranteed/v4"[..])),
    ] {
        let mut request = request();
        request.model = model;
        request.parameters.clear();
        (request.sharing, request.charter_threshold) = (Sharing::Shamir { threshold: 1 }, 1);
        if model == SecurityModel::Guaranteed {
            request.on_missing = OnMissing::Proceed { min: 2 };
        }
        let plan = Plan::build(request).expect("a plan");
        let bytes = plan.canonical_bytes();
        let found = bytes.windows(19).find(|window| *window == b"tacit/guaranteed/v4");
        assert_eq!(found, version, "{model:?}");
    }
}
