//! `tacit bench`: how long this machine needs for work that other systems were measured at.
//!
//! ```text
//!  tacit bench ── control links ──┬── tacit serve (role bench)  one process per party
//!   orders, samples               ├── tacit serve (role bench)  │ TLS 1.3 between all of them
//!                                 └── tacit serve (role bench)  ┘
//! ```
//!
//! What is measured is listed in [`cases`]; each entry names the [`Work`](work::Work) that the parties do. A run
//! starts at a barrier over the same links and ends with the result; every party measures itself, and the
//! slowest one counts. Every result is compared with the plain computation, outside the time.
//! docs/benchmarks.md says what is in the time of each figure.
//!
//! To add a bench: one entry in [`cases`], one variant of `Work` and the protocol behind it.

mod cases;
mod echo;
mod messages;
mod meter;
mod multiply;
mod orchestra;
mod orchestration;
mod order;
mod peers;
mod progress;
mod report;
mod scale;
mod seat;
mod spread;
mod statistics;
mod sum;
mod traffic;
mod work;
pub(crate) mod worker;

use clap::{Args, ValueEnum};
use tacit_engine::SecurityModel;

use crate::output::{Code, Failure};
use cases::Case;
use orchestra::Orchestra;
use report::Report;
use spread::Form;

/// Measure this machine: parties are processes of their own, with TLS between them.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    tacit bench sum                             the whole matrix: parties 3 to 11, sizes 1 to 1,000,000\n  \
    tacit bench sum --parties 3 --size 288      one size, and the vectors with proven bounds\n  \
    tacit bench compare --parties 3             comparisons of 64-bit numbers\n  \
    tacit bench statistics --parties 3          statistics over records, each a whole session\n  \
    tacit bench mul --json                      one JSON object per line\n  \
    tacit bench orchestration --parties 11      a client's request to eleven peers, by phase\n  \
    tacit bench orchestration --csv > table.csv the thesis' whole table, for 3, 5, 7, 9 and 11 peers:\n  \
    \x20                                           1,000 requests of each kind (--cold-runs 200\n  \
    \x20                                           saves ten minutes)\n  \
    tacit bench scale --parties 1000 --size 200 a thousand peers, tasks over 200 of them\n\n\
    Exit code 1 if any result was wrong. What is in the time: docs/benchmarks.md.")]
pub(crate) struct Bench {
    /// What is measured.
    #[arg(value_enum)]
    name: Name,
    /// How many parties: one figure for each.
    #[arg(long, value_name = "N,N,..", value_delimiter = ',')]
    parties: Vec<usize>,
    /// How many elements: one figure for each. Figures that always have the same number keep it.
    #[arg(long, value_name = "N,N,..", value_delimiter = ',')]
    size: Vec<usize>,
    /// Measured runs of each case; before them, some to warm up.
    #[arg(long, value_name = "N")]
    runs: Option<usize>,
    /// Against whom the parties are protected.
    #[arg(long, value_enum, default_value = "semi-honest")]
    model: Model,
    /// orchestration: requests with cold links; each waits until links have closed. As many as --runs, if not given.
    #[arg(long, value_name = "N")]
    cold_runs: Option<usize>,
    /// scale: for how long.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=600))]
    minutes: u32,
    /// scale: so many tasks, however long they take.
    #[arg(long, value_name = "N", conflicts_with = "minutes", value_parser = clap::value_parser!(u32).range(1..))]
    tasks: Option<u32>,
    /// scale: tasks in a minute.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=6000))]
    per_minute: u32,
    /// scale: how many members compute; those of --parties only give, and --size of them are asked at a time.
    #[arg(long, value_name = "N", default_value_t = 5)]
    committee: usize,
    /// The socket of a provider that this process serves.
    #[arg(long, hide = true, value_name = "PATH")]
    socket: Option<std::path::PathBuf>,
    /// orchestration: print CSV: min, max, mean, standard deviation, quartiles, 90 %, runs; existing (the thesis'
    /// median), aim.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Print one JSON object per line; scale always does.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Name {
    /// All parties put in a vector, all learn the sum; beside it, vectors of 288 numbers whose bounds are proven.
    Sum,
    /// Products of shared numbers: how many a second, and how long one round takes.
    Mul,
    /// Order of shared 64-bit numbers: how many comparisons a second, everything included.
    Compare,
    /// Sorting shared 32-bit numbers.
    Sort,
    /// Statistics over records of all parties, each a whole session.
    Statistics,
    /// From a client's call to its verified result: messages, phases, whole requests.
    Orchestration,
    /// Very many peers at one gateway: tasks at a steady rate, and memory. Prints JSON.
    Scale,
    /// A provider of orchestration: its own children are called so.
    #[value(hide = true)]
    Echo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Model {
    SemiHonest,
    Malicious,
    Guaranteed,
}

impl Model {
    fn engine(self) -> SecurityModel {
        match self {
            Self::SemiHonest => SecurityModel::SemiHonest,
            Self::Malicious => SecurityModel::Malicious,
            Self::Guaranteed => SecurityModel::Guaranteed,
        }
    }
}

/// The fewest parties that can compute, and the most that one machine is asked to hold.
const PARTIES: std::ops::RangeInclusive<usize> = 3..=64;
const ELEMENTS: std::ops::RangeInclusive<usize> = 1..=tacit_engine::plan::MAX_ITEMS;

impl Bench {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self.name {
            Name::Orchestration => return self.orchestration().await,
            Name::Scale => return self.scale().await,
            Name::Echo => {
                let socket = self.socket.as_deref().ok_or_else(|| Failure::usage("echo needs a --socket"))?;
                return echo::serve(socket).await;
            }
            _ => {}
        }
        let cases = self.cases()?;
        let mut report = Report::new(self.json);
        let mut parties: Vec<usize> = cases.iter().map(|case| case.parties).collect();
        parties.dedup();
        for n in parties {
            // Fresh processes for each number of parties: nothing idles beside a measurement.
            let mut orchestra = Orchestra::start(n).await?;
            for case in cases.iter().filter(|case| case.parties == n) {
                report.begin(case);
                report.figure(case, &orchestra.play(case).await?)?;
            }
            orchestra.stop().await?;
        }
        report.finish()
    }

    async fn orchestration(&self) -> Result<(), Failure> {
        let form = match (self.json, self.csv) {
            (true, _) => Form::Json,
            (false, true) => Form::Csv,
            (false, false) => Form::Table,
        };
        let parties = if self.parties.is_empty() { vec![3, 5, 7, 9, 11] } else { self.parties.clone() };
        let mut first = true;
        for peers in parties {
            if !(3..=11).contains(&peers) {
                return Err(Failure::usage(format!("--parties {peers}: orchestration is measured with 3 to 11 peers")));
            }
            for cell in orchestration::measure(peers, self.runs.unwrap_or(1000).max(1), self.cold_runs).await? {
                cell.print(form, first)?;
                first = false;
            }
        }
        Ok(())
    }

    async fn scale(&self) -> Result<(), Failure> {
        let devices = self.parties.first().copied().unwrap_or(1000);
        let asked = self.size.first().copied().unwrap_or(200);
        if self.parties.len() > 1 || self.size.len() > 1 || asked < 2 || asked > devices {
            return Err(Failure::usage("scale takes one number of --parties, and a --size of at most so many"));
        }
        let tasks = self.tasks.unwrap_or(self.minutes * self.per_minute);
        let scene = scale::Scene { devices, asked, committee: self.committee, per_minute: self.per_minute, tasks };
        scale::measure(scene).await
    }

    /// Everything that was asked for, by number of parties.
    fn cases(&self) -> Result<Vec<Case>, Failure> {
        if self.runs == Some(0) {
            return Err(Failure::usage("--runs must be at least 1"));
        }
        if let Some(n) = self.parties.iter().find(|n| !PARTIES.contains(n)) {
            return Err(Failure::usage(format!("--parties {n}: between 3 and 64 parties can be measured")));
        }
        if let Some(size) = self.size.iter().find(|size| !ELEMENTS.contains(size)) {
            return Err(Failure::usage(format!("--size {size}: between 1 and {} elements", ELEMENTS.end())));
        }
        let figures = match self.name {
            Name::Sum => cases::SUM,
            Name::Mul => cases::MUL,
            Name::Compare => cases::COMPARE,
            Name::Sort => cases::SORT,
            Name::Statistics => cases::STATISTICS,
            // Have cases of their own.
            Name::Orchestration | Name::Scale | Name::Echo => &[],
        };
        let mut all = Vec::new();
        for figure in figures {
            // Not every figure is offered in every model.
            if figure.models.contains(&self.model.engine()) {
                all.extend(figure.cases(&self.parties, &self.size, self.runs, self.model.engine()));
            }
        }
        if all.is_empty() {
            let (bench, model) = (figures.first().map_or("it", |figure| figure.bench), self.model.engine().name());
            return Err(Failure::new(Code::Refused, format!("{bench} is not offered in the model {model}")));
        }
        // Stable: figures stay in their order for each number of parties.
        all.sort_by_key(|case| case.parties);
        Ok(all)
    }
}
