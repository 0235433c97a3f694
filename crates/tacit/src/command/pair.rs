//! `tacit pair`: who may be a member, decided by comparing what both sides show.

use clap::{Args, Subcommand};
use tacit_model::Fingerprint;
use tacit_model::api::{MemberBody, PairingBody, PairingDecision, PairingState};

use super::{print, print_all};
use crate::connection::Connection;
use crate::output::Failure;

/// Approve or reject the peers that registered at this gateway.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    tacit pair list                                    who waits, with fingerprint and comparison code\n  \
    tacit pair approve alpha --code 'ghdf4 j85qq ...'  the code as alpha's operator reads it out\n  \
    tacit pair approve alpha --gateway --code '...'    on alpha's node, for a gateway it found by itself\n  \
    tacit pair reject alpha --reason 'nobody answers the telephone'\n  \
    tacit pair revoke alpha --reason 'stolen'          for ever, and at once")]
pub(crate) struct Pair {
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
    /// Everybody who registered, and how far the pairing has come.
    List,
    /// Let a peer in: its operator has read out the same code or fingerprint as is shown here.
    #[command(group(clap::ArgGroup::new("compared").required(true)))]
    Approve {
        /// The peer.
        name: String,
        /// The comparison code as the peer's operator reads it out; spaces do not matter.
        #[arg(long, group = "compared")]
        code: Option<String>,
        /// The peer's fingerprint as its operator reads it out, 64 hexadecimal digits; spaces do not matter.
        #[arg(long, group = "compared", value_parser = super::fingerprint)]
        fingerprint: Option<Fingerprint>,
        /// On the peer's node: what was compared is the gateway that this peer found on the network.
        #[arg(long)]
        gateway: bool,
    },
    /// Do not let a peer in, or no longer. It may be approved later.
    Reject {
        /// The peer.
        name: String,
        /// Why; kept in the log of this gateway.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Never let a peer's key in again; its links close at once.
    Revoke {
        /// The peer.
        name: String,
        /// Why; kept at this gateway.
        #[arg(long, default_value = "")]
        reason: String,
    },
}

impl Pair {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let client = self.connection.client()?;
        let (name, body) = match self.action {
            Action::List => {
                let none = "nobody has registered yet: `tacit group invite` draws a code for `tacit join`";
                return print_all(self.json, &client.pairings().await?, none, describe);
            }
            Action::Approve { name, code, fingerprint, gateway: true } => {
                let body = decision(PairingDecision::Approve, fingerprint, code, String::new());
                return print(self.json, &client.pair_gateway(&name, &body).await?, |p| {
                    format!("{} computes with this gateway from now on", p.name)
                });
            }
            Action::Approve { name, code, fingerprint, gateway: false } => {
                (name, decision(PairingDecision::Approve, fingerprint, code, String::new()))
            }
            Action::Reject { name, reason } => (name, decision(PairingDecision::Reject, None, None, reason)),
            Action::Revoke { name, reason } => (name, decision(PairingDecision::Revoke, None, None, reason)),
        };
        print(self.json, &client.pair(&name, &body).await?, decided)
    }
}

fn decision(
    decision: PairingDecision,
    fingerprint: Option<Fingerprint>,
    comparison_code: Option<String>,
    reason: String,
) -> PairingBody {
    PairingBody { decision, fingerprint, comparison_code, reason }
}

/// How a member stands after a decision. `registered` is what it was told when it joined, and was not let in yet.
fn decided(member: &MemberBody) -> String {
    let stands = match member.pairing {
        PairingState::Registered => "verified",
        other => other.word(),
    };
    format!("{} is {stands}", member.name)
}

fn describe(member: &MemberBody) -> String {
    let mut text = format!(
        "{:<16} {:<10} {:<9} group {:<4} operator {}",
        member.name,
        member.pairing.word(),
        if member.connected { "connected" } else { "away" },
        member.gid,
        member.operator
    );
    if member.pairing == PairingState::Waiting {
        let fingerprint = member.fingerprint.map_or_else(|| "none yet".to_owned(), |f| f.to_string());
        text.push_str(&format!("\n  fingerprint  {fingerprint}"));
        if let Some(code) = &member.comparison_code {
            text.push_str(&format!("\n  both sides show  {code}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_let_in_is_not_told_as_one_who_joined() {
        let told = |pairing: &str| {
            let member: MemberBody = serde_json::from_value(serde_json::json!({
                "gid": 1, "pid": 1, "name": "alpha", "role": "both", "url": "", "operator": "alpha", "label_key": null,
                "fingerprint": null, "status": "unknown", "verified": pairing == "registered", "pairing": pairing,
                "connected": true,
            }))
            .expect("a member");
            decided(&member)
        };
        assert_eq!(told("registered"), "alpha is verified");
        assert_eq!(told("rejected"), "alpha is rejected");
    }
}
