//! The gateway's word that all members of a session have their links.
//!
//! A party that has its links does not idle until the last one has. If nothing can be opened without its own freeze it deals
//! its input at once, and tosses the point at which all are checked. There it waits: the last of what others need to freeze a set it says
//! only when the word came. So until all were told, an attempt is repaired as before, whatever some of them did; and nobody
//! is told how it went.

use tokio::sync::watch;

/// Waits for the word, in one session.
#[derive(Clone, Debug)]
pub struct GoAhead(watch::Receiver<bool>);

/// Gives it. Where this goes without having done so, the session was given up.
#[derive(Debug)]
pub(crate) struct Starter(watch::Sender<bool>);

impl GoAhead {
    /// For who need not wait.
    pub fn given() -> Self {
        Self(watch::channel(true).1)
    }

    /// Not given yet.
    pub(crate) fn awaited() -> (Starter, Self) {
        let (starter, go_ahead) = watch::channel(false);
        (Starter(starter), Self(go_ahead))
    }

    /// Comes back when it is given; with `false` if the session was given up instead.
    pub async fn came(&mut self) -> bool {
        self.0.wait_for(|given| *given).await.is_ok()
    }
}

impl Starter {
    pub(crate) fn start(self) {
        self.0.send_replace(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_goes_on_once_it_is_given_and_hears_if_it_never_is() {
        assert!(GoAhead::given().came().await);
        let (starter, mut first) = GoAhead::awaited();
        let mut late = first.clone();
        let (came, ()) = tokio::join!(first.came(), async { starter.start() });
        assert!(came && late.came().await);

        let (starter, mut first) = GoAhead::awaited();
        let (came, ()) = tokio::join!(first.came(), async { drop(starter) });
        assert!(!came && !first.came().await);
    }
}
