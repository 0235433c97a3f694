//! How long samples stay: what is older than the policy keeps is let go when the party starts, and from then on,
//! whether new samples come or not.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use tracing::{debug, warn};

use super::Inner;
use crate::PartyError;

/// Lets go of samples that are too old, now and again, until the party is closed.
pub(super) async fn run(party: Arc<Inner>) {
    loop {
        if let Err(error) = forget(&party).await {
            warn!(party = %party.name, %error, "samples that are too old were not deleted");
        }
        tokio::select! {
            () = party.stop.cancelled() => return,
            () = tokio::time::sleep(party.limits.forget_every) => {}
        }
    }
}

/// Deletes what is too old. A series of which nothing is left is no longer offered.
async fn forget(party: &Inner) -> Result<(), PartyError> {
    let since = party.clock.now().plus(-party.policy().keep_samples_ms());
    party.store.forget_opened(&party.name, since).await?;
    let _measuring = party.measuring.write().await;
    let kept = party.store.sources(&party.name).await?;
    let gone = party.store.forget_samples(&party.name, &kept, since).await?;
    if gone == 0 {
        return Ok(());
    }
    debug!(party = %party.name, gone, "samples were too old");
    offer_what_is_left(party).await
}

/// What it offers, after samples were let go; to be called while none come.
pub(super) async fn offer_what_is_left(party: &Inner) -> Result<(), PartyError> {
    let left: BTreeSet<String> = party.store.sources(&party.name).await?.into_iter().collect();
    let fewer = {
        let mut known = party.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *known, left);
        before != *known
    };
    if fewer {
        party.tell_offer();
    }
    Ok(())
}
