//! A registration under way: the key it is made with is on the disk before the gateway hears of it.
//!
//! A crash between the gateway's commit and this node's would otherwise use up the code for a key that nobody has.

use serde::{Deserialize, Serialize};
use tacit_model::Fingerprint;
use tacit_pki::{Identity, keyfile};

use super::{Parties, key_name, label};
use crate::{JoinRequest, PartyError};

/// What is durable while a registration is under way. The code itself is not: it is a secret.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    key: String,
    code: String,
    gateway: String,
}

/// The registration of one name.
pub(super) struct Begun<'a> {
    parties: &'a Parties,
    name: String,
    code: String,
    gateway: String,
    key: Option<Fingerprint>,
}

impl<'a> Begun<'a> {
    pub(super) fn new(parties: &'a Parties, request: &JoinRequest) -> Self {
        Self {
            parties,
            name: request.name.clone(),
            code: hex::encode(tacit_accord::digest("joining", request.code.as_bytes())),
            gateway: request.base_url.clone(),
            key: request.key,
        }
    }

    /// The key of the same registration, if one was cut off.
    pub(super) async fn again(&self) -> Result<Option<Identity>, PartyError> {
        let setup = &self.parties.inner.setup;
        let Some(note) = setup.store.setting(&self.setting()).await? else { return Ok(None) };
        let Ok(note) = serde_json::from_str::<Note>(&note) else { return Ok(None) };
        let asked = self.key.map(|key| key_name(&key));
        let same_key = asked.as_ref().is_none_or(|asked| *asked == note.key);
        if note.code == self.code && note.gateway == self.gateway && same_key {
            return Ok(keyfile::load(&setup.keys, &note.key).ok());
        }
        // Another code, gateway or key: that registration will not be taken up again.
        if asked.is_none() || !same_key {
            self.parties.remove_key(&note.key);
        }
        Ok(None)
    }

    /// The key that was asked for, or a new one, durable together with the note that it is wanted.
    pub(super) async fn anew(&self) -> Result<Identity, PartyError> {
        let setup = &self.parties.inner.setup;
        let now = setup.clock.now();
        let moment = now.to_date_time().map_err(|e| PartyError::Damaged(e.to_string()))?;
        let identity = match self.key {
            Some(key) => self.given(&key)?,
            None => {
                let identity = Identity::generate(&label(&self.name), moment)?;
                keyfile::create(&setup.keys, &key_name(&identity.fingerprint()), &identity)?;
                identity
            }
        };
        let key = key_name(&identity.fingerprint());
        let note = Note { key, code: self.code.clone(), gateway: self.gateway.clone() };
        let note = serde_json::to_string(&note).map_err(|e| PartyError::Damaged(e.to_string()))?;
        setup.store.set_setting(&self.setting(), &note, now).await?;
        Ok(identity)
    }

    /// The key of this fingerprint, unless another party has it: ending that one would take it away from this one.
    fn given(&self, key: &Fingerprint) -> Result<Identity, PartyError> {
        if let Some(party) = self.parties.list().iter().find(|party| party.fingerprint() == *key) {
            return Err(PartyError::KeyTaken(party.name().to_owned()));
        }
        let loaded = keyfile::load(&self.parties.inner.setup.keys, &key_name(key));
        loaded.map_err(|why| {
            tracing::warn!(%why, "a key that a registration names");
            PartyError::GivenKey(*key)
        })
    }

    /// The registration is over.
    pub(super) async fn end(&self) -> Result<(), PartyError> {
        Ok(self.parties.inner.setup.store.clear_setting(&self.setting()).await?)
    }

    fn setting(&self) -> String {
        format!("joining:{}", self.name)
    }
}
