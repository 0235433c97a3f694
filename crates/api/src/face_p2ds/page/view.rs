//! The markup of the overview page.

use core::fmt::Write as _;

use axum::http::StatusCode;
use axum::response::Response;
use tacit_gateway::{GroupStatus, GroupView, MemberView};

use crate::face_p2ds::words::Answer;
use crate::html::{esc, page};

const TITLE: &str = "Status";

/// The sentence for how a group stands.
fn sentence(status: GroupStatus) -> &'static str {
    match status {
        GroupStatus::Unknown => "Unknown. No peer has ever been started.",
        GroupStatus::Running => "Running. All peers are running.",
        GroupStatus::StoppedWithError => "Stopped with error. All peers stopped but last run was not successful.",
        GroupStatus::Stopped => "Stopped. All peers stopped.",
        GroupStatus::Mixed => "n/a",
    }
}

/// The form that asks for the key.
pub(super) fn login(status: StatusCode, wrong: bool) -> Response {
    let hint = if wrong { "<p class=\"bad\">This is not the admin key.</p>\n" } else { "" };
    let body = format!(
        "<h1>Group Management</h1>\n<div class=\"card\">\n<p>Please enter the admin key of this group manager.</p>\n{hint}\
         <form method=\"post\" action=\"./login\">\n<label>Admin key\n\
         <input type=\"password\" name=\"adminKey\" autocomplete=\"current-password\" required autofocus></label>\n\
         <button>Log in</button>\n</form>\n</div>\n"
    );
    page(status, TITLE, &body)
}

/// What is said to a form that did not come from the visitor's own page.
pub(super) fn wrong_token() -> Response {
    let body = format!("<h1>CSRF PROTECTION ERROR</h1>\n<p class=\"bad\">Invalid CSRF token!</p>\n{BACK}");
    page(StatusCode::FORBIDDEN, TITLE, &body)
}

const BACK: &str = "<p><a href=\"./\">Go to overview!</a></p>\n";

/// What a form did.
pub(super) fn outcome(done: &Answer<String>) -> Response {
    match done {
        Ok(sentence) => page(
            StatusCode::OK,
            TITLE,
            &format!("<h1>Group Management</h1>\n<p class=\"good\">{}</p>\n{BACK}", esc(sentence)),
        ),
        Err(error) => {
            let told = esc(error.detail());
            let body = format!("<h1>Group Management</h1>\n<p class=\"bad\">An error has occured: {told}</p>\n{BACK}");
            page(error.status(), TITLE, &body)
        }
    }
}

/// The whole overview.
pub(super) fn overview(groups: &[GroupView], token: &str) -> String {
    let page = Page { token: esc(token) };
    let mut out = String::from("<h1>Group Management</h1>\n");
    out += &page.form("logout", "quiet", "Log out", "");
    out +=
        "<h2>Groups</h2>\n<p class=\"faint\">Click on the name of a group to expand and show more information!</p>\n";
    for group in groups {
        out += &page.group(group);
    }
    out += "<h2>Group creation</h2>\n<div class=\"card\">\n";
    out += &page.form(
        "createGroup",
        "",
        "Create group!",
        "<label>Name <input name=\"name\" maxlength=\"120\" required></label>\n",
    );
    out + "</div>\n"
}

struct Page {
    token: String,
}

impl Page {
    /// A form with one button. `fields` is markup.
    fn form(&self, action: &str, class: &str, button: &str, fields: &str) -> String {
        self.shaped("", action, class, button, fields)
    }

    fn shaped(&self, shape: &str, action: &str, class: &str, button: &str, fields: &str) -> String {
        format!(
            "<form method=\"post\" action=\"./{action}\"{shape}>\n<input type=\"hidden\" name=\"token\" value=\"{}\">\n{fields}\
             <button class=\"{class}\">{button}</button>\n</form>\n",
            self.token
        )
    }

    fn group(&self, group: &GroupView) -> String {
        let gid = hidden("gid", group.group);
        let mut out = format!("<details id=\"group-{}\">\n<summary>{}</summary>\n", group.group, esc(&group.name));
        let _ = write!(out, "<p>Group status: {}</p>\n<h3>Actions</h3>\n", sentence(group.status));
        out += &self.form("startPeers", "", "Start peers", &gid);
        out += &self.form("stopPeers", "quiet", "Stop peers", &gid);
        out += &self.form("createRegistration", "quiet", "Create registration", &gid);
        out += &self.form("deleteGroup", "danger", "Delete group", &gid);
        out += "<h3>Configuration</h3>\n";
        out += &self.configuration(group, &gid);
        out += "<h3>Members</h3>\n";
        if group.members.is_empty() {
            out += "<p class=\"faint\">Nobody has registered yet.</p>\n";
        }
        for member in &group.members {
            out += &self.member(member);
        }
        out += "<h3>Open registration codes</h3>\n";
        if group.codes.is_empty() {
            out += "<p class=\"faint\">None.</p>\n";
        }
        for code in &group.codes {
            let fields = format!("<span>Code: <code>{}</code></span>\n{}", esc(code), hidden("registrationCode", code));
            out += &self.form("deleteRegistration", "danger", "delete", &fields);
        }
        out + "</details>\n"
    }

    fn configuration(&self, group: &GroupView, gid: &str) -> String {
        let now = group.charter.configuration.as_ref();
        let value = |text: Option<String>, usual: &str| esc(text.unwrap_or_else(|| usual.to_owned()));
        let field = |label: &str, name: &str, value: &str| {
            format!("<label>{label} <input name=\"{name}\" value=\"{value}\" required></label>\n")
        };
        let mut fields = gid.to_owned();
        fields += &field("Field", "field", &value(now.map(|c| c.field.clone()), "9223372036854775783"));
        fields += &field("MaxElement", "maxelement", &value(now.map(|c| c.max_element.clone()), "1000"));
        fields += &field("MpcProtocol", "mpcprotocol", &value(now.map(|c| c.aggregator.clone()), "additive"));
        fields += &field("NumberOfItems", "numberofitems", &value(now.map(|c| c.items.to_string()), "2"));
        fields += &field("NumberOfTimeSlots", "numberoftimeslots", &value(now.map(|c| c.time_slots.to_string()), "2"));
        fields +=
            &field("ResultBufferSize", "resultbuffersize", &value(now.map(|c| c.result_buffer_size.to_string()), "1"));
        self.shaped(" class=\"wide\"", "setConfiguration", "", "Set Configuration", &fields)
    }

    fn member(&self, member: &MemberView) -> String {
        let kind = crate::native::peer_role(member.role);
        let status = match member.last_status {
            1 => "1 (started)",
            2 => "2 (error)",
            3 => "3 (stopped)",
            _ => "0 (unknown)",
        };
        let fingerprint = member.fingerprint.map(|f| f.to_string()).unwrap_or_default();
        let mut out = format!("<div class=\"card\">\n<strong>{}</strong>\n<dl>\n", esc(&member.name));
        let mut line = |term: &str, value: &str| {
            let _ = writeln!(out, "<dt>{term}</dt><dd>{}</dd>", esc(value));
        };
        line("Last status", status);
        line("PeerType", &format!("{} ({})", kind.number(), kind.word()));
        line("Pid", &member.pid.to_string());
        line("URL", &member.url);
        line("RegistrationCode", &member.registration_code);
        line("Verified", if member.verified { "true" } else { "false" });
        line("Connected", if member.connected { "true" } else { "false" });
        line("Operator", &member.operator);
        line("Fingerprint", if fingerprint.is_empty() { "none: this peer cannot compute" } else { &fingerprint });
        line("PublicKey", member.label_key.as_deref().unwrap_or("none"));
        out += "</dl>\n";
        let pid = hidden("pid", member.pid);
        let (verified, class, button) =
            if member.verified { ("false", "quiet", "Mark as unverified") } else { ("true", "", "Mark as verified") };
        let fields = format!("{pid}{}{}", hidden("verified", verified), hidden("fingerprint", &fingerprint));
        out += &self.form("verifyPeer", class, button, &fields);
        out += &self.form("deletePeer", "danger", "Delete this peer", &pid);
        out + "</div>\n"
    }
}

fn hidden(name: &str, value: impl core::fmt::Display) -> String {
    format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">\n", esc(value))
}
