//! `tacit negotiation`: agree on a charter, or on anything else, by signatures.

mod changes;
mod signing;
mod standing;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use tacit_accord::ConsensusId;
use tacit_accord::negotiation::{Act, Invitation, Wording, explain, export, import};
use tacit_model::api::NegotiationBody;
use tacit_model::{Clock, Fingerprint, GroupId, SystemClock, plain_lines};

use self::changes::Changes;
pub(crate) use self::changes::assignment;
use self::signing::Asking;
use self::standing::{describe, done, print};
use super::{group_number, print_all};
use crate::connection::Connection;
use crate::negotiating::{
    InvitationText, Seat, agreement_of, charter_wording, checked_registry, refused, statement, text_of, with_charter,
    with_terms,
};
use crate::output::Failure;

/// Negotiate: propose, counter-propose, accept; what all owners signed is in force.
#[derive(Args, Debug)]
#[command(after_help = "Examples, two owners taking over group 1:\n  \
    tacit negotiation new --group 1 --title owners --invitations 1 --set quorum=0\n  \
    tacit negotiation join 'NEGOTIATION|SECRET'                  (the other owner, with the line that was printed)\n  \
    tacit negotiation contribute NEGOTIATION --owners-joined     (everybody who takes part becomes an owner)\n  \
    tacit negotiation accept NEGOTIATION                         (each owner, after reading `explain`)\n  \
    tacit negotiation accept NEGOTIATION --as-manager            (the gateway's operator, while there are no owners)\n\n\
    A parameter that you want otherwise, an expert who reads it, and the way back:\n  \
    tacit negotiation contribute NEGOTIATION --set threshold=2\n  \
    tacit negotiation export NEGOTIATION proposal.txt\n  \
    tacit negotiation import NEGOTIATION proposal.txt")]
pub(crate) struct Negotiation {
    #[command(subcommand)]
    action: Action,
    /// The folder of your own key; the key is made when it is first needed. NAME.log.jsonl beside it has all it signed.
    #[arg(long, value_name = "DIR", env = "TACIT_OWNER_KEYS", default_value = "keys", global = true)]
    keys: PathBuf,
    /// The name of your own key in that folder.
    #[arg(long = "as", value_name = "NAME", default_value = "owner", global = true)]
    name: String,
    #[command(flatten)]
    connection: Connection,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Show your own key; make it if there is none.
    Key,
    /// Open a negotiation and put the first text forward.
    New(New),
    /// The negotiations about a group, with a token.
    List {
        /// The group's number.
        #[arg(long, value_parser = group_number)]
        group: i64,
    },
    /// Where a negotiation stands, parameter by parameter.
    Show {
        /// Its id, or the id of its consensus.
        negotiation: String,
        /// Superseded and withdrawn texts too; for members.
        #[arg(long)]
        all: bool,
    },
    /// Put a text forward, in place of your last one: the newest one, changed as you say.
    Contribute {
        /// The negotiation.
        negotiation: String,
        /// Start from this contribution; from the newest by default.
        #[arg(long, value_name = "NUMBER")]
        from: Option<u32>,
        #[command(flatten)]
        changes: Changes,
        /// Say that you want this parameter as it is.
        #[arg(long = "agree", value_name = "PARAMETER")]
        agree: Vec<String>,
        /// Say that you want this parameter otherwise.
        #[arg(long = "reject", value_name = "PARAMETER")]
        reject: Vec<String>,
        /// Make everybody who takes part an owner.
        #[arg(long)]
        owners_joined: bool,
    },
    /// Accept a text with all its parameters: what it changes is shown, and asked about on a terminal. When all who decide have signed the same one, it is in force.
    Accept {
        /// The negotiation.
        negotiation: String,
        /// Which contribution; the newest by default.
        #[arg(long, value_name = "NUMBER")]
        contribution: Option<u32>,
        /// With the key of the gateway's manager, which decides while there are no owners: the gateway signs, with an
        /// operator's token.
        #[arg(long)]
        as_manager: bool,
        /// Ask, also where no terminal is.
        #[arg(long, conflicts_with = "yes")]
        ask: bool,
        /// Ask nothing; what is signed is shown all the same.
        #[arg(long)]
        yes: bool,
    },
    /// Take your own text back, before there is a consensus.
    Withdraw {
        /// The negotiation.
        negotiation: String,
    },
    /// End a negotiation that you opened.
    Cancel {
        /// The negotiation.
        negotiation: String,
    },
    /// Let somebody else take part in a negotiation that you opened.
    Invite {
        /// The negotiation.
        negotiation: String,
        /// Whoever has this key; otherwise one-time secrets are drawn.
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
        /// How many secrets.
        #[arg(long, default_value_t = 1, conflicts_with = "key")]
        secrets: u32,
    },
    /// Take part with an invitation, by putting the newest text forward as your own.
    Join {
        /// As it was sent: NEGOTIATION|SECRET.
        invitation: String,
        #[command(flatten)]
        changes: Changes,
    },
    /// A text in plain words, with what each actor does under it.
    Explain {
        /// The negotiation.
        negotiation: String,
        /// Which contribution; what was agreed, or the newest, by default.
        #[arg(long, value_name = "NUMBER")]
        contribution: Option<u32>,
    },
    /// Write a text for an expert to read and edit.
    Export {
        /// The negotiation.
        negotiation: String,
        /// The file.
        file: PathBuf,
        /// Which contribution; what was agreed, or the newest, by default.
        #[arg(long, value_name = "NUMBER")]
        contribution: Option<u32>,
    },
    /// Put a text forward that was exported, edited or not.
    Import {
        /// The negotiation.
        negotiation: String,
        /// The file.
        file: PathBuf,
        /// Only say whether it is one of the texts that are there.
        #[arg(long)]
        compare: bool,
    },
    /// The parties of a group, checked against the signed documents and the consensus you saw last.
    Registry {
        /// The negotiation about the group, or with a token the group's number.
        negotiation_or_group: String,
        /// The consensus you saw last: it must be part of what is served.
        #[arg(long, value_name = "CONSENSUS")]
        last: Option<ConsensusId>,
        /// The manager key you know.
        #[arg(long, value_name = "KEY")]
        manager_key: Option<String>,
    },
}

impl Action {
    fn signs(&self) -> bool {
        match self {
            Self::List { .. } | Self::Explain { .. } | Self::Export { .. } | Self::Registry { .. } => false,
            Self::Show { all, .. } => *all,
            Self::Import { compare, .. } => !compare,
            Self::Accept { as_manager, .. } => !as_manager,
            _ => true,
        }
    }
}

#[derive(Args, Debug)]
struct New {
    /// What it is about, for people.
    #[arg(long, default_value = "charter")]
    title: String,
    /// The group whose charter it is to change.
    #[arg(long, value_parser = group_number)]
    group: Option<i64>,
    /// The gateway's certificate, if it is not the one of --pin; asked with a token if neither is given.
    #[arg(long, value_name = "FINGERPRINT", value_parser = super::fingerprint)]
    gateway: Option<Fingerprint>,
    #[command(flatten)]
    changes: Changes,
    /// A key that may take part besides those who decide.
    #[arg(long = "invite-key", value_name = "KEY")]
    invite_keys: Vec<String>,
    /// How many one-time invitations to draw.
    #[arg(long, default_value_t = 0)]
    invitations: u32,
    /// Days until it ends.
    #[arg(long, default_value_t = 30)]
    days: u32,
}

impl Negotiation {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let (json, pin) = (self.json, self.connection.pin());
        let seat = Seat::new(self.connection.client()?, &self.keys, &self.name, self.action.signs())?;
        match self.action {
            Action::Key => print(json, &json!({"key": seat.key(), "fingerprint": seat.identity.fingerprint()}), |_| {
                format!("key          {}\nfingerprint  {}", seat.key(), seat.identity.fingerprint())
            }),
            Action::New(new) => new.run(&seat, pin, json).await,
            Action::List { group } => {
                let none = format!("no negotiation yet: `tacit negotiation new --group {group}` opens one");
                print_all(json, &seat.client.negotiations(GroupId(group)).await?, &none, |n| {
                    plain_lines(&format!("{}  {:<9}  {}", n.id, n.status, n.title))
                })
            }
            Action::Show { negotiation, all } => {
                let now = seat.client.negotiation(&negotiation).await?;
                agreement_of(&now)?;
                if all {
                    let history = seat.history(&now.id).await?;
                    return print_all(json, &history, "no contribution yet", |c| {
                        let word = if c.live { "present" } else { "superseded" };
                        plain_lines(&format!("{:>4}  {word:<10}  {}\n      {}", c.number, c.signer, c.text))
                    });
                }
                print(json, &now, |now| describe(now, &seat.key()))
            }
            Action::Contribute { negotiation, from, changes, agree, reject, owners_joined } => {
                let now = seat.client.negotiation(&negotiation).await?;
                let (_, before) = text_of(&now, from)?;
                let mut text = changes.apply(&seat, before.clone()).await?;
                if owners_joined {
                    let signers: Vec<String> = now.contributions.iter().map(|c| c.signer.clone()).collect();
                    text = with_charter(text, |charter| {
                        charter.owners = signers;
                        Ok(())
                    })?;
                }
                text.accept = false;
                text.accepted = agree.into_iter().map(numbered).collect();
                text.rejected = reject.into_iter().map(numbered).collect();
                done(json, &seat.contribute(&now, &text, None).await?, &seat)
            }
            Action::Accept { negotiation, contribution, as_manager, ask, yes } => {
                let now = seat.client.negotiation(&negotiation).await?;
                let (chosen, text) = text_of(&now, contribution)?;
                signing::agree(&seat, &now, &chosen, &text, Asking { ask, yes }).await?;
                if as_manager {
                    return done(json, &seat.client.accept_as_manager(&now.id, chosen.number).await?, &seat);
                }
                done(json, &seat.contribute(&now, &text.accepting(), None).await?, &seat)
            }
            Action::Withdraw { negotiation } => {
                let now = seat.client.negotiation(&negotiation).await?;
                done(json, &seat.act(&now, Act::Withdraw).await?, &seat)
            }
            Action::Cancel { negotiation } => {
                let now = seat.client.negotiation(&negotiation).await?;
                done(json, &seat.act(&now, Act::Cancel).await?, &seat)
            }
            Action::Invite { negotiation, key, secrets } => {
                let mut now = seat.client.negotiation(&negotiation).await?;
                let mut invitations = Vec::new();
                match key {
                    Some(key) => now = seat.act(&now, Act::Invite(Invitation::Key(key))).await?,
                    None => {
                        for _ in 0..secrets {
                            let (after, invitation) = seat.invite(&now).await?;
                            now = after;
                            invitations.push(invitation.to_string());
                        }
                    }
                }
                print(json, &json!({"negotiation": now.id, "invitations": invitations}), |_| invitations.join("\n"))
            }
            Action::Join { invitation, changes } => {
                let invitation = InvitationText::read(&invitation)?;
                let now = seat.client.negotiation(&invitation.negotiation.to_string()).await?;
                let (_, mut text) = text_of(&now, None)?;
                text.accept = false;
                let text = changes.apply(&seat, text).await?;
                done(json, &seat.contribute(&now, &text, Some(&invitation)).await?, &seat)
            }
            Action::Explain { negotiation, contribution } => {
                let now = seat.client.negotiation(&negotiation).await?;
                let text = chosen(&now, contribution)?;
                print(json, &json!({"text": text, "explanation": explain(&text)}), |_| {
                    explain(&text).trim_end().to_owned()
                })
            }
            Action::Export { negotiation, file, contribution } => {
                let now = seat.client.negotiation(&negotiation).await?;
                let text = export(&chosen(&now, contribution)?)?;
                std::fs::write(&file, text).map_err(Failure::at(&file, "written", "name another file"))?;
                print(json, &json!({"file": file}), |_| format!("{} is written", file.display()))
            }
            Action::Import { negotiation, file, compare } => {
                let now = seat.client.negotiation(&negotiation).await?;
                let text = std::fs::read_to_string(&file);
                let text = text.map_err(Failure::at(&file, "read", "name the file that was exported"))?;
                let mut text = import(&text).map_err(|e| Failure::usage(e.to_string()))?;
                let written = text.to_text()?;
                let same = now.contributions.iter().find(|c| c.text == written).map(|c| c.number);
                if compare {
                    return print(json, &json!({"unchanged": same.is_some(), "contribution": same}), |_| match same {
                        Some(number) => format!("unchanged: it is contribution {number}"),
                        None => "changed: it is none of the present contributions".to_owned(),
                    });
                }
                text.accept = false;
                let text = with_terms(text, &[])?;
                done(json, &seat.contribute(&now, &text, None).await?, &seat)
            }
            Action::Registry { negotiation_or_group, last, manager_key } => {
                let served = match negotiation_or_group.parse() {
                    Ok(group) => seat.client.registry(GroupId(group)).await?,
                    Err(_) => seat.client.negotiated_registry(&negotiation_or_group).await?,
                };
                checked_registry(&served, manager_key.as_deref(), last)?;
                print(json, &served, standing::registry)
            }
        }
    }
}

impl New {
    async fn run(self, seat: &Seat, pin: Option<Fingerprint>, json: bool) -> Result<(), Failure> {
        let gateway = match self.gateway.or(pin) {
            Some(gateway) => gateway,
            None => seat.client.node().await?.fingerprint,
        };
        let expires = SystemClock.now().plus(i64::from(self.days) * 24 * 3600 * 1000);
        let group = self.group.map(GroupId);
        let opened = seat.open(gateway, &self.title, group, expires, self.invite_keys.clone()).await?;
        let id = opened.id.clone();
        let (now, invitations) = match self.begin(seat, opened, group).await {
            Ok(begun) => begun,
            Err(why) => return Err(why.about(&undone(seat, &id).await)),
        };
        print(json, &json!({"negotiation": now.id, "invitations": invitations, "state": now}), |_| {
            let mut lines = vec![format!("negotiation {}", now.id)];
            if !invitations.is_empty() {
                lines.push("Send one invitation to each, over a channel that you trust:".to_owned());
                lines.extend(invitations.iter().map(|i| format!("  {i}")));
            }
            lines.push(format!("Your initial proposal is contribution 1. See: tacit negotiation show {}", now.id));
            lines.join("\n")
        })
    }

    /// Puts the first text forward.
    async fn begin(
        self,
        seat: &Seat,
        mut now: NegotiationBody,
        group: Option<GroupId>,
    ) -> Result<(NegotiationBody, Vec<String>), Failure> {
        let text = match group {
            Some(_) => {
                let served = seat.client.negotiated_registry(&now.id).await?;
                let chain = checked_registry(&served, None, None)?;
                let current = chain.last().ok_or_else(|| refused("the group has no consensus"))?;
                charter_wording(&now.id, current, |_| Ok(()))?
            }
            None => statement(&now.id, &self.title)?,
        };
        let text = self.changes.apply(seat, text).await?;
        // Secrets first: while nobody else is invited, a text of one's own could be the whole consensus.
        let mut invitations = Vec::new();
        for _ in 0..self.invitations {
            let (after, invitation) = seat.invite(&now).await?;
            now = after;
            invitations.push(invitation.to_string());
        }
        now = seat.contribute(&now, &text, None).await?;
        Ok((now, invitations))
    }
}

/// Ends a negotiation whose first text did not come about; what there is to know of it.
async fn undone(seat: &Seat, id: &str) -> String {
    let cancelled = async {
        let now = seat.client.negotiation(id).await?;
        seat.act(&now, Act::Cancel).await
    };
    match cancelled.await {
        Ok(_) => "the negotiation is cancelled again: its first text did not come about".to_owned(),
        Err(_) => format!(
            "negotiation {id} is open and has no text: `tacit negotiation contribute {id}` goes on with it, `tacit \
             negotiation cancel {id}` ends it"
        ),
    }
}

/// What was agreed, the contribution of this number, or the newest one.
fn chosen(now: &NegotiationBody, contribution: Option<u32>) -> Result<Wording, Failure> {
    match (agreement_of(now)?, contribution) {
        (Some((_, wording)), None) => Ok(wording),
        _ => Ok(text_of(now, contribution)?.1),
    }
}

fn numbered(parameter: String) -> String {
    let has_number = parameter.split_once('/').is_some_and(|(part, _)| part.parse::<usize>().is_ok());
    if has_number { parameter } else { format!("1/{parameter}") }
}
