//! Prime fields, polynomials over them, and Reed-Solomon decoding: the arithmetic below every
//! protocol of Tacit.
//!
//! # What is here
//!
//! | module | content |
//! |---|---|
//! | [`field`] | the trait [`Field`]: operations, wire codec, uniform sampling, lazy dot products, bulk loops |
//! | [`f61`], [`f127`] | the two working fields, [`F61`] = GF(2^61-1) and [`F127`] = GF(2^127-1) |
//! | [`prime_field`] | [`Fp<P>`](Fp), any prime below 2^63 fixed at compile time |
//! | [`primality`] | deterministic test for declared moduli |
//! | [`poly`] | evaluation, interpolation, Lagrange coefficients |
//! | [`reed_solomon`] | error correction and error detection on vectors of Shamir shares |
//!
//! Five shares of 42 with threshold 1, one of them wrong:
//!
//! ```
//! use tacit_algebra::{F61, Field, poly, reed_solomon};
//!
//! let line = [F61::from_u64(42), F61::from_u64(1_000_003)];
//! let points: Vec<F61> = (1..=5).map(F61::from_u64).collect();
//! let mut shares: Vec<F61> = points.iter().map(|x| poly::eval(&line, *x)).collect();
//! shares[3] += F61::ONE;
//!
//! let decoded = reed_solomon::decode(&points, &shares, 1)?;
//! assert_eq!(decoded.poly[0].to_u64(), 42);
//! assert_eq!(decoded.errors, [3]);
//! # Ok::<(), reed_solomon::DecodeError>(())
//! ```
//!
//! # What it promises
//!
//! * An element is always canonical: in `[0, p)`, one byte string per element; decoding refuses
//!   every other byte string.
//! * Time and memory access do not depend on the value of an element, except where the name says
//!   `vartime`, in [`reed_solomon::decode`], which works on values about to be opened, and in whether
//!   an operation fails ([`Field::inv`] of zero, a malformed word, a rejected sample).
//!   Lengths, degrees, evaluation points and exponents are public everywhere.
//! * The same stream of bytes gives the same elements on every machine, in whatever pieces it is
//!   read ([`Field::fill_uniform`]).
//! * `Debug` never shows the value of an element.
//!
//! # What it does not do
//!
//! No input or output, no randomness of its own, no secret sharing (that is `tacit-engine`), no
//! curves, no `unsafe`. Elements are `Copy` and implement `Zeroize`; vectors of them are cleared
//! by whoever owns them. Temporary polynomials are not cleared.

// First: its macros write the fields.
#[macro_use]
pub mod field;

pub mod f127;
pub mod f61;
pub mod poly;
pub mod primality;
pub mod prime_field;
pub mod reed_solomon;

pub use f61::F61;
pub use f127::F127;
pub use field::{Field, Malformed};
pub use primality::is_prime;
pub use prime_field::Fp;
