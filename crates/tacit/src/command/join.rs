//! `tacit join`: become a member of a group: register, pair, compare.

use clap::{Args, ValueEnum};
use tacit_model::Fingerprint;
use tacit_model::api::{JoinBody, PeerRole};

use super::print;
use crate::connection::Connection;
use crate::output::Failure;

/// Become a member of a group with a registration code.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    tacit join 4kq0x7m2b9c1d8ef --gateway https://manager.example:7400 --name alpha\n  \
    tacit join 4kq0x7m2b9c1d8ef --name alpha                    looks for a gateway that fits [discovery] in node.toml\n  \
    tacit join https://manager.example:7400/join/4kq0x7m2b9c1d8ef --name alpha --role input")]
pub(crate) struct Join {
    /// The registration code, or a link that ends in it.
    code_or_url: String,
    /// The gateway's address, if only a code was given. Without it, the node looks for one.
    #[arg(long, value_name = "URL")]
    gateway: Option<String>,
    /// The gateway's certificate as its operator reads it out; then nobody else is believed.
    #[arg(long, value_name = "FINGERPRINT")]
    gateway_fingerprint: Option<Fingerprint>,
    /// The name in the group.
    #[arg(long)]
    name: String,
    /// What to do in the group.
    #[arg(long, value_enum, default_value = "both")]
    role: RoleArg,
    /// Who runs this peer; its name by default. Thresholds count operators.
    #[arg(long)]
    operator: Option<String>,
    /// Where results are posted.
    #[arg(long, value_name = "URL")]
    results: Option<String>,
    #[command(flatten)]
    connection: Connection,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RoleArg {
    /// Give data.
    Input,
    /// Compute on shares.
    Privacy,
    /// Both.
    Both,
    /// Only learn results.
    Recipient,
}

impl Join {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let (base, code) = match (self.code_or_url.rsplit_once("/join/"), &self.gateway) {
            (Some((base, code)), _) => (base.to_owned(), code.to_owned()),
            (None, Some(gateway)) => (gateway.trim_end_matches('/').to_owned(), self.code_or_url.clone()),
            // The node looks for one that fits.
            (None, None) => (String::new(), self.code_or_url.clone()),
        };
        // A P2DS manager's address has its own path; a node's native one is /api/v1.
        let gateway_url = if base.is_empty() || base.contains("/group-mgmt") || base.ends_with("/api/v1") {
            base
        } else {
            format!("{base}/api/v1")
        };
        let body = JoinBody {
            name: self.name,
            role: match self.role {
                RoleArg::Input => PeerRole::Input,
                RoleArg::Privacy => PeerRole::Privacy,
                RoleArg::Both => PeerRole::Both,
                RoleArg::Recipient => PeerRole::Recipient,
            },
            gateway_url,
            gateway_fingerprint: self.gateway_fingerprint,
            registration_code: code,
            operator: self.operator,
            final_results_url: self.results,
            label_key: None,
        };
        let peer = self.connection.client()?.join(&body).await?;
        print(self.json, &peer, |peer| {
            let own = peer.fingerprint.map(|f| f.to_string()).unwrap_or_default();
            let gateway = peer.gateway_fingerprint.map(|f| f.to_string()).unwrap_or_default();
            format!(
                "{} is registered, and not verified yet.\n\n  Read this to the gateway's operator, over the telephone or face to face:\n    {own}\n  \
                 and compare what the operator reads to you with:\n    {gateway}\n  short comparison code for both: {}\n\n\
                 The operator then runs: tacit pair approve {} --fingerprint {own}{}",
                peer.name,
                peer.comparison_code.as_deref().unwrap_or("-"),
                peer.name,
                if peer.gateway_compared {
                    String::new()
                } else {
                    format!(
                        "\n\nThe gateway was found on the network at {}. Nothing is computed before you run here, with \
                         what its operator reads out: tacit pair approve {} --gateway --fingerprint FINGERPRINT",
                        peer.gateway_url, peer.name
                    )
                }
            )
        })
    }
}
