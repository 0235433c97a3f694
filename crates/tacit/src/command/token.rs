//! `tacit token`: who may use a node's API.

use clap::{Args, Subcommand};
use tacit_model::api::{NewCertificate, NewToken, Role, TaskScope};
use tacit_model::{Fingerprint, GroupId};

use super::print;
use crate::connection::Connection;
use crate::output::Failure;

/// Issue, list and revoke API tokens.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    tacit token create viewer --label dashboard\n  \
    tacit token create viewer --label hvac --set offices --purpose HVAC --aggregator mean   may ask for this, and no more\n  \
    tacit token create viewer --label hvac --purpose HVAC --certificate FINGERPRINT   no token: a client's own key")]
pub(crate) struct Token {
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
    /// Issue a token, which is shown once; or admit a client's certificate.
    Create {
        /// viewer, operator or owner.
        role: Role,
        /// What it is for.
        #[arg(long)]
        label: String,
        /// No token: whoever shows the certificate with this fingerprint over https. What its key signs has these
        /// limits, too, whoever hands it in.
        #[arg(long, value_name = "FINGERPRINT")]
        certificate: Option<Fingerprint>,
        #[command(flatten)]
        limits: Limits,
    },
    /// All tokens, without their secrets, and admitted certificates.
    List,
    /// Revoke a token or a certificate at once.
    Revoke {
        /// Its id, as listed.
        id: String,
    },
}

/// The tasks that it may ask for. A viewer may ask for none unless one of these is given, and for those only; an
/// operator for all unless one is. An owner has no limits.
#[derive(Args, Debug)]
struct Limits {
    /// Tasks of any kind, as far as the other limits go.
    #[arg(long)]
    tasks: bool,
    /// Only of this group, also in everything else that it does and sees; may be given several times, as all of these.
    #[arg(long, value_name = "GROUP")]
    group: Vec<i64>,
    /// Only about this set, as tasks write it.
    #[arg(long, value_name = "SET")]
    set: Vec<String>,
    /// Only for this purpose.
    #[arg(long, value_name = "WORD")]
    purpose: Vec<String>,
    /// Only by this aggregator.
    #[arg(long, value_name = "NAME")]
    aggregator: Vec<String>,
}

impl Limits {
    fn scope(self) -> Option<TaskScope> {
        let groups = self.group.into_iter().map(GroupId).collect();
        let scope = TaskScope { groups, sets: self.set, purposes: self.purpose, aggregators: self.aggregator };
        (self.tasks || scope != TaskScope::default()).then_some(scope)
    }
}

impl Token {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let client = self.connection.client()?;
        match self.action {
            Action::Create { role, label, certificate, limits } => {
                let tasks = limits.scope();
                let Some(fingerprint) = certificate else {
                    let issued = client.issue_token(&NewToken { role, label, tasks }).await?;
                    return print(self.json, &issued, |t| t.token.clone());
                };
                let new = NewCertificate { fingerprint, role, label, tasks };
                print(self.json, &client.admit_certificate(&new).await?, |t| format!("{} is admitted", t.id))
            }
            Action::List => print(self.json, &client.tokens().await?, |tokens| {
                let line = |t: &tacit_model::api::TokenBody| {
                    let state = t.revoked.as_deref().map_or_else(String::new, |at| format!("  revoked {at}"));
                    let kind = if t.certificate { "  certificate" } else { "" };
                    format!("{}  {:<9} {}{kind}{state}", t.id, t.role, t.label)
                };
                tokens.iter().map(line).collect::<Vec<_>>().join("\n")
            }),
            Action::Revoke { id } => {
                client.revoke_token(&id).await?;
                print(self.json, &id, |id| format!("{id} is revoked"))
            }
        }
    }
}
