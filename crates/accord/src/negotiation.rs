//! Negotiations: signed texts, until all who must have signed the same one.
//!
//! ```text
//!  Opening ─► Negotiation ── step(act, now) ─► Step { event, after } ── durable ─► Negotiation
//!                 ▲                                                                    │
//!                 └────────────── replay(opening, events): the same checks ────────────┤
//!                                                                                      ▼
//!                              all who must have signed one text that accepts: Agreement
//! ```
//!
//! - [`Negotiation`]: the state machine. A step is computed, then made durable, then believed; what a
//!   database hands back is checked again signature by signature.
//! - [`Form`]: how a wire form writes, names and signs. The state machine asks nothing else of it;
//!   [`JsonForm`] is the one of `/api/v1`.
//! - [`Wording`], [`Part`]: the structured text of [`JsonForm`]: parameters and their values, in parts.
//! - [`differences`]: where the live contributions agree and where they do not, parameter by parameter.
//! - [`charter_terms`], [`charter_of`], [`Duty`]: a charter as parameters, and what each actor owes by it.
//! - [`explain`], [`export`], [`import`]: the same text for people.
//!
//! **Promises.** One negotiation has at most one [`Agreement`]; it carries the signature of everybody whom
//! its [`Authority`] and its text name, each made for this negotiation, this text and this turn; nothing that
//! was signed counts a second time. No text from outside makes it panic.
//!
//! **Does not promise** to unsay a signature: one that was withdrawn still verifies for whoever kept it.
//! A dishonest keeper of the events can hold contributions back, but not make or alter any.
//!
//! There is no I/O: ids and times are arguments.

mod act;
mod agreement;
mod charter_terms;
mod differences;
mod duties;
mod explain;
mod form;
mod invitation;
mod request;
mod state;
mod wording;

pub use act::{Act, SignedAct, sign_act, sign_decision};
pub use agreement::{Agreement, AgreementError, AgreementId, Signing};
pub use charter_terms::{TermsError, charter_of, charter_part, charter_terms, charter_text};
pub use differences::{Standpoint, differences};
pub use duties::{Duty, duties};
pub use explain::{ImportError, explain, export, import};
pub use form::{Form, JsonForm, Reading};
pub use invitation::{Invitation, NegotiationId, secret_hash};
pub use request::{OpeningRequest, history_holds, history_message, sign_history};
pub use state::{
    Authority, Contribution, Event, MAX_TEXT, MAX_TURNS, Negotiation, NegotiationError, Opening, State, Status, Step,
};
pub use wording::{Part, Resource, Wording, WordingError};
