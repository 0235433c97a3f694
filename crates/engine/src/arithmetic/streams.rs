//! Who shares which pseudorandom stream with whom.

use tacit_algebra::Field;
use tacit_model::Fingerprint;
use zeroize::Zeroizing;

use super::ArithmeticError;
use crate::keystream::{Keystream, Seed};

/// What a stream is for. One stream per dealer, receiver and purpose, so that two uses never meet.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    /// Shares of inputs.
    Input,
    /// Shares of products, in degree reduction.
    Reshare,
    /// Shares of random elements.
    Mask,
    /// Additive sharings of zero.
    Zero,
    /// Replicated randomness of pairs (n = 3).
    Subset,
    /// Replicated bits.
    BitSubset,
    /// Sharings of zero, of bits.
    BitZero,
}

impl Purpose {
    const fn label(self) -> &'static str {
        match self {
            Self::Input => "arithmetic/input",
            Self::Reshare => "arithmetic/reshare",
            Self::Mask => "arithmetic/mask",
            Self::Zero => "arithmetic/zero",
            Self::Subset => "arithmetic/subset",
            Self::BitSubset => "arithmetic/bit-subset",
            Self::BitZero => "arithmetic/bit-zero",
        }
    }
}

/// What all seeds are derived from. In memory only; cleared when dropped.
pub(super) struct Seeds {
    pub(super) me: usize,
    pub(super) binding: [u8; 32],
    pub(super) fingerprints: Vec<Fingerprint>,
    pub(super) secrets: Vec<Zeroizing<[u8; 32]>>,
}

impl Seeds {
    /// The stream from a dealer to a receiver, one of whom is this party.
    pub(super) fn stream(
        &self,
        dealer: usize,
        receiver: usize,
        purpose: Purpose,
    ) -> Result<Keystream, ArithmeticError> {
        let other = if dealer == self.me { receiver } else { dealer };
        let (from, to) = (&self.fingerprints[dealer], &self.fingerprints[receiver]);
        Ok(Seed::of_pair(&self.secrets[other], &self.binding, from, to, purpose.label())?.stream()?)
    }

    /// A stream of an unordered pair: the same for both.
    pub(super) fn pair_stream(&self, other: usize, purpose: Purpose) -> Result<Keystream, ArithmeticError> {
        self.stream(self.me.min(other), self.me.max(other), purpose)
    }
}

/// Uniform elements of a stream.
pub(super) fn draw<F: Field>(stream: &mut Keystream, out: &mut [F]) {
    F::fill_uniform(&mut |bytes: &mut [u8]| stream.fill(bytes), out);
}
