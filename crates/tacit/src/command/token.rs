//! `tacit token`: who may use a node's API.

use clap::{Args, Subcommand};
use tacit_client::Client;
use tacit_engine::aggregate;
use tacit_model::api::{NewCertificate, NewToken, Role, TaskScope};
use tacit_model::{Fingerprint, GroupId};

use super::{print, print_all};
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
        /// viewer (looks), operator (also runs groups and hands in rows) or owner (everything, tokens too).
        role: Role,
        /// What it is for.
        #[arg(long)]
        label: String,
        /// No token: whoever shows the certificate with this fingerprint over https. What its key signs has these
        /// limits, too, whoever hands it in.
        #[arg(long, value_name = "FINGERPRINT", value_parser = super::fingerprint)]
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
    /// A limit to what is not there would only be noticed by whoever is refused everything.
    async fn check(&self, client: &Client) -> Result<(), Failure> {
        if let Some(stranger) = self.aggregator.iter().find(|name| aggregate::find(name).is_none()) {
            let known = aggregate::names();
            return Err(Failure::usage(format!("there is no aggregator {stranger:?}: choose one of {known}")));
        }
        if !self.group.is_empty() {
            let groups = client.groups().await?;
            are_there(&self.group, &groups.iter().map(|group| (group.gid.0, group.name.as_str())).collect::<Vec<_>>())?;
        }
        Ok(())
    }

    fn scope(self) -> Option<TaskScope> {
        let groups = self.group.into_iter().map(GroupId).collect();
        let scope = TaskScope { groups, sets: self.set, purposes: self.purpose, aggregators: self.aggregator };
        (self.tasks || scope != TaskScope::default()).then_some(scope)
    }
}

fn are_there(limits: &[i64], groups: &[(i64, &str)]) -> Result<(), Failure> {
    let Some(stranger) = limits.iter().find(|limit| groups.iter().all(|(group, _)| group != *limit)) else {
        return Ok(());
    };
    let known: Vec<String> = groups.iter().map(|(group, name)| format!("{group} ({name})")).collect();
    let known = if known.is_empty() { "no group yet".to_owned() } else { known.join(", ") };
    Err(Failure::usage(format!("there is no group {stranger} at this node, which has {known}")))
}

impl Token {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let client = self.connection.client()?;
        match self.action {
            Action::Create { role, label, certificate, limits } => {
                limits.check(&client).await?;
                let tasks = limits.scope();
                let Some(fingerprint) = certificate else {
                    let issued = client.issue_token(&NewToken { role, label, tasks }).await?;
                    return print(self.json, &issued, |t| t.token.clone());
                };
                let new = NewCertificate { fingerprint, role, label, tasks };
                print(self.json, &client.admit_certificate(&new).await?, |t| format!("{} is admitted", t.id))
            }
            Action::List => print_all(self.json, &client.tokens().await?, "no token yet", |t| {
                let state = t.revoked.as_deref().map_or_else(String::new, |at| format!("  revoked {at}"));
                let kind = if t.certificate { "  certificate" } else { "" };
                format!("{}  {:<9} {}{kind}{state}", t.id, t.role, t.label)
            }),
            Action::Revoke { id } => {
                client.revoke_token(&id).await?;
                print(self.json, &id, |id| format!("{id} is revoked"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_to_a_group_that_is_not_there_is_refused_with_those_that_are() {
        let groups = [(1, "isps"), (3, "labs")];
        assert!(are_there(&[3, 1], &groups).is_ok() && are_there(&[], &[]).is_ok());
        let why = are_there(&[1, 2], &groups).expect_err("no such group").to_string();
        assert_eq!(why, "there is no group 2 at this node, which has 1 (isps), 3 (labs)");
        assert!(are_there(&[1], &[]).expect_err("none").to_string().contains("no group yet"));
    }
}
