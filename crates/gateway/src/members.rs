//! Members: invited, registered, verified, removed.

use std::collections::{BTreeMap, BTreeSet};

use tacit_accord::{Charter, Member, MemberRole};
use tacit_model::api::PairingState;
use tacit_model::{Fingerprint, GroupId, check_name};
use tacit_pki::envelope::{Context, verify_detached};
use tacit_pki::{PublicKey, comparison_code, random};
use tacit_store::{MemberKeys, MemberRow, PeerStatus, PeerType, StoreError, What};
use tokio::task::JoinSet;

use crate::authority::Deciding;
use crate::groups::TENANT;
use crate::pairing::{revoked_key, state_of};
use crate::{Gateway, GatewayError};

/// The one registration code of the test mode.
const TEST_CODE: &str = "TEST";

/// Who wants to become a member.
#[derive(Clone, Debug)]
pub struct NewMember {
    /// Its name, unique at this gateway.
    pub name: String,
    /// What it does.
    pub role: MemberRole,
    /// Where its HTTP edge is.
    pub url: String,
    /// Who runs it; its own name if empty.
    pub operator: String,
    /// A key of an older system, shown as a label.
    pub label_key: Option<String>,
    /// Where its link port is; empty if it only dials.
    pub endpoint: String,
    /// Its certificate's key with a signature by it over [`tacit_job::registration_proof`]; a member without
    /// one can be listed, but never computes.
    pub key: Option<(PublicKey, [u8; 64])>,
}

/// What a new member needs to know of its gateway.
#[derive(Clone, Debug)]
pub struct JoinReceipt {
    /// The member as it is now listed.
    pub member: MemberView,
    /// The gateway's certificate, to be pinned.
    pub gateway: Fingerprint,
    /// Where its link port is.
    pub endpoints: Vec<String>,
    /// The manager's public key, to be pinned: charters are believed under this key only.
    pub manager_key: String,
}

/// A member as the operator of the gateway sees it.
#[derive(Clone, Debug)]
pub struct MemberView {
    /// Its group.
    pub group: GroupId,
    /// Its number at this gateway.
    pub pid: i64,
    /// Its name.
    pub name: String,
    /// What it does.
    pub role: MemberRole,
    /// Where its HTTP edge is.
    pub url: String,
    /// Who runs it.
    pub operator: String,
    /// The key of an older system, if it registered one.
    pub label_key: Option<String>,
    /// Its certificate, if it has one yet.
    pub fingerprint: Option<Fingerprint>,
    /// The code it registered with; P2DS peers identify themselves by it.
    pub registration_code: String,
    /// 0 unknown, 1 started, 2 error, 3 stopped.
    pub last_status: i64,
    /// What its operator and this gateway's read to each other: over both certificates and the manager key.
    pub comparison: Option<String>,
    /// Whether an operator compared its fingerprint and said yes.
    pub verified: bool,
    /// How far its pairing has come.
    pub pairing: PairingState,
    /// Whether its control link is open.
    pub connected: bool,
}

impl Gateway {
    /// Draws a one-time registration code (`TEST` in test mode).
    pub async fn invite(&self, group: GroupId) -> Result<String, GatewayError> {
        self.inner.store.group(group).await?.ok_or(GatewayError::NotFound("group"))?;
        let code = if self.test_mode().await? {
            TEST_CODE.to_owned()
        } else {
            random::registration_code().map_err(|e| GatewayError::Bug(e.to_string()))?
        };
        self.inner.store.add_code(&code, group, self.inner.clock.now()).await?;
        self.log_action(group, "invite", "").await?;
        Ok(code)
    }

    /// Takes an unused code back.
    pub async fn withdraw_code(&self, code: &str) -> Result<(), GatewayError> {
        Ok(self.inner.store.delete_code(code).await?)
    }

    /// Registers a member with a code, which is used up only if this succeeds. The same key may do so again under
    /// the same name and with the same code: it did not hear the answer the first time. A key that was revoked since
    /// is refused.
    pub async fn register(&self, code: &str, new: NewMember) -> Result<JoinReceipt, GatewayError> {
        if let Some((key, proof)) = &new.key {
            verify_detached(key, Context::Message, &tacit_job::registration_proof(code, &new.name), proof).map_err(
                |_| GatewayError::Refused("the key does not belong to whoever registers with it".to_owned()),
            )?;
        }
        let operator = if new.operator.is_empty() { new.name.clone() } else { new.operator };
        check_name(&new.name)?;
        check_name(&operator)?;
        let fingerprint = new.key.as_ref().map(|(key, _)| key.fingerprint());
        let row = tacit_store::NewMember {
            peer_name: new.name,
            peer_type: type_of(new.role),
            url: new.url,
            operator,
            keys: MemberKeys {
                label_key: new.label_key,
                fingerprint,
                link_endpoint: (!new.endpoint.is_empty()).then_some(new.endpoint),
            },
        };
        let row = match self.inner.store.consume_code_and_add_member(code, row.clone(), self.inner.clock.now()).await {
            Ok(row) => {
                self.log_action(row.gid, "register", &row.peer_name).await?;
                row
            }
            Err(error) => match self.registered_before(code, &row).await? {
                Some(row) => row,
                None => return Err(error.into()),
            },
        };
        if let Some(fingerprint) = fingerprint {
            // No revocation in between: one that comes later takes the key out again.
            let _deciding = self.inner.deciding.lock().await;
            if self.is_revoked(&row).await? {
                return Err(StoreError::from(What::KeyRevoked).into());
            }
            self.inner.admitted.admit(fingerprint);
        }
        let manager_key = self.manager_of(row.gid).await?;
        Ok(JoinReceipt {
            member: self.view(row).await?,
            gateway: self.inner.identity.fingerprint(),
            // None while the machine has none: whoever joins is told so, and may come again with the same code.
            endpoints: Some(self.inner.endpoint.now()).filter(|at| !at.is_empty()).into_iter().collect(),
            manager_key,
        })
    }

    /// The member that this very key registered with this very code, if there is one.
    async fn registered_before(
        &self,
        code: &str,
        new: &tacit_store::NewMember,
    ) -> Result<Option<MemberRow>, GatewayError> {
        let row = self.inner.store.member(TENANT, &new.peer_name).await?;
        Ok(row.filter(|row| {
            new.keys.fingerprint.is_some()
                && row.fingerprint == new.keys.fingerprint
                && row.peer_type == new.peer_type
                && *row.registration_code == *code
        }))
    }

    /// A member by its name.
    pub async fn member(&self, name: &str) -> Result<MemberView, GatewayError> {
        self.view(self.row(name).await?).await
    }

    /// Everybody who registered in a group.
    pub async fn members(&self, group: GroupId) -> Result<Vec<MemberView>, GatewayError> {
        let mut views = Vec::new();
        for row in self.inner.store.members(group).await? {
            views.push(self.view(row).await?);
        }
        Ok(views)
    }

    /// Stores another label key. The member is no longer verified until somebody compares it again.
    pub async fn set_label_key(&self, name: &str, key: &str) -> Result<MemberView, GatewayError> {
        let deciding = self.inner.deciding.lock().await;
        let row = self.row(name).await?;
        self.mark(&deciding, &row, false).await?;
        let keys = MemberKeys {
            label_key: Some(key.to_owned()),
            fingerprint: row.fingerprint,
            link_endpoint: row.link_endpoint,
        };
        self.view(self.inner.store.set_member_keys(row.pid, keys).await?).await
    }

    /// Says that an operator compared the member's fingerprint, or takes that back. The verified
    /// members are the charter's roster. A member whose key was revoked is refused.
    pub async fn verify(&self, name: &str, verified: bool) -> Result<MemberView, GatewayError> {
        let deciding = self.inner.deciding.lock().await;
        let row = self.row(name).await?;
        self.mark(&deciding, &row, verified).await?;
        drop(deciding);
        self.member(name).await
    }

    /// Verifies a member, or takes that back: in the charter, then in its row, which the caller read under the lock.
    pub(crate) async fn mark(
        &self,
        deciding: &Deciding<'_>,
        row: &MemberRow,
        verified: bool,
    ) -> Result<(), GatewayError> {
        if verified && self.is_revoked(row).await? {
            return Err(revoked_key(&row.peer_name));
        }
        if row.verified == verified {
            return Ok(());
        }
        let mut members = self.inner.store.members(row.gid).await?;
        members.iter_mut().filter(|m| m.pid == row.pid).for_each(|m| m.verified = verified);
        self.decide_holding(deciding, row.gid, |charter| set_roster(charter, &members)).await?;
        self.inner.store.set_verified(row.pid, verified, row.fingerprint).await?;
        self.log_action(row.gid, if verified { "verify" } else { "unverify" }, &row.peer_name).await?;
        if verified && let Some(fingerprint) = &row.fingerprint {
            let state = PairingState::Registered;
            self.inner.directory.send(fingerprint, &tacit_job::ToPeer::Pairing { state });
        }
        Ok(())
    }

    /// Says that an operator compared all of these fingerprints: one decision, however many they are. All or none.
    pub async fn verify_all(
        &self,
        group: GroupId,
        compared: &[(String, Fingerprint)],
    ) -> Result<Vec<MemberView>, GatewayError> {
        let deciding = self.inner.deciding.lock().await;
        let mut members = self.inner.store.members(group).await?;
        let mut by_name: BTreeMap<String, &mut MemberRow> =
            members.iter_mut().map(|row| (row.peer_name.clone(), row)).collect();
        let mut chosen = BTreeSet::new();
        for (name, fingerprint) in compared {
            let row = by_name.get_mut(name).ok_or(GatewayError::NotFound("member"))?;
            if row.fingerprint != Some(*fingerprint) || self.is_revoked(row).await? {
                return Err(GatewayError::Refused(format!(
                    "the fingerprint that was compared for {name} is not the one that registered, or its key was \
                     revoked; nobody of this list was verified"
                )));
            }
            row.verified = true;
            chosen.insert(row.pid);
        }
        drop(by_name);
        self.decide_holding(&deciding, group, |charter| set_roster(charter, &members)).await?;
        // All at once: they share commits, and the log's batches.
        let mut settling = JoinSet::new();
        for row in members.into_iter().filter(|row| chosen.contains(&row.pid)) {
            let gateway = self.clone();
            settling.spawn(async move {
                let row = gateway.inner.store.set_verified(row.pid, true, row.fingerprint).await?;
                gateway.log_action(group, "verify", &row.peer_name).await?;
                Ok::<_, GatewayError>(row)
            });
        }
        let mut views = Vec::with_capacity(chosen.len());
        for settled in settling.join_all().await {
            let row = settled?;
            if let Some(fingerprint) = &row.fingerprint {
                let state = PairingState::Registered;
                self.inner.directory.send(fingerprint, &tacit_job::ToPeer::Pairing { state });
            }
            views.push(self.view(row).await?);
        }
        drop(deciding);
        views.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(views)
    }

    /// Removes a member. It is out of the charter and its link is closed at once.
    pub async fn delete_member(&self, name: &str) -> Result<(), GatewayError> {
        let row = self.row(name).await?;
        self.check_removable(&row).await?;
        if row.last_status == PeerStatus::Started {
            self.stop_member(row.gid, name).await?;
        }
        let deciding = self.inner.deciding.lock().await;
        if self.check_removable(&row).await? {
            let members: Vec<_> =
                self.inner.store.members(row.gid).await?.into_iter().filter(|m| m.pid != row.pid).collect();
            self.decide_holding(&deciding, row.gid, |charter| set_roster(charter, &members)).await?;
        }
        self.inner.store.delete_member(row.pid).await?;
        drop(deciding);
        self.forget(&row.fingerprint);
        self.log_action(row.gid, "delete-member", name).await
    }

    /// Whether the manager decides about the roster. Refused if owners do, and have this member on it.
    pub(crate) async fn check_removable(&self, row: &MemberRow) -> Result<bool, GatewayError> {
        let current = self.current(row.gid).await?;
        let by_manager = current.charter().owners.is_empty();
        let listed = current.charter().members.iter().any(|member| Some(member.fingerprint) == row.fingerprint);
        if listed && !by_manager {
            return Err(GatewayError::Refused(format!(
                "{name} is a member by the owners' decision: propose its removal with `tacit negotiation new --group {} \
                 --remove-member {name}`",
                row.gid,
                name = row.peer_name
            )));
        }
        Ok(by_manager)
    }

    /// Records what a P2DS peer says of itself.
    pub async fn set_status(&self, name: &str, status: i64) -> Result<(), GatewayError> {
        let status = PeerStatus::from_number(status).ok_or_else(|| {
            GatewayError::Invalid("status is 0 (unknown), 1 (started), 2 (error) or 3 (stopped)".to_owned())
        })?;
        let row = self.row(name).await?;
        self.inner.store.set_status(row.pid, status).await?;
        Ok(())
    }

    pub(crate) async fn row(&self, name: &str) -> Result<MemberRow, GatewayError> {
        self.inner.store.member(TENANT, name).await?.ok_or(GatewayError::NotFound("member"))
    }

    pub(crate) fn forget(&self, fingerprint: &Option<Fingerprint>) {
        if let Some(fingerprint) = fingerprint {
            self.inner.admitted.revoke(fingerprint);
            self.inner.host.close(fingerprint);
            // Its task notices soon; nobody should see it in the directory until then.
            if let Some(present) = self.inner.directory.present(fingerprint) {
                self.inner.directory.leave(*fingerprint, present.link, self.inner.clock.now());
            }
        }
    }

    /// The key that a group's members pin: of the gateway that made it, which may be another one over the same rows.
    async fn manager_of(&self, group: GroupId) -> Result<String, GatewayError> {
        Ok(self.current(group).await?.charter().manager.clone())
    }

    pub(crate) async fn view(&self, row: MemberRow) -> Result<MemberView, GatewayError> {
        let manager = self.manager_of(row.gid).await?;
        let pairing = tacit_job::pairing_digest(&self.inner.identity.fingerprint(), &manager);
        let present = row.fingerprint.and_then(|fingerprint| self.inner.directory.present(&fingerprint));
        Ok(MemberView {
            connected: present.is_some(),
            pairing: state_of(&row),
            group: row.gid,
            pid: row.pid.0,
            name: row.peer_name,
            role: role_of(row.peer_type),
            url: row.url,
            operator: row.operator,
            label_key: row.label_key,
            fingerprint: row.fingerprint,
            registration_code: row.registration_code.0,
            last_status: row.last_status.number(),
            comparison: row.fingerprint.map(|fingerprint| comparison_code(fingerprint, pairing)),
            verified: row.verified,
        })
    }
}

/// Writes the verified members into the charter, with the largest threshold they allow.
pub(crate) fn set_roster(charter: &mut Charter, members: &[MemberRow]) {
    charter.members = members
        .iter()
        .filter(|row| row.verified)
        .filter_map(|row| {
            Some(Member {
                name: row.peer_name.clone(),
                fingerprint: row.fingerprint?,
                operator: row.operator.clone(),
                role: role_of(row.peer_type),
                endpoint: row.link_endpoint.clone().unwrap_or_default(),
            })
        })
        .collect();
    charter.threshold = Charter::natural_threshold(charter.computing().count());
}

pub(crate) fn role_of(peer_type: PeerType) -> MemberRole {
    match peer_type {
        PeerType::Input => MemberRole::Input,
        PeerType::Privacy => MemberRole::Privacy,
        PeerType::Both => MemberRole::Both,
        PeerType::Recipient => MemberRole::Recipient,
    }
}

fn type_of(role: MemberRole) -> PeerType {
    match role {
        MemberRole::Input => PeerType::Input,
        MemberRole::Privacy => PeerType::Privacy,
        MemberRole::Both => PeerType::Both,
        MemberRole::Recipient => PeerType::Recipient,
    }
}
