//! The product over all contributors, item by item.

use tacit_algebra::Field;

use super::{Cost, Evaluate, Inputs, Settings};
use crate::arithmetic::{Arithmetic, ArithmeticError, Shared};

/// One product per item, over a tree of multiplications. With p > max^contributors it never wraps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Product {
    items: usize,
    max_element: u128,
}

impl Product {
    pub(super) fn new(settings: &Settings<'_>) -> Self {
        Self { items: settings.items(), max_element: settings.max_element() }
    }
}

impl Evaluate for Product {
    fn each(&self) -> bool {
        true
    }

    fn outputs(&self) -> usize {
        self.items
    }

    fn largest(&self, _: usize, contributors: usize) -> Option<u128> {
        self.max_element.checked_pow(u32::try_from(contributors).ok()?)
    }

    fn cost(&self, contributors: usize, cost: &mut Cost) {
        let mut factors = contributors;
        while factors > 1 {
            cost.multiply(factors / 2 * self.items);
            factors = factors.div_ceil(2);
        }
    }

    /// A level of the tree at a time: all its products in one vector.
    async fn evaluate<F: Field>(
        &self,
        arithmetic: &mut Arithmetic<'_, F>,
        inputs: Inputs<F>,
    ) -> Result<Shared<F>, ArithmeticError> {
        let mut factors = inputs.each;
        while factors.len() > 1 {
            let half = factors.len() / 2;
            let left: Vec<&Shared<F>> = factors[..half].iter().collect();
            let right: Vec<&Shared<F>> = factors[half..2 * half].iter().collect();
            let products = arithmetic.multiply(&Shared::concat(&left), &Shared::concat(&right)).await?;
            let unpaired = factors.split_off(2 * half);
            let products = (0..half).map(|i| products.slice(i * self.items..(i + 1) * self.items));
            factors = products.chain(unpaired).collect();
        }
        factors.pop().ok_or(ArithmeticError::WrongCall { what: "a product needs contributors" })
    }
}
