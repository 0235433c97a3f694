//! What one process used between two moments.

use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// A measurement that has begun.
pub(crate) struct Meter {
    since: Instant,
    cpu_micros: i64,
}

/// A measurement that has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) elapsed: Duration,
    pub(crate) cpu_micros: u64,
}

impl Meter {
    pub(crate) fn start() -> Self {
        let cpu_micros = cpu_micros();
        Self { since: Instant::now(), cpu_micros }
    }

    pub(crate) fn stop(self) -> Reading {
        let elapsed = self.since.elapsed();
        Reading { elapsed, cpu_micros: u64::try_from(cpu_micros() - self.cpu_micros).unwrap_or(0) }
    }
}

impl Reading {
    pub(crate) fn nanos(&self) -> u64 {
        u64::try_from(self.elapsed.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// User and system time of all threads.
fn cpu_micros() -> i64 {
    // Only fails for a `who` that does not exist.
    let usage = getrusage(UsageWho::RUSAGE_SELF);
    usage.map_or(0, |usage| usage.user_time().num_microseconds() + usage.system_time().num_microseconds())
}

/// The most memory this process has held, in KiB: `VmHWM`.
pub(crate) fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_moment_costs_processor_time_and_memory_is_never_zero() {
        let meter = Meter::start();
        let mut x = 1_u64;
        // However little of the processor this process gets meanwhile.
        while cpu_micros() - meter.cpu_micros < 5_000 && meter.since.elapsed() < Duration::from_secs(5) {
            x = std::hint::black_box(x.wrapping_mul(3));
        }
        let reading = meter.stop();
        assert!(reading.cpu_micros >= 5_000 && !reading.elapsed.is_zero(), "{reading:?}");
        assert!(peak_kib() > 500);
    }
}
