//! Where a link port is, for those who dial it.

use std::sync::Arc;

/// Where a node's link port is, `host:port`, as of now: addresses of a machine change. Empty if it only dials.
#[derive(Clone)]
pub struct Endpoint(Arc<dyn Fn() -> String + Send + Sync>);

impl Endpoint {
    /// Asked anew whenever somebody is told.
    pub fn new(look: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(look))
    }

    /// Where it is now.
    pub fn now(&self) -> String {
        (self.0)()
    }
}

/// One that stays.
impl From<String> for Endpoint {
    fn from(endpoint: String) -> Self {
        Self::new(move || endpoint.clone())
    }
}
