//! tacit.
fn main() {}
