//! Who a client is, and what it may do: one answer for everything by which somebody is known.
//!
//! A token is known by the hash of its text, a certificate and the signature under a task by the hash of their key.
//! All of them are looked up among the same rows at each use, so that revoking one row ends all that it permitted.

use core::fmt;

use serde::{Deserialize, Serialize};
use tacit_engine::aggregate;
use tacit_job::{Ask, is_word};
use tacit_model::api::{Role, TaskRequest, TaskScope, TaskSignature};
use tacit_model::{Fingerprint, GroupId};
use tacit_pki::PublicKey;
use tacit_store::{Store, StoreError, TokenRow};

/// Longer texts no task has.
const LONGEST: usize = 200;
/// They are read at each call.
const MOST_LIMITS: usize = 1000;

/// What somebody shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// A token with this hash.
    Token(Fingerprint),
    /// The key of a certificate that was admitted, and possession of it.
    Certificate(Fingerprint),
    /// A signature by this key under a task, which a member or some other client hands in. A key that nobody admitted
    /// limits nothing.
    Signature(Fingerprint),
    /// A task that is kept here: it was shown a token or a certificate when it was handed in.
    Task(Fingerprint),
}

impl Shown {
    fn id(self) -> Fingerprint {
        match self {
            Self::Token(id) | Self::Certificate(id) | Self::Signature(id) | Self::Task(id) => id,
        }
    }

    /// What it is called where its holder is told what it may not do.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Token(_) => "this token",
            Self::Certificate(_) => "this certificate",
            Self::Signature(_) => "the key that signed this task",
            Self::Task(_) => "the token or certificate of its client",
        }
    }
}

/// The tasks that somebody may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Tasks {
    None,
    All,
    Within(TaskScope),
}

/// Somebody known, and what it may do.
#[derive(Clone, Debug)]
pub struct Client {
    shown: Shown,
    role: Role,
    tasks: Tasks,
}

/// Why nobody is known by what was shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// Never heard of, or written by a newer program whose limits are not to be overlooked.
    #[error("{0} is not known here")]
    Unknown(&'static str),
    /// Known until it was revoked.
    #[error("{0} was revoked")]
    Revoked(&'static str),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a client may not do, and what helps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAllowed(String);

impl fmt::Display for NotAllowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a token or certificate is limited to, as the store keeps it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// The tasks that it may ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<TaskScope>,
    /// Whether it is a certificate and no token.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub certificate: bool,
}

impl Scope {
    /// For the store.
    pub fn to_text(&self) -> String {
        // Lists of texts always have a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What a row says; nothing if a newer program wrote it.
    pub fn of(row: &TokenRow) -> Option<Self> {
        serde_json::from_str(&row.scope_json).ok()
    }
}

/// Refuses limits that no task can meet: whoever had them would be refused everything, and nobody would know why.
pub fn check_limits(limits: &TaskScope) -> Result<(), String> {
    let TaskScope { groups, sets, purposes, aggregators } = limits;
    let text = |text: &String| text.len() <= LONGEST && !text.chars().any(char::is_control);
    // As a task reads them: without labels it is all members.
    let mut labels = sets.iter().flat_map(|set| set.split(',')).map(str::trim).filter(|label| !label.is_empty());
    if let Some(group) = groups.iter().find(|group| group.0 < 1) {
        return Err(format!("groups: {group} is no number of a group, which count from 1"));
    }
    if !(sets.iter().all(text) && labels.all(is_word)) {
        return Err("sets: a set is labels with commas between them, such as offices,floor=3; empty for all".to_owned());
    }
    if !purposes.iter().all(|purpose| text(purpose) && !purpose.trim().is_empty()) {
        return Err("purposes: a purpose has 1 to 200 printable characters, such as HVAC".to_owned());
    }
    if !aggregators.iter().all(|name| aggregate::find(name).is_some()) {
        return Err(format!("aggregators: one of them is not there; choose of {}", aggregate::names()));
    }
    if groups.len() + sets.len() + purposes.len() + aggregators.len() > MOST_LIMITS {
        return Err(format!(
            "more than {MOST_LIMITS} limits: give the peers a label of their own, and limit it to that"
        ));
    }
    Ok(())
}

/// Who shows this, and what it may do.
pub async fn client_of(store: &Store, shown: Shown) -> Result<Client, Denied> {
    // Looked up by hash: what an index lookup may tell about a hash does not help to find its token.
    let Some(row) = store.token(shown.id().0).await? else {
        return match shown {
            // Whoever hands it in needs to be somebody; the key does not.
            Shown::Signature(_) => Ok(Client { shown, role: Role::Viewer, tasks: Tasks::All }),
            _ => Err(Denied::Unknown(shown.word())),
        };
    };
    if row.revoked.is_some() {
        return Err(Denied::Revoked(shown.word()));
    }
    let unknown = || Denied::Unknown(shown.word());
    let scope = Scope::of(&row).ok_or_else(unknown)?;
    let fits = match shown {
        Shown::Token(_) => !scope.certificate,
        Shown::Certificate(_) | Shown::Signature(_) => scope.certificate,
        Shown::Task(_) => true,
    };
    if !fits {
        return Err(unknown());
    }
    let role = row.role.parse().map_err(|_| unknown())?;
    let tasks = match scope.tasks {
        Some(limits) if limits == TaskScope::default() => Tasks::All,
        Some(limits) => Tasks::Within(limits),
        None if role == Role::Viewer => Tasks::None,
        None => Tasks::All,
    };
    Ok(Client { shown, role, tasks })
}

impl Client {
    /// What it showed.
    pub fn shown(&self) -> Shown {
        self.shown
    }

    /// What it is known by.
    pub fn id(&self) -> Fingerprint {
        self.shown.id()
    }

    /// Whether it showed a certificate, and no token.
    pub fn is_certificate(&self) -> bool {
        matches!(self.shown, Shown::Certificate(_))
    }

    /// What it may do. With limits on sets, purposes or aggregators somebody only asks for tasks and looks, whatever role
    /// is written down: an operator could otherwise have a group compute what it may not ask for.
    pub fn role(&self) -> Role {
        match &self.tasks {
            Tasks::Within(limits) if asks_only(limits) => self.role.min(Role::Viewer),
            _ => self.role,
        }
    }

    /// Whether its role was cut down by its limits.
    pub fn only_asks(&self) -> bool {
        self.role() < self.role
    }

    /// Whether it is limited at all.
    pub fn is_limited(&self) -> bool {
        matches!(self.tasks, Tasks::Within(_))
    }

    /// Whether it asks for tasks and decides nothing. Who takes part in them is told to it as a count, and nothing that it
    /// could be seen from.
    pub fn is_asker(&self) -> bool {
        self.role() == Role::Viewer && self.tasks != Tasks::None
    }

    /// Whether a task that it may ask for can be about a peer with these labels.
    pub fn reaches_labels<'a>(&self, labels: impl Fn(&str) -> bool + 'a) -> bool {
        let Tasks::Within(TaskScope { sets, .. }) = &self.tasks else { return true };
        let has_all = |set: &String| set.split(',').map(str::trim).filter(|label| !label.is_empty()).all(&labels);
        sets.is_empty() || sets.iter().any(has_all)
    }

    /// Whether it may ask for any tasks.
    pub fn may_ask_at_all(&self) -> Result<(), NotAllowed> {
        if self.tasks == Tasks::None { Err(self.not_allowed("tasks")) } else { Ok(()) }
    }

    /// Whether what it does and sees may be about this group; about the node as a whole, if none is named.
    pub fn reaches(&self, group: Option<GroupId>) -> bool {
        match &self.tasks {
            Tasks::Within(limits) => limits.groups.is_empty() || group.is_some_and(|gid| limits.groups.contains(&gid)),
            Tasks::None | Tasks::All => true,
        }
    }

    /// Whether it may ask for this.
    pub fn may_ask(&self, request: &TaskRequest) -> Result<(), NotAllowed> {
        self.may_ask_at_all()?;
        let Tasks::Within(TaskScope { groups, sets, purposes, aggregators }) = &self.tasks else { return Ok(()) };
        let refused = |what: &str| Err(self.not_allowed(what));
        let among = |list: &[String], word: &String| list.is_empty() || list.contains(word);
        if !groups.is_empty() && !groups.contains(&request.group) {
            return refused("tasks of this group");
        }
        if !among(sets, &request.set) {
            return refused("this set");
        }
        if !among(purposes, &request.purpose) {
            return refused("this purpose");
        }
        if among(aggregators, &request.aggregator) { Ok(()) } else { refused("this aggregator") }
    }

    fn not_allowed(&self, what: &str) -> NotAllowed {
        let who = self.shown.word();
        NotAllowed(format!(
            "{who} may not ask for {what}; an owner can issue a token, or admit a certificate, that may"
        ))
    }
}

fn asks_only(limits: &TaskScope) -> bool {
    !(limits.sets.is_empty() && limits.purposes.is_empty() && limits.aggregators.is_empty())
}

/// The key under a task, if it can be read; one that cannot is refused with its signature.
pub(crate) fn signer(signature: Option<&TaskSignature>) -> Option<Fingerprint> {
    PublicKey::from_base64(&signature?.key).ok().map(|key| key.fingerprint())
}

/// Why a task may not go on: its client, or whoever signed it, may not ask for it any more. Members are known by their
/// signatures alone, and parts of tasks above are permitted there.
pub(crate) async fn withdrawn(store: &Store, client: &str, ask: &Ask) -> Result<Option<String>, StoreError> {
    let client = client.parse().ok().map(Shown::Task);
    let signature = signer(ask.client.as_ref()).map(Shown::Signature);
    for shown in client.into_iter().chain(signature) {
        match client_of(store, shown).await {
            Ok(client) => {
                if let Err(why) = client.may_ask(&ask.request) {
                    return Ok(Some(why.to_string()));
                }
            }
            Err(Denied::Store(error)) => return Err(error),
            Err(denied) => return Ok(Some(denied.to_string())),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_no_task_can_meet_are_refused_with_what_is_wrong() {
        let list = |text: &str| vec![text.to_owned()];
        let check = |groups: &[i64], sets: &str, purpose: &str, aggregator: &str| {
            let groups = groups.iter().copied().map(GroupId).collect();
            let (sets, purposes, aggregators) = (list(sets), list(purpose), list(aggregator));
            check_limits(&TaskScope { groups, sets, purposes, aggregators })
        };
        assert_eq!(check_limits(&TaskScope::default()), Ok(()));
        for sets in ["", "offices", "offices, floor=3,"] {
            assert_eq!(check(&[1, 1000], sets, "heating in winter", "sum"), Ok(()), "{sets}");
        }
        let long = "x".repeat(201);
        for (refused, what) in [
            (check(&[1, 0], "", "HVAC", "sum"), "groups: 0"),
            (check(&[-1], "", "HVAC", "sum"), "groups: -1"),
            (check(&[], "offices\n", "HVAC", "sum"), "sets"),
            (check(&[], "two words", "HVAC", "sum"), "sets"),
            (check(&[], &long, "HVAC", "sum"), "sets"),
            (check(&[], "", " ", "sum"), "purposes"),
            (check(&[], "", "a\nb", "sum"), "purposes"),
            (check(&[], "", &long, "sum"), "purposes"),
            (check(&[], "", "HVAC", "average of all"), "aggregators"),
            (check(&[1; 1000], "", "HVAC", "sum"), "more than 1000"),
        ] {
            assert!(refused.as_ref().is_err_and(|why| why.starts_with(what)), "{what}: {refused:?}");
        }
    }
}
