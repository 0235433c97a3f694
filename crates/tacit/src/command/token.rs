//! `tacit token`: who may use a node's API.

use clap::{Args, Subcommand};
use tacit_model::api::Role;

use super::print;
use crate::connection::Connection;
use crate::output::Failure;

/// Issue, list and revoke API tokens.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  tacit token create viewer --label dashboard")]
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
    /// Issue a token; it is shown once.
    Create {
        /// viewer, operator or owner.
        role: Role,
        /// What it is for.
        #[arg(long)]
        label: String,
    },
    /// All tokens, without their secrets.
    List,
    /// Revoke a token at once.
    Revoke {
        /// Its id, as listed.
        id: String,
    },
}

impl Token {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let client = self.connection.client()?;
        match self.action {
            Action::Create { role, label } => {
                print(self.json, &client.issue_token(role, &label).await?, |t| t.token.clone())
            }
            Action::List => print(self.json, &client.tokens().await?, |tokens| {
                let line = |t: &tacit_model::api::TokenBody| {
                    let state = t.revoked.as_deref().map_or_else(String::new, |at| format!("  revoked {at}"));
                    format!("{}  {:<9} {}{state}", t.id, t.role, t.label)
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
