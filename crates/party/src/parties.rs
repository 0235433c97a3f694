mod joining;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tacit_accord::Consensus;
use tacit_audit::AuditLog;
use tacit_link::{Endpoint, LinkHub};
use tacit_model::{Clock, Fingerprint, RunId};
use tacit_pki::{Identity, keyfile};
use tacit_store::{PartyRow, Store};

use self::joining::Begun;
use crate::{
    Finder, HttpPoster, HttpRules, JoinRequest, Joined, Party, PartyError, PartyLimits, PartySetup, Policy, Provider,
    Siblings, register,
};

/// Of several gateways another one leads after so long.
const TAKE_OVER: Duration = Duration::from_secs(10);
/// So many addresses are asked in one look before no more hints are followed: somebody may go on naming new ones.
const MOST_ASKED: usize = 32;
/// Between two searches for the one that leads.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

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

    /// The runs of which a party holds results, oldest first: clients' tasks, then runs of the group.
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
    /// Of several gateways one leads; while another one takes the lead over, they are looked for again.
    async fn register_at_found(&self, identity: &Identity, request: JoinRequest) -> Result<Joined, PartyError> {
        let until = tokio::time::Instant::now() + TAKE_OVER;
        loop {
            let mut nobody_leads = false;
            let done = self.register_at_any(identity, &request, &mut nobody_leads).await;
            if done.is_ok() || !nobody_leads || tokio::time::Instant::now() >= until {
                return done;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// `nobody_leads` if gateways were found that follow, and none that leads.
    async fn register_at_any(
        &self,
        identity: &Identity,
        request: &JoinRequest,
        nobody_leads: &mut bool,
    ) -> Result<Joined, PartyError> {
        let setup = &self.inner.setup;
        let finder = setup.finder.as_ref().filter(|finder| finder.looks()).ok_or(PartyError::NowhereToLook)?;
        let trusted: Vec<_> = self.list().iter().filter(|party| party.trusts_gateway()).map(Party::gateway).collect();
        let found = finder.gateways(trusted.clone()).await;
        let mut places: VecDeque<_> = found.into_iter().map(|found| (found.announcement.gateway, found.web)).collect();
        places.retain(|(gateway, _)| request.gateway.is_none_or(|named| *gateway == named));
        let named = request.gateway;
        let mut asked = BTreeSet::new();
        let (mut follows, mut leads) = (false, false);
        let mut last = PartyError::NobodyFound;
        while let Some((announced, webs)) = places.pop_front() {
            let mut rules = setup.http.clone();
            rules.pinned.push(announced);
            let poster = HttpPoster::new(rules)?;
            for web in webs {
                if !asked.insert((announced, web.clone())) {
                    continue;
                }
                let request = JoinRequest {
                    base_url: format!("{}/api/v1", web.trim_end_matches('/')),
                    gateway: Some(announced),
                    compared: request.gateway.is_some() || trusted.contains(&announced),
                    ..request.clone()
                };
                let error = match register(&poster, &setup.store, identity, request).await {
                    Ok(joined) => return Ok(joined),
                    Err(error) => error,
                };
                match &error {
                    // This one leads; the code is another gateway's.
                    PartyError::RegistrationCode => leads = true,
                    // A hint like all that is found: whoever leads has to have this certificate.
                    PartyError::Follows { leading: Some((web, leading)) }
                        if named.is_none() && asked.len() < MOST_ASKED =>
                    {
                        follows = true;
                        places.push_front((*leading, vec![web.clone()]));
                    }
                    PartyError::Follows { .. } => follows = true,
                    // The next one may answer.
                    PartyError::Http(_) | PartyError::Unavailable(_) => {}
                    _ => return Err(error),
                }
                // Where an answer was lost somebody may have taken the code: that is what is said in the end.
                let says_less = leads && matches!(error, PartyError::Follows { .. });
                if last.is_final_for_registration() && !says_less {
                    last = error;
                }
            }
        }
        *nobody_leads = follows && !leads;
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
