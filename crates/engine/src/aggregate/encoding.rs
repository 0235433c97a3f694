//! Rows of records: how a peer turns its own into the vector that is added up, and how large that can be.
//!
//! A row is a list of records, one after the other, each with one whole number per column. For each
//! [`Term`] of the aggregator a peer adds up the term over its own records; the session adds up the
//! peers' sums; what is opened are the totals over all records of all peers, and nothing finer.

use zeroize::Zeroizing;

use super::filter::{Filter, read as read_filter};
use super::records::{Records, Term};
use super::settings::{DEFAULT_TABLE, Settings, column_maxima, is_per_peer, max_records, max_records_or, max_weight};
use super::ties::{Ties, ties};
use super::{Aggregator, Filtered, Function, Order, Presence};
use crate::plan::{PlanError, PlanRequest};
use crate::session::{quadratic_answers, quadratic_degree, quadratic_elements, range_bits, range_elements};

/// How the rows of a plan become vectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// The row is the vector.
    Vector { items: usize, max_element: u64 },
    /// A bit per item: whether the row's number is above 0; behind them, where there are weights, the row.
    Presence { items: usize, max_element: u64, weights: bool },
    /// The row is a list of values; a bit for each possible one.
    Values { max_element: u64, most: u64 },
    /// The row is a list of keys, or of keys and their weights; the bits of a filter, and behind them the weight of each, the
    /// largest of the keys that set it.
    Filter { filter: Filter, most: u64, max_weight: Option<u64> },
    /// The row is a list of records; a place for each possible record and column, the empty ones with a number
    /// beyond all others. `per_peer`: of so many records their mean takes the only place.
    Places { columns: usize, most: usize, max_element: u64, order: Order, per_peer: Option<u64> },
    /// The row is a list of keys and their weights; a place for each possible key, and behind them one for each weight.
    Pairs { most: usize, max_key: u64, max_weight: u64 },
    /// The row is a list of records; for each possible one, whether it is there, and its columns.
    Table {
        /// Records of one contributor.
        most: usize,
        /// The largest value of each column.
        maxima: Vec<u64>,
    },
    /// The row is a list of records.
    Records(Box<Records>),
}

/// How many numbers a row may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowShape {
    /// Exactly so many.
    Items(usize),
    /// Whole records.
    Records {
        /// Numbers of one record.
        columns: usize,
        /// The most records.
        most: u64,
    },
}

impl RowShape {
    /// Whether a row of so many numbers has this shape.
    pub fn fits(self, numbers: usize) -> bool {
        match self {
            Self::Items(items) => numbers == items,
            Self::Records { columns, most } => {
                columns > 0 && numbers.is_multiple_of(columns) && (numbers / columns) as u64 <= most
            }
        }
    }
}

impl Encoding {
    /// The encoding of a request whose parameters the aggregator knows.
    pub(crate) fn new(aggregator: &'static Aggregator, request: &PlanRequest) -> Result<Self, PlanError> {
        let (items, max_element) = (request.items, request.max_element);
        let bad_columns = |least, most| PlanError::BadColumns { name: aggregator.name, columns: items, least, most };
        let Some(codec) = &aggregator.records else {
            return Ok(match aggregator.function {
                Function::Presence(Presence::Distinct) if items != 1 => return Err(bad_columns(1, 1)),
                Function::Presence(Presence::Distinct) => {
                    Self::Values { max_element, most: max_records(aggregator, request)? }
                }
                Function::Presence(_) => Self::Presence { items, max_element, weights: false },
                Function::Correlation => Self::Presence { items, max_element, weights: true },
                Function::Filter(filtered) => {
                    let weighted = filtered == Filtered::Weighted;
                    let columns = 1 + usize::from(weighted);
                    if items != columns {
                        return Err(bad_columns(columns, columns));
                    }
                    let max_weight = max_weight(weighted, aggregator, request)?;
                    Self::Filter {
                        filter: read_filter(aggregator, request)?,
                        most: max_records(aggregator, request)?,
                        max_weight: weighted.then_some(max_weight),
                    }
                }
                Function::TopKeys if items != 2 => return Err(bad_columns(2, 2)),
                Function::TopKeys => Self::Pairs {
                    most: usize::try_from(max_records_or(DEFAULT_TABLE as u64, aggregator, request)?)
                        .unwrap_or(usize::MAX),
                    max_key: max_element,
                    max_weight: max_weight(true, aggregator, request)?,
                },
                Function::KeyCardinality if items != 1 => return Err(bad_columns(1, 1)),
                Function::KeyCardinality => Self::Places {
                    columns: 1,
                    most: usize::try_from(max_records_or(DEFAULT_TABLE as u64, aggregator, request)?)
                        .unwrap_or(usize::MAX),
                    max_element,
                    order: Order::Sort,
                    per_peer: None,
                },
                Function::Order(order) => {
                    let per_peer = match is_per_peer(request) {
                        true => Some(max_records(aggregator, request)?),
                        false => None,
                    };
                    let most = if per_peer.is_some() { 1 } else { max_records_or(1, aggregator, request)? };
                    Self::Places {
                        columns: items,
                        most: usize::try_from(most).unwrap_or(usize::MAX),
                        max_element,
                        order,
                        per_peer,
                    }
                }
                Function::Logistic => Self::Table {
                    most: usize::try_from(max_records_or(DEFAULT_TABLE as u64, aggregator, request)?)
                        .unwrap_or(usize::MAX),
                    maxima: column_maxima(aggregator, request)?,
                },
                Function::Sum | Function::Product | Function::PowerSum | Function::TopK | Function::Noise(_) => {
                    Self::Vector { items, max_element }
                }
            });
        };
        if !(codec.columns.0..=codec.columns.1).contains(&items) {
            return Err(bad_columns(codec.columns.0, codec.columns.1));
        }
        let settings = Settings::read(aggregator, request)?;
        let terms = (codec.terms)(&settings);
        let most = if settings.per_peer { 1 } else { settings.max_records };
        let bound = |term: &Term| term.largest(max_element).checked_mul(u128::from(most));
        let bounds = terms.iter().map(bound).collect::<Option<Vec<_>>>().ok_or(PlanError::SumsCouldWrap)?;
        let ties = ties(&terms, &bounds, max_element, most, codec.joint).ok_or(PlanError::SumsCouldWrap)?;
        Ok(Self::Records(Box::new(Records { settings, terms, bounds, ties })))
    }

    /// What holds between numbers of the vector beyond the bound of each.
    pub(crate) fn ties(&self) -> &Ties {
        static NONE: Ties = Ties::none();
        if let Self::Records(records) = self { &records.ties } else { &NONE }
    }

    /// The bounds of all numbers that are proven: those of the vector, and those of its ties that are no equalities.
    pub(crate) fn proven_bounds(&self) -> impl Iterator<Item = u128> {
        (0..self.length()).map(|item| self.bound(item)).chain(self.ties().slack_bounds())
    }

    /// Elements that are dealt where bounds are proven, besides salt.
    pub(crate) fn proven_elements(&self) -> usize {
        let numbers = self.proven_bounds().map(|bound| range_elements(range_bits(bound)));
        numbers.sum::<usize>() + quadratic_elements(self.ties().quadratic.len())
    }

    /// Elements that are opened then of each contributor.
    pub(crate) fn answers(&self) -> usize {
        let ties = self.ties();
        self.length() + ties.slack_bounds().count() + quadratic_answers(ties.quadratic.len()) + 2
    }

    /// At how many points a proof can look right that is not.
    pub(crate) fn proof_roots(&self) -> usize {
        let largest = self.ties().slack_bounds().fold(self.largest_bound(), u128::max);
        range_elements(range_bits(largest)).max(quadratic_degree(self.ties().quadratic.len()) + 2)
    }

    /// Proves less, where that is too long; `false` if there is nothing to leave out.
    pub(crate) fn drop_pairs(&mut self) -> bool {
        if let Self::Records(records) = self { records.ties.drop_pairs() } else { false }
    }

    /// A field above it is one in which no tie wraps; `None` if that is beyond all fields.
    pub(crate) fn reach(&self) -> Option<u128> {
        let Self::Records(records) = self else { return Some(0) };
        records.ties.reach(&records.bounds)
    }

    /// Numbers of the vector.
    pub(crate) fn length(&self) -> usize {
        match self {
            Self::Vector { items, .. } => *items,
            Self::Presence { items, weights, .. } => items * (1 + usize::from(*weights)),
            Self::Filter { filter, max_weight, .. } => filter.positions() * (1 + usize::from(max_weight.is_some())),
            Self::Pairs { most, .. } => most.saturating_mul(2),
            Self::Places { columns, most, order, .. } => columns.saturating_mul(*most).saturating_mul(order.vectors()),
            Self::Values { max_element, .. } => usize::try_from(*max_element).unwrap_or(usize::MAX).saturating_add(1),
            Self::Table { most, maxima } => (maxima.len() + 1).saturating_mul(*most),
            Self::Records(records) => records.terms.len(),
        }
    }

    /// The most that one contributor may give for a number of the vector.
    pub(crate) fn bound(&self, index: usize) -> u128 {
        match self {
            Self::Vector { max_element, .. } => u128::from(*max_element),
            Self::Presence { items, max_element, .. } if index >= *items => u128::from(*max_element),
            Self::Filter { filter, max_weight: Some(max), .. } if index >= filter.positions() => u128::from(*max),
            Self::Pairs { most, max_key, max_weight } => u128::from(if index < *most { *max_key } else { *max_weight }),
            Self::Places { max_element, .. } => u128::from(*max_element) + 1,
            Self::Presence { .. } | Self::Values { .. } | Self::Filter { .. } => 1,
            Self::Table { maxima, .. } => match index % (maxima.len() + 1) {
                0 => 1,
                column => u128::from(maxima[column - 1]),
            },
            Self::Records(records) => records.bounds[index],
        }
    }

    /// The most that one contributor may give for any number of the vector.
    pub(crate) fn largest_bound(&self) -> u128 {
        match self {
            Self::Vector { max_element, .. } | Self::Presence { max_element, weights: true, .. } => {
                u128::from(*max_element).max(1)
            }
            Self::Filter { max_weight, .. } => u128::from(max_weight.unwrap_or(1)).max(1),
            Self::Pairs { max_key, max_weight, .. } => u128::from(*max_key.max(max_weight)),
            Self::Places { max_element, .. } => u128::from(*max_element) + 1,
            Self::Presence { .. } | Self::Values { .. } => 1,
            Self::Table { maxima, .. } => maxima.iter().copied().max().map_or(1, |max| u128::from(max.max(1))),
            Self::Records(records) => records.bounds.iter().copied().max().unwrap_or(0),
        }
    }

    pub(crate) fn row_shape(&self) -> RowShape {
        match self {
            Self::Vector { items, .. } | Self::Presence { items, .. } => RowShape::Items(*items),
            Self::Places { columns, most, per_peer, .. } => {
                RowShape::Records { columns: *columns, most: per_peer.unwrap_or(*most as u64) }
            }
            Self::Pairs { most, .. } => RowShape::Records { columns: 2, most: *most as u64 },
            Self::Values { most, .. } => RowShape::Records { columns: 1, most: *most },
            Self::Filter { most, max_weight, .. } => {
                RowShape::Records { columns: 1 + usize::from(max_weight.is_some()), most: *most }
            }
            Self::Table { most, maxima } => RowShape::Records { columns: maxima.len(), most: *most as u64 },
            Self::Records(records) => {
                RowShape::Records { columns: records.settings.columns, most: records.settings.max_records }
            }
        }
    }

    /// The largest that a number of a row may be, by its place, where columns have bounds of their own.
    pub(crate) fn row_bound(&self, index: usize) -> Option<u64> {
        match self {
            Self::Table { maxima, .. } => maxima.get(index % maxima.len().max(1)).copied(),
            Self::Filter { max_weight, .. } if index % 2 == 1 => *max_weight,
            Self::Pairs { max_weight, .. } if index % 2 == 1 => Some(*max_weight),
            _ => None,
        }
    }

    /// The vector of a row of the right shape without values above the bound; `None` where the row is the
    /// vector.
    pub(crate) fn encode(&self, row: &[u64]) -> Option<Zeroizing<Vec<u128>>> {
        let records = match self {
            Self::Vector { .. } => return None,
            Self::Presence { weights, .. } => {
                let mut encoded = Zeroizing::new(Vec::with_capacity(2 * row.len()));
                encoded.extend(row.iter().map(|value| u128::from(*value > 0)));
                if *weights {
                    encoded.extend(row.iter().map(|value| u128::from(*value)));
                }
                return Some(encoded);
            }
            Self::Places { columns, most, max_element, order, per_peer } => {
                let mean = per_peer.map(|_| own_mean(row, *columns));
                let row = mean.as_ref().map_or(row, |mean| mean);
                let beyond = u128::from(*max_element) + 1;
                let mut places = Zeroizing::new(Vec::with_capacity(self.length()));
                for low in order.empty_below() {
                    // Below all others is 0, and everything else one higher.
                    let (empty, lift) = if *low { (0, 1) } else { (beyond, 0) };
                    for column in 0..*columns {
                        let records = row.chunks_exact(*columns);
                        places.extend(records.clone().map(|record| u128::from(record[column]) + lift));
                        places.extend(std::iter::repeat_n(empty, most - records.len()));
                    }
                }
                return Some(places);
            }
            Self::Pairs { most, .. } => {
                let mut pairs = Zeroizing::new(vec![0; self.length()]);
                for (place, record) in row.chunks_exact(2).enumerate() {
                    (pairs[place], pairs[most + place]) = (u128::from(record[0]), u128::from(record[1]));
                }
                return Some(pairs);
            }
            Self::Table { maxima, .. } => {
                let mut table = Zeroizing::new(Vec::with_capacity(self.length()));
                for record in row.chunks_exact(maxima.len()) {
                    table.push(1);
                    table.extend(record.iter().copied().map(u128::from));
                }
                table.resize(self.length(), 0);
                return Some(table);
            }
            Self::Values { .. } => {
                let mut seen = Zeroizing::new(vec![0; self.length()]);
                row.iter().filter_map(|value| usize::try_from(*value).ok()).for_each(|value| seen[value] = 1);
                return Some(seen);
            }
            Self::Filter { filter, max_weight, .. } => {
                let mut encoded = Zeroizing::new(vec![0; self.length()]);
                let (bits, weights) = encoded.split_at_mut(filter.positions());
                for record in row.chunks_exact(1 + usize::from(max_weight.is_some())) {
                    // A key without weight is not there, as with listed items.
                    let weight = record.get(1).copied().map_or(1, u128::from);
                    for bit in filter.bits_of(record[0]).filter(|_| weight > 0) {
                        bits[bit] = 1;
                        if let Some(most) = weights.get_mut(bit) {
                            *most = weight.max(*most);
                        }
                    }
                }
                return Some(encoded);
            }
            Self::Records(records) => records,
        };
        let columns = records.settings.columns;
        let mean = records.settings.per_peer.then(|| own_mean(row, columns));
        let row = mean.as_ref().map_or(row, |mean| mean);
        let mut sums = Zeroizing::new(vec![0; records.terms.len()]);
        for record in row.chunks_exact(columns) {
            for (sum, term) in sums.iter_mut().zip(&records.terms) {
                *sum += term.of(record);
            }
        }
        Some(sums)
    }
}

/// The mean of each column, rounded to the nearest whole number, halves up: one record, or none of none.
fn own_mean(row: &[u64], columns: usize) -> Zeroizing<Vec<u64>> {
    let records = (row.len() / columns) as u128;
    let mean = |column: usize| {
        let sum: u128 = row.chunks_exact(columns).map(|record| u128::from(record[column])).sum();
        // Not above the largest value.
        u64::try_from((2 * sum + records) / (2 * records)).unwrap_or(u64::MAX)
    };
    Zeroizing::new(if records == 0 { Vec::new() } else { (0..columns).map(mean).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_of_own_records() {
        assert_eq!(own_mean(&[1, 10, 2, 20], 2).as_slice(), [2, 15]);
        assert_eq!(own_mean(&[u64::MAX, u64::MAX, u64::MAX], 1).as_slice(), [u64::MAX]);
        assert_eq!((own_mean(&[0, 0, 1], 1).as_slice(), own_mean(&[], 3).as_slice()), (&[0][..], &[][..]));
    }

    #[test]
    fn row_shapes() {
        assert!(RowShape::Items(2).fits(2) && !RowShape::Items(2).fits(4) && !RowShape::Items(2).fits(0));
        let records = RowShape::Records { columns: 3, most: 2 };
        assert!([0, 3, 6].into_iter().all(|n| records.fits(n)) && [1, 5, 9].into_iter().all(|n| !records.fits(n)));
    }
}
