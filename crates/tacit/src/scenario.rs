//! A group of nodes on this machine that goes through the same steps as organisations would: invite,
//! join, compare fingerprints, verify, configure, start.

use std::path::Path;
use std::time::Duration;

use tacit_client::Client;
use tacit_model::api::{
    ConfigurationBody, JoinBody, PairingBody, PairingDecision, PeerRole, ResultBody, RowBody, RunBody, SharingKind,
};
use tacit_model::{Fingerprint, GroupId, RunId};
use tokio::time::{Instant, sleep};

use crate::config::{NodeConfig, Role};
use crate::output::{Code, Failure};
use crate::process::ChildNode;

/// One organisation of a scenario.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Organisation {
    /// Its name, also of its party.
    pub(crate) name: &'static str,
    /// What its party does.
    pub(crate) role: PeerRole,
}

/// The nodes of a scenario, each a process with a certificate of its own.
pub(crate) struct Scenario {
    pub(crate) coordinator: ChildNode,
    pub(crate) nodes: Vec<ChildNode>,
    pub(crate) organisations: Vec<Organisation>,
    pub(crate) group: GroupId,
}

impl Scenario {
    /// Starts the processes: a coordinator that orchestrates, and then one node per organisation, each with a
    /// configuration that `begun` begins.
    pub(crate) async fn start(
        folder: &Path,
        group: &str,
        sharing: SharingKind,
        organisations: &[Organisation],
        coordinator: NodeConfig,
        begun: impl Fn(&ChildNode) -> Result<NodeConfig, Failure>,
    ) -> Result<Self, Failure> {
        let coordinator = ChildNode::start(folder.join("coordinator"), &coordinator).await?;
        let mut others = Vec::with_capacity(organisations.len());
        for o in organisations {
            let config = NodeConfig { name: o.name.to_owned(), roles: vec![Role::Peer], ..begun(&coordinator)? };
            let folder = folder.join(o.name);
            others.push(async move { ChildNode::start(folder, &config).await });
        }
        let nodes = join_all(others).await?;
        let group = client(&coordinator)?.create_group(group, sharing).await?.gid;
        Ok(Self { coordinator, nodes, organisations: organisations.to_vec(), group })
    }

    /// Invites, joins, compares and verifies every organisation. Returns the fingerprints that were
    /// compared: as the organisation's own node shows it, which is what the coordinator must have.
    pub(crate) async fn form(&self) -> Result<Vec<(String, Fingerprint)>, Failure> {
        let mut compared = Vec::new();
        for (index, organisation) in self.organisations.iter().enumerate() {
            let gateway = format!("{}/api/v1", self.coordinator.address.url);
            let shown = self.join(index, gateway, Some(self.coordinator.address.fingerprint)).await?;
            compared.push((organisation.name.to_owned(), shown));
        }
        Ok(compared)
    }

    /// As `form`, for one organisation whose node finds the coordinator by itself. So both sides compare.
    pub(crate) async fn form_found(&self, index: usize) -> Result<Fingerprint, Failure> {
        let shown = self.join(index, String::new(), None).await?;
        let compared = PairingBody {
            decision: PairingDecision::Approve,
            fingerprint: Some(self.coordinator.address.fingerprint),
            comparison_code: None,
            reason: String::new(),
        };
        client(&self.nodes[index])?.pair_gateway(self.organisations[index].name, &compared).await?;
        Ok(shown)
    }

    async fn join(
        &self,
        index: usize,
        gateway_url: String,
        gateway_fingerprint: Option<Fingerprint>,
    ) -> Result<Fingerprint, Failure> {
        let (coordinator, organisation) = (client(&self.coordinator)?, &self.organisations[index]);
        let body = JoinBody {
            name: organisation.name.to_owned(),
            role: organisation.role,
            gateway_url,
            gateway_fingerprint,
            registration_code: coordinator.invite(self.group).await?,
            operator: Some(organisation.name.to_owned()),
            final_results_url: None,
            label_key: None,
            key: None,
        };
        let joined = client(&self.nodes[index])?.join(&body).await?;
        let shown = joined.fingerprint.ok_or_else(|| Failure::new(Code::Other, "a peer without a certificate"))?;
        // The coordinator's operator verifies what the organisation's operator reads out.
        coordinator.verify(organisation.name, shown).await?;
        Ok(shown)
    }

    /// Starts one more node, which is no member yet.
    pub(crate) async fn add(
        &mut self,
        folder: &Path,
        organisation: Organisation,
        begun: NodeConfig,
    ) -> Result<usize, Failure> {
        let config = NodeConfig { name: organisation.name.to_owned(), roles: vec![Role::Peer], ..begun };
        self.nodes.push(ChildNode::start(folder.join(organisation.name), &config).await?);
        self.organisations.push(organisation);
        Ok(self.nodes.len() - 1)
    }

    /// Sets what is computed and starts all members.
    pub(crate) async fn begin(&self, configuration: &ConfigurationBody) -> Result<RunId, Failure> {
        let coordinator = client(&self.coordinator)?;
        coordinator.configure(self.group, configuration).await?;
        self.until_connected().await?;
        coordinator.start_group(self.group).await?;
        let run = coordinator.runs(self.group).await?.into_iter().next();
        Ok(run.ok_or_else(|| Failure::new(Code::Other, "the group started without a run"))?.run)
    }

    async fn until_connected(&self) -> Result<(), Failure> {
        let coordinator = client(&self.coordinator)?;
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            let members = coordinator.group(self.group).await?.members;
            if members.iter().all(|m| m.connected) {
                return Ok(());
            }
            if Instant::now() > deadline {
                let missing: Vec<_> = members.iter().filter(|m| !m.connected).map(|m| m.name.as_str()).collect();
                return Err(Failure::new(Code::Unreachable, format!("{} did not connect", missing.join(", "))));
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until so many members of a set, or of the group if it is empty, offer what they measure.
    pub(crate) async fn until_offered(&self, set: &str, members: usize) -> Result<(), Failure> {
        let coordinator = client(&self.coordinator)?;
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let offers = coordinator.offers(self.group).await?;
            let inside = |labels: &[String]| set.is_empty() || labels.iter().any(|label| label == set);
            let there = offers.iter().filter(|offer| inside(&offer.labels) && !offer.sources.is_empty()).count();
            if there >= members {
                return Ok(());
            }
            if Instant::now() > deadline {
                let why = format!("only {there} of {members} members offer what they measure");
                return Err(Failure::new(Code::Unreachable, why));
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Hands rows to the party of one organisation.
    pub(crate) async fn push(&self, organisation: usize, rows: Vec<RowBody>) -> Result<(), Failure> {
        let (node, name) = (&self.nodes[organisation], self.organisations[organisation].name);
        client(node)?.add_rows(name, rows).await?;
        Ok(())
    }

    /// Waits until a run has so many slots done, or has ended.
    pub(crate) async fn until_slot(&self, run: RunId, slots: i64, within: Duration) -> Result<RunBody, Failure> {
        let coordinator = client(&self.coordinator)?;
        let deadline = Instant::now() + within;
        loop {
            let found = coordinator.runs(self.group).await?.into_iter().find(|r| r.run == run);
            let Some(body) = found else { return Err(Failure::new(Code::Other, "the run is gone")) };
            if body.next_slot.0 >= slots || body.state != "open" {
                return Ok(body);
            }
            if Instant::now() > deadline {
                return Err(Failure::new(Code::Unreachable, "the computation did not end in time"));
            }
            sleep(Duration::from_millis(3)).await;
        }
    }

    /// What the party of one organisation received in a run.
    pub(crate) async fn results(&self, organisation: usize, run: RunId) -> Result<Vec<ResultBody>, Failure> {
        let (node, name) = (&self.nodes[organisation], self.organisations[organisation].name);
        Ok(client(node)?.results(name, Some(run)).await?)
    }

    /// Ends all processes.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        let mut stops: Vec<_> = self.nodes.into_iter().map(ChildNode::stop).collect();
        stops.push(self.coordinator.stop());
        join_all(stops).await?;
        Ok(())
    }
}

/// A configuration with ports of the system's choice, for children on this machine.
pub(crate) fn ephemeral() -> NodeConfig {
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    NodeConfig { http: any, link: any, ..NodeConfig::default() }
}

/// The same with ports that stay the same at the next start: free ones of this moment.
pub(crate) fn fixed() -> Result<NodeConfig, Failure> {
    let free = || std::net::TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    Ok(NodeConfig { http: free()?, link: free()?, ..NodeConfig::default() })
}

/// A client with the owner's token of a child node.
pub(crate) fn client(node: &ChildNode) -> Result<Client, Failure> {
    Ok(Client::new(&node.address.url, Some(&node.token), None)?)
}

/// Runs all at once on this thread; the first failure is returned after all have ended.
async fn join_all<T: Send + 'static>(
    futures: impl IntoIterator<Item = impl Future<Output = Result<T, Failure>> + Send + 'static>,
) -> Result<Vec<T>, Failure> {
    let tasks: Vec<_> = futures.into_iter().map(tokio::spawn).collect();
    let mut values = Vec::with_capacity(tasks.len());
    for task in tasks {
        values.push(task.await?);
    }
    values.into_iter().collect()
}
