//! `tacit audit`: the log of a node.

use clap::{Args, Subcommand};
use tacit_accord::log::first_break;
use tacit_model::api::LogLine;

use super::print;
use crate::connection::Connection;
use crate::output::{Code, Failure};

/// Read and check the log of decisions, actions and sessions.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  tacit audit show\n  tacit audit check      every entry follows from the one before it"
)]
pub(crate) struct Audit {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    connection: Connection,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// All entries.
    Show,
    /// Whether every entry follows from the one before it.
    Check,
}

impl Audit {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let client = self.connection.client()?;
        let mut entries: Vec<LogLine> = Vec::new();
        let mut from = 1;
        loop {
            let page = client.log(from, 1000).await?;
            entries.extend(page.entries);
            match page.next {
                Some(next) => from = next,
                None => break,
            }
        }
        match self.action {
            Action::Show => print(self.json, &entries, |entries| {
                entries.iter().map(|e| format!("{:>6} {}", e.seq, e.body)).collect::<Vec<_>>().join("\n")
            }),
            Action::Check => {
                let mut hashed = Vec::with_capacity(entries.len());
                for entry in &entries {
                    hashed.push((entry.body.as_str(), entry.hash.parse::<tacit_model::Fingerprint>()?.0));
                }
                match first_break(hashed) {
                    None => print(self.json, &serde_json::json!({"ok": true, "entries": entries.len()}), |_| {
                        format!("{} entries, each follows from the one before it", entries.len())
                    }),
                    Some(at) => {
                        Err(Failure::new(Code::Refused, format!("entry {at} does not follow from the one before it")))
                    }
                }
            }
        }
    }
}
