//! Groups: made, configured, looked at, deleted. Every change of what is agreed goes through a
//! decision.

use tacit_accord::{Charter, Configuration, ConsensusId, Sharing, SlotRules};
use tacit_model::GroupId;

use crate::{Gateway, GatewayError, MemberView};

/// All groups of a node belong to one tenant for now; the column is there for hosting several.
pub(crate) const TENANT: &str = "";

/// A group as its operator sees it.
#[derive(Clone, Debug)]
pub struct GroupView {
    /// Its number.
    pub group: GroupId,
    /// Its name.
    pub name: String,
    /// The current consensus.
    pub consensus: ConsensusId,
    /// The agreed configuration.
    pub charter: Charter,
    /// Everybody who registered, verified or not.
    pub members: Vec<MemberView>,
    /// Registration codes that were not used yet.
    pub codes: Vec<String>,
    /// What its members' statuses say together.
    pub status: GroupStatus,
}

/// What the statuses of all members say together (P2DS manual, overview page).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupStatus {
    /// No peer has ever been started.
    Unknown,
    /// All peers are running.
    Running,
    /// All peers stopped.
    Stopped,
    /// All peers stopped but the last run was not successful.
    StoppedWithError,
    /// Some run and some do not.
    Mixed,
}

impl GroupStatus {
    /// From the members' status numbers: 0 unknown, 1 started, 2 error, 3 stopped.
    pub fn of(statuses: &[i64]) -> Self {
        let all = |wanted: &[i64]| statuses.iter().all(|status| wanted.contains(status));
        if all(&[0]) {
            Self::Unknown
        } else if all(&[1]) {
            Self::Running
        } else if all(&[3]) {
            Self::Stopped
        } else if all(&[2, 3]) {
            Self::StoppedWithError
        } else {
            Self::Mixed
        }
    }
}

impl Gateway {
    /// Creates a group under this gateway's manager key. Names are unique.
    pub async fn create_group(&self, name: &str) -> Result<GroupView, GatewayError> {
        let test_mode = self.test_mode().await?;
        let me = self.inner.identity.fingerprint();
        let gateways = match &self.inner.lead {
            Some(lead) => lead.gateways.iter().map(|gateway| gateway.fingerprint).collect(),
            None => vec![me],
        };
        let charter = |group| Charter {
            deputies: gateways.iter().copied().filter(|gateway| *gateway != me).collect(),
            gateways: gateways.clone(),
            slots: SlotRules {
                deadline_ms: u32::try_from(self.inner.limits.slot_deadline.as_millis()).unwrap_or(u32::MAX),
                ..SlotRules::default()
            },
            test_mode,
            ..Charter::new(group, name, self.inner.manager.public_key().to_base64())
        };
        charter(GroupId(0)).check()?;
        let row = self.inner.store.create_group(name, TENANT, self.inner.clock.now()).await?;
        self.conclude(None, charter(row.gid)).await?;
        self.group(row.gid).await
    }

    /// A group with its members and open codes.
    pub async fn group(&self, group: GroupId) -> Result<GroupView, GatewayError> {
        let row = self.inner.store.group(group).await?.ok_or(GatewayError::NotFound("group"))?;
        let consensus = self.current(group).await?;
        let members = self.members(group).await?;
        let codes = self.inner.store.codes(group).await?.into_iter().map(|row| row.code.0).collect();
        let statuses: Vec<i64> = members.iter().map(|m| m.last_status).collect();
        Ok(GroupView {
            group,
            name: row.name,
            consensus: consensus.id(),
            charter: consensus.charter().clone(),
            members,
            codes,
            status: GroupStatus::of(&statuses),
        })
    }

    /// All groups.
    pub async fn groups(&self) -> Result<Vec<GroupView>, GatewayError> {
        let mut groups = Vec::new();
        for row in self.inner.store.groups().await? {
            groups.push(self.group(row.gid).await?);
        }
        Ok(groups)
    }

    /// Deletes a group with its members and codes. A running one is stopped first.
    pub async fn delete_group(&self, group: GroupId) -> Result<(), GatewayError> {
        self.inner.store.group(group).await?.ok_or(GatewayError::NotFound("group"))?;
        if !self.current(group).await?.charter().owners.is_empty() {
            return Err(GatewayError::Refused(
                "this charter has owners: only after they agreed on one without owners can the group be deleted"
                    .to_owned(),
            ));
        }
        self.stop_group(group).await?;
        for member in self.inner.store.members(group).await? {
            self.forget(&member.fingerprint);
        }
        self.inner.store.delete_group(group, self.inner.clock.now()).await?;
        self.forget_charter(group);
        self.log_action(group, "delete-group", "").await
    }

    /// Sets what the group computes. The numbers must fit together; what they mean for the members of
    /// the day is checked again when it starts.
    pub async fn configure(&self, group: GroupId, configuration: Configuration) -> Result<(), GatewayError> {
        configuration.check()?;
        tacit_job::check_configuration(&configuration).map_err(|e| GatewayError::Invalid(e.to_string()))?;
        self.decide_as_manager(group, |charter| charter.configuration = Some(configuration)).await?;
        Ok(())
    }

    /// Sets how inputs become shares: Shamir survives losses, additive sharing protects against all but
    /// one.
    pub async fn set_sharing(&self, group: GroupId, sharing: Sharing) -> Result<(), GatewayError> {
        self.decide_as_manager(group, |charter| charter.sharing = sharing).await?;
        Ok(())
    }

    /// Sets when slots close and what happens without an input.
    pub async fn set_slot_rules(&self, group: GroupId, slots: SlotRules) -> Result<(), GatewayError> {
        self.decide_as_manager(group, |charter| charter.slots = slots).await?;
        Ok(())
    }

    /// Whether new registration codes are `TEST`.
    pub async fn test_mode(&self) -> Result<bool, GatewayError> {
        Ok(self.inner.store.setting("test_mode").await?.as_deref() == Some("on"))
    }

    /// Switches the test mode, in which all new registration codes are `TEST`.
    pub async fn set_test_mode(&self, on: bool) -> Result<(), GatewayError> {
        self.inner.store.set_setting("test_mode", if on { "on" } else { "off" }, self.inner.clock.now()).await?;
        Ok(())
    }
}
