//! What somebody wants to be otherwise in a text, as flags.

use clap::Args;
use serde_json::Value;
use tacit_accord::Charter;
use tacit_accord::negotiation::Wording;
use tacit_model::Fingerprint;

use crate::negotiating::{Seat, candidate, refused, statement_part, with_charter, with_terms};
use crate::output::Failure;

/// What is to be otherwise.
#[derive(Args, Debug, Default)]
pub(super) struct Changes {
    /// A parameter and its value, as in `explain`: JSON, or text as it is.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = assignment)]
    set: Vec<(String, Value)>,
    /// Make this key an owner.
    #[arg(long = "add-owner", value_name = "KEY")]
    add_owner: Vec<String>,
    /// This key is an owner no more.
    #[arg(long = "remove-owner", value_name = "KEY")]
    remove_owner: Vec<String>,
    /// Admit somebody who registered. Compare the fingerprint with its operator first.
    #[arg(long = "add-member", value_name = "NAME=FINGERPRINT", value_parser = compared)]
    add_member: Vec<(String, Fingerprint)>,
    /// Somebody is a member no more.
    #[arg(long = "remove-member", value_name = "NAME")]
    remove_member: Vec<String>,
    /// Add a part of its own to the text, a statement with this title; `--set 2/NAME=VALUE` fills the second part.
    #[arg(long = "add-part", value_name = "TITLE")]
    add_part: Vec<String>,
    /// Exactly these keys, each given so, are to sign the text; nobody else can then, and none of them may be missing.
    #[arg(long = "signer", value_name = "KEY")]
    signers: Vec<String>,
}

impl Changes {
    fn of_charter(&self) -> bool {
        !(self.add_owner.is_empty()
            && self.remove_owner.is_empty()
            && self.add_member.is_empty()
            && self.remove_member.is_empty())
    }

    /// Applies them to a text.
    pub(super) async fn apply(&self, seat: &Seat, wording: Wording) -> Result<Wording, Failure> {
        let wording = if self.of_charter() {
            let served = match self.add_member.is_empty() {
                true => None,
                false => Some(seat.client.negotiated_registry(&wording.negotiation.to_string()).await?),
            };
            with_charter(wording, |charter| {
                for (name, fingerprint) in &self.add_member {
                    let member = candidate(served.as_ref().ok_or_else(|| refused("no registry"))?, name)?;
                    if member.fingerprint != *fingerprint {
                        return Err(refused(format!(
                            "{name} registered with another fingerprint than the one you compared; do not admit it"
                        )));
                    }
                    charter.members.push(member);
                }
                self.change(charter)
            })?
        } else {
            wording
        };
        let mut wording = wording;
        wording.parts.extend(self.add_part.iter().map(|title| statement_part(title)));
        if !self.signers.is_empty() {
            wording.signers = self.signers.iter().cloned().collect();
        }
        if self.set.is_empty() { Ok(wording) } else { with_terms(wording, &self.set) }
    }

    fn change(&self, charter: &mut Charter) -> Result<(), Failure> {
        for name in &self.remove_member {
            let before = charter.members.len();
            charter.members.retain(|member| member.name != *name);
            if charter.members.len() == before {
                return Err(Failure::usage(format!("there is no member {name}")));
            }
        }
        charter.owners.retain(|key| !self.remove_owner.contains(key));
        for key in &self.add_owner {
            if !charter.owners.contains(key) {
                charter.owners.push(key.clone());
            }
        }
        if !(self.add_member.is_empty() && self.remove_member.is_empty()) {
            charter.threshold = Charter::natural_threshold(charter.computing().count());
        }
        Ok(())
    }
}

pub(crate) fn assignment(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("a parameter is NAME=VALUE, such as threshold=2")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    Ok((name.trim().to_owned(), value))
}

fn compared(text: &str) -> Result<(String, Fingerprint), String> {
    let (name, fingerprint) =
        text.rsplit_once('=').ok_or("give NAME=FINGERPRINT, as the member's operator reads it out")?;
    let fingerprint = fingerprint.parse().map_err(|_| "a fingerprint has 64 hexadecimal digits")?;
    Ok((name.to_owned(), fingerprint))
}
