//! `tacit audit`: the log of a node, and its verification without the node.

mod evidence;
mod verify;
mod witness;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;
use tacit_accord::log::{Checkpoint, CheckpointError, export::Verifier};
use tacit_model::api::SettleBody;
use tacit_pki::PublicKey;

use super::print;
use crate::connection::Connection;
use crate::output::{Failure, result_line};
use crate::wizard::say;
pub(crate) use verify::Key;
use verify::told;

/// The audit log: who decided and did what, provably unchanged.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  tacit audit show                                   what was logged, oldest first
  tacit audit check                                  reads the whole log of the node and verifies it
  tacit audit export --out log.jsonl                 the log as one file for an auditor
  tacit audit verify log.jsonl --key FINGERPRINT     offline; exit code 0 only if everything holds
  tacit audit evidence alpha                         sessions in which a privacy peer signed a wrong share of a result
  tacit audit evidence alpha SESSION --out lie.json  what convicts it, before anybody
  tacit audit verify-evidence lie.json               offline; exit code 0 only if it convicts somebody
  tacit audit witness --state seen.json              remembers the log, and next time notices if it was rewritten
  tacit audit settle alpha --accept ROOT --reason 'gateway restored from the backup of 20 November'
                                                     ends a dispute that has an honest reason; it stays in the log")]
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
    /// Entries, oldest first.
    Show {
        /// The first one, counted from 1.
        #[arg(long, default_value_t = 1, value_name = "NUMBER")]
        from: i64,
    },
    /// Verifies the whole log of a running node.
    Check,
    /// The signed head of the log, as a note for other tools.
    Checkpoint,
    /// Writes the log to a file that is verified offline. The file is verified before this ends.
    Export {
        /// Where to.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Verifies an exported file, without any node: exit code 0 only if everything holds.
    Verify {
        /// The file.
        file: PathBuf,
        /// The node whose log it must be: its fingerprint, or its public key in base64.
        #[arg(long, value_name = "KEY")]
        key: Option<Key>,
        /// Public keys (base64) of further nodes that write the same log.
        #[arg(long, value_name = "KEY")]
        replica: Vec<Key>,
    },
    /// Sessions in which a peer of this node convicted privacy peers of wrong shares, or the evidence of one of them.
    ///
    /// There is some where the security model is guaranteed and somebody lied; the results are right nevertheless. A
    /// document shows a part of its session's result: give it to nobody who may not know that.
    Evidence {
        /// The peer.
        peer: String,
        /// The session whose evidence is wanted.
        session: Option<String>,
        /// Writes it to a file instead.
        #[arg(long, value_name = "FILE", requires = "session")]
        out: Option<PathBuf>,
    },
    /// Verifies evidence, without any node: exit code 0 only if it convicts somebody.
    VerifyEvidence {
        /// The file.
        file: PathBuf,
        /// The charter it must be under: what `tacit group consensus --json` or `tacit group consensus` printed.
        #[arg(long, value_name = "FILE")]
        consensus: Option<PathBuf>,
    },
    /// Remembers the head of the log, and refuses one that did not grow out of the remembered one.
    Witness {
        /// Where it is remembered.
        #[arg(long, value_name = "FILE")]
        state: PathBuf,
        /// Also demands that this checkpoint, which somebody else was shown, belongs to the same log.
        #[arg(long, value_name = "NOTE")]
        against: Option<PathBuf>,
    },
    /// Ends a dispute over a log, once its reason was found to be an honest one, such as a restored backup.
    ///
    /// Compare the disputed head with the other members first: `tacit peer witness NAME`. From that head on the log is
    /// witnessed again. Both heads and the reason stay in the peer's own log, or beside the file.
    #[command(group(clap::ArgGroup::new("whose").required(true).args(["peer", "state"])))]
    Settle {
        /// The peer of this node that disputes its gateway's log.
        peer: Option<String>,
        /// Or the file in which `tacit audit witness` remembers a log.
        #[arg(long, value_name = "FILE")]
        state: Option<PathBuf>,
        /// The root of the disputed head, base64: the third line of the note that contradicts the remembered one.
        #[arg(long, value_name = "ROOT")]
        accept: String,
        /// Why the log is believed again.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

impl Audit {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match &self.action {
            Action::Show { from } => self.show(*from).await,
            Action::Check => self.read(None).await,
            Action::Checkpoint => self.checkpoint().await,
            Action::Export { out } => self.read(Some(out)).await,
            Action::Verify { file, key, replica } => {
                let others = replica.iter().map(Key::public).collect::<Result<Vec<_>, _>>()?;
                verify::file(file, key.as_ref(), others, self.json)
            }
            Action::Evidence { peer, session, out } => {
                evidence::read(&self.connection.client()?, peer, session.as_deref(), out.as_deref(), self.json).await
            }
            Action::VerifyEvidence { file, consensus } => evidence::verify(file, consensus.as_deref(), self.json),
            Action::Witness { state, against } => {
                witness::run(&self.connection.client()?, state, against.as_deref(), self.json).await
            }
            Action::Settle { peer, state, accept, reason } => match (peer, state) {
                (Some(peer), _) => {
                    let body = SettleBody { accept: accept.clone(), reason: reason.clone() };
                    let seen = self.connection.client()?.settle(peer, &body).await?;
                    print(self.json, &seen, |_| {
                        format!(
                            "{peer} witnesses the log again, from this head on; the dispute stays in this node's log"
                        )
                    })
                }
                (None, Some(state)) => witness::settle(state, accept, reason, self.json),
                (None, None) => Err(Failure::usage("name a peer of this node, or --state FILE")),
            },
        }
    }

    async fn show(&self, from: i64) -> Result<(), Failure> {
        let client = self.connection.client()?;
        let (mut entries, mut next, mut none) = (Vec::new(), Some(from), true);
        while let Some(from) = next {
            let page = client.log(from, 1000).await?;
            none &= page.entries.is_empty();
            next = page.next;
            if self.json {
                entries.extend(page.entries);
                continue;
            }
            for entry in page.entries {
                result_line(&format!("{:>6} {}", entry.seq, entry.body))?;
            }
        }
        match (self.json, none) {
            (true, _) => print(true, &entries, |_| String::new()),
            (false, true) => say(&format!("the log has no entry {from} yet")),
            (false, false) => Ok(()),
        }
    }

    async fn checkpoint(&self) -> Result<(), Failure> {
        let head = self.connection.client()?.log_checkpoint().await?;
        // What is handed on should hold.
        let key = PublicKey::from_base64(&head.key)?;
        let checkpoint = Checkpoint::open(&head.checkpoint, &key)?;
        if checkpoint.size != head.size {
            return Err(CheckpointError::Malformed("the node says another number of entries beside it").into());
        }
        print(self.json, &head, |head| head.checkpoint.trim_end().to_owned())
    }

    /// Reads the log of the node to its end and verifies it, with or without a file.
    async fn read(&self, out: Option<&Path>) -> Result<(), Failure> {
        let client = self.connection.client()?;
        let key = PublicKey::from_base64(&client.log_checkpoint().await?.key)?;
        let mut reader = verify::Reader::new(Verifier::new(Some(key.fingerprint()), Vec::new()));
        let create = |out| std::fs::File::create(out).map(|file| (out, file)).map_err(unwritten(out));
        let mut file = out.map(create).transpose()?;
        let mut pieces = client.log_export().await?;
        while let Some(piece) = pieces.next().await? {
            if let Some((out, file)) = &mut file {
                file.write_all(&piece).map_err(unwritten(out))?;
            }
            reader.take(&piece);
        }
        if let Some((out, file)) = &file {
            file.sync_all().map_err(unwritten(out))?;
        }
        let (value, text) = told(reader.finish(), true)?;
        print(self.json, &value, |_| match out {
            Some(out) => format!("{text}\nwritten to {}", out.display()),
            None => text.clone(),
        })
    }
}

fn unwritten(out: &Path) -> impl Fn(std::io::Error) -> Failure {
    Failure::at(out, "written", "name another file with --out")
}

/// What a refusal says in JSON.
fn refused(json: bool, fault: &tacit_accord::log::export::Broken) -> Result<(), Failure> {
    let value = json!({
        "ok": false, "line": fault.line, "entry": fault.entry, "fault": fault.fault.to_string(),
    });
    if json { print(true, &value, |_| String::new()) } else { Ok(()) }
}
