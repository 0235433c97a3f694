//! A registration under way: the key it is made with is on the disk before the gateway hears of it.
//!
//! A crash between the gateway's commit and this node's would otherwise use up the code for a key that nobody has.

use serde::{Deserialize, Serialize};
use tacit_pki::{Identity, keyfile};
use time::OffsetDateTime;

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
}

impl<'a> Begun<'a> {
    pub(super) fn new(parties: &'a Parties, request: &JoinRequest) -> Self {
        Self {
            parties,
            name: request.name.clone(),
            code: hex::encode(tacit_accord::digest("joining", request.code.as_bytes())),
            gateway: request.base_url.clone(),
        }
    }

    /// The key of the same registration, if one was cut off.
    pub(super) async fn again(&self) -> Result<Option<Identity>, PartyError> {
        let setup = &self.parties.inner.setup;
        let Some(note) = setup.store.setting(&self.setting()).await? else { return Ok(None) };
        let Ok(note) = serde_json::from_str::<Note>(&note) else { return Ok(None) };
        if note.code == self.code && note.gateway == self.gateway {
            return Ok(keyfile::load(&setup.keys, &note.key).ok());
        }
        // Another code or another gateway: that registration will not be taken up again.
        self.parties.remove_key(&note.key);
        Ok(None)
    }

    /// A new key, durable together with the note that it is wanted.
    pub(super) async fn anew(&self) -> Result<Identity, PartyError> {
        let setup = &self.parties.inner.setup;
        let now = setup.clock.now();
        let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(now.0) * 1_000_000)
            .map_err(|e| PartyError::Damaged(e.to_string()))?;
        let identity = Identity::generate(&label(&self.name), moment)?;
        let key = key_name(&identity.fingerprint());
        keyfile::create(&setup.keys, &key, &identity)?;
        let note = Note { key, code: self.code.clone(), gateway: self.gateway.clone() };
        let note = serde_json::to_string(&note).map_err(|e| PartyError::Damaged(e.to_string()))?;
        setup.store.set_setting(&self.setting(), &note, now).await?;
        Ok(identity)
    }

    /// The registration is over.
    pub(super) async fn end(&self) -> Result<(), PartyError> {
        Ok(self.parties.inner.setup.store.clear_setting(&self.setting()).await?)
    }

    fn setting(&self) -> String {
        format!("joining:{}", self.name)
    }
}
