//! Additive errors on products of a bit that decides something: the computation always ends, so that its end tells nothing of the
//! bit (Genkin, Ishai, Prabhakaran, Sahai, Tromer 2014 call that an additive attack).

use tacit_algebra::{F61, Field};

use crate::arithmetic::cheating::{multiply_wrongly, setup};
use crate::arithmetic::{Arithmetic, ArithmeticError};
use crate::{Ended, Simulator};

/// Runs with each bit.
const RUNS: u8 = 24;

/// How a run ended for an honest peer.
type End = Option<Result<Vec<F61>, ArithmeticError>>;

/// Deals in the first two products, also where dealers rotate.
const CHEATER: usize = 2;

/// One of two numbers is chosen by peer 1's bit. The cheater adds an error to the first product, which is of the bit with itself or with
/// what it chooses from.
fn chosen(group: (usize, usize), seed: u8, bit: u64, on_bit: bool, error: F61) -> Vec<End> {
    let mut simulator = Simulator::new(group.0, u64::from(seed));
    for me in 0..group.0 {
        let mailbox = simulator.mailbox(me);
        simulator.spawn(me, async move {
            let mut context = Arithmetic::verified(setup(&mailbox, me, group, seed))?;
            let own = [bit, 10, 20].map(F61::from_u64);
            let shared = context.input(1, 3, (me == 1).then_some(&own[..])).await?;
            let [bit, a, b] = [0, 1, 2].map(|i| shared.slice(i..i + 1));
            let error = if me == CHEATER { error } else { F61::ZERO };
            let (errors, difference) = (if on_bit { [error, F61::ZERO] } else { [F61::ZERO, error] }, a.sub(&b));
            let square = multiply_wrongly(&mut context, &bit, &bit, errors[0]).await?;
            let mut chosen = multiply_wrongly(&mut context, &square, &difference, errors[1]).await?;
            chosen.add_assign(&b);
            context.open(&chosen).await
        });
    }
    let ends: Vec<Ended<Result<Vec<F61>, ArithmeticError>>> = simulator.run();
    let honest = ends.into_iter().enumerate().filter(|(me, _)| *me != CHEATER);
    honest.map(|(_, end)| end.finished()).collect()
}

#[test]
fn rule5_an_additive_error_on_a_control_bit_always_ends_the_computation() {
    for group in [(3, 1), (4, 1), (5, 2), (7, 2), (7, 3)] {
        for bit in [0, 1] {
            let right = vec![F61::from_u64(if bit == 1 { 10 } else { 20 })];
            let honest = chosen(group, 1, bit, true, F61::ZERO);
            assert!(honest.iter().all(|end| *end == Some(Ok(right.clone()))), "{group:?}: this code is the protocol's");
        }
        for (on_bit, error) in [false, true].into_iter().flat_map(|on| [F61::ONE, -F61::ONE].map(|error| (on, error))) {
            let ended = |bit| {
                let unverified = |end: &End| matches!(end, Some(Err(ArithmeticError::Unverified)));
                let runs = (0..RUNS).map(|seed| chosen(group, seed, bit, on_bit, error));
                runs.filter(|ends| ends.iter().all(unverified)).count()
            };
            assert_eq!((ended(0), ended(1)), (RUNS.into(), RUNS.into()), "{group:?} {on_bit} {error:?}");
        }
    }
}
