//! What a request says, its fields read and checked.

use tacit_engine::{Level, aggregate};
use tacit_model::api::TaskRequest;
use tacit_model::{Slot, UnixMillis};

use crate::AskError;
use crate::branches::{above, level_of};
use crate::job::PROVIDER;
use crate::plan::{MODEL, names_level};
use crate::preselector::{Preselector, Window};
use crate::scale::{MICRO, Micro, Scale};

/// More sources than this are not taken.
const MAX_SOURCES: usize = 32;
/// Longer texts are not taken.
const MAX_TEXT: usize = 200;
/// Owners are not waited for longer than this, in seconds.
const MAX_APPROVAL_S: u32 = 86_400;
/// Samples that are further apart make no record, in seconds.
const MAX_ALIGN_S: u32 = 86_400;
/// More computations of one task than this are not taken.
const MAX_TIMES: u32 = 100_000;
/// Owners in branches are not waited for longer than this, in seconds.
const MAX_BRANCH_APPROVAL_S: u32 = 60;
/// More branches than this are not asked together.
const MAX_BRANCHES: u32 = 200;

/// A request whose fields have been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Labels that all peers must have.
    pub labels: Vec<String>,
    /// Which records.
    pub preselector: Preselector,
    /// Samples of the same interval of so many milliseconds make a record; 0: of the same moment.
    pub align_ms: i64,
    /// Which of them.
    pub filter: Vec<Condition>,
    /// How values become numbers of the engine.
    pub scale: Scale,
    /// When it was asked.
    pub issued: UnixMillis,
    /// Milliseconds between two computations.
    pub every_ms: i64,
    /// How many computations.
    pub times: i64,
}

/// A condition on a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The series.
    pub source: String,
    /// `<=`, `>=`, `!=`, `=`, `<` or `>`.
    pub relation: Relation,
    /// What it is compared with.
    pub value: Micro,
}

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// `=`
    Equal,
    /// `!=`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
}

impl Condition {
    fn parse(text: &str) -> Option<Self> {
        let signs = [
            ("<=", Relation::AtMost),
            (">=", Relation::AtLeast),
            ("!=", Relation::Unequal),
            ("=", Relation::Equal),
            ("<", Relation::Less),
            (">", Relation::Greater),
        ];
        let (sign, relation) = signs.into_iter().find(|(sign, _)| text.contains(sign))?;
        let (source, value) = text.split_once(sign)?;
        let source = source.trim();
        is_word(source).then_some(Self { source: source.to_owned(), relation, value: value.trim().parse().ok()? })
    }

    /// Whether a value meets it.
    pub fn holds(&self, value: Micro) -> bool {
        match self.relation {
            Relation::Equal => value == self.value,
            Relation::Unequal => value != self.value,
            Relation::Less => value < self.value,
            Relation::AtMost => value <= self.value,
            Relation::Greater => value > self.value,
            Relation::AtLeast => value >= self.value,
        }
    }
}

/// Whether a text can name a series or a label: 1 to 100 letters, digits and `_-.:=`.
pub fn is_word(text: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || "_-.:=".contains(c);
    (1..=100).contains(&text.chars().count()) && text.chars().all(plain)
}

/// Whether a text can name a series: as a label, without `=`.
pub fn is_source(text: &str) -> bool {
    is_word(text) && !text.contains('=')
}

impl Terms {
    /// Reads the fields of a request and checks them.
    pub(crate) fn read(request: &TaskRequest) -> Result<Self, AskError> {
        let bad = |what: &str| AskError::Field(what.to_owned());
        let texts = [&request.purpose, &request.set, &request.preselector, &request.aggregator];
        if texts.iter().any(|text| text.len() > MAX_TEXT || text.chars().any(char::is_control)) {
            return Err(bad("texts of a task have at most 200 printable characters"));
        }
        if request.purpose.trim().is_empty() {
            return Err(bad("say in purpose what the result is for, such as HVAC"));
        }
        let aggregator =
            aggregate::find(&request.aggregator).ok_or_else(|| AskError::Aggregator(request.aggregator.clone()))?.name;
        let labels: Vec<String> =
            request.set.split(',').map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect();
        if !labels.iter().all(|label| is_word(label)) {
            return Err(bad("set is labels with commas between them, such as offices,floor=3"));
        }
        let sources = &request.sources;
        if sources.is_empty() || sources.len() > MAX_SOURCES || !sources.iter().all(|source| is_source(source)) {
            return Err(bad("sources names 1 to 32 series, each with letters, digits and _-.:"));
        }
        let filter: Option<Vec<Condition>> = request.filter.iter().map(|text| Condition::parse(text)).collect();
        let filter = filter.filter(|filter| filter.len() <= MAX_SOURCES && filter.iter().all(|c| is_source(&c.source)));
        let filter =
            filter.ok_or_else(|| bad("a filter is a series, a relation and a decimal, such as 'occupancy>=1'"))?;
        let number = |text: &str| text.parse::<Micro>().map_err(|e| bad(&format!("least and most: {e}")));
        let scale = Scale::new(number(&request.least)?, number(&request.most)?, request.decimals)
            .ok_or_else(|| bad("least must be below most, and decimals at most 6"))?;
        if !scale.suits(aggregator) {
            return Err(bad(&unsuited(scale, aggregator)));
        }
        if !["semi-honest", "malicious", "guaranteed"].contains(&request.model.as_str()) {
            return Err(bad("model is semi-honest, malicious or guaranteed"));
        }
        if request.parameters.contains_key(MODEL) {
            return Err(bad("the security model has a field of its own"));
        }
        levels(request)?;
        let issued = UnixMillis::from_rfc3339(&request.issued)
            .ok_or_else(|| bad("issued is a moment such as 2026-01-01T12:00:00Z"))?;
        if request.nonce.len() != 32 || !request.nonce.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(bad("nonce is 32 hexadecimal digits"));
        }
        let preselector = Preselector::parse(&request.preselector).map_err(|e| bad(&e.to_string()))?;
        match request.repeat {
            Some(_) if matches!(preselector, Preselector::Between { .. }) => {
                return Err(bad("a window between two moments does not repeat"));
            }
            Some(repeat) if repeat.every_s == 0 || !(1..=MAX_TIMES).contains(&repeat.times) => {
                return Err(bad("repeat needs at least 1 second and 1 to 100000 times"));
            }
            _ => {}
        }
        let (every_ms, times) = rhythm(request);
        if request.approval_s > MAX_APPROVAL_S {
            return Err(bad("approval_s is at most a day, 86400"));
        }
        if request.align_s > MAX_ALIGN_S {
            return Err(bad("align_s is at most a day, 86400"));
        }
        let align_ms = i64::from(request.align_s) * 1000;
        if request.min_participants < 2 {
            return Err(bad("min_participants must be at least 2: of two, each learns the other's"));
        }
        Ok(Self { labels, preselector, align_ms, filter, scale, issued, every_ms, times })
    }

    /// The moment of a computation, if it is one of the task's.
    pub fn moment(&self, window: Slot) -> Option<UnixMillis> {
        moment(self.issued, self.every_ms, self.times, window)
    }

    /// The records of a computation.
    pub fn window(&self, window: Slot) -> Option<Window> {
        self.moment(window).map(|at| self.preselector.window(at))
    }

    /// When the record of a sample of this moment begins, and when the next one does.
    pub fn record_of(&self, at: UnixMillis) -> Window {
        match self.align_ms {
            0 => Window { from: at, to: at.plus(1) },
            length => {
                let from = at.plus(-at.0.rem_euclid(length));
                Window { from, to: from.plus(length) }
            }
        }
    }

    /// The series that a peer must have.
    pub fn series<'a>(&'a self, request: &'a TaskRequest) -> impl Iterator<Item = &'a str> {
        request.sources.iter().map(String::as_str).chain(self.filter.iter().map(|c| c.source.as_str()))
    }
}

/// Refuses what no task over branches, and no part of one, can say.
fn levels(request: &TaskRequest) -> Result<(), AskError> {
    let bad = |what: &str| AskError::Field(what.to_owned());
    if names_level(&request.parameters) {
        return Err(bad("level is set by tasks over branches alone: ask with branches"));
    }
    if !(request.branches == 0 || (2..=MAX_BRANCHES).contains(&request.branches)) {
        return Err(bad("branches is at least 2: with one, its total would be the result"));
    }
    if request.branches > 0 && (request.parent.is_some() || request.model != "semi-honest") {
        return Err(bad("a task over branches has two levels, and is computed semi-honest"));
    }
    if level_of(request) != Level::Flat && request.parameters.contains_key(PROVIDER) {
        return Err(bad("a provider opens what it adds up: over branches the built-in engine computes"));
    }
    if request.branches > 0 && request.approval_s > MAX_BRANCH_APPROVAL_S {
        return Err(bad("over branches approval_s is at most 60: shares are not kept for long"));
    }
    above(request).map(drop)
}

/// Which bounds an aggregator does not take, and what it takes instead.
fn unsuited(scale: Scale, aggregator: &str) -> String {
    // Whatever the least value is: some take decimals all the same.
    let from_zero = Scale::new(Micro(0), Micro(MICRO), scale.decimals());
    let takes_decimals = from_zero.is_some_and(|from_zero| from_zero.suits(aggregator));
    match (scale.least() == Micro(0), takes_decimals) {
        (true, _) => format!("{aggregator} takes whole numbers: set decimals to 0"),
        (false, true) => format!("{aggregator} takes values from 0: set least to 0"),
        (false, false) => format!("{aggregator} takes whole numbers from 0: set decimals and least to 0"),
    }
}

/// The moment of a computation of a request, if it is one of its own: see [`Terms::moment`].
pub(crate) fn moment_of(request: &TaskRequest, window: Slot) -> Option<UnixMillis> {
    let issued = UnixMillis::from_rfc3339(&request.issued)?;
    let (every_ms, times) = rhythm(request);
    moment(issued, every_ms, times, window)
}

/// Milliseconds between two computations, and how many there are.
fn rhythm(request: &TaskRequest) -> (i64, i64) {
    request.repeat.map_or((0, 1), |repeat| (i64::from(repeat.every_s) * 1000, i64::from(repeat.times)))
}

fn moment(issued: UnixMillis, every_ms: i64, times: i64, window: Slot) -> Option<UnixMillis> {
    (0..times).contains(&window.0).then(|| issued.plus(window.0.saturating_mul(every_ms)))
}

#[cfg(test)]
mod tests {
    use tacit_model::GroupId;

    use super::*;

    #[test]
    fn of_bounds_that_an_aggregator_does_not_take_only_those_at_fault_are_named() {
        let why = |aggregator: &str, least: &str, decimals: u8| {
            let request = TaskRequest {
                least: least.to_owned(),
                most: "60".to_owned(),
                decimals,
                ..TaskRequest::about(GroupId(1), "temperature", aggregator, "HVAC")
            };
            Terms::read(&request).expect_err("refused").to_string()
        };
        assert_eq!(why("noisy_mean", "0", 1), "noisy_mean takes whole numbers: set decimals to 0");
        assert_eq!(why("noisy_mean", "-5", 0), "noisy_mean takes values from 0: set least to 0");
        let both = "noisy_mean takes whole numbers from 0: set decimals and least to 0";
        assert_eq!(why("noisy_mean", "-5", 1), both);
        assert_eq!(why("sum", "-5", 1), "sum takes values from 0: set least to 0");
    }
}
