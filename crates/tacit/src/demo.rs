//! `tacit demo`: whole scenarios with real processes on this machine.

mod attacks;
mod chart;
mod hospital;
mod hvac;
mod live;
mod report;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::output::{Code, Failure};
use report::Report;

/// Run a whole scenario with real processes on this machine.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    tacit demo                           three organisations add up a day of attack counts\n  \
    tacit demo attacks --input ./mine    the same with your own CSV files, one per organisation\n  \
    tacit demo hospital                  three patients, and a hospital that learns only their sum\n  \
    tacit demo hvac                      rooms that come and go: how warm are the occupied ones of floor 3?\n  \
    tacit demo --json                    one object, for scripts; exit code 0 only if all is right")]
pub(crate) struct Demo {
    /// Which scenario.
    #[arg(value_enum, default_value = "attacks")]
    scenario: Scenario,
    /// Where the nodes keep their data; a new temporary folder by default.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// attacks: a folder with one CSV file per organisation (`slot_start,count`).
    #[arg(long, value_name = "DIR")]
    input: Option<PathBuf>,
    /// Keep the data folder.
    #[arg(long)]
    keep: bool,
    /// Print one JSON object instead of the story.
    #[arg(long)]
    json: bool,
    /// hospital: how many times the four processes add up fresh numbers; 100 by default.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
}

/// How often the hospital adds up unless somebody wants it otherwise.
const ROUNDS: u32 = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// Three organisations add up a day of attack counts.
    Attacks,
    /// Three patients and a hospital that learns only their sum.
    Hospital,
    /// Eleven rooms of a building that come and go, a facility manager who asks them, and phones that compare.
    Hvac,
}

/// Where a scenario keeps its data; removed at the end unless it is to be kept.
pub(crate) enum Folder {
    Temporary(tempfile::TempDir),
    Kept(PathBuf),
}

impl Folder {
    pub(crate) fn new(data: Option<PathBuf>, keep: bool) -> Result<Self, Failure> {
        match data {
            Some(path) => {
                let at = |undone| Failure::at(&path, undone, "choose a new folder with --data");
                if path.exists() && std::fs::read_dir(&path).map_err(at("listed"))?.next().is_some() {
                    return Err(Failure::usage(format!("{} is not empty; choose a new folder", path.display())));
                }
                std::fs::create_dir_all(&path).map_err(at("made"))?;
                Ok(Self::Kept(path))
            }
            None => {
                let folder = tempfile::Builder::new().prefix("tacit-demo-").tempdir()?;
                Ok(if keep { Self::Kept(folder.keep()) } else { Self::Temporary(folder) })
            }
        }
    }

    /// Removes what was temporary, although processes that were just killed may still be ending in it.
    pub(crate) async fn abandon(self) {
        if let Self::Temporary(folder) = self {
            let path = folder.keep();
            for _ in 0..50 {
                let _again = std::fs::remove_dir_all(&path);
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                if !path.exists() {
                    return;
                }
            }
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        match self {
            Self::Temporary(folder) => folder.path().to_owned(),
            Self::Kept(path) => path.clone(),
        }
    }
}

fn interrupted() -> Failure {
    Failure::new(
        Code::Other,
        "interrupted; the processes are ended, and nothing is left behind but what was to be kept",
    )
}

impl Demo {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        if self.input.is_some() && self.scenario != Scenario::Attacks {
            return Err(Failure::usage("--input belongs to `tacit demo attacks`"));
        }
        if self.rounds.is_some() && self.scenario != Scenario::Hospital {
            return Err(Failure::usage("--rounds belongs to `tacit demo hospital`"));
        }
        let folder = Folder::new(self.data, self.keep)?;
        let path = folder.path();
        let mut report = match self.scenario {
            Scenario::Attacks => Report::new("attacks", self.json),
            Scenario::Hospital => Report::new("hospital", self.json),
            Scenario::Hvac => Report::new("hvac", self.json),
        };
        let scene = async {
            match self.scenario {
                Scenario::Attacks => attacks::run(&path, self.input.as_deref(), &mut report).await,
                Scenario::Hospital => hospital::run(&path, self.rounds.unwrap_or(ROUNDS), &mut report).await,
                Scenario::Hvac => hvac::run(&path, &mut report).await,
            }
        };
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        // Dropped, a scene ends its processes; the folder goes after them.
        let ended = tokio::select! {
            ended = scene => ended,
            _ = terminate.recv() => Err(interrupted()),
            _ = tokio::signal::ctrl_c() => Err(interrupted()),
        };
        if let Err(failure) = ended {
            folder.abandon().await;
            return Err(failure);
        }
        if let Folder::Kept(path) = &folder {
            report.say(&format!("The nodes' data is in {}", path.display()));
        }
        report.finish()
    }
}
