//! Control links: one task per connected member.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use tacit_accord::ConsensusId;
use tacit_job::{Request, Response, StopReason, ToGateway, ToPeer};
use tacit_link::{ControlLink, Gate, Protocol};
use tacit_model::{Fingerprint, GroupId, RunId};
use tacit_store::PeerStatus;
use tracing::{debug, info};

use crate::directory::Offer;
use crate::pairing::{revoked_key, state_of};
use crate::{Gateway, GatewayError};

/// More labels or series of one member are not remembered.
const MAX_OFFERED: usize = 1000;

/// The members that may open a control link to this gateway. Peers of its groups, verified or not;
/// whether one computes is the charter's matter.
///
/// A node's port is open before its gateway has read who is a member. Until then nobody takes a control link: who
/// comes hears "busy", and not "not admitted", which a member takes for its revocation.
#[derive(Clone, Default)]
pub struct Admitted(Arc<RwLock<Known>>);

#[derive(Default)]
struct Known {
    members: BTreeSet<Fingerprint>,
    all: bool,
}

impl Admitted {
    pub(crate) fn admit(&self, member: Fingerprint) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).members.insert(member);
    }

    pub(crate) fn revoke(&self, member: &Fingerprint) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).members.remove(member);
    }

    /// From now on, whoever is not among them is not admitted.
    pub(crate) fn are_all(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).all = true;
    }
}

impl Gate for Admitted {
    fn admit(&self, protocol: Protocol, peer: &Fingerprint) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        protocol == Protocol::Control && (known.members.contains(peer) || !known.all)
    }
}

impl Gateway {
    pub(crate) fn accept_control_links(&self) {
        let gateway = self.clone();
        self.inner.tasks.spawn(async move {
            let mut links = gateway.inner.host.control_links();
            loop {
                tokio::select! {
                    () = gateway.inner.stop.cancelled() => return,
                    link = links.recv() => match link {
                        Some(link) => gateway.serve_link(link),
                        None => return,
                    },
                }
            }
        });
    }

    fn serve_link(&self, mut link: ControlLink) {
        let gateway = self.clone();
        self.inner.tasks.spawn(async move {
            let member = link.peer();
            let mut number = None;
            loop {
                let message = tokio::select! {
                    () = gateway.inner.stop.cancelled() => break,
                    message = link.recv::<ToGateway>() => message,
                };
                match message {
                    Ok(message) => {
                        if let Err(error) = gateway.handle(member, &link, &mut number, message).await {
                            debug!(member = %member.short(), %error, "control message refused");
                        }
                    }
                    Err(error) => {
                        debug!(member = %member.short(), %error, "control link closed");
                        break;
                    }
                }
            }
            if let Some(number) = number
                && gateway.inner.directory.leave(member, number, gateway.inner.clock.now())
            {
                gateway.inner.seats.left(member);
            }
        });
    }

    async fn handle(
        &self,
        member: Fingerprint,
        link: &ControlLink,
        number: &mut Option<u64>,
        message: ToGateway,
    ) -> Result<(), GatewayError> {
        let directory = &self.inner.directory;
        match message {
            ToGateway::Hello { name, group, software, known, run, endpoint } => {
                let row = self.row(&name).await?;
                if row.gid != group || row.fingerprint != Some(member) {
                    return Err(GatewayError::Refused(format!("{name} registered with another certificate")));
                }
                if self.is_revoked(&row).await? {
                    // However it got this link: it hears nothing of the group.
                    return Err(revoked_key(&name));
                }
                info!(group = %group, name, software, "member connected");
                *number = Some(directory.arrive(member, link.sender(), group, name, self.inner.clock.now()));
                // A hint, like all addresses: whoever dials it believes the pinned key only.
                let endpoint = endpoint.filter(|endpoint| endpoint.len() <= 300);
                directory.update(&member, |present| present.endpoint = endpoint);
                self.bring_up_to_date(member, group, &row.peer_name, known, run).await
            }
            // Everything else is only heard from members that said hello on this link.
            _ if number.is_none() => Ok(()),
            ToGateway::Accepted { .. } => {
                directory.changed.notify_waiters();
                Ok(())
            }
            ToGateway::Rows { group, run, upto } => {
                directory.update(&member, |present| {
                    if present.group == group && present.run == Some(run) {
                        present.upto = upto;
                    }
                });
                Ok(())
            }
            ToGateway::Offer { group, labels, sources, services, sessions } => {
                let most = |names: BTreeSet<String>| names.into_iter().take(MAX_OFFERED).collect();
                let offer = Offer { labels: most(labels), sources: most(sources), services: most(services), sessions };
                let offer = Arc::new(offer);
                directory.update(&member, |present| {
                    if present.group == group {
                        present.offer = offer;
                    }
                });
                self.inner.seats.offered(member, sessions);
                Ok(())
            }
            ToGateway::Report { session, report } => {
                directory.report(member, session, report);
                Ok(())
            }
            ToGateway::Receipt { session, part } => {
                self.inner.gathering.take(member, session, *part);
                Ok(())
            }
            ToGateway::ReceiptsAwaited { group, awaited, since, from } => {
                self.answer_awaited(member, group, awaited, since, from).await
            }
            ToGateway::Witnessed { size, cosigned, key } => self.witnessed(member, size, cosigned, &key).await,
            // Computing takes its time; meanwhile the link is read on.
            ToGateway::Request { number, request: request @ (Request::Ask { .. } | Request::Branch { .. }) } => {
                let (gateway, asked_on) = (self.clone(), link.sender());
                self.inner.tasks.spawn(async move {
                    let computed = async {
                        match request {
                            Request::Ask { new } => gateway.ask_of_member(member, *new).await,
                            Request::Branch { task } => gateway.part_of_branch(member, *task).await,
                            other => gateway.answer(member, other).await,
                        }
                    };
                    let response = tokio::select! {
                        () = gateway.inner.stop.cancelled() => return,
                        response = computed => response,
                    };
                    // On a later link the number may be another question's: who is started anew counts from the beginning.
                    let _gone = asked_on.send(&ToPeer::Response { number, response });
                });
                Ok(())
            }
            ToGateway::Request { number, request } => {
                let response = self.answer(member, request).await;
                directory.send(&member, &ToPeer::Response { number, response });
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Tells a member that has come what it may have missed since it knew of this consensus and took part in this run.
    async fn bring_up_to_date(
        &self,
        member: Fingerprint,
        group: GroupId,
        name: &str,
        known: Option<ConsensusId>,
        run: Option<RunId>,
    ) -> Result<(), GatewayError> {
        let directory = &self.inner.directory;
        if let Some(lead) = &self.inner.lead {
            directory.send(&member, &ToPeer::Lead { epoch: lead.epoch, gateways: lead.gateways.clone() });
        }
        self.send_charter(member, group, known).await?;
        self.show_log(member).await?;
        // As it stands now: it may have been started meanwhile.
        let row = self.row(name).await?;
        directory.send(&member, &ToPeer::Pairing { state: state_of(&row) });
        if row.last_status == PeerStatus::Started {
            // It was taking part before one of the two was restarted.
            self.resume_member(member, &row, run).await?;
        } else if let Some(run) = run {
            // It was away when its part ended.
            let failed = row.last_status == PeerStatus::Error;
            let reason = if failed { StopReason::Failed } else { StopReason::Finished };
            directory.send(&member, &ToPeer::Stop { group, run, reason });
        }
        Ok(())
    }

    async fn answer(&self, member: Fingerprint, request: Request) -> Response {
        let Some(present) = self.inner.directory.present(&member) else {
            return Response::Refused { why: "not connected".to_owned() };
        };
        let done = match request {
            Request::Start => {
                let started = self.start_member(present.group, &present.name).await;
                started.map(|(run, from)| Response::Started { run, from })
            }
            Request::Stop => self.stop_member(present.group, &present.name).await.map(|()| Response::Stopped),
            _ => Err(GatewayError::Invalid("this gateway does not know that request".to_owned())),
        };
        done.unwrap_or_else(|error| Response::Refused { why: error.to_string() })
    }

    /// Sends the consensus documents a member lacks, oldest first; a newcomer lacks all of them.
    pub(crate) async fn send_charter(
        &self,
        member: Fingerprint,
        group: GroupId,
        known: Option<ConsensusId>,
    ) -> Result<(), GatewayError> {
        // All members may come at once, and the chain of a large group is long: who knows its end costs nothing.
        let chain = match known {
            Some(known) => self.inner.store.consensus_after(group, known.0).await?,
            None => self.inner.store.consensus_chain(group).await?,
        };
        for documents in parcels(chain) {
            self.inner.directory.send(&member, &ToPeer::Charter { documents });
        }
        Ok(())
    }
}

/// Documents of one message: JSON escapes what they contain, and a control message has 1 MiB.
const PARCEL: usize = 512 * 1024;

/// Documents in their order, so many at a time that a message can hold them.
fn parcels(documents: Vec<String>) -> Vec<Vec<String>> {
    // As it travels: quotes and backslashes take two bytes.
    let length =
        |document: &String| 3 + document.len() + document.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
    let mut parcels: Vec<Vec<String>> = Vec::new();
    let mut room = 0;
    for document in documents {
        let length = length(&document);
        match parcels.last_mut() {
            Some(parcel) if length <= room => parcel.push(document),
            _ => {
                parcels.push(vec![document]);
                room = PARCEL;
            }
        }
        room = room.saturating_sub(length);
    }
    parcels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_comes_before_members_are_read_is_not_taken_for_revoked() {
        let (admitted, member, stranger) = (Admitted::default(), Fingerprint([1; 32]), Fingerprint([2; 32]));
        let gate: &dyn Gate = &admitted;
        assert!(gate.admit(Protocol::Control, &member), "nobody takes the link yet: busy");
        assert!(!gate.admit(Protocol::Mpc, &member));
        admitted.admit(member);
        admitted.are_all();
        assert!(gate.admit(Protocol::Control, &member) && !gate.admit(Protocol::Control, &stranger));
        admitted.revoke(&member);
        assert!(!gate.admit(Protocol::Control, &member));
    }

    #[test]
    fn rule1_the_whole_chain_fits_into_messages() {
        let documents: Vec<String> = (0..100).map(|i| format!("{i}{}", "\"\\".repeat(10_000 * (i % 4)))).collect();
        let parcels = parcels(documents.clone());
        assert_eq!(parcels.concat(), documents);
        assert!(parcels.len() > 1);
        for documents in parcels {
            let message = serde_json::to_string(&ToPeer::Charter { documents }).expect("JSON");
            assert!(message.len() < PARCEL + 100, "{}", message.len());
        }
        assert!(super::parcels(Vec::new()).is_empty());
    }
}
