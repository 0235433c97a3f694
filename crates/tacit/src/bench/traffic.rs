//! What nodes send while something is measured, by their own counters: frames on links, before TLS.

use crate::output::{Code, Failure};
use crate::process::ChildNode;
use crate::scenario::client;

/// Bytes that each node had sent at one moment.
pub(super) struct Mark(Vec<u64>);

impl Mark {
    pub(super) async fn of(nodes: &[ChildNode]) -> Result<Self, Failure> {
        let mut bytes = Vec::with_capacity(nodes.len());
        for node in nodes {
            bytes.push(sent(&client(node)?.metrics().await?)?);
        }
        Ok(Self(bytes))
    }

    /// What the node that sent most has sent since, for each of so many runs.
    pub(super) fn most_since(self, before: &Self, runs: usize) -> u64 {
        let since = self.0.iter().zip(&before.0).map(|(now, then)| now.saturating_sub(*then));
        since.max().unwrap_or(0) / u64::try_from(runs.max(1)).unwrap_or(1)
    }
}

/// The sum over all protocols.
fn sent(metrics: &str) -> Result<u64, Failure> {
    let lines = metrics.lines().filter(|line| line.starts_with("tacit_link_sent_bytes_total{"));
    let values: Option<Vec<u64>> = lines.map(|line| line.rsplit(' ').next()?.parse().ok()).collect();
    match values {
        Some(values) if !values.is_empty() => Ok(values.iter().sum()),
        _ => Err(Failure::new(Code::Other, "a node does not count what it sends")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_add_up_and_the_busiest_node_counts() {
        let metrics = "# HELP tacit_link_sent_bytes_total Bytes\ntacit_link_sent_bytes_total{protocol=\"control\"} 10\n\
                       tacit_link_sent_frames_total{protocol=\"mpc\"} 7\ntacit_link_sent_bytes_total{protocol=\"mpc\"} 32\n";
        assert_eq!(sent(metrics).unwrap(), 42);
        assert!(sent("").is_err() && sent("tacit_link_sent_bytes_total{protocol=\"mpc\"} x").is_err());
        assert_eq!(Mark(vec![142, 250]).most_since(&Mark(vec![42, 50]), 10), 20);
    }
}
