//! What an operation is about, so that callers who are limited to certain groups do and see nothing of others.

use axum::extract::RawPathParams;
use axum::http::Method;
use tacit_gateway::GatewayError;
use tacit_model::GroupId;
use tacit_model::problem::ProblemKind;
use tacit_store::GATEWAY_HOLDER;

use crate::caller::Caller;
use crate::edge::App;
use crate::problem::ApiError;

/// What an operation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// The node as a whole, or its peers: nothing for callers that are limited to groups.
    Node,
    /// The group with this number.
    Group,
    /// The group of this member.
    Member,
    /// The group of this negotiation.
    Negotiation,
    /// The group of this registration code.
    Code,
    /// The group of this receipt.
    Receipt,
    /// Several groups: the operation itself leaves out what the caller does not reach.
    Several,
    /// Nothing that belongs to a group: the node's name, hashes of its log.
    Nothing,
}

impl About {
    /// What the operation at this path is about; anything new is about the node until somebody says otherwise.
    pub(crate) fn of(method: &Method, path: &str) -> Self {
        match path {
            "/groups" | "/pairing" | "/receipts" if method == Method::GET => Self::Several,
            "/tasks" | "/tasks/{id}" | "/tasks/{id}/events" => Self::Several,
            "/node" | "/log/checkpoint" | "/log/inclusion" | "/log/consistency" => Self::Nothing,
            "/codes/{code}" => Self::Code,
            "/receipts/{session}" => Self::Receipt,
            path if path.starts_with("/groups/{gid}") => Self::Group,
            path if path.starts_with("/members/{name}") => Self::Member,
            path if path.starts_with("/negotiations/{negotiation}/") => Self::Negotiation,
            _ => Self::Node,
        }
    }

    /// Whether the operation at this path is for somebody who asks for tasks, too. Rule 10: who takes part is told to such
    /// a caller as a count, so it does not see who is there, nor what the peers of this node and its log hold. Anything
    /// new is not for it until somebody says otherwise.
    pub(crate) fn is_for_askers(method: &Method, path: &str) -> bool {
        match path {
            "/groups" | "/groups/{gid}" | "/groups/{gid}/consensus" | "/groups/{gid}/offers" => method == Method::GET,
            "/node" | "/log/checkpoint" | "/log/inclusion" | "/log/consistency" => true,
            "/tasks" | "/tasks/{id}" | "/tasks/{id}/events" | "/receipts" | "/receipts/{session}" => true,
            _ => false,
        }
    }

    /// Refuses whoever is limited to other groups. What does not exist is refused alike.
    pub(crate) async fn within(self, app: &App, caller: &Caller, params: &RawPathParams) -> Result<(), ApiError> {
        if matches!(self, Self::Several | Self::Nothing) || !caller.known().is_limited() {
            return Ok(());
        }
        let group = match params.iter().next() {
            Some((_, value)) => self.group(app, value).await?,
            None => None,
        };
        if caller.known().reaches(group) {
            return Ok(());
        }
        let detail =
            "this is about no group that the token or certificate is limited to; an owner can issue one that may";
        Err(ApiError::new(ProblemKind::Forbidden, detail))
    }

    /// The group that the first part of an address stands for.
    async fn group(self, app: &App, value: &str) -> Result<Option<GroupId>, ApiError> {
        let found = match self {
            Self::Node | Self::Several | Self::Nothing => return Ok(None),
            Self::Group => return Ok(value.parse().ok().map(GroupId)),
            Self::Code => return Ok(app.edge.store.group_of_code(value).await?),
            Self::Receipt => {
                let Ok(session) = value.parse() else { return Ok(None) };
                return Ok(app.edge.store.receipt(GATEWAY_HOLDER, session).await?.map(|row| row.gid));
            }
            Self::Member => app.gateway()?.member(value).await.map(|member| Some(member.group)),
            Self::Negotiation => app.gateway()?.negotiation(value).await.map(|view| view.group),
        };
        match found {
            Ok(group) => Ok(group),
            Err(GatewayError::NotFound(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
