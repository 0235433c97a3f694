//! What is told of groups and their members.

use tacit_model::api::{
    DirectoryEntry, ForecastBody, GroupBody, MemberBody, OnMissing, PingBody, SlotBody, SlotRulesBody, Standing,
};

use crate::command::{commas, counted};
use crate::output::{Code, Failure, bytes};

/// How many that did not answer, or were not started, are named.
const NAMED: usize = 10;

/// A group in a line. Who sees neither codes nor members is not told how many there are.
pub(super) fn in_a_line(group: &GroupBody) -> String {
    let hidden = group.members.is_empty() && group.codes.is_none();
    let members = if hidden { String::new() } else { counted(group.members.len(), "member") };
    format!("{:>4}  {:<24} {:<20} {members}", group.gid.0, group.name, group.status.word()).trim_end().to_owned()
}

/// A slot in a line.
pub(super) fn slot(slot: &SlotBody) -> String {
    format!("{:>6}  {:<7} {}", slot.slot.counted(), slot.state, slot.detail)
}

/// What deleting a group takes from others, if anything.
pub(super) fn lost_with(group: &GroupBody) -> Option<String> {
    if matches!(group.status, Standing::Running | Standing::Mixed) {
        return Some(format!("group {} is running and would be stopped, and then deleted", group.gid));
    }
    let members = counted(group.members.len(), "registered member");
    (!group.members.is_empty()).then(|| format!("group {} has {members}, and would be deleted with them", group.gid))
}

/// Who answered, and who did not; an error if nobody did.
pub(super) fn ponged(group: i64, ping: &PingBody, messages: u32, providers: bool) -> Result<String, Failure> {
    let whose = match (ping.members, providers) {
        (0, true) => {
            return Err(Failure::new(
                Code::Unreachable,
                format!(
                    "no member's provider answered: each member's owner allows it (`pings = true` under `[provider]` of its \
                     node.toml), and `tacit group directory {group}` shows who is there"
                ),
            ));
        }
        (0, false) => {
            return Err(Failure::new(
                Code::Unreachable,
                format!("no member answered: `tacit group directory {group}` shows who is there"),
            ));
        }
        (1, true) => "1 member's provider".to_owned(),
        (members, true) => format!("{members} members' providers"),
        (members, false) => counted(members, "member"),
    };
    let (sent, took) = (counted(messages as usize, "message"), ping.elapsed_us as f64 / 1000.0);
    let silent = match &ping.silent[..] {
        [] => String::new(),
        silent => format!("; no answer from {}", some_of(silent)),
    };
    Ok(format!("{whose} answered {} of {sent} in {took:.3} ms{silent}", ping.messages))
}

/// The first of them, and how many more there are.
fn some_of(names: &[String]) -> String {
    match names.len().saturating_sub(NAMED) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names[..NAMED].join(", ")),
    }
}

/// What a new configuration does to a run that goes on.
pub(super) fn in_a_run(group: &GroupBody) -> Option<String> {
    let runs = matches!(group.status, Standing::Running | Standing::Mixed);
    runs.then(|| {
        format!(
            "note: the group runs, and computes this from the next slot on; a row that waits and does not fit it makes that slot \
             fail. `tacit group stop {}` before a change avoids that",
            group.gid
        )
    })
}

/// Whom a start left out, if anybody: the run may need them for its first slot.
pub(super) fn left_out(members: &[MemberBody]) -> String {
    let why = |member: &MemberBody| match member {
        MemberBody { status: Standing::Running, .. } => None,
        MemberBody { verified: false, .. } => Some("not verified"),
        MemberBody { connected: false, .. } => Some("not connected"),
        _ => None,
    };
    let out = members.iter().filter_map(|member| Some(format!("{} ({})", member.name, why(member)?)));
    match &out.collect::<Vec<_>>()[..] {
        [] => String::new(),
        out => format!("; left out: {}", some_of(out)),
    }
}

/// When a slot closes, and what is done then about who gave nothing.
fn describe_slots(rules: &SlotRulesBody) -> String {
    let seconds = |ms: u32| f64::from(ms) / 1000.0;
    let length = match (rules.slot_ms, &rules.first_slot) {
        (0, _) => String::new(),
        (ms, None) => format!("of {} s, ", seconds(ms)),
        (ms, Some(first)) => format!("of {} s, the first from {first}, ", seconds(ms)),
    };
    let needed = match rules.on_missing_input {
        OnMissing::Wait => return format!("{length}open until everybody gave a row"),
        OnMissing::Fail => "a row of everybody".to_owned(),
        OnMissing::Proceed(members) => format!("the rows of {members} members"),
    };
    format!("{length}closed {} s after the first row, then {needed} needed", seconds(rules.deadline_ms))
}

/// A group with what it computes, and everybody in it.
pub(super) fn describe(group: &GroupBody) -> String {
    let mut text = format!(
        "group {} ({}): {}\n  consensus  {}\n  threshold  {}\n",
        group.gid,
        group.name,
        group.status.word(),
        group.consensus,
        group.threshold
    );
    match &group.configuration {
        Some(c) => text.push_str(&format!(
            "  computes   {}{} of {}, values up to {}, below {}, {}\n",
            c.aggregator,
            c.parameters.iter().map(|(name, value)| format!(" {name}={value}")).collect::<String>(),
            counted(c.items as usize, "item"),
            c.max_element,
            c.field,
            usize::try_from(c.time_slots).map_or_else(|_| "until stopped".to_owned(), |slots| counted(slots, "slot"))
        )),
        None if group.owners.is_empty() => text.push_str("  computes   nothing yet: `tacit group configure`\n"),
        None => text.push_str(&format!(
            "  computes   nothing yet: its owners agree on that, `tacit negotiation new --group {}`\n",
            group.gid
        )),
    }
    text.push_str(&format!("  slots      {}\n", describe_slots(&group.slots)));
    if let Some(forecast) = &group.forecast {
        text.push_str(&describe_forecast(forecast));
    }
    if let Some(why) = &group.no_forecast {
        text.push_str(&format!("  forecast   none yet: {why}\n"));
    }
    for member in &group.members {
        text.push_str(&describe_member(member));
    }
    for code in group.codes.iter().flatten() {
        text.push_str(&format!("  open code  {code}\n"));
    }
    text.pop();
    text
}

/// Two lines: what a slot survives, and what it takes.
fn describe_forecast(forecast: &ForecastBody) -> String {
    let (of, losses) = (forecast.compute_peers, forecast.losses);
    let lost = match losses {
        0 => format!("no loss of any of {of} compute peers"),
        _ => format!("the loss of {losses} of {of} compute peers after the freeze, none before it"),
    };
    let survived = match (forecast.cheaters_survived, forecast.cheaters_noticed) {
        (0, 0) => format!("{lost}; no cheater, and none is sure to be noticed"),
        (0, noticed) => format!("{lost}; no cheater, but no wrong result of up to {noticed} is accepted"),
        (cheaters, _) => format!("the loss or the cheating of {cheaters} of {of} compute peers at any time"),
    };
    format!(
        "  survives   {survived}; {} together learn nothing\n\
         \x20 a slot     about {} rounds, {} from each input peer and {} from each compute peer, {} ms on one machine\n",
        forecast.colluding,
        forecast.rounds,
        bytes(forecast.input_bytes),
        bytes(forecast.compute_bytes),
        forecast.micros.div_ceil(1000)
    )
}

fn describe_member(member: &MemberBody) -> String {
    let fingerprint = member.fingerprint.map_or_else(|| "no certificate".to_owned(), |f| f.to_string());
    format!(
        "  {:<16} {:<8} {:<12} {:<10} {:<9} {fingerprint}{}\n",
        member.name,
        member.role.word(),
        member.status.word(),
        if member.connected { "connected" } else { "away" },
        match member.pairing {
            _ if member.verified => "verified",
            tacit_model::api::PairingState::Rejected => "REJECTED",
            tacit_model::api::PairingState::Revoked => "REVOKED",
            _ => "UNVERIFIED",
        },
        // What `tacit join` showed at the other end.
        match &member.comparison_code {
            Some(code) if !member.verified => format!("\n    comparison code: {code}"),
            _ => String::new(),
        },
    )
}

/// Who is there, and with what.
pub(super) fn listed(member: &DirectoryEntry) -> String {
    let there = if member.available { "there" } else { "away" };
    let since = member.since.as_deref().map(|since| format!(" since {since}")).unwrap_or_default();
    let at = if member.endpoint.is_empty() { "only dials" } else { &member.endpoint };
    format!(
        "{:<16} {there}{since}\n  {} of {}, {at}; labels {}; series {}; aggregators {}; {} sessions at once",
        member.name,
        member.role.word(),
        member.operator,
        commas(&member.labels, "-"),
        commas(&member.sources, "-"),
        commas(&member.services, "all"),
        member.sessions
    )
}

#[cfg(test)]
mod tests {
    use tacit_model::GroupId;
    use tacit_model::api::{PairingState, PeerRole, SharingKind};

    use super::*;

    fn member(pid: i64) -> MemberBody {
        MemberBody {
            gid: GroupId(7),
            pid,
            name: format!("m{pid}"),
            role: PeerRole::Both,
            url: String::new(),
            operator: format!("o{pid}"),
            label_key: None,
            fingerprint: None,
            status: Standing::Stopped,
            comparison_code: None,
            verified: false,
            pairing: PairingState::Waiting,
            connected: false,
        }
    }

    fn group(members: i64, codes: Option<Vec<String>>) -> GroupBody {
        GroupBody {
            gid: GroupId(7),
            name: "isps".to_owned(),
            status: Standing::Stopped,
            consensus: String::new(),
            threshold: 1,
            sharing: SharingKind::Shamir,
            owners: Vec::new(),
            test_mode: false,
            configuration: None,
            slots: SlotRulesBody { on_missing_input: OnMissing::Wait, deadline_ms: 1, slot_ms: 0, first_slot: None },
            members: (0..members).map(member).collect(),
            codes,
            forecast: None,
            no_forecast: None,
        }
    }

    #[test]
    fn when_a_slot_closes_is_said() {
        let mut rules = group(3, None).slots;
        assert_eq!(describe_slots(&rules), "open until everybody gave a row");
        rules = SlotRulesBody { on_missing_input: OnMissing::Proceed(3), deadline_ms: 60_000, ..rules };
        assert_eq!(describe_slots(&rules), "closed 60 s after the first row, then the rows of 3 members needed");
        let first_slot = Some("2026-01-01T00:00:00Z".to_owned());
        rules = SlotRulesBody { on_missing_input: OnMissing::Fail, slot_ms: 300_000, first_slot, ..rules };
        let said = "of 300 s, the first from 2026-01-01T00:00:00Z, closed 60 s after the first row, then a row of everybody needed";
        assert_eq!(describe_slots(&rules), said);
    }

    #[test]
    fn who_changes_a_run_that_goes_on_is_told_so() {
        assert_eq!(in_a_run(&group(3, None)), None);
        let running = GroupBody { status: Standing::Running, ..group(3, None) };
        assert!(in_a_run(&running).expect("a note").contains("`tacit group stop 7`"));
    }

    #[test]
    fn a_start_names_whom_it_left_out() {
        let there = |pid| MemberBody { verified: true, connected: true, status: Standing::Running, ..member(pid) };
        assert_eq!(left_out(&[there(1), there(2)]), "");
        let away = |pid| MemberBody { connected: false, status: Standing::StoppedWithError, ..there(pid) };
        assert_eq!(left_out(&[there(1), away(2), member(3)]), "; left out: m2 (not connected), m3 (not verified)");
        let many = left_out(&(0..12).map(away).collect::<Vec<_>>());
        assert!(many.ends_with("m9 (not connected) and 2 more"), "{many}");
    }

    #[test]
    fn whoever_was_rejected_does_not_look_like_one_who_waits() {
        let stands = |pairing| describe_member(&MemberBody { pairing, ..member(1) });
        assert!(stands(PairingState::Waiting).contains("UNVERIFIED"));
        assert!(stands(PairingState::Rejected).contains(" REJECTED "));
    }

    #[test]
    fn whoever_may_not_see_members_is_told_no_number_of_them() {
        assert!(!in_a_line(&group(0, None)).contains("member"));
        assert!(in_a_line(&group(0, Some(Vec::new()))).ends_with("0 members"));
        assert!(in_a_line(&group(1, None)).ends_with(" 1 member"));
        assert!(in_a_line(&group(3, None)).ends_with(" 3 members"));
    }

    #[test]
    fn a_group_that_somebody_is_in_is_not_deleted_unasked() {
        assert_eq!(lost_with(&group(0, Some(Vec::new()))), None);
        let lost = lost_with(&group(1, None)).expect("something");
        assert!(lost.contains("1 registered member,"), "{lost}");
        let running = GroupBody { status: Standing::Running, ..group(2, None) };
        assert!(lost_with(&running).expect("something").contains("is running"));
    }

    #[test]
    fn a_ping_that_nobody_answers_is_an_error_with_the_next_step() {
        let answer = |members, silent: u8, providers| {
            let silent = (0..silent).map(|number| format!("m{number}")).collect();
            let ping = PingBody { members, messages: 2, elapsed_us: 1500, silent };
            ponged(7, &ping, 2, providers).map_err(|why| why.to_string())
        };
        let told = |members, providers| answer(members, 0, providers);
        assert_eq!(told(1, false).expect("told"), "1 member answered 2 of 2 messages in 1.500 ms");
        assert_eq!(told(3, true).expect("told"), "3 members' providers answered 2 of 2 messages in 1.500 ms");
        assert!(answer(1, 2, true).expect("told").ends_with(" in 1.500 ms; no answer from m0, m1"));
        assert!(answer(1, 12, false).expect("told").ends_with("m8, m9 and 2 more"));
        let why = told(0, true).expect_err("nobody");
        assert!(why.contains("pings = true") && why.contains("`tacit group directory 7`"), "{why}");
        assert!(told(0, false).expect_err("nobody").contains("`tacit group directory 7`"));
    }
}
