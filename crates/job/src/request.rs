//! A request that nobody changes any more, with the text under which signatures are put.

use core::fmt;
use core::ops::Deref;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize, Serializer};
use tacit_accord::{canonical, digest};
use tacit_model::SessionId;
use tacit_model::api::TaskRequest;

/// What a client asks for. Its text is made once: signatures, id, plan, records and results all follow from it. It reads like
/// the request.
#[derive(Clone, Deserialize)]
#[serde(from = "TaskRequest")]
pub struct FixedRequest {
    request: TaskRequest,
    text: OnceLock<Vec<u8>>,
}

impl FixedRequest {
    /// Another request, changed from this one.
    pub fn with(&self, change: impl FnOnce(&mut TaskRequest)) -> Self {
        let mut request = self.request.clone();
        change(&mut request);
        request.into()
    }

    /// The canonical text, which client and gateway sign.
    pub(crate) fn text(&self) -> &[u8] {
        self.text.get_or_init(|| signed_text(&self.request))
    }

    /// The same as [`task_id`](crate::task_id).
    pub(crate) fn id(&self) -> SessionId {
        id_of(self.text())
    }
}

/// The text under which client and gateway put their signatures.
pub(crate) fn signed_text(request: &TaskRequest) -> Vec<u8> {
    // A request holds only texts and small integers, so it always has a canonical form.
    canonical(request).unwrap_or_default().into_bytes()
}

/// The id of a task from its text.
pub(crate) fn id_of(text: &[u8]) -> SessionId {
    let hash = digest("ask", text);
    let mut id = [0; 16];
    id.copy_from_slice(&hash[..16]);
    SessionId(id)
}

impl From<TaskRequest> for FixedRequest {
    fn from(request: TaskRequest) -> Self {
        Self { request, text: OnceLock::new() }
    }
}

impl From<FixedRequest> for TaskRequest {
    fn from(fixed: FixedRequest) -> Self {
        fixed.request
    }
}

impl Serialize for FixedRequest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.request.serialize(serializer)
    }
}

impl Deref for FixedRequest {
    type Target = TaskRequest;

    fn deref(&self) -> &TaskRequest {
        &self.request
    }
}

impl PartialEq for FixedRequest {
    fn eq(&self, other: &Self) -> bool {
        self.request == other.request
    }
}

impl Eq for FixedRequest {}

impl fmt::Debug for FixedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.request.fmt(f)
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
        // On the wire it is the request.
        let text = serde_json::to_string(&other).expect("a text");
        assert_eq!(text, serde_json::to_string(&*other).expect("a text"));
        assert_eq!(serde_json::from_str::<FixedRequest>(&text).expect("a request"), other);
    }
}
