//! `tacit source`: numbers out of files, as rows of a peer.

use std::io::BufReader;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use tacit_model::UnixMillis;
use tacit_model::api::{Decimal, RowBody};
use tacit_party::source::{LogPattern, SlotWindow, count_log, read_csv};

use super::{are, print, print_all};
use crate::connection::Connection;
use crate::output::Failure;

/// Read rows out of files and hand them to a peer, or show them.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    tacit source csv counts.csv --peer alpha\n  \
    tacit source log /var/log/auth.log --preset sshd --from 2026-11-20T00:00:00Z --peer alpha --one-row\n  \
    tacit source log eve.json --preset suricata --from 2026-11-20T00:00:00Z            (shows the counts)")]
pub(crate) struct Source {
    #[command(subcommand)]
    kind: Kind,
    #[command(flatten)]
    connection: Connection,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand, Debug)]
enum Kind {
    /// A CSV file: `slot_start,count` or `slot_start,v1,v2,...`.
    Csv {
        /// The file.
        file: PathBuf,
        #[command(flatten)]
        to: To,
    },
    /// A log file: how many lines match, per time slot.
    Log {
        /// The file.
        file: PathBuf,
        /// Which lines count.
        #[arg(long, value_enum, conflicts_with = "pattern", required_unless_present = "pattern")]
        preset: Option<Preset>,
        /// A regular expression that a line must match.
        #[arg(long, value_name = "REGEX")]
        pattern: Option<String>,
        /// When the first slot begins, RFC 3339.
        #[arg(long, value_name = "TIME")]
        from: String,
        /// Minutes of one slot.
        #[arg(long, value_name = "MINUTES", default_value_t = 5)]
        slot: u32,
        /// How many slots.
        #[arg(long, default_value_t = 288)]
        slots: usize,
        #[command(flatten)]
        to: To,
    },
}

#[derive(Args, Debug)]
struct To {
    /// The peer that gets the rows; without it they are shown.
    #[arg(long, value_name = "NAME")]
    peer: Option<String>,
    /// All numbers as one row of many items, instead of one row for each slot.
    #[arg(long)]
    one_row: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Preset {
    /// Failed logins in sshd's auth.log.
    Sshd,
    /// Alerts in Suricata's eve.json.
    Suricata,
}

impl Source {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let (rows, to) = match self.kind {
            Kind::Csv { file, to } => (csv_rows(&file)?, to),
            Kind::Log { file, preset, pattern, from, slot, slots, to } => {
                let start = UnixMillis::from_rfc3339(&from)
                    .ok_or_else(|| Failure::usage("--from is a time such as 2026-11-20T00:00:00Z"))?;
                let window = SlotWindow::new(start, i64::from(slot) * 60_000, slots)
                    .map_err(|e| Failure::usage(e.to_string()))?;
                let pattern = match (preset, pattern) {
                    (Some(Preset::Sshd), _) => LogPattern::Sshd,
                    (Some(Preset::Suricata), _) => LogPattern::Suricata,
                    (None, Some(regex)) => regex.parse::<LogPattern>().map_err(|e| Failure::usage(e.to_string()))?,
                    (None, None) => return Err(Failure::usage("choose --preset or --pattern")),
                };
                let file =
                    std::fs::File::open(&file).map_err(|e| Failure::usage(format!("{}: {e}", file.display())))?;
                let counts = count_log(BufReader::new(file), &pattern, &window)?;
                let row = |(start, count): (UnixMillis, u64)| RowBody {
                    slot_start: Some(start.to_rfc3339()),
                    values: vec![Decimal::from(count)],
                };
                (counts.slots.into_iter().map(row).collect(), to)
            }
        };
        let rows = if to.one_row { one_row(rows) } else { rows };
        match to.peer {
            Some(peer) => {
                let receipt = self.connection.client()?.add_rows(&peer, rows).await?;
                print(self.json, &receipt, |r| format!("{} kept", are(r.accepted, "row")))
            }
            None => print_all(self.json, &rows, "there is no row below the header", |row| {
                let values: Vec<String> = row.values.iter().map(ToString::to_string).collect();
                format!("{},{}", row.slot_start.as_deref().unwrap_or(""), values.join(","))
            }),
        }
    }
}

fn csv_rows(file: &std::path::Path) -> Result<Vec<RowBody>, Failure> {
    let bytes = std::fs::read(file).map_err(|e| Failure::usage(format!("{}: {e}", file.display())))?;
    let rows = read_csv(&bytes[..]).map_err(|e| Failure::usage(format!("{}: {e}", file.display())))?;
    let row = |timed: tacit_party::source::TimedRow| RowBody {
        slot_start: Some(timed.slot_start.to_rfc3339()),
        values: timed.row.expose().iter().map(|v| Decimal::from(*v)).collect(),
    };
    Ok(rows.into_iter().map(row).collect())
}

fn one_row(rows: Vec<RowBody>) -> Vec<RowBody> {
    let slot_start = rows.first().and_then(|row| row.slot_start.clone());
    let values = rows.into_iter().flat_map(|row| row.values).collect();
    vec![RowBody { slot_start, values }]
}
