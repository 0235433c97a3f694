//! A task from flags.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Args;
use tacit_client::Client;
use tacit_job::{Micro, Scale, sign_request};
use tacit_model::api::{TaskRepeat, TaskRequest, TaskSignature};
use tacit_model::{Clock, Fingerprint, GroupId, SystemClock};
use tacit_pki::result_key::ResultKey;
use tacit_pki::{Identity, keyfile, random};

use crate::command::group_number;
use crate::config::DataFolder;
use crate::output::Failure;

/// What to ask for.
#[derive(Args, Debug)]
pub(super) struct Question {
    /// The group; not needed where the gateway has one only.
    #[arg(long, value_parser = group_number)]
    group: Option<i64>,
    /// Which peers: labels with commas between them; all by default.
    #[arg(long, default_value = "")]
    set: String,
    /// What for.
    #[arg(long)]
    purpose: String,
    /// A series; may be given several times.
    #[arg(long = "source", value_name = "NAME", required = true)]
    sources: Vec<String>,
    /// Only records for which this holds, such as 'occupancy>=1'; may be given several times. Each peer's owner must have
    /// allowed it: `tacit policy set NAME conditions=true`.
    #[arg(long = "filter", value_name = "CONDITION")]
    filter: Vec<String>,
    /// now, last_30min, last_1h, last_2d (s, min, h, d), or FROM/TO.
    #[arg(long, default_value = "now")]
    preselector: String,
    /// Samples of several series within the same interval of so many seconds make a record, of each series the latest;
    /// by default samples of the same moment do.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    align: u32,
    /// What is computed; `tacit group aggregators` describes all, with their settings and an example of each.
    #[arg(long)]
    aggregator: String,
    /// A setting of the aggregator, NAME=VALUE; may be given several times. `tacit group aggregators AGGREGATOR` names all.
    #[arg(long = "parameter", value_name = "NAME=VALUE")]
    parameters: Vec<String>,
    /// Decimal places that count; by default 2, or none where the aggregator takes whole numbers only.
    #[arg(long)]
    decimals: Option<u8>,
    /// The least value that enters; by default -1000000, or 0 where the aggregator takes nothing below.
    #[arg(long, value_name = "DECIMAL", allow_hyphen_values = true)]
    least: Option<String>,
    /// The largest value that enters; by default 1000000.
    #[arg(long, value_name = "DECIMAL", allow_hyphen_values = true)]
    most: Option<String>,
    /// What is promised about corrupted peers; see docs/protocols.md for what is offered in which.
    #[arg(long, value_name = "MODEL", default_value = "semi-honest", value_parser = ["semi-honest", "malicious", "guaranteed"])]
    model: String,
    /// A member that learns the result, by certificate; may be given several times. By default those the
    /// charter names.
    #[arg(long = "recipient", value_name = "FINGERPRINT", value_parser = crate::command::fingerprint)]
    recipients: Vec<Fingerprint>,
    /// Tell the gateway the result, too, instead of sealing it for this command.
    #[arg(long)]
    pub(super) tell_gateway: bool,
    /// At least so many must give data; over branches, in each of them.
    #[arg(long, default_value_t = 3)]
    min_participants: u32,
    /// Ask over branches, at least so many: each computes its part in a group of its own, and only the total of all is
    /// opened.
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    branches: u32,
    /// Seconds that members have to ask their owners, where their policies want that; then they are left out.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    approval: u32,
    /// Seconds between two computations of a repeated task.
    #[arg(long, value_name = "SECONDS", requires = "times")]
    every: Option<u32>,
    /// How many computations.
    #[arg(long, value_name = "COUNT", requires = "every")]
    times: Option<u32>,
    /// Do not sign it, although --data names a folder with a key.
    #[arg(long)]
    unsigned: bool,
}

impl Question {
    /// The group that is meant.
    pub(super) async fn group(&self, client: &Client) -> Result<GroupId, Failure> {
        if let Some(group) = self.group {
            return Ok(GroupId(group));
        }
        let groups = client.groups().await?;
        match &groups[..] {
            [only] => Ok(only.gid),
            [] => Err(Failure::usage("this gateway has no group yet: `tacit group create` makes one")),
            several => {
                let named: Vec<_> = several.iter().map(|group| format!("{} ({})", group.gid.0, group.name)).collect();
                Err(Failure::usage(format!(
                    "this gateway has several groups: add --group, one of {}",
                    named.join(", ")
                )))
            }
        }
    }

    /// What the bounds are where they were not given: a value outside does not enter.
    pub(super) fn bounds_note(&self) -> Option<String> {
        if self.decimals.is_some() && self.least.is_some() && self.most.is_some() {
            return None;
        }
        let (least, most, decimals) = self.bounds();
        Some(format!(
            "note: values from {least} to {most} enter, rounded to {decimals} decimal places; a peer that has others \
             declines, or leaves them out if its owner allows that. --least, --most and --decimals change this"
        ))
    }

    fn bounds(&self) -> (String, String, u8) {
        let usual = Scale::usual(&self.aggregator);
        let text = |given: &Option<String>, usual: Micro| given.clone().unwrap_or_else(|| usual.to_string());
        (text(&self.least, usual.least()), text(&self.most, usual.most()), self.decimals.unwrap_or(usual.decimals()))
    }

    /// The request, signed with the client's own key if it has one, else with the client key in the data folder.
    pub(super) fn request(
        self,
        group: GroupId,
        key: Option<&ResultKey>,
        own: Option<Identity>,
        data: Option<&Path>,
    ) -> Result<(TaskRequest, Option<TaskSignature>), Failure> {
        let (least, most, decimals) = self.bounds();
        let mut parameters = BTreeMap::new();
        for setting in &self.parameters {
            let (name, value) =
                setting.split_once('=').ok_or_else(|| Failure::usage("--parameter is NAME=VALUE, such as ddof=0"))?;
            parameters.insert(name.to_owned(), value.to_owned());
        }
        let now = SystemClock.now();
        let request = TaskRequest {
            group,
            set: self.set,
            purpose: self.purpose,
            sources: self.sources,
            filter: self.filter,
            preselector: self.preselector,
            align_s: self.align,
            aggregator: self.aggregator,
            parameters,
            decimals,
            least,
            most,
            model: self.model,
            recipients: self.recipients,
            result_key: key.map(|key| key.public().to_owned()),
            tell_gateway: self.tell_gateway,
            min_participants: self.min_participants,
            branches: self.branches,
            parent: None,
            approval_s: self.approval,
            issued: now.to_rfc3339(),
            nonce: random::nonce()?,
            repeat: self.every.zip(self.times).map(|(every_s, times)| TaskRepeat { every_s, times }),
        };
        let signer = match (own, data) {
            _ if self.unsigned => None,
            (Some(own), _) => Some(own),
            (None, Some(data)) => {
                let folder = DataFolder(data.to_owned()).keys();
                Some(keyfile::load_or_create(&folder, "client", "client", now.to_date_time()?)?)
            }
            (None, None) => None,
        };
        let signature = signer.map(|signer| sign_request(&request, &signer));
        Ok((request, signature))
    }
}
