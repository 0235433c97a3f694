use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use tacit_accord::{Configuration, OnMissingInput, Sharing, SlotRules};
use tacit_gateway::{Forecast, Gateway, GroupStatus, GroupView};
use tacit_model::api::{
    CodeBody, ConfigurationBody, ConsensusBody, Decimal, ForecastBody, GroupBody, GroupList, NewGroup, OnMissing, Role,
    SharingKind, SlotRulesBody, Standing,
};
use tacit_model::{GroupId, UnixMillis, check_name};

use crate::caller::Caller;
use crate::edge::App;
use crate::extract::{Args, JsonBody, PathOf};
use crate::native::members::member_body;
use crate::problem::ApiError;

pub(super) async fn create(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    JsonBody(new): JsonBody<NewGroup>,
) -> Result<(StatusCode, Json<GroupBody>), ApiError> {
    let gateway = app.gateway()?;
    check_name(&new.name)?;
    let mut group = gateway.create_group(&new.name).await?;
    if new.sharing == SharingKind::Additive {
        gateway.set_sharing(group.group, Sharing::Additive).await?;
        group = gateway.group(group.group).await?;
    }
    Ok((StatusCode::CREATED, Json(group_body(group, caller.role()))))
}

pub(super) async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<GroupList>, ApiError> {
    let mut groups = app.gateway()?.groups().await?;
    groups.retain(|group| caller.known().reaches(Some(group.group)));
    let mut groups = groups_of(groups, caller.role());
    groups.iter_mut().for_each(|group| without_names(group, &caller));
    Ok(Json(GroupList { groups }))
}

pub(super) async fn get(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    PathOf(gid): PathOf<i64>,
) -> Result<Json<GroupBody>, ApiError> {
    let mut body = planned(app.gateway()?, GroupId(gid), caller.role()).await?;
    without_names(&mut body, &caller);
    Ok(body)
}

/// Who asks for tasks does not see who is there.
fn without_names(group: &mut GroupBody, caller: &Caller) {
    if caller.known().is_asker() {
        group.members.clear();
    }
}

pub(super) async fn delete(State(app): State<App>, PathOf(gid): PathOf<i64>) -> Result<StatusCode, ApiError> {
    app.gateway()?.delete_group(GroupId(gid)).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn configure(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    PathOf(gid): PathOf<i64>,
    JsonBody(body): JsonBody<ConfigurationBody>,
) -> Result<Json<GroupBody>, ApiError> {
    let gateway = app.gateway()?;
    let configuration = Configuration {
        field: body.field.to_string(),
        max_element: body.max_element.to_string(),
        aggregator: body.aggregator,
        items: body.items,
        time_slots: body.time_slots,
        result_buffer_size: body.result_buffer_size,
        parameters: body.parameters,
    };
    gateway.group(GroupId(gid)).await?;
    gateway.configure(GroupId(gid), configuration).await?;
    planned(gateway, GroupId(gid), caller.role()).await
}

pub(super) async fn set_slot_rules(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    PathOf(gid): PathOf<i64>,
    JsonBody(body): JsonBody<SlotRulesBody>,
) -> Result<Json<GroupBody>, ApiError> {
    let gateway = app.gateway()?;
    if body.deadline_ms == 0 {
        return Err(ApiError::invalid("deadline_ms must be at least 1"));
    }
    let first_slot = match &body.first_slot {
        Some(text) => Some(
            UnixMillis::from_rfc3339(text)
                .ok_or_else(|| ApiError::invalid("first_slot must be RFC 3339, such as 2026-03-04T00:00:00Z"))?,
        ),
        None => None,
    };
    if first_slot.is_some() && body.slot_ms == 0 {
        return Err(ApiError::invalid("first_slot needs slot_ms, the length of a slot"));
    }
    let group = gateway.group(GroupId(gid)).await?;
    let give = group.charter.inputs().count();
    match body.on_missing_input {
        OnMissing::Proceed(0 | 1) => {
            return Err(ApiError::invalid(
                "on_missing_input: at least 2 inputs are needed; of a slot with one the result would be that input",
            ));
        }
        // Who makes the rules first invites later.
        OnMissing::Proceed(least) if give > 0 && usize::try_from(least).is_ok_and(|least| least > give) => {
            return Err(ApiError::invalid(format!(
                "on_missing_input: {give} verified members give input, so no slot could have {least}; verify more of \
                 them first, or say a number up to {give}"
            )));
        }
        _ => {}
    }
    let rules = SlotRules {
        on_missing_input: match body.on_missing_input {
            OnMissing::Wait => OnMissingInput::Wait,
            OnMissing::Fail => OnMissingInput::Fail,
            OnMissing::Proceed(least) => OnMissingInput::Proceed(least),
        },
        deadline_ms: body.deadline_ms,
        slot_ms: body.slot_ms,
        first_slot,
    };
    gateway.set_slot_rules(GroupId(gid), rules).await?;
    planned(gateway, GroupId(gid), caller.role()).await
}

pub(super) async fn consensus(
    State(app): State<App>,
    PathOf(gid): PathOf<i64>,
    args: Args,
) -> Result<Json<ConsensusBody>, ApiError> {
    let group = app.gateway()?.group(GroupId(gid)).await?;
    let from = args.number("from")?.map(|from| from.max(0));
    let (documents, more) = app.edge.store.consensus_page(group.group, from.unwrap_or(0)).await?;
    let next = more.then(|| i64::try_from(documents.len()).unwrap_or(i64::MAX).saturating_add(from.unwrap_or(0)));
    // Who does not ask for a page expects all of them, and would take the last that it gets for the group's last decision.
    if next.is_some() && from.is_none() {
        let why = "these documents are more than one answer holds: ask with ?from=0, and go on with what next says";
        return Err(ApiError::invalid(why));
    }
    Ok(Json(ConsensusBody { documents, next }))
}

pub(super) async fn invite(
    State(app): State<App>,
    PathOf(gid): PathOf<i64>,
) -> Result<(StatusCode, Json<CodeBody>), ApiError> {
    let code = app.gateway()?.invite(GroupId(gid)).await?;
    Ok((StatusCode::CREATED, Json(CodeBody { gid: GroupId(gid), code })))
}

pub(super) async fn withdraw(State(app): State<App>, PathOf(code): PathOf<String>) -> Result<StatusCode, ApiError> {
    app.gateway()?.withdraw_code(&code).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A group with the planner's forecast of a slot.
async fn planned(gateway: &Gateway, gid: GroupId, role: Role) -> Result<Json<GroupBody>, ApiError> {
    let group = gateway.group(gid).await?;
    let compute_peers = group.charter.computing().count();
    let mut body = group_body(group, role);
    match gateway.forecast(gid).await? {
        Some(Ok(forecast)) => body.forecast = Some(forecast_body(forecast, compute_peers)),
        Some(Err(why)) => body.no_forecast = Some(why),
        None => {}
    }
    Ok(Json(body))
}

fn forecast_body(forecast: Forecast, compute_peers: usize) -> ForecastBody {
    let few = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    ForecastBody {
        compute_peers: few(compute_peers),
        rounds: forecast.rounds as u64,
        input_bytes: forecast.input_bytes,
        compute_bytes: forecast.compute_bytes,
        micros: forecast.micros,
        losses_before: few(forecast.losses_before),
        losses: few(forecast.losses),
        cheaters_noticed: few(forecast.cheaters_noticed),
        cheaters_survived: few(forecast.cheaters_survived),
        colluding: few(forecast.colluding),
        notes: forecast.notes,
    }
}

pub(crate) fn groups_of(groups: Vec<GroupView>, role: Role) -> Vec<GroupBody> {
    groups.into_iter().map(|group| group_body(group, role)).collect()
}

/// A group as a caller of this role may see it: open codes are for operators.
pub(crate) fn group_body(group: GroupView, role: Role) -> GroupBody {
    let charter = group.charter;
    GroupBody {
        gid: group.group,
        name: group.name,
        status: match group.status {
            GroupStatus::Unknown => Standing::Unknown,
            GroupStatus::Running => Standing::Running,
            GroupStatus::Stopped => Standing::Stopped,
            GroupStatus::StoppedWithError => Standing::StoppedWithError,
            GroupStatus::Mixed => Standing::Mixed,
        },
        consensus: group.consensus.to_string(),
        threshold: charter.threshold,
        sharing: match charter.sharing {
            Sharing::Shamir => SharingKind::Shamir,
            Sharing::Additive => SharingKind::Additive,
        },
        owners: charter.owners,
        test_mode: charter.test_mode,
        configuration: charter.configuration.and_then(configuration_body),
        slots: SlotRulesBody {
            on_missing_input: match charter.slots.on_missing_input {
                OnMissingInput::Wait => OnMissing::Wait,
                OnMissingInput::Fail => OnMissing::Fail,
                OnMissingInput::Proceed(least) => OnMissing::Proceed(least),
            },
            deadline_ms: charter.slots.deadline_ms,
            slot_ms: charter.slots.slot_ms,
            first_slot: charter.slots.first_slot.map(UnixMillis::to_rfc3339),
        },
        members: group.members.into_iter().map(member_body).collect(),
        codes: (role >= Role::Operator).then_some(group.codes),
        forecast: None,
        no_forecast: None,
    }
}

fn configuration_body(configuration: Configuration) -> Option<ConfigurationBody> {
    let number = |text: &str| text.parse::<Decimal>().ok();
    Some(ConfigurationBody {
        field: number(&configuration.field)?,
        max_element: number(&configuration.max_element)?,
        aggregator: configuration.aggregator,
        items: configuration.items,
        time_slots: configuration.time_slots,
        result_buffer_size: configuration.result_buffer_size,
        parameters: configuration.parameters,
    })
}
