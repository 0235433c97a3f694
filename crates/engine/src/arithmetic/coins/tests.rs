//! Compute peers that run other code while the coins of noise are tossed (rule 9), each as consistently as it can: what they deal
//! lies on polynomials, and their own shares fit.

use std::cell::Cell;
use std::rc::Rc;

use tacit_algebra::F61;

use super::*;
use crate::arithmetic::cheating::{multiply_wrongly, setup};
use crate::{Ended, Simulator};

const GROUPS: [(usize, usize); 5] = [(3, 1), (4, 1), (5, 2), (7, 2), (7, 3)];
const CHANCES: [u64; 4] = [1 << 63, 1 << 60, u64::MAX / 3, u64::MAX];
/// The first byte of messages (the table is in arithmetic/wire.rs).
const OPEN: u8 = 6;

/// What a cheater does differently.
#[derive(Clone, Copy, Debug)]
enum Cheat {
    /// Nothing: this file's code is the protocol's.
    Nothing,
    /// Deals this in place of each sign, where dealers make the bits (t = 1).
    Deals(F61),
    /// Adds this to its part of each product that bits are made of.
    Product(F61),
    /// Goes on with other shares of the bits than it has.
    Bits(F61),
    /// Compares with other chances.
    Chances([u64; 4]),
    /// Opens other shares of the coins than it has.
    Coins(F61),
}

type Opened = Result<Vec<F61>, ArithmeticError>;

/// What a cheater runs in place of [`Arithmetic::biased_bits`].
async fn cheated(
    context: &mut Arithmetic<'_, F61>,
    chances: &[u64],
    cheat: Cheat,
) -> Result<Shared<F61>, ArithmeticError> {
    let mut bits = bits(context, chances.len() * WIDTH, cheat).await?;
    if let Cheat::Bits(error) = cheat {
        bits.add_constant(&vec![error; chances.len() * WIDTH]);
    }
    let own = if let Cheat::Chances(own) = &cheat { own } else { chances };
    let largest: Vec<u128> = own.iter().map(|chance| u128::from(*chance) - 1).collect();
    let mut coins = context.less_than_bits(&largest, &bits, WIDTH).await?;
    coins.scale(-F61::ONE);
    let error = if let Cheat::Coins(error) = cheat { error } else { F61::ZERO };
    coins.add_constant(&vec![F61::ONE + error; chances.len()]);
    Ok(coins)
}

/// In place of [`Arithmetic::random_bits`].
async fn bits(context: &mut Arithmetic<'_, F61>, length: usize, cheat: Cheat) -> Result<Shared<F61>, ArithmeticError> {
    let error = if let Cheat::Product(error) = cheat { error } else { F61::ZERO };
    let mut signs = if context.t == 1 {
        let first = context.next_turn();
        let dealers = [first, (first + 1) % context.n];
        let mut lengths = vec![0; context.n];
        dealers.iter().for_each(|dealer| lengths[*dealer] = length);
        let sign = if let Cheat::Deals(number) = cheat { number } else { -F61::ONE };
        let shared = context.input_all(&lengths, &vec![sign; lengths[context.me]]).await?;
        multiply_wrongly(context, &shared[dealers[0]], &shared[dealers[1]], error).await?
    } else {
        let mut random = context.random(length).await?;
        let squares = multiply_wrongly(context, &random, &random, error).await?;
        let opened = context.open(&squares).await?;
        let roots: Vec<F61> = opened.iter().map(|square| square.pow_vartime(1 << 59).inv_or_zero()).collect();
        random.scale_each(&roots);
        random
    };
    let half = F61::from_u64(2).inv_or_zero();
    signs.scale(half);
    signs.add_constant(&vec![half; length]);
    let bits = signs.expose_shares();
    context.note(bits, bits, 1, bits).await?;
    Ok(signs)
}

/// Tosses coins, with a cheater among the peers; and how many of the others' messages opened so many numbers as there are coins.
fn tossed(group: (usize, usize), chances: &[u64], cheater: usize, cheat: Cheat) -> (Vec<Ended<Opened>>, usize) {
    let mut simulator: Simulator<'_, Opened> = Simulator::new(group.0, 5);
    let opened = Rc::new(Cell::new(0));
    for me in 0..group.0 {
        let mailbox = simulator.mailbox(me);
        simulator.spawn(me, async move {
            let mut context = Arithmetic::verified(setup(&mailbox, me, group, 9))?;
            let coins = match me == cheater {
                true => cheated(&mut context, chances, cheat).await?,
                false => context.biased_bits(chances).await?,
            };
            context.open(&coins).await
        });
        let (counter, wanted) = (Rc::clone(&opened), 5 + 8 * chances.len());
        simulator.rewrite(me, move |_, message| {
            let opens = me != cheater && message[0] == OPEN && message.len() == wanted;
            counter.set(counter.get() + usize::from(opens));
            Some(message)
        });
    }
    (simulator.run(), opened.get())
}

#[test]
fn rule9_a_peer_that_cheats_at_noise_never_makes_a_coin() {
    let two = F61::from_u64(2);
    let dealt = [F61::ZERO, two, -two, F61::from_u64(77)].map(Cheat::Deals);
    let everywhere = [
        Cheat::Product(F61::ONE),
        Cheat::Product(-two),
        Cheat::Bits(F61::ONE),
        Cheat::Bits(F61::from_u64(77)),
        Cheat::Chances([u64::MAX; 4]),
        Cheat::Chances([1; 4]),
        Cheat::Coins(F61::ONE),
        Cheat::Coins(-F61::ONE),
    ];
    for group in GROUPS {
        let (ends, opened) = tossed(group, &CHANCES, 0, Cheat::Nothing);
        let coins = |end: &Ended<Opened>| match end {
            Ended::Finished(Ok(coins)) => coins.clone(),
            _ => panic!("{group:?}: the cheater's code is not the protocol's"),
        };
        assert!(ends.iter().all(|end| coins(end) == coins(&ends[0])) && opened > 0);
        assert!(coins(&ends[0]).iter().all(|coin| *coin == F61::ZERO || *coin == F61::ONE));
        // Peers 0 and 1 deal signs; where dealers of products rotate, 1 and 2 are among them.
        let signs = dealt.into_iter().filter(|_| group.1 == 1).flat_map(|cheat| [(cheat, 0), (cheat, 1)]);
        let cheats = signs.chain(everywhere.into_iter().flat_map(|cheat| [(cheat, 1), (cheat, 2)]));
        for (cheat, cheater) in cheats {
            let (ends, opened) = tossed(group, &CHANCES, cheater, cheat);
            for (me, end) in ends.iter().enumerate().filter(|(me, _)| *me != cheater) {
                let found = match end {
                    Ended::Finished(Err(ArithmeticError::WrongShares { members })) => {
                        members.iter().all(|member| *member == cheater)
                    }
                    Ended::Finished(Err(ArithmeticError::Unverified | ArithmeticError::Lost { .. })) => true,
                    _ => false,
                };
                assert!(found, "{cheat:?} by {cheater} of {group:?}, seen by {me}");
            }
            // A wrong share of what is right is all that gets as far as the opening.
            assert_eq!(opened > 0, matches!(cheat, Cheat::Coins(_)), "{cheat:?} by {cheater} of {group:?}");
        }
    }
}

/// One that always deals the same sign keeps to the protocol, and chooses nothing: the other dealer's signs are random.
#[test]
fn rule9_a_dealer_that_always_deals_the_same_biases_no_coin() {
    const EACH: usize = 300;
    let chances: Vec<u64> = [1 << 63, u64::MAX / 3].repeat(EACH);
    for (group, sign) in [(3, 1), (4, 1)].into_iter().flat_map(|g| [F61::ONE, -F61::ONE].map(|sign| (g, sign))) {
        let (ends, _) = tossed(group, &chances, 0, Cheat::Deals(sign));
        let Ended::Finished(Ok(coins)) = &ends[2] else { panic!("{group:?}: no coins") };
        let ones = |kind: usize| coins.iter().skip(kind).step_by(2).filter(|coin| **coin == F61::ONE).count();
        // Five standard deviations: 43 and 41.
        assert!(
            ones(0).abs_diff(EACH / 2) < 43 && ones(1).abs_diff(EACH / 3) < 41,
            "{group:?}: {} {}",
            ones(0),
            ones(1)
        );
    }
}
