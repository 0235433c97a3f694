//! A simulated group and what its members get.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use tacit_engine::aggregate::{self, Function};
use tacit_engine::simulator::SplitMix;
use tacit_engine::{
    Ended, Environment, Journal, OnMissing, Outcome, Plan, PlanRequest, SecurityModel, SessionError, Sharing,
    SimulatedEnvironment, Simulator, run,
};
use tacit_model::{Attempt, Fingerprint, SessionId, Slot};

use crate::reference::threshold;

/// The first byte of messages (the table is in session/message.rs).
pub(crate) const COMMITMENT: u8 = 1;
pub(crate) const SHARES: u8 = 3;
pub(crate) const VIEW: u8 = 4;
pub(crate) const FREEZE: u8 = 5;
pub(crate) const RESULT: u8 = 6;
pub(crate) const OPENED: u8 = 8;
pub(crate) const CHECK: u8 = 10;
pub(crate) const HOLD: u8 = 13;
pub(crate) const COIN: u8 = 14;
pub(crate) const ANSWERS: u8 = 15;
pub(crate) const KEYS: u8 = 16;
pub(crate) const MASKED: u8 = 18;
pub(crate) const AGREE: u8 = 19;

pub(crate) type Sim<'a> = Simulator<'a, Result<Outcome, SessionError>>;
pub(crate) type Ends = Vec<Ended<Result<Outcome, SessionError>>>;

/// What a session took.
pub(crate) struct Measured {
    pub(crate) rounds: usize,
    /// Sent by all members together.
    pub(crate) bytes: u64,
    pub(crate) ends: Ends,
    /// Bytes on their way at once.
    pub(crate) most_in_flight: usize,
}

/// Members, a plan over them, inputs, and a seed for everything random.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) request: PlanRequest,
    pub(crate) inputs: Vec<Option<Vec<u64>>>,
    pub(crate) journals: Vec<Journal>,
    pub(crate) nonce: u8,
}

impl World {
    /// Every member gives, computes and receives.
    pub(crate) fn decentralised(n: usize, t: usize, items: usize, seed: u64) -> Self {
        Self::new(n, (0..n).collect(), (0..n).collect(), (0..n).collect(), t, items, seed)
    }

    /// The first `n` members compute, the next `m` give and receive.
    pub(crate) fn delegated(m: usize, n: usize, t: usize, items: usize, seed: u64) -> Self {
        let givers: Vec<usize> = (n..n + m).collect();
        Self::new(n + m, givers.clone(), (0..n).collect(), givers, t, items, seed)
    }

    fn new(
        members: usize,
        inputs: Vec<usize>,
        compute: Vec<usize>,
        recipients: Vec<usize>,
        t: usize,
        items: usize,
        seed: u64,
    ) -> Self {
        let mut random = SplitMix::new(seed ^ 0xabcd);
        let mut fingerprints: Vec<Fingerprint> = (0..members)
            .map(|_| {
                let mut bytes = [0; 32];
                bytes.iter_mut().for_each(|b| *b = random.next_u64() as u8);
                Fingerprint(bytes)
            })
            .collect();
        fingerprints.sort_unstable();
        let request = PlanRequest {
            session: SessionId([5; 16]),
            attempt: Attempt(0),
            slot: Slot(0),
            charter: [1; 32],
            task: [2; 32],
            aggregator: "sum".to_owned(),
            aggregator_version: 1,
            parameters: BTreeMap::from([("bounds".to_owned(), "declared".to_owned())]),
            sharing: Sharing::Shamir { threshold: t },
            charter_threshold: t,
            charter_compute: compute.len(),
            model: SecurityModel::SemiHonest,
            items,
            max_element: 1000,
            modulus: None,
            members: fingerprints,
            inputs,
            compute,
            recipients,
            on_missing: OnMissing::Fail,
        };
        let journals = (0..members).map(|_| Journal::default()).collect();
        let mut world = Self { seed, request, inputs: Vec::new(), journals, nonce: 0 };
        world.draw_inputs();
        world
    }

    /// New inputs up to the maximum, border values often.
    pub(crate) fn draw_inputs(&mut self) {
        let mut random = SplitMix::new(self.seed);
        let max = self.request.max_element;
        self.inputs = (0..self.request.members.len())
            .map(|member| {
                let vector = || {
                    let value = |random: &mut SplitMix| match random.below(5) {
                        0 => 0,
                        1 => max,
                        _ => random.below(max.saturating_add(1)),
                    };
                    (0..self.request.items).map(|_| value(&mut random)).collect()
                };
                self.request.inputs.contains(&member).then(vector)
            })
            .collect();
    }

    /// The same with empty journals.
    pub(crate) fn fresh(mut self) -> Self {
        self.journals.iter_mut().for_each(|journal| *journal = Journal::default());
        self
    }

    pub(crate) fn with_max(mut self, max: u64) -> Self {
        self.request.max_element = max;
        self.draw_inputs();
        self
    }

    /// Bounds are proven, in this model.
    pub(crate) fn proven(mut self, model: SecurityModel) -> Self {
        self.request.parameters.clear();
        self.request.model = model;
        self
    }

    /// The same task in this model, against as many compute peers as it allows; with empty journals.
    pub(crate) fn in_model(mut self, model: SecurityModel) -> Self {
        let aggregator = aggregate::find(&self.request.aggregator).expect("registered");
        let t = threshold(self.request.compute.len(), model, aggregator.function == Function::Sum);
        self.request.model = model;
        (self.request.sharing, self.request.charter_threshold) = (Sharing::Shamir { threshold: t }, t);
        let world = if model == SecurityModel::Guaranteed { self.proceed(2) } else { self };
        world.fresh()
    }

    pub(crate) fn proceed(mut self, min: usize) -> Self {
        self.request.on_missing = OnMissing::Proceed { min };
        self
    }

    pub(crate) fn plan(&self) -> Plan {
        Plan::build(self.request.clone()).expect("the test's plan is right")
    }

    pub(crate) fn nonces(&self) -> Vec<[u8; 32]> {
        vec![[self.nonce; 32]; self.request.members.len()]
    }

    pub(crate) fn environment(&self, member: usize) -> SimulatedEnvironment {
        SimulatedEnvironment::with_journal(self.seed, member, self.journals[member].clone())
    }

    /// The plaintext sum over these members.
    pub(crate) fn sum_of(&self, contributors: &[usize]) -> Vec<u128> {
        let given = |item: usize| contributors.iter().filter_map(move |m| self.inputs[*m].as_ref().map(|v| v[item]));
        (0..self.request.items).map(|item| given(item).map(u128::from).sum()).collect()
    }

    /// Everybody honest, under what `change` does to the simulator.
    pub(crate) fn run(&self, change: impl FnOnce(&mut Sim<'_>)) -> Ends {
        self.run_and_look(change, |_, ends| ends)
    }

    /// Everybody honest; what it took.
    pub(crate) fn measure(&self) -> Measured {
        let members = self.request.members.len();
        let round_by_round = |simulator: &mut Sim<'_>| simulator.in_rounds();
        self.run_and_look(round_by_round, |simulator, ends| Measured {
            rounds: simulator.rounds() as usize,
            bytes: (0..members).map(|member| simulator.counters(member).total_sent().bytes).sum(),
            ends,
            most_in_flight: simulator.most_in_flight(),
        })
    }

    /// Everybody honest; and everything that was sent.
    pub(crate) fn tapped(&self) -> (Ends, Wire) {
        self.altered(|_, _, message| Some(message))
    }

    /// The same, where every message is what `alter` makes of it: (from, to, message).
    pub(crate) fn altered(&self, alter: impl Fn(usize, usize, Vec<u8>) -> Option<Vec<u8>> + 'static) -> (Ends, Wire) {
        let (wire, alter) = (Rc::new(RefCell::new(Wire::new())), Rc::new(alter));
        let ends = self.run(|simulator| {
            for from in 0..self.request.members.len() {
                let (wire, alter) = (Rc::clone(&wire), Rc::clone(&alter));
                simulator.rewrite(from, move |to, message| {
                    let message = alter(from, to, message)?;
                    wire.borrow_mut().push((from, to, message.clone()));
                    Some(message)
                });
            }
        });
        (ends, wire.take())
    }

    /// The bytes that a member sends, on average, and those that the planner foresees.
    pub(crate) fn sent_and_foreseen(&self) -> (f64, f64) {
        let forecast = self.plan().forecast();
        let sent: usize = self.tapped().1.iter().map(|(_, _, message)| message.len()).sum();
        (sent as f64 / self.request.members.len() as f64, (forecast.input_bytes + forecast.compute_bytes) as f64)
    }

    fn run_and_look<T>(&self, change: impl FnOnce(&mut Sim<'_>), look: impl FnOnce(&Sim<'_>, Ends) -> T) -> T {
        self.run_among(|member| self.environment(member), change, look)
    }

    /// The same, where each member has an environment of the test's own.
    pub(crate) fn run_among<T, E: Environment>(
        &self,
        environment: impl Fn(usize) -> E,
        change: impl FnOnce(&mut Sim<'_>),
        look: impl FnOnce(&Sim<'_>, Ends) -> T,
    ) -> T {
        let plan = self.plan();
        let nonces = self.nonces();
        let mut simulator = Sim::new(self.request.members.len(), self.seed);
        for member in 0..self.request.members.len() {
            let mailbox = simulator.mailbox(member);
            let mut environment = environment(member);
            let input = self.inputs[member].clone().map(Into::into);
            let (plan, nonces) = (&plan, &nonces);
            simulator.spawn(member, async move { run(plan, member, &mailbox, &mut environment, nonces, input).await });
        }
        change(&mut simulator);
        let ends = simulator.run();
        look(&simulator, ends)
    }

    /// Runs and checks that every recipient has the right sum and the same agreement.
    pub(crate) fn run_and_check(&self) {
        let all = self.request.inputs.clone();
        let mut agreements = Vec::new();
        for (member, end) in self.run(|_| {}).into_iter().enumerate() {
            let outcome = match end {
                Ended::Finished(Ok(outcome)) => outcome,
                Ended::Finished(Err(error)) => panic!("member {member}: {error}"),
                _ => panic!("member {member} has no result"),
            };
            let computes = self.request.compute.contains(&member);
            let receives = self.request.recipients.contains(&member);
            assert_eq!(outcome.values, receives.then(|| self.sum_of(&all)), "member {member}");
            assert_eq!(outcome.contributors, if computes || receives { all.clone() } else { Vec::new() });
            assert!(outcome.faults.is_empty());
            assert_eq!(outcome.receipt.is_some(), all.contains(&member));
            if receives {
                agreements.push(outcome.agreement);
            } else {
                assert_eq!(outcome.agreement, [0; 32]);
            }
        }
        assert!(agreements.iter().all(|a| *a == agreements[0] && *a != [0; 32]));
    }
}

/// The error of a member that finished with one.
pub(crate) fn error(end: &Ended<Result<Outcome, SessionError>>) -> Option<&SessionError> {
    match end {
        Ended::Finished(Err(error)) => Some(error),
        _ => None,
    }
}

/// The outcome of a member that finished well.
pub(crate) fn outcome(end: &Ended<Result<Outcome, SessionError>>) -> Option<&Outcome> {
    match end {
        Ended::Finished(Ok(outcome)) => Some(outcome),
        _ => None,
    }
}

/// Everything that was sent: (from, to, message).
pub(crate) type Wire = Vec<(usize, usize, Vec<u8>)>;

/// The kinds of messages that a member sent, in order.
pub(crate) fn kinds(wire: &Wire, from: usize) -> Vec<u8> {
    wire.iter().filter(|(sender, _, _)| *sender == from).map(|(_, _, message)| message[0]).collect()
}

/// How many messages of a kind went from (any of) these members.
pub(crate) fn count(wire: &Wire, tag: u8, from: impl Fn(usize) -> bool) -> usize {
    wire.iter().filter(|(sender, _, message)| from(*sender) && message[0] == tag).count()
}

/// Of a member's messages, the one of this number, counted from 0, is what `change` makes of it.
pub(crate) fn change_one(
    simulator: &mut Sim<'_>,
    member: usize,
    number: usize,
    change: impl Fn(Vec<u8>) -> Option<Vec<u8>> + 'static,
) {
    let mut numbers = 0..;
    simulator.rewrite(
        member,
        move |_, message| {
            if numbers.next() == Some(number) { change(message) } else { Some(message) }
        },
    );
}
