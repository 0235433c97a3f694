//! What the owner of a peer decides: its policy, tasks that it is asked about; and what the peer asks for itself.

use axum::Json;
use axum::extract::State;
use tacit_model::api::{
    ApprovalBody, ApprovalDecision, ApprovalList, CompareBody, CompareRequest, PeerPolicy, PolicyBody,
};

use crate::edge::App;
use crate::extract::{JsonBody, PathOf};
use crate::problem::ApiError;

pub(super) async fn get(State(app): State<App>, PathOf(name): PathOf<String>) -> Result<Json<PolicyBody>, ApiError> {
    Ok(Json((app.parties()?.policy)(name).await?))
}

pub(super) async fn set(
    State(app): State<App>,
    PathOf(name): PathOf<String>,
    JsonBody(policy): JsonBody<PeerPolicy>,
) -> Result<Json<PolicyBody>, ApiError> {
    Ok(Json((app.parties()?.set_policy)((name, Some(policy))).await?))
}

pub(super) async fn reset(State(app): State<App>, PathOf(name): PathOf<String>) -> Result<Json<PolicyBody>, ApiError> {
    Ok(Json((app.parties()?.set_policy)((name, None)).await?))
}

pub(super) async fn approvals(
    State(app): State<App>,
    PathOf(name): PathOf<String>,
) -> Result<Json<ApprovalList>, ApiError> {
    Ok(Json(ApprovalList { approvals: (app.parties()?.approvals)(name).await? }))
}

pub(super) async fn decide(
    State(app): State<App>,
    PathOf((name, task)): PathOf<(String, String)>,
    JsonBody(decision): JsonBody<ApprovalDecision>,
) -> Result<Json<ApprovalBody>, ApiError> {
    Ok(Json((app.parties()?.decide_approval)((name, task, decision.approved)).await?))
}

pub(super) async fn compare(
    State(app): State<App>,
    PathOf(name): PathOf<String>,
    JsonBody(request): JsonBody<CompareRequest>,
) -> Result<Json<CompareBody>, ApiError> {
    Ok(Json((app.parties()?.compare_average)((name, request)).await?))
}
