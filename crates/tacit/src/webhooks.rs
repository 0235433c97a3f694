//! Where clients of tasks may be told: only what the operator allows in `[webhooks]` of `node.toml`.

use core::future::Future;
use core::pin::Pin;
use std::sync::Arc;

use tacit_gateway::{Notice, Notifier};
use tacit_party::{HttpPoster, HttpRules};

use crate::config::NodeConfig;
use crate::output::Failure;

/// Posts to allowed addresses. Redirects are not followed, proxies not used, answers thrown away.
struct Webhooks {
    poster: HttpPoster,
    allow: Vec<String>,
}

/// The notifier of a node; none if nothing is allowed.
pub(crate) fn notifier(config: &NodeConfig) -> Result<Option<Arc<dyn Notifier>>, Failure> {
    let webhooks = &config.webhooks;
    if webhooks.allow.is_empty() {
        return Ok(None);
    }
    let rules = HttpRules {
        pinned: webhooks.pinned.clone(),
        allow_plain_http: config.allow_plain_http,
        ..HttpRules::default()
    };
    let poster = HttpPoster::new(rules).map_err(|e| Failure::usage(e.to_string()))?;
    for allowed in &webhooks.allow {
        poster.check(allowed).map_err(|e| Failure::usage(format!("webhooks.allow: {e}")))?;
    }
    Ok(Some(Arc::new(Webhooks { poster, allow: webhooks.allow.clone() })))
}

impl Notifier for Webhooks {
    fn allows(&self, url: &str) -> Result<(), String> {
        let wanted = self.poster.check(url).map_err(|e| e.to_string())?;
        if !wanted.username().is_empty() || wanted.password().is_some() || wanted.fragment().is_some() {
            return Err("an address to be told at has no user, password or fragment".to_owned());
        }
        let covers = |allowed: &String| {
            self.poster.check(allowed).is_ok_and(|allowed| {
                let whole = allowed.path().trim_end_matches('/');
                let rest = wanted.path().strip_prefix(whole);
                (allowed.scheme(), allowed.host(), allowed.port_or_known_default())
                    == (wanted.scheme(), wanted.host(), wanted.port_or_known_default())
                    && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        };
        if self.allow.iter().any(covers) {
            return Ok(());
        }
        Err("this gateway does not post there; its operator can allow the address in [webhooks] of node.toml"
            .to_owned())
    }

    fn post(&self, notice: Notice) -> Pin<Box<dyn Future<Output = Result<u16, String>> + Send + '_>> {
        Box::pin(async move {
            let headers = [
                ("idempotency-key", notice.key.as_str()),
                ("tacit-key", notice.signer.as_str()),
                ("tacit-signature", notice.signature.as_str()),
            ];
            self.poster.post(&notice.url, &headers, notice.body).await.map_err(|e| e.to_string())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_allowed_addresses_are_written_to() {
        let mut config = NodeConfig::default();
        assert!(notifier(&config).expect("a configuration").is_none());
        config.webhooks.allow = vec!["https://hooks.example.org/tacit/".to_owned(), "http://127.0.0.1:8080".to_owned()];
        let notifier = notifier(&config).expect("a configuration").expect("addresses");
        for url in [
            "https://hooks.example.org/tacit/",
            "https://hooks.example.org/tacit/a?b=c",
            "https://hooks.example.org:443/tacit",
            "http://127.0.0.1:8080/anything",
        ] {
            assert_eq!(notifier.allows(url), Ok(()), "{url}");
        }
        for url in [
            "https://hooks.example.org/",
            "https://hooks.example.org/tacitly",
            "https://hooks.example.org/tacit/../admin",
            "https://hooks.example.org:444/tacit/",
            "http://hooks.example.org/tacit/",
            "https://hooks.example.org.evil.org/tacit/",
            "https://user@hooks.example.org/tacit/",
            "http://127.0.0.1:8081/",
            "http://localhost:8080/",
            "http://[::1]:8080/",
            "http://169.254.169.254/latest/",
            "file:///etc/passwd",
            "",
        ] {
            assert!(notifier.allows(url).is_err(), "{url}");
        }
        config.webhooks.allow = vec!["ftp://example.org".to_owned()];
        assert!(super::notifier(&config).is_err());
    }
}
