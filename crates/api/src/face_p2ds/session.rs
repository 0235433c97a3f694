//! Who is logged in to the overview page, and which forms are theirs.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::{HeaderMap, header};
use subtle::ConstantTimeEq as _;
use tacit_model::UnixMillis;
use tacit_pki::{PkiError, random};

use crate::auth::hash;

/// Name of the cookie.
const COOKIE: &str = "tacit_overview";
/// A session ends so long after its last page.
const IDLE_MS: i64 = 8 * 3_600_000;
/// Sessions at once; the one that was idle longest goes first.
const MOST: usize = 256;

/// Sessions of this process; a restart ends them.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<BTreeMap<[u8; 32], Session>>);

struct Session {
    token: String,
    seen: UnixMillis,
}

/// A session as its holder needs it.
pub(super) struct Opened {
    /// The cookie's value.
    pub(super) cookie: String,
    /// What every form of the session carries.
    pub(super) token: String,
}

impl Sessions {
    /// A new session for somebody who knew the admin key.
    pub(super) fn open(&self, now: UnixMillis) -> Result<Opened, PkiError> {
        let opened = Opened { cookie: secret()?, token: secret()? };
        let mut sessions = self.lock();
        sessions.retain(|_, session| now.since(session.seen) < IDLE_MS);
        if sessions.len() >= MOST
            && let Some(oldest) = sessions.iter().min_by_key(|(_, session)| session.seen).map(|(key, _)| *key)
        {
            sessions.remove(&oldest);
        }
        sessions.insert(hash(&opened.cookie), Session { token: opened.token.clone(), seen: now });
        Ok(opened)
    }

    /// The form token of the session that a request's cookie names.
    pub(super) fn token(&self, headers: &HeaderMap, now: UnixMillis) -> Option<String> {
        let cookie = cookie_of(headers)?;
        let mut sessions = self.lock();
        let session = sessions.get_mut(&hash(cookie)).filter(|session| now.since(session.seen) < IDLE_MS)?;
        session.seen = now;
        Some(session.token.clone())
    }

    /// Ends the session that a request's cookie names.
    pub(super) fn close(&self, headers: &HeaderMap) {
        if let Some(cookie) = cookie_of(headers) {
            self.lock().remove(&hash(cookie));
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<[u8; 32], Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a form's token is the session's, in a time that says nothing about it.
pub(super) fn same_token(form: &str, session: &str) -> bool {
    form.as_bytes().ct_eq(session.as_bytes()).into()
}

/// The header that sets the cookie: out of reach for scripts, and not sent from other sites' forms.
pub(super) fn set_cookie(value: &str, https: bool) -> String {
    let secure = if https { "; Secure" } else { "" };
    format!("{COOKIE}={value}; Path={}; HttpOnly; SameSite=Lax{secure}", super::MANAGER)
}

fn cookie_of(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(';')).find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

fn secret() -> Result<String, PkiError> {
    // Two codes of 80 bits each.
    Ok(random::registration_code()? + &random::registration_code()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(cookie: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, cookie.parse().expect("visible"));
        headers
    }

    #[test]
    fn a_session_ends_when_idle_closed_or_crowded_out() {
        let sessions = Sessions::default();
        let opened = sessions.open(UnixMillis(0)).expect("random");
        let mine = headers(&format!("a=b; {COOKIE}={}", opened.cookie));
        assert_eq!(sessions.token(&mine, UnixMillis(IDLE_MS - 1)).as_deref(), Some(&*opened.token));
        assert_eq!(sessions.token(&mine, UnixMillis(3 * IDLE_MS)), None);
        assert_eq!(sessions.token(&headers("tacit_overview=guess"), UnixMillis(0)), None);

        let opened = sessions.open(UnixMillis(5 * IDLE_MS)).expect("random");
        let mine = headers(&format!("{COOKIE}={}", opened.cookie));
        for _ in 0..MOST {
            sessions.open(UnixMillis(5 * IDLE_MS + 1)).expect("random");
        }
        assert_eq!(sessions.token(&mine, UnixMillis(5 * IDLE_MS + 2)), None);
        assert!(sessions.lock().len() <= MOST);
        let opened = sessions.open(UnixMillis(5 * IDLE_MS)).expect("random");
        let mine = headers(&format!("{COOKIE}={}", opened.cookie));
        sessions.close(&mine);
        assert_eq!(sessions.token(&mine, UnixMillis(5 * IDLE_MS)), None);
    }
}
