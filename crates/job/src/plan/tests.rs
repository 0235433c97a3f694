use tacit_accord::MemberRole;
use tacit_model::RunId;

use super::*;
use crate::branches::tests::charter;

fn job(inputs: &[u8], parameters: &[(&str, &str)]) -> Job {
    let who = |numbers: &[u8]| numbers.iter().map(|number| Fingerprint([*number; 32])).collect::<Vec<_>>();
    Job {
        session: SessionId([0; 16]),
        group: tacit_model::GroupId(1),
        charter: tacit_accord::ConsensusId([0; 32]),
        run: RunId(1),
        slot: Slot(0),
        attempt: Attempt(0),
        task: Task {
            purpose: "alerts".to_owned(),
            source: Source::Queue,
            aggregator: "event_correlation".to_owned(),
            items: 3,
            max_element: "9".to_owned(),
            modulus: None,
            on_missing_input: OnMissingInput::Fail,
            parameters: parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        },
        inputs: who(inputs),
        compute: who(&[1, 2, 3]),
        recipients: who(&[1]),
    }
}

/// Weights follow members, by name or certificate, whoever else is there today; and nobody else has one.
#[test]
fn p31_weights_of_members_are_those_of_their_places() {
    use MemberRole::{Both, Input, Privacy};
    let members = [(1, "a", Both), (2, "b", Both), (3, "c", Privacy), (4, "d", Input), (5, "e", Input)];
    let charter = charter(&members);
    let five = Fingerprint([5; 32]).to_string();
    let placed = |inputs: &[u8], weights: &str| {
        let job = job(inputs, &[("min_peers", "2"), ("min_peer_weight", "2"), (PEER_WEIGHTS, weights)]);
        let request = request(&charter, &job)?;
        Plan::build(request.clone())?;
        Ok::<_, JobError>(request.parameters.get(PEER_WEIGHTS).cloned())
    };
    assert_eq!(placed(&[1, 2, 4, 5], &format!("m4=7,{five}=2,m1=0")), Ok(Some("0=0,2=7,3=2".to_owned())));
    assert_eq!(placed(&[1, 5], &format!("m4=7,{five}=2")), Ok(Some("1=2".to_owned())));
    assert_eq!(placed(&[1, 2], "m4=7"), Ok(None));
    for stranger in ["m9", "m3", "1", "a"] {
        let refused = placed(&[1, 2, 4, 5], &format!("m4=7,{stranger}=2"));
        assert_eq!(refused, Err(JobError::Weighed(stranger.to_owned())));
    }
    assert!(placed(&[1, 2, 4, 5], &format!("m5=7,{five}=2")).is_err(), "one member under two names");
    for nonsense in ["m4", "m4=", "m4=1000001", "m4=99999999999999999999", "m4=1,m4=2"] {
        let name = "event_correlation";
        let bad = PlanError::BadParameter { name, parameter: PEER_WEIGHTS.to_owned() };
        assert_eq!(placed(&[1, 2, 4, 5], nonsense), Err(JobError::Plan(bad)), "{nonsense}");
    }
    let light = PlanError::PeersWeighTooLittle { total: 1, least: 2 };
    assert_eq!(placed(&[1, 2], "m1=0"), Err(JobError::Plan(light)));
}

/// What the list of aggregators shows as an example is taken, and a quantile's level is no level of branches.
#[test]
fn examples_of_all_aggregators_are_configurations_that_are_taken() {
    let configuration = |aggregator: &aggregate::Aggregator| {
        let example = aggregate::Example::of(aggregator);
        let parameters = example.parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Configuration {
            field: "2305843009213693951".to_owned(),
            max_element: example.max_element.to_string(),
            aggregator: example.name.to_owned(),
            items: u32::try_from(example.items).expect("small"),
            parameters: parameters.collect(),
            time_slots: 1,
            result_buffer_size: 1,
        }
    };
    for aggregator in aggregate::registry() {
        let mut configuration = configuration(aggregator);
        assert_eq!(check_configuration(&configuration), Ok(()), "{}", aggregator.name);
        for level in ["branch", "root"] {
            configuration.parameters.insert(LEVEL.to_owned(), level.to_owned());
            assert_eq!(check_configuration(&configuration), Err(JobError::Level), "{}", aggregator.name);
        }
    }
}

/// A configuration is looked at before members are known, for the smallest group that it could be right for.
#[test]
fn configurations_for_more_than_two_input_peers() {
    let configuration = |parameters: &[(&str, &str)]| Configuration {
        field: "1013".to_owned(),
        max_element: "9".to_owned(),
        aggregator: "event_correlation".to_owned(),
        items: 3,
        parameters: parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        time_slots: 1,
        result_buffer_size: 1,
    };
    let check = |parameters: &[(&str, &str)]| check_configuration(&configuration(parameters));
    for right in [
        &[("min_peers", "2")][..],
        &[("min_peers", "17")],
        &[("min_peer_weight", "5"), ("peer_weights", "alpha=3,beta=2")],
        &[("min_peer_weight", "40"), ("peer_weights", "alpha=3,beta=2,gamma=0,delta=1")],
        &[("min_peer_weight", "4")],
    ] {
        assert_eq!(check(right), Ok(()), "{right:?}");
    }
    let missing = |parameter| JobError::Plan(PlanError::MissingParameter { name: "event_correlation", parameter });
    assert_eq!(check(&[]), Err(missing("min_peers")));
    assert_eq!(check(&[("peer_weights", "alpha=3")]), Err(missing("min_peer_weight")));
    for wrong in [
        &[("min_peers", "0")][..],
        &[("min_peer_weight", "0")],
        &[("min_peer_weight", "3"), ("peer_weights", "alpha=3,beta=2")],
        &[("min_peer_weight", "18446744073709551615")],
        &[("min_peer_weight", "3"), ("peer_weights", "alpha:3")],
    ] {
        assert!(matches!(check(wrong), Err(JobError::Plan(_))), "{wrong:?}");
    }
}

/// The operator hears it at once, and not from every member at every slot.
#[test]
fn f15_what_no_provider_computes_is_refused_before_anybody_is_asked() {
    let configured = |aggregator: &str, model: &str| {
        let parameters = [(PROVIDER, "mpyc"), (MODEL, model)];
        check_configuration(&Configuration {
            field: "1013".to_owned(),
            max_element: "9".to_owned(),
            aggregator: aggregator.to_owned(),
            items: 3,
            parameters: parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            time_slots: 1,
            result_buffer_size: 1,
        })
    };
    assert_eq!(configured("additive", "semi-honest"), Ok(()));
    for (aggregator, model) in [("sum", "malicious"), ("mean", "semi-honest")] {
        assert!(matches!(configured(aggregator, model), Err(JobError::Provider(_))), "{aggregator} {model}");
    }
    let charter = charter(&[(1, "a", MemberRole::Both), (2, "b", MemberRole::Both), (3, "c", MemberRole::Both)]);
    let mut job = job(&[1, 2, 3], &[(PROVIDER, "mpyc")]);
    job.task.aggregator = "sum".to_owned();
    let check = |job: &Job| check_provided(&Plan::build(request(&charter, job)?)?);
    assert!(matches!(check(&job), Err(JobError::Provider(_))), "one member alone learns the result");
    job.recipients.clone_from(&job.inputs);
    assert_eq!(check(&job), Ok(()));
}
