//! `tacit receipt`: what was computed, signed by those who computed it.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;
use tacit_accord::receipt::{Contribution, Receipt as Document, ReceiptFault};
use tacit_accord::{Consensus, ConsensusId};
use tacit_pki::PublicKey;

use super::log::Key;
use super::{print, print_all};
use crate::connection::Connection;
use crate::output::{Code, Failure, computation, result_line};
use crate::wizard::say;

/// Receipts of results: which task, under which consensus, over how many contributions, computed and signed by whom.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  tacit receipt list                                    the gateway's, newest first
  tacit receipt show SESSION --out receipt.json
  tacit receipt show SESSION --peer alpha --contribution mine.json      also the proof that alpha's data counted
  tacit receipt verify receipt.json --key GATEWAY       offline; exit code 0 only if everything holds
  tacit receipt verify receipt.json --contribution mine.json --consensus charter.json")]
pub(crate) struct Receipt {
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
    /// Receipts, newest first.
    List {
        /// Those that this peer of the node holds, instead of the gateway's.
        #[arg(long, value_name = "NAME")]
        peer: Option<String>,
    },
    /// One receipt, as it is verified.
    Show {
        /// The session.
        session: String,
        /// The one that this peer of the node holds.
        #[arg(long, value_name = "NAME")]
        peer: Option<String>,
        /// Writes it to a file instead.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Writes the peer's proof that its data counted, or the reason why not, to a file. It is for its owner.
        #[arg(long, value_name = "FILE", requires = "peer")]
        contribution: Option<PathBuf>,
    },
    /// Verifies a receipt, without any node: exit code 0 only if everything holds.
    Verify {
        /// The file.
        file: PathBuf,
        /// The gateway in whose log it must be: its fingerprint, or its public key in base64.
        #[arg(long, value_name = "KEY")]
        key: Option<Key>,
        /// The charter it must be under: what `tacit group consensus --json` or `tacit group consensus` printed.
        #[arg(long, value_name = "FILE")]
        consensus: Option<PathBuf>,
        /// A contributor's proof that its data is in.
        #[arg(long, value_name = "FILE")]
        contribution: Option<PathBuf>,
    },
}

impl Receipt {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let json = self.json;
        match self.action {
            Action::List { peer } => {
                let list = self.connection.client()?.receipts(peer.as_deref()).await?;
                print_all(json, &list, "no receipt yet: one follows each result", |r| {
                    format!("{}  group {} {}  {}", r.session, r.group, computation(r.run, r.slot), r.at)
                })
            }
            Action::Show { session, peer, out, contribution } => {
                let found = self.connection.client()?.receipt(&session, peer.as_deref()).await?;
                if let Some(path) = contribution {
                    let none = || Failure::new(Code::Refused, "this peer was not asked for data in this session");
                    let unwritten = Failure::at(&path, "written", "name another file with --contribution");
                    std::fs::write(&path, found.contribution.ok_or_else(none)? + "\n").map_err(unwritten)?;
                    said_written(&path);
                }
                match out {
                    Some(path) => {
                        let unwritten = Failure::at(&path, "written", "name another file with --out");
                        std::fs::write(&path, found.receipt + "\n").map_err(unwritten)?;
                        said_written(&path);
                        Ok(())
                    }
                    None => result_line(&found.receipt),
                }
            }
            Action::Verify { file, key, consensus, contribution } => {
                verify(&file, key.as_ref(), consensus.as_deref(), contribution.as_deref(), json)
            }
        }
    }
}

/// On the error output: the other one is the receipt's. A message nobody reads stops nothing.
fn said_written(path: &Path) {
    drop(say(&format!("{} is written", path.display())));
}

fn verify(
    file: &Path,
    key: Option<&Key>,
    consensus: Option<&Path>,
    contribution: Option<&Path>,
    json: bool,
) -> Result<(), Failure> {
    let checked = read(file)?.and_then(|text| Document::verify(&text));
    let checked =
        checked.and_then(|receipt| match key.map(Key::fingerprint).filter(|pinned| *pinned != receipt.gateway()) {
            Some(pinned) => {
                let why = format!("it is in the log of {}, not of {pinned}", receipt.gateway());
                Err(ReceiptFault { place: "log", why })
            }
            None => Ok(receipt),
        });
    let receipt = match checked {
        Ok(receipt) => receipt,
        Err(fault) => return refused(json, &fault),
    };
    if let Some(path) = consensus {
        let under = in_chain(path, receipt.statement.consensus)?;
        let fault = |why| ReceiptFault { place: "consensus", why };
        let checked = under.map_err(fault).and_then(|known| receipt.check_charter(known.id(), known.charter()));
        if let Err(fault) = checked {
            return refused(json, &fault);
        }
    }
    if let Some(path) = contribution {
        let own: Contribution = serde_json::from_str(&text(path)?)
            .map_err(|e| Failure::usage(format!("{} is no proof of a contribution: {e}", path.display())))?;
        if let Err(fault) = receipt.check_contribution(&own) {
            return refused(json, &fault);
        }
    }
    let statement = &receipt.statement;
    let mut signers = Vec::new();
    for signature in &receipt.signatures {
        signers.push(PublicKey::from_base64(&signature.key)?.fingerprint().to_string());
    }
    let value = json!({
        "ok": true, "gateway": receipt.gateway().to_string(), "pinned": key.is_some(),
        "consensus_checked": consensus.is_some(), "contribution_checked": contribution.is_some(),
        "signers": signers, "quorum": statement.quorum(), "entry": receipt.log.number, "provider": statement.provider(),
        "statement": statement,
    });
    print(json, &value, |_| {
        let task = |name: &str| statement.task.get(name).and_then(|v| v.as_str()).unwrap_or_default().to_owned();
        let mut text = format!(
            "holds: {} over {} contributions, {}, threshold {}\n  group {} {} session {}\n  consensus {}\n  \
             signed by {} of {} who computed ({} needed)\n  entry {} in the log of {}, at {}",
            task("aggregator"),
            statement.contributors.count,
            statement.model,
            statement.threshold,
            statement.group,
            computation(statement.run, statement.slot),
            statement.session,
            statement.consensus,
            signers.len(),
            statement.compute.len(),
            statement.quorum(),
            receipt.log.number,
            receipt.gateway(),
            receipt.log.entry.at,
        );
        if let Some(provider) = statement.provider() {
            text.push_str(&format!(
                "\ncomputed by the SMC provider {provider} beside each member, not by Tacit's engine: model and threshold \
                 are what it was asked for; that it kept to them nobody signed"
            ));
        }
        if key.is_none() {
            text.push_str("\ncompare the log's fingerprint with the one you have, or give it with --key");
        }
        if consensus.is_none() {
            text.push_str(
                "\nwhether those who computed are the agreed ones was not checked; give the charter with --consensus",
            );
        }
        if contribution.is_some() {
            text.push_str("\nthe contribution is among them");
        }
        text
    })
}

/// One consensus of a file of documents that follow one another from the first, or why it is not among them.
pub(super) fn in_chain(path: &Path, wanted: ConsensusId) -> Result<Result<Consensus, String>, Failure> {
    let documents = text(path)?;
    let texts: Vec<String> = match serde_json::from_str(&documents) {
        Ok(texts) => texts,
        Err(_) => documents.lines().map(str::to_owned).collect(),
    };
    let mut current: Option<Consensus> = None;
    for text in texts.iter().filter(|text| !text.is_empty()) {
        let next = match Consensus::read(text) {
            Ok(next) => next,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let checked = match &current {
            None => match PublicKey::from_base64(next.claimed_manager()) {
                Ok(manager) => next.check_first(&manager),
                Err(_) => return Ok(Err("its manager key is none".to_owned())),
            },
            Some(known) => next.check_next(known),
        };
        match checked {
            Ok(consensus) if consensus.id() == wanted => return Ok(Ok(consensus)),
            Ok(consensus) => current = Some(consensus),
            Err(refusal) => return Ok(Err(refusal.to_string())),
        }
    }
    Ok(Err(format!("consensus {wanted} is not in this file")))
}

fn refused(json: bool, fault: &ReceiptFault) -> Result<(), Failure> {
    if json {
        print(true, &json!({ "ok": false, "place": fault.place, "fault": fault.why }), |_| String::new())?;
    }
    Err(Failure::new(Code::Refused, format!("the receipt does not hold: {fault}")))
}

/// What is no text is no receipt.
fn read(path: &Path) -> Result<Result<String, ReceiptFault>, Failure> {
    let bytes = std::fs::read(path).map_err(|e| Failure::usage(format!("{} cannot be read: {e}", path.display())))?;
    let fault = ReceiptFault { place: "document", why: "it is not UTF-8".to_owned() };
    Ok(String::from_utf8(bytes).map_err(|_| fault))
}

pub(super) fn text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|e| Failure::usage(format!("{} cannot be read: {e}", path.display())))
}
