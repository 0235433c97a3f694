//! The operators of a field from its inherent `add_`, `sub_`, `mul_`, `neg_`: written once.

/// Implements operators, comparison, selection, zeroisation and a silent `Debug`.
macro_rules! field_operators {
    ([$($generics:tt)*] $type:ty, $shown:literal) => {
        impl<$($generics)*> std::ops::Add for $type {
            type Output = Self;
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self.sum(other)
            }
        }
        impl<$($generics)*> std::ops::Sub for $type {
            type Output = Self;
            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                self.difference(other)
            }
        }
        impl<$($generics)*> std::ops::Mul for $type {
            type Output = Self;
            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                self.product(other)
            }
        }
        impl<$($generics)*> std::ops::Neg for $type {
            type Output = Self;
            #[inline(always)]
            fn neg(self) -> Self {
                // A compiler that sees the zero makes a branch of the mask: whether the element is zero.
                std::hint::black_box(Self(0)).difference(self)
            }
        }
        impl<$($generics)*> std::ops::AddAssign for $type {
            #[inline(always)]
            fn add_assign(&mut self, other: Self) {
                *self = self.sum(other);
            }
        }
        impl<$($generics)*> std::ops::SubAssign for $type {
            #[inline(always)]
            fn sub_assign(&mut self, other: Self) {
                *self = self.difference(other);
            }
        }
        impl<$($generics)*> std::ops::MulAssign for $type {
            #[inline(always)]
            fn mul_assign(&mut self, other: Self) {
                *self = self.product(other);
            }
        }
        impl<$($generics)*> std::iter::Sum for $type {
            fn sum<I: Iterator<Item = Self>>(xs: I) -> Self {
                xs.fold(Self(0), |a, b| a + b)
            }
        }
        impl<$($generics)*> subtle::ConstantTimeEq for $type {
            #[inline]
            fn ct_eq(&self, other: &Self) -> subtle::Choice {
                subtle::ConstantTimeEq::ct_eq(&self.0, &other.0)
            }
        }
        impl<$($generics)*> PartialEq for $type {
            #[inline]
            fn eq(&self, other: &Self) -> bool {
                bool::from(subtle::ConstantTimeEq::ct_eq(self, other))
            }
        }
        impl<$($generics)*> Eq for $type {}
        impl<$($generics)*> subtle::ConditionallySelectable for $type {
            #[inline]
            fn conditional_select(a: &Self, b: &Self, choice: subtle::Choice) -> Self {
                Self(subtle::ConditionallySelectable::conditional_select(&a.0, &b.0, choice))
            }
        }
        impl<$($generics)*> zeroize::DefaultIsZeroes for $type {}
        impl<$($generics)*> std::fmt::Debug for $type {
            /// The type only: elements are secrets.
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str($shown)
            }
        }
    };
}
