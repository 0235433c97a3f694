//! Vectors in batches.

use tacit_model::Slot;

use crate::world::{World, outcome};

/// A thousand numbers, one, ten, a hundred and all of them at a time: the same sums, and the larger the batch the
/// fewer messages.
#[test]
fn f22_batches_of_a_thousand_items_are_the_same_sums_with_fewer_messages() {
    const ITEMS: usize = 1000;
    let whole = World::decentralised(3, 1, ITEMS, 22);
    let expected = whole.sum_of(&[0, 1, 2]);
    let mut before = usize::MAX;
    for batch in [1, 10, 100, ITEMS] {
        let (mut sums, mut messages) = (Vec::new(), 0);
        for start in (0..ITEMS).step_by(batch) {
            let mut part = whole.clone().fresh();
            part.request.items = batch;
            part.request.slot = Slot(i64::try_from(start).expect("a small number"));
            let cut = |input: &Option<Vec<u64>>| input.as_ref().map(|all| all[start..start + batch].to_vec());
            part.inputs = whole.inputs.iter().map(cut).collect();
            let (ends, wire) = part.tapped();
            messages += wire.len();
            let first = outcome(&ends[0]).expect("a result");
            assert!(ends.iter().all(|end| outcome(end).is_some_and(|other| other.values == first.values)));
            sums.extend(first.values.clone().expect("a recipient"));
        }
        assert_eq!(sums, expected, "batches of {batch}");
        assert!(messages < before, "batches of {batch}: {messages} messages, before {before}");
        before = messages;
    }
}
