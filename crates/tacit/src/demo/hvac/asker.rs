//! The facility manager: a client with keys of its own, who is no member.

use tacit_client::Client;
use tacit_job::sign_request;
use tacit_model::api::{NewTask, TaskRequest, TaskResult};
use tacit_model::{Clock, SystemClock};
use tacit_pki::result_key::ResultKey;
use tacit_pki::{Identity, random};

use super::rooms::OCCUPIED;
use crate::command::task::answer;
use crate::command::task::known::Known;
use crate::output::{Code, Failure};
use crate::scenario::{Scenario, client};

pub(super) struct Asker {
    client: Client,
    known: Known,
    identity: Identity,
    key: ResultKey,
}

/// What came back, opened here, and whether the gateway held it sealed.
#[derive(Clone, Copy)]
pub(super) struct Answer {
    pub(super) mean: f64,
    pub(super) occupied: f64,
    pub(super) rooms: u32,
    pub(super) sealed: bool,
}

impl Asker {
    pub(super) fn new(scenario: &Scenario) -> Result<Self, Failure> {
        let at = SystemClock.now().to_date_time()?;
        let identity = Identity::generate("facility manager", at)?;
        Ok(Self { client: client(&scenario.coordinator)?, known: Known::own(), identity, key: ResultKey::generate()? })
    }

    /// Asks for the mean temperature of the occupied rooms of a floor in a window.
    pub(super) async fn ask(&self, scenario: &Scenario, floor: &str, window: &str) -> Result<Answer, Failure> {
        let task = TaskRequest {
            set: format!("rooms,{floor}"),
            filter: vec![OCCUPIED.to_owned()],
            preselector: window.to_owned(),
            decimals: 2,
            least: "-20".to_owned(),
            most: "60".to_owned(),
            result_key: Some(self.key.public().to_owned()),
            issued: SystemClock.now().to_rfc3339(),
            nonce: random::nonce()?,
            ..TaskRequest::about(scenario.group, "temperature", "mean", "HVAC")
        };
        let signature = Some(sign_request(&task, &self.identity));
        let body = self.client.submit_task(&NewTask { task, signature, notify: None, wait: true }, None).await?;
        if body.state != "done" {
            return Err(Failure::new(Code::Refused, format!("no answer: {}", body.detail)));
        }
        let sealed = body.windows.iter().all(|window| window.result.is_none() && !window.sealed.is_empty());
        let opened = answer::opened(&self.client, &self.known, body, Some(&self.key)).await?;
        opened.all_taken()?;
        let result =
            opened.results.into_iter().next().ok_or_else(|| Failure::new(Code::Other, "an answer without a result"))?;
        Ok(Answer {
            mean: number(&result, "mean(temperature)"),
            occupied: number(&result, "count"),
            rooms: result.contributors,
            sealed,
        })
    }
}

fn number(result: &TaskResult, name: &str) -> f64 {
    result.statistics.iter().find(|one| one.name == name).map_or(f64::NAN, |one| one.value)
}
