//! The in-memory twin: sessions without network, for tests. No runtime is needed.

use std::sync::Arc;
use std::time::Duration;

use tacit_model::{Fingerprint, SessionId};
use zeroize::Zeroizing;

use crate::session::{Held, Mailbox, Outlet, SessionLimits, SessionPort};

/// One message of the twin can be as large as memory allows.
const LIMITS: SessionLimits =
    SessionLimits { message: usize::MAX >> 1, waiting: usize::MAX >> 1, in_all: usize::MAX >> 1 };

/// One session between `n` parties, each with fingerprint `[i; 32]`. Port `i` is party `i`'s; its
/// peers are the others in rising order, so peer index `j` is party `j` below `i` and `j + 1` from
/// `i` on.
///
/// Every pair shares a fresh random secret, as over TLS.
pub fn mesh(n: usize) -> Vec<SessionPort> {
    let mut id = [0; 16];
    id.copy_from_slice(&random()[..16]);
    let parties: Vec<_> = (0..n).map(|i| Fingerprint([u8::try_from(i % 256).unwrap_or(0); 32])).collect();
    let mailboxes: Vec<_> =
        (0..n).map(|_| Arc::new(Mailbox::new(vec![(0, Held::default()); n.saturating_sub(1)], LIMITS))).collect();
    // One secret for each pair (low, high), in the order of `pair`.
    let secrets: Vec<_> = (0..n * n.saturating_sub(1) / 2).map(|_| random()).collect();
    let pair = |i: usize, j: usize| i.max(j) * (i.max(j) - 1) / 2 + i.min(j);
    let port = |i: usize| {
        let others = || (0..n).filter(move |j| *j != i);
        let outlet = |j: usize| Outlet::Memory {
            mailbox: Arc::clone(&mailboxes[j]),
            from: if i < j { i } else { i - 1 },
            secret: secrets[pair(i, j)].clone(),
        };
        SessionPort::new(
            SessionId(id),
            others().map(|j| parties[j]).collect(),
            Arc::clone(&mailboxes[i]),
            others().map(outlet).collect(),
            None,
            Duration::ZERO,
        )
    };
    (0..n).map(port).collect()
}

fn random() -> Zeroizing<[u8; 32]> {
    let mut bytes = Zeroizing::new([0; 32]);
    aws_lc_rs::rand::fill(&mut *bytes).expect("the system has randomness");
    bytes
}
