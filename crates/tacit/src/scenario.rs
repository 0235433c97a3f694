//! A group of nodes on this machine that goes through the same steps as organisations would: invite,
//! join, compare fingerprints, verify, configure, start.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tacit_client::Client;
use tacit_model::api::{
    ConfigurationBody, JoinBody, PairingBody, PairingDecision, PeerBody, PeerRole, ResultBody, RowBody, RunBody,
    SharingKind,
};
use tacit_model::problem::ProblemKind;
use tacit_model::{Fingerprint, GroupId, RunId};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::config::{DataFolder, NodeConfig, Role};
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
            let config = peer(o.name, begun(&coordinator)?);
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
            let body = self.joining(index, gateway, Some(self.coordinator.address.fingerprint)).await?;
            let joined = client(&self.nodes[index])?.join(&body).await?;
            let shown = self.verify(index, &joined).await?;
            compared.push((organisation.name.to_owned(), shown));
        }
        Ok(compared)
    }

    /// As `form`, for organisations whose nodes look for the coordinator by themselves, all at once. So both sides
    /// compare. Returns those whose search found nobody.
    pub(crate) async fn form_found(&self, seats: &[usize]) -> Result<Vec<usize>, Failure> {
        let mut searches = Vec::with_capacity(seats.len());
        for &seat in seats {
            let node = client(&self.nodes[seat])?;
            let body = self.joining(seat, String::new(), None).await?;
            searches.push(async move {
                match node.join(&body).await {
                    Ok(joined) => Ok((seat, Some(joined))),
                    // Found nobody, or has no way to look.
                    Err(e) if matches!(e.kind(), Some(ProblemKind::Unavailable | ProblemKind::Invalid)) => {
                        Ok((seat, None))
                    }
                    Err(error) => Err(error.into()),
                }
            });
        }
        let mut without = Vec::new();
        for (seat, joined) in join_all(searches).await? {
            let Some(joined) = joined else {
                without.push(seat);
                continue;
            };
            self.verify(seat, &joined).await?;
            let compared = PairingBody {
                decision: PairingDecision::Approve,
                fingerprint: Some(self.coordinator.address.fingerprint),
                comparison_code: None,
                reason: String::new(),
            };
            client(&self.nodes[seat])?.pair_gateway(self.organisations[seat].name, &compared).await?;
        }
        Ok(without)
    }

    /// What an organisation's node is told to join with.
    async fn joining(
        &self,
        index: usize,
        gateway_url: String,
        gateway_fingerprint: Option<Fingerprint>,
    ) -> Result<JoinBody, Failure> {
        let organisation = &self.organisations[index];
        Ok(JoinBody {
            name: organisation.name.to_owned(),
            role: organisation.role,
            gateway_url,
            gateway_fingerprint,
            registration_code: client(&self.coordinator)?.invite(self.group).await?,
            operator: Some(organisation.name.to_owned()),
            final_results_url: None,
            label_key: None,
            key: None,
        })
    }

    /// The coordinator's operator verifies what the organisation's operator reads out.
    async fn verify(&self, index: usize, joined: &PeerBody) -> Result<Fingerprint, Failure> {
        let shown = joined.fingerprint.ok_or_else(|| Failure::new(Code::Other, "a peer without a certificate"))?;
        client(&self.coordinator)?.verify(self.organisations[index].name, shown).await?;
        Ok(shown)
    }

    /// Ends a node, if it is not dead already, and starts it again, with another configuration if one is given.
    pub(crate) async fn restart(
        &mut self,
        folder: &Path,
        index: usize,
        begun: Option<NodeConfig>,
    ) -> Result<(), Failure> {
        let name = self.organisations[index].name;
        self.nodes.remove(index).stop().await?;
        let folder = folder.join(name);
        let node = match begun {
            Some(begun) => ChildNode::start(folder, &peer(name, begun)).await?,
            None => ChildNode::restart(name, &DataFolder(folder)).await?,
        };
        self.nodes.insert(index, node);
        Ok(())
    }

    /// Starts one more node, which is no member yet.
    pub(crate) async fn add(
        &mut self,
        folder: &Path,
        organisation: Organisation,
        begun: NodeConfig,
    ) -> Result<usize, Failure> {
        self.nodes.push(ChildNode::start(folder.join(organisation.name), &peer(organisation.name, begun)).await?);
        self.organisations.push(organisation);
        Ok(self.nodes.len() - 1)
    }

    /// Sets what is computed and starts all members; they take rows when this returns.
    pub(crate) async fn begin(&self, configuration: &ConfigurationBody) -> Result<RunId, Failure> {
        let coordinator = client(&self.coordinator)?;
        coordinator.configure(self.group, configuration).await?;
        self.until_connected().await?;
        coordinator.start_group(self.group).await?;
        let run = coordinator.runs(self.group).await?.into_iter().next();
        let run = run.ok_or_else(|| Failure::new(Code::Other, "the group started without a run"))?.run;
        self.until_running(run).await?;
        Ok(run)
    }

    /// Waits until every peer has heard of the start, by its link: before that it takes no rows.
    async fn until_running(&self, run: RunId) -> Result<(), Failure> {
        let deadline = Instant::now() + Duration::from_secs(15);
        for (node, Organisation { name, .. }) in self.nodes.iter().zip(&self.organisations) {
            let node = client(node)?;
            while node.peer(name).await?.run != Some(run) {
                if Instant::now() > deadline {
                    let why = format!("{name} did not hear that the group was started");
                    return Err(Failure::new(Code::Unreachable, why));
                }
                sleep(Duration::from_millis(5)).await;
            }
        }
        Ok(())
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
        Ok(client(node)?.results(name, Some(run), None, None).await?.results)
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
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    NodeConfig { http: any, link: any, ..NodeConfig::default() }
}

/// The same with ports that stay the same at the next start: free ones of this moment.
pub(crate) fn fixed() -> Result<NodeConfig, Failure> {
    Ok(NodeConfig { http: free()?, link: free()?, ..NodeConfig::default() })
}

/// An address that is free, none twice. Below the range from which the system chooses, so that no connection takes it
/// while its node is down.
fn free() -> Result<SocketAddr, Failure> {
    const FIRST: u32 = 13_000;
    const COUNT: u32 = 7_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Not where the next process begins.
    let start = std::process::id().wrapping_mul(61);
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + start.wrapping_add(step) % COUNT;
        let address = SocketAddr::from(([127, 0, 0, 1], u16::try_from(port)?));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    Err(Failure::new(Code::Other, "no port from 13000 to 19999 is free on this machine"))
}

/// An organisation's node.
fn peer(name: &str, begun: NodeConfig) -> NodeConfig {
    NodeConfig { name: name.to_owned(), roles: vec![Role::Peer], ..begun }
}

/// A client with the owner's token of a child node.
pub(crate) fn client(node: &ChildNode) -> Result<Client, Failure> {
    Ok(Client::new(&node.address.url, Some(&node.token), None)?)
}

/// Runs all at once on this thread; the first failure is returned after all have ended.
async fn join_all<T: Send + 'static>(
    futures: impl IntoIterator<Item = impl Future<Output = Result<T, Failure>> + Send + 'static>,
) -> Result<Vec<T>, Failure> {
    // Dropped, it ends them all.
    let mut tasks = JoinSet::new();
    for (place, future) in futures.into_iter().enumerate() {
        tasks.spawn(async move { (place, future.await) });
    }
    let mut values = tasks.join_all().await;
    values.sort_unstable_by_key(|(place, _)| *place);
    values.into_iter().map(|(_, value)| value).collect()
}
