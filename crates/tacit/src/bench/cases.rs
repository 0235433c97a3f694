//! The list of what can be measured, with the matrix that is measured if nothing else is asked for.

use tacit_engine::SecurityModel;

use super::statistics::Kind;
use super::work::Work;

/// One figure of a bench, for any number of parties and elements.
pub(crate) struct Figure {
    /// The bench it belongs to: `tacit bench NAME`.
    pub(crate) bench: &'static str,
    /// Which figure of that bench.
    pub(crate) what: &'static str,
    pub(crate) unit: Unit,
    /// Where it is offered.
    pub(crate) models: &'static [SecurityModel],
    parties: &'static [usize],
    sizes: &'static [usize],
    /// Whether `--size` means this figure.
    sized: bool,
    work: fn(usize) -> Work,
}

/// All parties put in a vector, all learn the sum.
pub(crate) const SUM: &[Figure] = &[
    Figure {
        bench: "sum",
        what: "sum",
        unit: Unit::Milliseconds,
        models: &[SecurityModel::SemiHonest],
        parties: &[3, 4, 5, 7, 9, 11],
        sizes: &[1, 288, 10_000, 1_000_000],
        sized: true,
        work: |items| Work::Sum { items },
    },
    // Vectors of numbers of 16 bits, each proven to be in range.
    Figure {
        bench: "sum",
        what: "bounded",
        unit: Unit::PerSecond,
        models: &[SecurityModel::SemiHonest, SecurityModel::Malicious, SecurityModel::Guaranteed],
        parties: &[3, 4, 5, 7],
        sizes: &[288],
        sized: false,
        work: |items| Work::Bounded { items },
    },
];

/// Products of shared numbers.
pub(crate) const MUL: &[Figure] = &[
    Figure {
        bench: "mul",
        what: "throughput",
        unit: Unit::PerSecond,
        models: &[SecurityModel::SemiHonest, SecurityModel::Malicious],
        parties: &[3, 4, 5, 7, 9, 11],
        sizes: &[1_000_000],
        sized: true,
        work: |elements| Work::Multiply { elements },
    },
    Figure {
        bench: "mul",
        what: "round",
        unit: Unit::Microseconds,
        models: &[SecurityModel::SemiHonest, SecurityModel::Malicious],
        parties: &[3, 4, 5, 7, 9, 11],
        sizes: &[1_000],
        sized: false,
        work: |rounds| Work::MultiplyInTurn { rounds },
    },
];

/// Order of shared numbers of 64 bits.
pub(crate) const COMPARE: &[Figure] = &[Figure {
    bench: "compare",
    what: "less_than_64",
    unit: Unit::PerSecond,
    models: &[SecurityModel::SemiHonest],
    parties: &[3, 4, 5, 7, 9, 11],
    sizes: &[10_000, 100_000],
    sized: true,
    work: |pairs| Work::Compare { pairs },
}];

/// Shared numbers of 32 bits in ascending order.
pub(crate) const SORT: &[Figure] = &[Figure {
    bench: "sort",
    what: "sort_32",
    unit: Unit::Milliseconds,
    models: &[SecurityModel::SemiHonest],
    parties: &[3, 5, 7],
    sizes: &[1_000, 10_000],
    sized: true,
    work: |numbers| Work::Sort { numbers },
}];

/// A statistic of so many records (or items) of each party.
const fn statistic(what: &'static str, sizes: &'static [usize], work: fn(usize) -> Work) -> Figure {
    Figure {
        bench: "statistics",
        what,
        unit: Unit::Milliseconds,
        models: &[SecurityModel::SemiHonest],
        parties: &[3, 5, 7],
        sizes,
        sized: true,
        work,
    }
}

/// Statistics over records of all parties.
pub(crate) const STATISTICS: &[Figure] = &[
    statistic("std_deviation", &[10_000], |size| Work::Statistic { kind: Kind::StdDeviation, size }),
    statistic("linear_regression", &[10_000], |size| Work::Statistic { kind: Kind::LinearRegression, size }),
    statistic("median", &[100], |size| Work::Statistic { kind: Kind::Median, size }),
    statistic("top_k", &[1_000], |size| Work::Statistic { kind: Kind::TopK, size }),
    statistic("top_keys", &[100], |size| Work::Statistic { kind: Kind::TopKeys, size }),
    statistic("entropy", &[1_000], |size| Work::Statistic { kind: Kind::Entropy, size }),
    statistic("distinct_count", &[1_000], |size| Work::Statistic { kind: Kind::DistinctCount, size }),
    statistic("logistic_regression", &[100], |size| Work::Statistic { kind: Kind::LogisticRegression, size }),
];

/// In which unit a figure is told; a step is a session, a round or an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Of one step.
    Milliseconds,
    /// Of one step.
    Microseconds,
    /// Steps in a second.
    PerSecond,
}

impl Unit {
    /// As the JSON says it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Milliseconds => "ms",
            Self::Microseconds => "us",
            Self::PerSecond => "per_s",
        }
    }

    /// What a run that did so many steps in so long is in this unit.
    pub(crate) fn value(self, nanos: u64, steps: u64) -> f64 {
        let (nanos, steps) = (nanos.max(1) as f64, steps.max(1) as f64);
        match self {
            Self::Milliseconds => nanos / steps / 1e6,
            Self::Microseconds => nanos / steps / 1e3,
            Self::PerSecond => steps * 1e9 / nanos,
        }
    }

    /// Whether more is better.
    pub(crate) fn is_rate(self) -> bool {
        self == Self::PerSecond
    }
}

/// One line of the result.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) bench: &'static str,
    pub(crate) what: &'static str,
    pub(crate) unit: Unit,
    pub(crate) model: SecurityModel,
    pub(crate) parties: usize,
    pub(crate) size: usize,
    pub(crate) runs: usize,
    pub(crate) warm_ups: usize,
    pub(crate) work: Work,
}

impl Case {
    /// How many corrupted parties are tolerated: as many as the model allows.
    pub(crate) fn threshold(&self) -> usize {
        match self.model {
            SecurityModel::Guaranteed => (self.parties - 1) / 3,
            _ => (self.parties - 1) / 2,
        }
    }
}

impl Figure {
    /// The cases of this figure; empty lists stand for its own matrix.
    pub(crate) fn cases<'a>(
        &'a self,
        parties: &'a [usize],
        sizes: &'a [usize],
        runs: Option<usize>,
        model: SecurityModel,
    ) -> impl Iterator<Item = Case> + 'a {
        let parties = if parties.is_empty() { self.parties } else { parties };
        let sizes = if sizes.is_empty() || !self.sized { self.sizes } else { sizes };
        parties.iter().flat_map(move |n| {
            sizes.iter().map(move |size| {
                let work = (self.work)(*size);
                let (usual, warm_ups) = work.runs();
                Case {
                    bench: self.bench,
                    what: self.what,
                    unit: self.unit,
                    model,
                    parties: *n,
                    size: *size,
                    runs: runs.unwrap_or(usual),
                    warm_ups,
                    work,
                }
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_tell_times_of_a_step_and_rates() {
        assert_eq!(Unit::Milliseconds.value(2_500_000, 1), 2.5);
        assert_eq!(Unit::Microseconds.value(50_000_000, 1000), 50.0);
        assert_eq!(Unit::PerSecond.value(500_000_000, 1_000_000), 2e6);
    }

    #[test]
    fn sizes_asked_for_replace_the_matrix_only_where_they_mean_something() {
        let cases = |figures: &[Figure]| -> Vec<(usize, usize)> {
            let all = figures.iter().flat_map(|f| f.cases(&[3], &[77], Some(1), SecurityModel::SemiHonest));
            all.map(|case| (case.parties, case.size)).collect()
        };
        assert_eq!(cases(SUM), [(3, 77), (3, 288)]);
        assert_eq!(cases(MUL), [(3, 77), (3, 1000)]);
    }
}
