//! A request that nobody changes any more, with the text under which signatures are put.

use core::fmt;
use core::ops::Deref;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize, Serializer};
use tacit_accord::{canonical, digest};
use tacit_model::SessionId;
use tacit_model::api::TaskRequest;

use crate::{AskError, Terms};

/// Longer requests are not taken, in bytes of their text: whoever takes part is told all of it in one message, a part in a
/// branch holds it twice, and a gateway keeps as many as may be open. A thousand members are named in less.
const LONGEST: usize = 256 << 10;

/// What a client asks for. Its text, on which signatures, id, plan, records and results rest, is made once for all copies, and
/// its fields are read once. It reads like the request.
#[derive(Clone, Deserialize)]
#[serde(from = "TaskRequest")]
pub struct FixedRequest(Arc<Fixed>);

struct Fixed {
    request: TaskRequest,
    text: OnceLock<Vec<u8>>,
    digest: OnceLock<[u8; 32]>,
    terms: OnceLock<Result<Terms, AskError>>,
}

impl FixedRequest {
    /// Another request, changed from this one.
    pub fn with(&self, change: impl FnOnce(&mut TaskRequest)) -> Self {
        let mut request = self.0.request.clone();
        change(&mut request);
        request.into()
    }

    /// The canonical text, which client and gateway sign.
    pub(crate) fn text(&self) -> &[u8] {
        self.0.text.get_or_init(|| signed_text(&self.0.request))
    }

    /// The hash of its text.
    pub(crate) fn digest(&self) -> &[u8; 32] {
        self.0.digest.get_or_init(|| digest_of(self.text()))
    }

    /// The same as [`task_id`](crate::task_id).
    pub(crate) fn id(&self) -> SessionId {
        id_of(self.digest())
    }

    /// The same as [`Ask::terms`](crate::Ask::terms).
    pub(crate) fn terms(&self) -> Result<&Terms, AskError> {
        let read = || {
            // What a part adds to the task above follows from that.
            if self.parent.is_none() && self.text().len() > LONGEST {
                return Err(AskError::Field(format!(
                    "a task has at most {} KiB: name fewer recipients, and set less",
                    LONGEST >> 10
                )));
            }
            Terms::read(self)
        };
        self.0.terms.get_or_init(read).as_ref().map_err(Clone::clone)
    }
}

/// The text under which client and gateway put their signatures.
pub(crate) fn signed_text(request: &TaskRequest) -> Vec<u8> {
    // A request holds only texts and small integers, so it always has a canonical form.
    canonical(request).unwrap_or_default().into_bytes()
}

/// The hash of a request from its text.
pub(crate) fn digest_of(text: &[u8]) -> [u8; 32] {
    digest("ask", text)
}

/// The id of a task from the hash of its request.
pub(crate) fn id_of(digest: &[u8; 32]) -> SessionId {
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    SessionId(id)
}

impl From<TaskRequest> for FixedRequest {
    fn from(request: TaskRequest) -> Self {
        Self(Arc::new(Fixed { request, text: OnceLock::new(), digest: OnceLock::new(), terms: OnceLock::new() }))
    }
}

impl From<FixedRequest> for TaskRequest {
    fn from(FixedRequest(fixed): FixedRequest) -> Self {
        Arc::try_unwrap(fixed).map_or_else(|shared| shared.request.clone(), |fixed| fixed.request)
    }
}

impl Serialize for FixedRequest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.request.serialize(serializer)
    }
}

impl Deref for FixedRequest {
    type Target = TaskRequest;

    fn deref(&self) -> &TaskRequest {
        &self.0.request
    }
}

impl PartialEq for FixedRequest {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.request == other.0.request
    }
}

impl Eq for FixedRequest {}

impl fmt::Debug for FixedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.request.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use tacit_model::GroupId;

    use super::*;
    use crate::task_id;

    #[test]
    fn another_request_has_another_text() {
        let request = TaskRequest::about(GroupId(1), "temperature", "mean", "HVAC");
        let fixed = FixedRequest::from(request.clone());
        assert_eq!(fixed.id(), task_id(&request));
        let other = fixed.with(|request| request.purpose = "curiosity".to_owned());
        assert_eq!(other.id(), task_id(&other));
        assert_ne!(other.id(), fixed.id(), "although the text of the first was made before");
        let copy = other.clone();
        assert_eq!((copy.id(), &copy), (other.id(), &other));
        assert!(core::ptr::eq(copy.text(), other.text()), "made once");
        assert_eq!(FixedRequest::from(TaskRequest::from(copy)), other, "and when it is made anew");
        // On the wire it is the request.
        let text = serde_json::to_string(&other).expect("a text");
        assert_eq!(text, serde_json::to_string(&*other).expect("a text"));
        assert_eq!(serde_json::from_str::<FixedRequest>(&text).expect("a request"), other);
    }

    #[test]
    fn f15_a_request_is_bounded_in_size_whatever_its_fields_hold() {
        let request = TaskRequest {
            issued: "2026-01-01T12:00:00Z".to_owned(),
            nonce: "00".repeat(16),
            ..TaskRequest::about(GroupId(1), "temperature", "mean", "HVAC")
        };
        let key = |length| Some("k".repeat(length));
        let rest = signed_text(&TaskRequest { result_key: key(0), ..request.clone() }).len();
        let terms = |length| FixedRequest::from(TaskRequest { result_key: key(length), ..request.clone() });
        assert_eq!(terms(LONGEST - rest).terms().err(), None, "as long as may be");
        let why = terms(LONGEST - rest + 1).terms().expect_err("too long").to_string();
        assert!(why.starts_with("a task has at most 256 KiB"), "{why}");
        let blanks = format!("temperature>=1{}", " ".repeat(LONGEST));
        let padded = FixedRequest::from(TaskRequest { filter: vec![blanks], ..request });
        assert!(padded.terms().is_err());
    }
}
