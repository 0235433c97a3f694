//! Looking for gateways: by multicast DNS, and at the bootstrap addresses that the operator wrote down.

use std::collections::BTreeMap;
use std::time::Duration;

use tacit_link::discovery::{Announcement, Found, Mdns, Properties, Wishes, choose};
use tacit_model::Fingerprint;
use tracing::debug;

use crate::http::{Answer, HttpError, HttpPoster, HttpRules};

/// Where to look, and for what.
pub struct FinderSetup {
    /// Multicast DNS, where it works.
    pub mdns: Option<Mdns>,
    /// Addresses of HTTP edges that announce gateways, such as `https://10.0.0.1:7400`.
    pub bootstrap: Vec<String>,
    /// What this node's peers look for.
    pub wishes: Wishes,
    /// How long answers are waited for.
    pub patience: Duration,
    /// Allow plain http to other machines.
    pub allow_plain_http: bool,
}

/// Finds gateways. What it finds is a hint: well signed, and no more.
pub struct Finder {
    mdns: Option<Mdns>,
    bootstrap: Vec<String>,
    wishes: Wishes,
    patience: Duration,
    http: HttpPoster,
}

impl Finder {
    /// Makes ready; nothing is sent yet.
    pub fn new(setup: FinderSetup) -> Result<Self, HttpError> {
        let rules = HttpRules {
            anybody: true,
            allow_plain_http: setup.allow_plain_http,
            timeout: setup.patience,
            ..HttpRules::default()
        };
        Ok(Self {
            mdns: setup.mdns,
            bootstrap: setup.bootstrap,
            wishes: setup.wishes,
            patience: setup.patience,
            http: HttpPoster::new(rules)?,
        })
    }

    /// Whether there is anywhere to look.
    pub fn looks(&self) -> bool {
        self.mdns.is_some() || !self.bootstrap.is_empty()
    }

    /// The gateways that fit, best first. `trusted` come before strangers.
    pub async fn gateways(&self, trusted: impl IntoIterator<Item = Fingerprint>) -> Vec<Found> {
        let wishes = Wishes { trusted: trusted.into_iter().collect(), ..self.wishes.clone() };
        choose(self.everybody(&wishes).await, &wishes)
    }

    /// Where this gateway now says that its link port is; empty if nobody has heard of it.
    pub(crate) async fn links_of(&self, gateway: Fingerprint) -> Vec<String> {
        let wishes = Wishes { trusted: [gateway].into(), ..self.wishes.clone() };
        let found = self.everybody(&wishes).await.into_iter().find(|found| found.announcement.gateway == gateway);
        found.map(|found| found.links).unwrap_or_default()
    }

    async fn everybody(&self, wishes: &Wishes) -> Vec<Found> {
        let multicast = async {
            match &self.mdns {
                Some(mdns) => mdns.find(self.patience, wishes).await,
                None => Vec::new(),
            }
        };
        let (heard, told) = tokio::join!(multicast, self.ask_bootstrap());
        let mut all: BTreeMap<Fingerprint, Found> = BTreeMap::new();
        for found in heard.into_iter().chain(told) {
            let gateway = found.announcement.gateway;
            let merged = match all.remove(&gateway) {
                Some(known) => known.merge(found),
                None => found,
            };
            all.insert(gateway, merged);
        }
        all.into_values().collect()
    }

    /// What the bootstrap addresses say, one after the other: there are few of them.
    async fn ask_bootstrap(&self) -> Vec<Found> {
        let mut found = Vec::new();
        for address in &self.bootstrap {
            match self.announcement(address).await {
                Ok((announcement, at)) => found.push(Found::new(announcement, &host_of(&at))),
                Err(why) => debug!(address, why, "no announcement from this bootstrap address"),
            }
        }
        found
    }

    /// What this address says, or the gateway that leads by its word; and where that was said.
    async fn announcement(&self, address: &str) -> Result<(Announcement, String), String> {
        let (mut answer, mut at) = (self.ask(address).await?, address.to_owned());
        if let Some(Some((leading, _))) = answer.follows {
            (answer, at) = (self.ask(&leading).await?, leading);
        }
        if answer.status != 200 {
            return Err(format!("status {}", answer.status));
        }
        let properties: Properties = serde_json::from_slice(&answer.body).map_err(|e| e.to_string())?;
        Ok((Announcement::read(&properties).map_err(|e| e.to_string())?, at))
    }

    async fn ask(&self, address: &str) -> Result<Answer, String> {
        let address = format!("{}/api/v1/announcement", address.trim_end_matches('/'));
        let url = self.http.check(&address).map_err(|e| e.to_string())?;
        self.http.get(url).await.map_err(|e| e.to_string())
    }
}

/// The host of an address: where an announcement was served, its gateway is likely to be.
fn host_of(address: &str) -> Vec<String> {
    reqwest::Url::parse(address).ok().and_then(|url| url.host_str().map(str::to_owned)).into_iter().collect()
}
