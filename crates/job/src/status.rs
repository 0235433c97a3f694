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
    use tacit_model::{Fingerprint, UnixMillis};

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
        let done = Report::Done {
            agreement: None,
            contributors: 0,
            faults: vec![],
            left_out: vec![],
            told: None,
            session: None,
        };
        let reports = [
            (Report::Pong, 0),
            (Report::Prepared { nonce: String::new() }, 0),
            (Report::Linked, 0),
            (done, 1),
            (Report::Unlinked { missing: vec![] }, 129),
        ];
        let (missing, until) = (vec![], UnixMillis(0));
        let declines = [
            (Decline::Charter, 34),
            (Decline::Roster, 34),
            (Decline::Plan, 33),
            (Decline::Policy, 34),
            (Decline::Apart { missing: missing.clone(), until }, 34),
            (Decline::Waiting, 34),
            (Decline::NoRow, 34),
            (Decline::Frozen { done: None, session: None }, 34),
            (Decline::NotRunning, 34),
            (Decline::Busy, 34),
        ];
        let faults = [
            (Fault::Lost { members: vec![] }, 129),
            (Fault::MissingInput { members: vec![] }, 65),
            (Fault::Misbehaved { member: Fingerprint([0; 32]) }, 65),
            (Fault::OutOfBounds { members: vec![] }, 65),
            (Fault::Disputed { members: vec![] }, 65),
            (Fault::Equivocated, 65),
            (Fault::Shares, 65),
            (Fault::FewShares, 129),
            (Fault::Range, 65),
            (Fault::Apart { missing, until }, 65),
            (Fault::Ended, 65),
            (Fault::Order, 65),
            (Fault::Own, 65),
        ];
        let declined = declines.map(|(why, number)| (Report::Declined { why }, number));
        // Whether a set was bound changes what follows, and not what happened.
        let failed = faults.map(|(fault, number)| {
            [false, true].map(|frozen| (Report::Failed { fault: fault.clone(), frozen }, number))
        });
        for (report, number) in reports.into_iter().chain(declined).chain(failed.into_iter().flatten()) {
            assert_eq!(status(&report).0, number, "{report:?}");
        }
    }
}
