//! A party as its own client: how does its value compare with the average of all? (FlexSMC, thesis 3.1.2)

use std::time::Duration;

use tacit_job::{Micro, Preselector, Request, Response, Scale, sign_request, task_id, task_run};
use tacit_model::api::{CompareRequest, NewTask, TaskRequest};
use tacit_pki::random;

use super::Party;
use crate::PartyError;
use crate::source::series;

/// So long the answer may take: less than a request over HTTP may, so that whoever asks there is told.
const PATIENCE: Duration = Duration::from_secs(50);

/// What came out. Nobody but this party learns it.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The task's id.
    pub task: String,
    /// The mean of all records of all.
    pub average: f64,
    /// The mean of its own records, decimal.
    pub own: Option<String>,
    /// How many gave data.
    pub contributors: u32,
}

impl Party {
    /// Asks the group for the mean of a series, signed by this party and for this party alone.
    pub async fn compare(&self, request: CompareRequest) -> Result<Comparison, PartyError> {
        let party = &self.inner;
        let now = party.clock.now();
        let task = TaskRequest {
            set: request.set,
            preselector: request.preselector,
            decimals: request.decimals,
            least: request.least,
            most: request.most,
            recipients: vec![party.me],
            min_participants: request.min_participants,
            issued: now.to_rfc3339(),
            nonce: random::nonce()?,
            ..TaskRequest::about(party.group, &request.source, "mean", &request.purpose)
        };
        let decimal = |text: &str| text.parse::<Micro>().map_err(|e| PartyError::Question(e.to_string()));
        let (least, most) = (decimal(&task.least)?, decimal(&task.most)?);
        let scale = Scale::new(least, most, task.decimals)
            .ok_or_else(|| PartyError::Question("least must be below most, and decimals at most 6".to_owned()))?;
        let preselector = Preselector::parse(&task.preselector).map_err(|e| PartyError::Question(e.to_string()))?;
        let (id, run) = (task_id(&task).to_string(), task_run(&task));
        let signature = Some(sign_request(&task, &party.identity));
        let new = Box::new(NewTask { task, signature, wait: true, notify: None });
        let answer = party.line.request(Request::Ask { new }, PATIENCE).await;
        match answer.map_err(|error| unanswered(error, party.line.connected(), &party.name, &id))? {
            Response::Asked { state, .. } if state == "done" => {}
            Response::Asked { state, detail, .. } => {
                return Err(PartyError::NoResult(if detail.is_empty() { state } else { detail }));
            }
            Response::Refused { why } => return Err(PartyError::Refused(why)),
            _ => return Err(PartyError::Answer("it answered something else than it was asked".to_owned())),
        }
        let results = self.results(run).await?;
        let result = results.iter().find(|result| result.task.as_ref() == Some(&id));
        let result = result.ok_or_else(|| PartyError::Answer("the result did not arrive here".to_owned()))?;
        let name = format!("mean({})", request.source);
        let average = result.statistics.iter().find(|(found, _)| *found == name).map(|(_, value)| *value);
        let average = average.ok_or_else(|| {
            PartyError::Declined(result.no_result.clone().unwrap_or_else(|| "the result has no mean".to_owned()))
        })?;
        let own =
            series::own_mean(&mut party.store.look(), &party.name, &request.source, preselector, &scale, now).await?;
        Ok(Comparison { task: id, average, own: own.map(|own| own.to_string()), contributors: result.contributors })
    }
}

/// What the owner should know if the gateway did not answer: with a link to it, the task goes on there.
fn unanswered(error: PartyError, connected: bool, name: &str, id: &str) -> PartyError {
    match error {
        PartyError::Unreachable if connected => {
            PartyError::Late { within_s: PATIENCE.as_secs(), peer: name.to_owned(), task: id.to_owned() }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_too_long_is_told_which_task_goes_on() {
        let late = unanswered(PartyError::Unreachable, true, "alpha", "abc").to_string();
        assert!(late.contains("50 s") && late.contains("tacit peer results alpha --task abc"), "{late}");
        // Without a link nobody has heard of the task, perhaps.
        assert!(matches!(unanswered(PartyError::Unreachable, false, "alpha", "abc"), PartyError::Unreachable));
        let other = unanswered(PartyError::Refused("no".to_owned()), true, "alpha", "abc");
        assert!(matches!(other, PartyError::Refused(why) if why == "no"));
    }
}
