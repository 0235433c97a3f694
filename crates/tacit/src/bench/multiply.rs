//! Products of shared numbers.

use super::messages::{Sample, Turn};
use super::seat::Seat;
use crate::output::{Code, Failure};

/// Which products.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// Of two vectors of so many elements, at once.
    Vector(usize),
    /// So many, each of which needs the one before.
    Chain(usize),
}

pub(super) async fn run(_seat: &mut Seat, _turn: &Turn, _shape: Shape) -> Result<Sample, Failure> {
    Err(Failure::new(Code::Other, "not built in"))
}
