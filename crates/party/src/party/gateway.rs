//! The gateway that a party follows: whether its operator knows it, what it is believed, who leads if there are several.

use tacit_job::{ToGateway, pairing_digest};
use tacit_model::Fingerprint;
use tacit_model::api::PairingState;
use tacit_pki::comparison_code;

use super::{Inner, Party};
use crate::PartyError;
use crate::standing::Standing;

impl Party {
    /// Whether its operator knows that gateway, which has not turned it away: what was only found on the network is not
    /// believed because it was found before.
    pub(crate) fn trusts_gateway(&self) -> bool {
        let away = |state| matches!(state, PairingState::Rejected | PairingState::Revoked);
        self.inner.standing.look(|standing| standing.gateway_compared && !away(standing.pairing))
    }

    /// Says that this peer's operator and the gateway's compared what both sides show; without it, a party that
    /// found its gateway by itself does not compute. `Refused` if it is not what this side shows.
    pub async fn compare_gateway(
        &self,
        fingerprint: Option<Fingerprint>,
        code: Option<&str>,
    ) -> Result<(), PartyError> {
        let party = &self.inner;
        let own = party.comparison(&party.standing.get());
        let plain = |code: &str| -> String {
            code.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
        };
        let equal = match (fingerprint, code) {
            (Some(fingerprint), None) => fingerprint == party.gateway,
            (None, Some(code)) => plain(code) == plain(&own),
            _ => false,
        };
        if !equal {
            return Err(PartyError::Declined(
                "what you compared is not what this peer shows: somebody may stand in between; leave this gateway"
                    .to_owned(),
            ));
        }
        let confirm = |standing: &mut Standing| !std::mem::replace(&mut standing.gateway_compared, true);
        party.standing.change(confirm).await.map(drop)
    }
}

impl Inner {
    /// The gateways that its charter names, or the pinned one.
    pub(crate) fn gateways(&self) -> Vec<Fingerprint> {
        self.gate.gateways()
    }

    /// The gateway that it is linked with, or was last.
    pub(crate) fn leading(&self) -> Fingerprint {
        self.line.gateway().unwrap_or(self.gateway)
    }

    /// What its operator and the gateway's read to each other.
    pub(crate) fn comparison(&self, standing: &Standing) -> String {
        comparison_code(self.me, pairing_digest(&self.gateway, &standing.manager_key))
    }

    /// Charter documents of the gateway.
    pub(crate) async fn take_charter(&self, documents: &[String]) {
        let (before, gateways) = (self.roster.id(), self.gateways());
        if let Err(error) = self.roster.accept(documents).await {
            self.trouble(error.to_string());
        }
        if let Some(known) = self.roster.id() {
            if before != Some(known) {
                let now = self.gateways();
                if let Err(error) = self.standing.change(|standing| standing.left(&gateways, &now)).await {
                    self.trouble(format!("the gateways before could not be kept: {error}"));
                }
                self.host.recheck_all();
                self.outbox.notify_one();
            }
            self.line.send(&ToGateway::Accepted { group: self.group, known });
        }
    }

    /// The gateway's word, or the reason behind it where this party can see it itself.
    pub(super) fn why_refused(&self, why: String) -> PartyError {
        match self.roster.known() {
            Some(known) if known.charter().member(&self.me).is_none() => PartyError::NotVerified,
            Some(known) if known.charter().configuration.is_none() => PartyError::NoConfiguration,
            Some(_) => PartyError::Refused(why),
            None => PartyError::NotVerified,
        }
    }
}
