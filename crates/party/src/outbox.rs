//! Results on their way to `finalResultsURL`: nothing is lost, nothing is posted under two keys.
//!
//! ```text
//! commit_result ──► waits ──► batch of resultBufferSize (durable key) ──► POST until 2xx ──► delivered
//!                               └ the rest, when the run has ended
//! ```
//!
//! Batches leave in the order of their slots. A receiver that is down or failing holds up those behind;
//! one that refuses a batch (4xx) does not: that batch is tried again slowly and shown to the owner.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tacit_model::{RunId, Slot};
use tacit_pki::random;
use tacit_store::OutboxBatch;

use crate::PartyError;
use crate::party::Inner;
use crate::results::Stored;

/// At most so many results in one POST, whatever the charter says: the receiver's body limit is 8 MiB.
const MAX_BATCH: usize = 10_000;

/// Posts for as long as the party lives.
pub(crate) async fn run(party: Arc<Inner>, url: String) {
    let mut refused = HashSet::new();
    loop {
        let pause = match round(&party, &url, &mut refused).await {
            Ok(pause) => pause,
            Err(error) => {
                party.trouble(format!("results wait in the outbox: {error}"));
                party.limits.retry_max
            }
        };
        tokio::select! {
            () = party.stop.cancelled() => return,
            () = party.outbox.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Puts batches together and posts what is due; how long to wait for the next.
async fn round(party: &Inner, url: &str, refused: &mut HashSet<String>) -> Result<Duration, PartyError> {
    const IDLE: Duration = Duration::from_secs(3600);
    fill_batches(party).await?;
    let mut pause = IDLE;
    let open = party.store.outbox_batches_open().await?;
    for batch in open.into_iter().filter(|batch| batch.party == party.name) {
        if party.stop.is_cancelled() {
            break;
        }
        let wait = batch.next_at.since(party.clock.now());
        if wait > 0 {
            pause = pause.min(Duration::from_millis(wait.unsigned_abs()));
            // Only a refusal waits for so long; those refused before a restart are not on the list.
            let long = Duration::from_millis(wait.unsigned_abs()) > party.limits.retry_max;
            if long || refused.contains(&batch.batch_key) {
                continue;
            }
            break;
        }
        match post(party, url, &batch).await? {
            Posted::Taken => {
                refused.remove(&batch.batch_key);
                party.store.outbox_delivered(&batch.batch_key, party.clock.now()).await?;
            }
            Posted::Refused(why) => {
                refused.insert(batch.batch_key.clone());
                let next = backoff(party.limits.retry_refused, party.limits.retry_refused * 60, batch.attempts);
                retry(party, &batch, next, &why).await?;
                pause = pause.min(next);
            }
            Posted::Failed(why) => {
                let next = backoff(party.limits.retry_first, party.limits.retry_max, batch.attempts);
                retry(party, &batch, next, &why).await?;
                pause = pause.min(next);
                break;
            }
        }
    }
    Ok(pause)
}

/// Full batches of the open run; everything of runs that have ended.
async fn fill_batches(party: &Inner) -> Result<(), PartyError> {
    let standing = party.standing.get();
    let size = buffer_size(party);
    if let Some(run) = standing.run {
        fill(party, run, size, false).await?;
    }
    for run in standing.unflushed {
        // A session that still runs may add a result; it rings the bell when it ends.
        if !party.sessions.runs(run) {
            fill(party, run, size, true).await?;
            party.standing.change(|standing| standing.unflushed.remove(&run)).await?;
        }
    }
    Ok(())
}

async fn fill(party: &Inner, run: RunId, size: usize, all: bool) -> Result<(), PartyError> {
    let pending = party.store.outbox_pending(&party.name, run).await?;
    for chunk in pending.chunks(size).filter(|chunk| all || chunk.len() == size) {
        let slots: Vec<Slot> = chunk.iter().map(|row| row.slot).collect();
        let key = random::nonce()?;
        party.store.outbox_assign_batch(&party.name, run, &slots, &key, party.clock.now()).await?;
    }
    Ok(())
}

fn buffer_size(party: &Inner) -> usize {
    let known = party.roster.known();
    let size = known.and_then(|known| known.charter().configuration.as_ref().map(|c| c.result_buffer_size));
    size.and_then(|size| usize::try_from(size).ok()).unwrap_or(1).clamp(1, MAX_BATCH)
}

enum Posted {
    Taken,
    /// The receiver does not want it.
    Refused(String),
    /// The receiver is down or failing.
    Failed(String),
}

async fn post(party: &Inner, url: &str, batch: &OutboxBatch) -> Result<Posted, PartyError> {
    let address = match party.http.check(url) {
        Ok(address) => address,
        Err(error) => return Ok(Posted::Refused(error.to_string())),
    };
    let row = |row: &tacit_store::OutboxRow| Stored::read(&row.values_json)?.row();
    let rows = batch.rows.iter().map(row).collect::<Result<Vec<_>, _>>()?;
    let body = json!({ "data": rows, "peerName": null }).to_string().into_bytes();
    let headers = [("idempotency-key", batch.batch_key.as_str())];
    let answer = tokio::select! {
        () = party.stop.cancelled() => return Ok(Posted::Failed("shutting down".to_owned())),
        answer = party.http.post_json(address, &headers, body) => answer,
    };
    Ok(match answer {
        Ok(answer) if (200..300).contains(&answer.status) => Posted::Taken,
        // Too early, too many, time-out: the receiver is busy, it has nothing against this batch.
        Ok(answer) if matches!(answer.status, 408 | 425 | 429 | 500..) => {
            Posted::Failed(format!("the receiver answered {}", answer.status))
        }
        Ok(answer) => Posted::Refused(format!("the receiver answered {}", answer.status)),
        Err(error) => Posted::Failed(error.to_string()),
    })
}

async fn retry(party: &Inner, batch: &OutboxBatch, next: Duration, why: &str) -> Result<(), PartyError> {
    if party.stop.is_cancelled() {
        return Ok(());
    }
    party.trouble(format!("{} results were not delivered, trying again: {why}", batch.rows.len()));
    let millis = i64::try_from(next.as_millis()).unwrap_or(i64::MAX);
    Ok(party.store.outbox_retry(&batch.batch_key, party.clock.now().plus(millis)).await?)
}

/// Doubles with each attempt, with up to a quarter of jitter taken off.
pub(crate) fn backoff(first: Duration, longest: Duration, attempts: u32) -> Duration {
    let pause = first.saturating_mul(1_u32 << attempts.min(20)).min(longest);
    let mut byte = [0];
    // Without randomness there is no jitter, and that is all.
    let _ = random::fill(&mut byte);
    pause - pause.mul_f64(f64::from(byte[0]) / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit() {
        let (first, longest) = (Duration::from_millis(200), Duration::from_secs(10));
        for (attempts, expected) in [(0, 200), (1, 400), (3, 1600), (6, 10_000), (1000, 10_000)] {
            let pause = backoff(first, longest, attempts);
            let full = Duration::from_millis(expected);
            assert!(pause <= full && pause >= full.mul_f64(0.75), "{attempts}: {pause:?}");
        }
    }
}
