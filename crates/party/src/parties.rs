mod joining;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tacit_accord::Consensus;
use tacit_audit::AuditLog;
use tacit_link::LinkHub;
use tacit_model::{Clock, Fingerprint, RunId};
use tacit_pki::{Identity, keyfile};
use tacit_store::{PartyRow, Store};

use self::joining::Begun;
use crate::{
    Finder, HttpPoster, HttpRules, JoinRequest, Joined, Party, PartyError, PartyLimits, PartySetup, Policy, Provider,
    Siblings, register,
};

/// What all parties of a node share.
pub struct PartiesSetup {
    /// The folder of key files.
    pub keys: PathBuf,
    /// The node's links.
    pub hub: Arc<LinkHub>,
    /// Rows.
    pub store: Store,
    /// The node's audit log, over the same rows.
    pub log: AuditLog,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// What their operator is willing to take part in.
    pub policy: Policy,
    /// How they post: registrations and results.
    pub http: HttpRules,
    /// Bounds on waiting.
    pub limits: PartyLimits,
    /// Where the node's link port is.
    pub endpoint: Endpoint,
    /// Another program that computes where a charter wants that.
    pub provider: Option<Provider>,
    /// Looks for gateways; nobody does if there is none.
    pub finder: Option<Arc<Finder>>,
}

/// Where a node's link port is, `host:port`, as of now: addresses of a machine change. Empty if it only dials.
#[derive(Clone)]
pub struct Endpoint(Arc<dyn Fn() -> String + Send + Sync>);

impl Endpoint {
    /// Asked anew whenever somebody is told.
    pub fn new(look: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(look))
    }

    /// Where it is now.
    pub fn now(&self) -> String {
        (self.0)()
    }
}

/// One that stays.
impl From<String> for Endpoint {
    fn from(endpoint: String) -> Self {
        Self::new(move || endpoint.clone())
    }
}

/// The parties that a node hosts, by name. Each has a key of its own.
#[derive(Clone)]
pub struct Parties {
    inner: Arc<Shared>,
}

struct Shared {
    setup: PartiesSetup,
    poster: HttpPoster,
    siblings: Siblings,
    open: Mutex<BTreeMap<String, Party>>,
    /// Held while somebody joins or leaves.
    changing: tokio::sync::Mutex<()>,
}

impl Parties {
    /// Takes up all parties where they were left.
    pub async fn open(setup: PartiesSetup) -> Result<Self, PartyError> {
        let poster = HttpPoster::new(setup.http.clone())?;
        let inner = Shared {
            setup,
            poster,
            siblings: Siblings::default(),
            open: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
        };
        let parties = Self { inner: Arc::new(inner) };
        if let Some(provider) = &parties.inner.setup.provider
            && let Err(error) = provider.reset().await
        {
            // It may come later; jobs that want it are declined until then.
            tracing::warn!(%error, "the SMC provider was not reset");
        }
        for row in parties.inner.setup.store.parties().await? {
            let fingerprint = row.fingerprint.ok_or_else(|| PartyError::Damaged(row.name.clone()))?;
            let identity = keyfile::load(&parties.inner.setup.keys, &key_name(&fingerprint))?;
            parties.start(&row.name, identity).await?;
        }
        Ok(parties)
    }

    /// Joins a group: draws a key, registers with the code, opens the party.
    ///
    /// If the registration is refused, nothing is left behind. If it is cut off, by a crash or because no answer
    /// came, the gateway may have taken the code: the key stays, and the same call again registers with it.
    pub async fn join(&self, request: JoinRequest) -> Result<Joined, PartyError> {
        // An address that results will never be posted to is refused now, not when there is a result.
        if let Some(url) = &request.final_results_url {
            self.inner.poster.check(url)?;
        }
        let _changing = self.inner.changing.lock().await;
        let setup = &self.inner.setup;
        let name = request.name.clone();
        if setup.store.party(&name).await?.is_some() {
            return Err(PartyError::NameTaken(name));
        }
        let begun = Begun::new(self, &request);
        let identity = match begun.again().await? {
            Some(identity) => identity,
            None => begun.anew().await?,
        };
        match self.register(&identity, request).await {
            Ok(joined) => {
                // The new key signed the registration. A refused one leaves nothing, its key is gone.
                let key = identity.fingerprint().to_string();
                let used = tacit_audit::facts([("key", key), ("use", "registration".to_owned()), ("on", name.clone())]);
                let logged = setup.log.append(tacit_accord::log::Kind::KeyUse, used).await;
                logged.map_err(|e| PartyError::Damaged(e.to_string()))?;
                self.start(&name, identity).await?;
                begun.end().await?;
                Ok(joined)
            }
            Err(error) => {
                if error.is_final_for_registration() {
                    self.remove_key(&key_name(&identity.fingerprint()));
                    begun.end().await?;
                }
                Err(error)
            }
        }
    }

    /// The party of this name.
    pub fn get(&self, name: &str) -> Option<Party> {
        self.lock().get(name).cloned()
    }

    /// All parties, by name.
    pub fn list(&self) -> Vec<Party> {
        self.lock().values().cloned().collect()
    }

    /// Ends a party and forgets what it held, its key included.
    pub async fn remove(&self, name: &str) -> Result<(), PartyError> {
        let _changing = self.inner.changing.lock().await;
        let party = self.get(name).ok_or_else(|| PartyError::Unknown(name.to_owned()))?;
        party.leave().await?;
        self.lock().remove(name);
        self.remove_key(&key_name(&party.fingerprint()));
        Ok(())
    }

    /// What is kept of a party beside its rows.
    pub async fn row(&self, name: &str) -> Result<PartyRow, PartyError> {
        let row = self.inner.setup.store.party(name).await?;
        row.ok_or_else(|| PartyError::Unknown(name.to_owned()))
    }

    /// The signed charter that a party follows.
    pub async fn consensus(&self, name: &str) -> Result<Option<Consensus>, PartyError> {
        self.row(name).await?;
        self.get(name).map_or(Ok(None), |party| Ok(party.consensus()))
    }

    /// The runs of which a party holds results, oldest first.
    pub async fn runs(&self, name: &str) -> Result<Vec<RunId>, PartyError> {
        Ok(self.inner.setup.store.result_runs(name).await?)
    }

    /// Ends all parties; they go on at the next [`open`](Self::open).
    pub async fn shutdown(&self) {
        let parties = std::mem::take(&mut *self.lock());
        for party in parties.into_values() {
            party.shutdown().await;
        }
    }

    async fn register(&self, identity: &Identity, mut request: JoinRequest) -> Result<Joined, PartyError> {
        let setup = &self.inner.setup;
        request.endpoint = setup.endpoint.now();
        if request.base_url.is_empty() {
            return self.register_at_found(identity, request).await;
        }
        let Some(gateway) = request.gateway else {
            return register(&self.inner.poster, &setup.store, identity, request).await;
        };
        let mut rules = setup.http.clone();
        rules.pinned.push(gateway);
        register(&HttpPoster::new(rules)?, &setup.store, identity, request).await
    }

    /// Registers at the best gateway that is found and answers; at nobody else than the one that is named, if one is.
    async fn register_at_found(&self, identity: &Identity, request: JoinRequest) -> Result<Joined, PartyError> {
        let setup = &self.inner.setup;
        let finder = setup.finder.as_ref().filter(|finder| finder.looks()).ok_or(PartyError::NowhereToLook)?;
        let trusted = self.list().iter().map(Party::gateway).collect::<Vec<_>>();
        let mut found = finder.gateways(trusted.clone()).await;
        found.retain(|found| request.gateway.is_none_or(|gateway| found.announcement.gateway == gateway));
        let mut last = PartyError::NobodyFound;
        for found in found {
            let announced = found.announcement.gateway;
            let mut rules = setup.http.clone();
            rules.pinned.push(announced);
            let poster = HttpPoster::new(rules)?;
            for web in found.web {
                let request = JoinRequest {
                    base_url: format!("{}/api/v1", web.trim_end_matches('/')),
                    gateway: Some(announced),
                    compared: request.gateway.is_some() || trusted.contains(&announced),
                    ..request.clone()
                };
                match register(&poster, &setup.store, identity, request).await {
                    Ok(joined) => return Ok(joined),
                    // The code may be of the next gateway.
                    Err(error @ (PartyError::Http(_) | PartyError::RegistrationCode)) => last = error,
                    Err(error) => return Err(error),
                }
            }
        }
        Err(last)
    }

    async fn start(&self, name: &str, identity: Identity) -> Result<(), PartyError> {
        let setup = &self.inner.setup;
        let party = Party::open(PartySetup {
            name: name.to_owned(),
            identity: Arc::new(identity),
            hub: Arc::clone(&setup.hub),
            store: setup.store.clone(),
            log: setup.log.clone(),
            clock: Arc::clone(&setup.clock),
            policy: setup.policy.clone(),
            http: self.inner.poster.clone(),
            limits: setup.limits,
            finder: setup.finder.clone(),
            endpoint: setup.endpoint.clone(),
            provider: setup.provider.clone(),
            siblings: self.inner.siblings.clone(),
        })
        .await?;
        self.lock().insert(name.to_owned(), party);
        Ok(())
    }

    fn remove_key(&self, key: &str) {
        for path in
            [keyfile::private_path(&self.inner.setup.keys, key), keyfile::certificate_path(&self.inner.setup.keys, key)]
        {
            if let Err(error) = std::fs::remove_file(&path) {
                tracing::warn!(%error, "a key file that is no longer needed could not be removed");
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Party>> {
        self.inner.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of a party's files in the node's key folder. Names of parties may hold what file names must not.
pub fn key_name(fingerprint: &Fingerprint) -> String {
    format!("party-{}", &fingerprint.to_string()[..32])
}

/// The name in the certificate, for people; nothing depends on it.
fn label(name: &str) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let label: String = name.chars().filter(plain).take(60).collect();
    if label.is_empty() { "party".to_owned() } else { label }
}
