//! What a party offers to clients' tasks: series and labels.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use tacit_job::{BRANCH_LABEL, ToGateway, is_word};
use tacit_model::UnixMillis;
use tacit_store::Added;

use super::{Inner, Party, retention};
use crate::PartyError;
use crate::source::{MAX_SAMPLES, SampleText, series};

/// More labels than this are not taken.
const MAX_LABELS: usize = 100;

/// What a party offers to clients' tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// Labels by which a task's set chooses it.
    pub labels: BTreeSet<String>,
    /// Names of its series.
    pub sources: BTreeSet<String>,
}

impl Party {
    /// What it offers to tasks.
    pub fn offer(&self) -> Offer {
        self.inner.offer()
    }

    /// Sets its labels; those of before are gone.
    pub async fn set_labels(&self, labels: BTreeSet<String>) -> Result<(), PartyError> {
        if labels.len() > MAX_LABELS || !labels.iter().all(|label| is_word(label)) {
            return Err(PartyError::Labels);
        }
        let party = &self.inner;
        party
            .standing
            .change(|standing| {
                let new = standing.labels != labels;
                standing.labels = labels;
                new
            })
            .await?;
        party.tell_offer();
        Ok(())
    }

    /// Older samples are not kept.
    pub fn keeps_samples_since(&self, now: UnixMillis) -> UnixMillis {
        now.plus(-self.inner.policy().keep_samples_ms())
    }

    /// Shows the owner what went wrong beside the party itself. The text holds no data.
    pub fn tell_owner(&self, what: String) {
        self.inner.trouble(what);
    }

    /// Adds samples to its series, all or none; how many. They are durable when this returns. Samples older
    /// than the policy keeps are not taken, and let go in time; of more than it keeps the oldest are let go at once. It gives to
    /// no window that they may have been in.
    pub async fn add_samples(&self, samples: Vec<SampleText>) -> Result<usize, PartyError> {
        let party = &self.inner;
        if samples.len() > MAX_SAMPLES {
            return Err(PartyError::QueueFull { retry_after: std::time::Duration::from_secs(5) });
        }
        let now = party.clock.now();
        let mut samples =
            series::read(samples, now).map_err(|(sample, why)| PartyError::InvalidSample { sample, why })?;
        let accepted = samples.len();
        let keeps = party.policy().keep_samples_ms();
        let since = now.plus(-keeps);
        let not_taken = samples.iter().map(|(at, _)| *at).filter(|at| *at < since).max();
        samples.retain(|(at, _)| *at >= since);
        let sources: BTreeSet<String> = samples.iter().flat_map(|(_, values)| values.keys().cloned()).collect();
        let most = party.policy().max_samples;
        if let Some(upto) = not_taken
            && party.store.look().let_go_up_to(&party.name).await?.is_none_or(|known| known < upto)
        {
            party.store.note_not_taken(&party.name, upto).await?;
        }
        let measuring = party.measuring.read().await;
        let Added { gone, given } = party.store.add_samples(&party.name, samples, most).await?;
        let known = {
            let mut known = party.sources.lock().unwrap_or_else(PoisonError::into_inner);
            let before = known.len();
            known.extend(sources);
            known.len() == before
        };
        drop(measuring);
        if !known {
            party.tell_offer();
        }
        if given {
            party.trouble(
                "samples were replaced by others of the same moments, and may have gone into results before: whoever has one of \
                 those and gets one over the same window again learns by how much they changed"
                    .to_owned(),
            );
        }
        if gone > 0 {
            if party.told_full.swap(most, Ordering::Relaxed) != most {
                party.trouble(format!(
                    "there is no room for more than {most} samples, so the oldest are let go; in this peer's policy raise \
                     max_samples, or lower keep_samples_hours"
                ));
            }
            let _measuring = party.measuring.write().await;
            retention::offer_what_is_left(party).await?;
        }
        Ok(accepted)
    }
}

impl Inner {
    pub(crate) fn offer(&self) -> Offer {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Offer { labels: self.standing.get().labels, sources }
    }

    /// Tells the gateway what there is. It learns names, never values.
    pub(crate) fn tell_offer(&self) {
        let Offer { mut labels, mut sources } = self.offer();
        let policy = self.policy();
        if !policy.sources.is_empty() {
            sources.retain(|source| policy.sources.contains(source));
        }
        if !policy.branch.is_empty() {
            labels.insert(BRANCH_LABEL.to_owned());
        }
        if !policy.tasks {
            sources.clear();
        }
        let services = policy.aggregators.iter().cloned().collect();
        let sessions = Some(u32::try_from(policy.max_sessions).unwrap_or(u32::MAX));
        self.line.send(&ToGateway::Offer { group: self.group, labels, sources, services, sessions });
    }
}
