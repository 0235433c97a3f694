//! Counters for Prometheus.

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// Where the counters of this process are.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

/// Another recorder was installed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the counters of this process go to another recorder already")]
pub struct MetricsTaken;

impl Metrics {
    /// Makes this process count. Once per process.
    pub fn install() -> Result<Self, MetricsTaken> {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        ::metrics::set_global_recorder(recorder).map_err(|_| MetricsTaken)?;
        describe();
        Ok(Self(handle))
    }

    /// Counters that are not installed, for tests.
    pub fn detached() -> Self {
        Self(PrometheusBuilder::new().build_recorder().handle())
    }

    /// All counters as text. Call it now and then: it also tidies up.
    pub fn render(&self) -> String {
        self.0.run_upkeep();
        self.0.render()
    }
}

fn describe() {
    ::metrics::describe_counter!("http_requests_total", "Requests by method, route and status");
    ::metrics::describe_counter!("tacit_rows_accepted_total", "Input rows taken over HTTP");
    ::metrics::describe_counter!("tacit_samples_accepted_total", "Samples of series taken over HTTP");
    ::metrics::describe_counter!("tacit_results_received_total", "Result rows posted to the receiver");
    ::metrics::describe_counter!("tacit_link_sent_frames_total", "Frames sent over links, by protocol");
    ::metrics::describe_counter!(
        "tacit_link_sent_bytes_total",
        "Bytes sent over links in frames, before TLS, by protocol"
    );
    ::metrics::describe_gauge!("tacit_groups", "Groups of this gateway");
    ::metrics::describe_gauge!("tacit_members", "Members of this gateway's groups");
    ::metrics::describe_gauge!("tacit_links", "Members whose control link is open");
    ::metrics::describe_gauge!("tacit_runs_open", "Runs that are open");
}
