//! The parties of a bench as seen from the process that orders the runs.

use std::sync::Arc;
use std::time::Duration;

use tacit_link::{ControlLink, Gate, LinkConfig, LinkHub, Protocol};
use tacit_model::{Clock, Fingerprint, SessionId, SystemClock};
use tacit_pki::{Identity, random};
use tempfile::TempDir;

use super::cases::Case;
use super::messages::{Answer, Order, Place, Sample, Turn};
use crate::config::{BenchConfig, NodeConfig, Role};
use crate::output::{Code, Failure};
use crate::process::ChildNode;

const LINK_WITHIN: Duration = Duration::from_secs(20);

/// So many processes that have links with each other, and nothing to do yet.
pub(crate) struct Orchestra {
    nodes: Vec<ChildNode>,
    links: Vec<ControlLink>,
    hub: LinkHub,
    turns: i64,
    /// Removed at the end.
    _folder: TempDir,
}

/// All parties' samples of one run.
pub(crate) type Run = Vec<Sample>;

impl Orchestra {
    pub(crate) async fn start(parties: usize) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("tacit-bench-").tempdir()?;
        let now = SystemClock.now().to_date_time()?;
        let identity = Arc::new(Identity::generate("tacit bench", now)?);
        let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let hub = LinkHub::bind(LinkConfig::new(any)).await?;
        let host = hub.host(Arc::clone(&identity), Arc::new(Nobody))?;
        let mut nodes = Vec::with_capacity(parties);
        for party in 0..parties {
            let config = NodeConfig {
                name: format!("party-{}", party + 1),
                roles: vec![Role::Bench],
                http: any,
                link: any,
                bench: Some(BenchConfig { conductor: identity.fingerprint() }),
                ..NodeConfig::default()
            };
            nodes.push(ChildNode::start(folder.path().join(&config.name), &config).await?);
        }
        // The order of fingerprints is the order of the parties everywhere.
        nodes.sort_by_key(|node| node.address.fingerprint);
        let mut links = Vec::with_capacity(parties);
        for ChildNode { address, .. } in &nodes {
            links.push(host.dial_control(address.fingerprint, std::slice::from_ref(&address.link), LINK_WITHIN).await?);
        }
        let mut orchestra = Self { nodes, links, hub, turns: 0, _folder: folder };
        orchestra.meet().await?;
        Ok(orchestra)
    }

    /// Runs a case: warm-ups, then as many runs as it wants.
    pub(crate) async fn play(&mut self, case: &Case) -> Result<Vec<Run>, Failure> {
        let mut runs = Vec::with_capacity(case.runs);
        for number in 0..case.warm_ups + case.runs {
            let run = self.turn(case).await?;
            if let Some(party) = run.iter().position(|sample| !sample.right) {
                let text = format!(
                    "party {} has a wrong result: {} {} n={} size={}",
                    party + 1,
                    case.bench,
                    case.what,
                    case.parties,
                    case.size
                );
                return Err(Failure::new(Code::Other, text));
            }
            if number >= case.warm_ups {
                runs.push(run);
            }
        }
        Ok(runs)
    }

    /// Ends all parties.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        drop(self.links);
        for node in self.nodes {
            node.stop().await?;
        }
        self.hub.shutdown().await;
        Ok(())
    }

    async fn meet(&mut self) -> Result<(), Failure> {
        let place = |node: &ChildNode| Place { fingerprint: node.address.fingerprint, link: node.address.link.clone() };
        let places = self.nodes.iter().map(place).collect();
        for order in [Order::Admit(places), Order::Meet(session()?)] {
            for answer in self.order(&order).await? {
                let Answer::Ready = answer else { return Err(failed(answer)) };
            }
        }
        Ok(())
    }

    async fn turn(&mut self, case: &Case) -> Result<Run, Failure> {
        let mut nonces = vec![[0; 32]; self.nodes.len()];
        for nonce in &mut nonces {
            random::fill(nonce)?;
        }
        let (threshold, model) = (case.threshold(), case.model.name().to_owned());
        let turn = Turn { number: self.turns, session: session()?, nonces, threshold, model };
        self.turns += 1;
        let mut samples = Vec::with_capacity(self.nodes.len());
        for answer in self.order(&Order::Work(case.work.clone(), turn)).await? {
            let Answer::Done(sample) = answer else { return Err(failed(answer)) };
            samples.push(sample);
        }
        Ok(samples)
    }

    /// Gives all parties the same order and collects their answers.
    async fn order(&mut self, order: &Order) -> Result<Vec<Answer>, Failure> {
        for link in &self.links {
            link.send(order)?;
        }
        let mut answers = Vec::with_capacity(self.links.len());
        for link in &mut self.links {
            answers.push(link.recv().await?);
        }
        Ok(answers)
    }
}

fn failed(answer: Answer) -> Failure {
    match answer {
        Answer::Failed(why) => Failure::new(Code::Other, format!("a party of the bench failed: {why}")),
        _ => Failure::new(Code::Other, "a party of the bench answered something else"),
    }
}

fn session() -> Result<SessionId, Failure> {
    let mut id = [0; 16];
    random::fill(&mut id)?;
    Ok(SessionId(id))
}

/// Nobody dials this process.
struct Nobody;

impl Gate for Nobody {
    fn admit(&self, protocol: Protocol, _: &Fingerprint) -> bool {
        // The parties that it dials itself.
        protocol == Protocol::Control
    }
}
