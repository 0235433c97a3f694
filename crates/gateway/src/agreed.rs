//! What several gateways over the same rows have not agreed on in time.

use core::future::Future;
use std::time::Duration;

use tacit_store::StoreError;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::GatewayError;

/// The pause before the next try.
const AGAIN: Duration = Duration::from_secs(1);

/// Does something again as long as the other gateways do not agree in time on what it writes, unless it is told to stop. Nobody
/// whose work it is has done anything wrong, and this gateway leads still, or leads again. What became of a write that nobody
/// answered is in the rows: `work` begins with them, as another leader would.
pub(crate) async fn until_agreed<T, W>(stop: &CancellationToken, mut work: impl FnMut() -> W) -> Result<T, GatewayError>
where
    W: Future<Output = Result<T, GatewayError>>,
{
    loop {
        match work().await {
            Err(GatewayError::Store(error @ StoreError::Replicas { .. })) => {
                warn!(%error, "trying again");
                tokio::select! {
                    () = stop.cancelled() => return Err(error.into()),
                    () = tokio::time::sleep(AGAIN) => {}
                }
            }
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn w1_what_the_gateways_did_not_agree_on_ends_no_run() {
        let unagreed = || GatewayError::from(StoreError::Replicas { reason: "no majority".to_owned() });
        let stop = CancellationToken::new();
        let mut tries = 0;
        let done = until_agreed(&stop, || {
            tries += 1;
            let agreed = tries > 1;
            async move { if agreed { Ok(7) } else { Err(unagreed()) } }
        });
        assert!(matches!(done.await, Ok(7)));
        assert_eq!(tries, 2);
        // What is wrong with the run itself ends it at once.
        let mut tries = 0;
        let done = until_agreed(&stop, || {
            tries += 1;
            async { Err::<(), _>(GatewayError::NotFound("run")) }
        });
        assert!(matches!(done.await, Err(GatewayError::NotFound("run"))));
        assert_eq!(tries, 1);
        // A lead that ends is not waited for.
        stop.cancel();
        let done = until_agreed(&stop, || async { Err::<(), _>(unagreed()) });
        assert!(matches!(done.await, Err(GatewayError::Store(StoreError::Replicas { .. }))));
    }
}
