//! The status numbers of FlexSMC, as they go over the provider's socket and into texts for owners.

use crate::{Decline, Fault, Report};

/// What a status number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusClass {
    /// 0 and 1: as asked.
    Success,
    /// 32 to 63: refused, nothing was computed. A job goes on without whoever says so.
    Refused,
    /// 64 to 127: given up.
    Fault,
    /// 128 to 255: others could not be reached.
    Communication,
    /// A number that means nothing.
    Unknown,
}

impl StatusClass {
    /// The class of a number.
    pub fn of(status: i32) -> Self {
        match status {
            0 | 1 => Self::Success,
            32..=63 => Self::Refused,
            64..=127 => Self::Fault,
            128..=255 => Self::Communication,
            _ => Self::Unknown,
        }
    }
}

/// The number that stands for a report, and its name.
pub fn status(report: &Report) -> (i32, &'static str) {
    match report {
        Report::Pong | Report::Prepared { .. } | Report::Linked => (0, "SUCCESS"),
        Report::Done { .. } => (1, "SUCCESS_DONE"),
        Report::Declined { why: Decline::Plan } => (33, "UNKNOWN_CMD"),
        Report::Declined { .. } => (34, "DENIED"),
        Report::Unlinked { .. } => (129, "STREAM_ERR"),
        Report::Failed { fault: Fault::Lost { .. } | Fault::FewShares, .. } => (129, "STREAM_ERR"),
        Report::Failed { .. } => (65, "ABORTED"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f19_status_numbers_and_their_classes() {
        let expected = [
            (0, StatusClass::Success),
            (1, StatusClass::Success),
            (2, StatusClass::Unknown),
            (32, StatusClass::Refused),
            (33, StatusClass::Refused),
            (34, StatusClass::Refused),
            (64, StatusClass::Fault),
            (65, StatusClass::Fault),
            (128, StatusClass::Communication),
            (129, StatusClass::Communication),
            (192, StatusClass::Communication),
            (224, StatusClass::Communication),
            (-1, StatusClass::Unknown),
            (256, StatusClass::Unknown),
        ];
        for (number, class) in expected {
            assert_eq!(StatusClass::of(number), class, "{number}");
        }
        let reports = [
            (Report::Linked, 0),
            (Report::Declined { why: Decline::Plan }, 33),
            (Report::Declined { why: Decline::Policy }, 34),
            (Report::Failed { fault: Fault::Order, frozen: false }, 65),
            (Report::Failed { fault: Fault::Lost { members: vec![] }, frozen: false }, 129),
        ];
        for (report, number) in reports {
            assert_eq!(status(&report).0, number, "{report:?}");
        }
    }
}
