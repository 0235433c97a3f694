//! What a command says of itself while it waits.

use core::future::Future;
use std::time::Duration;

/// So long nobody wonders what it does.
pub(super) const QUIET: Duration = Duration::from_secs(1);

/// What a task that is not over may be at.
pub(super) const FOR_MEMBERS: &str =
    "not over yet: it is computed, or waits for members that can give what is asked for, or for their owners";

/// Waits for the work. If that takes longer than `quiet`, `what` says once what is waited for.
pub(super) async fn aloud<T>(quiet: Duration, work: impl Future<Output = T>, what: impl FnOnce()) -> T {
    tokio::pin!(work);
    if let Ok(done) = tokio::time::timeout(quiet, &mut work).await {
        return done;
    }
    what();
    work.await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_command_that_waits_says_so_once_and_others_do_not() {
        let mut said = 0;
        assert_eq!(aloud(QUIET, async { 7 }, || said += 1).await, 7);
        assert_eq!(said, 0);
        let slow = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            8
        };
        assert_eq!(aloud(Duration::from_millis(1), slow, || said += 1).await, 8);
        assert_eq!(said, 1);
    }
}
