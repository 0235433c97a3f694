//! What groups, peers and operators may be called.

/// A text that is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name: names have 1 to 120 printable characters, and no space in front or behind")]
pub struct BadName(String);

/// Refuses what nobody would find again, or could read aloud.
pub fn check_name(name: &str) -> Result<(), BadName> {
    let printable = !name.chars().any(char::is_control) && name.trim() == name;
    let fits = (1..=120).contains(&name.chars().count()) && printable;
    if fits { Ok(()) } else { Err(BadName(name.chars().take(120).collect())) }
}

/// Whether a character only shows itself: none that would move the cursor, hide or turn around what stands beside it.
pub fn is_plain(c: char) -> bool {
    let acts = c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !acts
}

/// A text as it can be shown to people: what is not [plain](is_plain) is written out, `\u{1b}`.
pub fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match is_plain(c) {
            true => shown.push(c),
            false => shown.extend(c.escape_unicode()),
        }
    }
    shown
}

/// A text of several lines as it can be shown to people, each line [plain].
pub fn plain_lines(text: &str) -> String {
    text.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_screen_is_written_out() {
        assert_eq!(plain("St. Mary's, 東京 3"), "St. Mary's, 東京 3");
        assert_eq!(plain_lines("a\n\n\u{1b}b\n"), "a\n\n\\u{1b}b\n");
        assert_eq!(plain("a\n\u{1b}[2J\u{9b}b\u{202e}c"), "a\\u{a}\\u{1b}[2J\\u{9b}b\\u{202e}c");
    }

    #[test]
    fn names_are_those_that_people_find_again() {
        let longest = "ä".repeat(120);
        for good in ["a", "St. Mary's", "東京 3", &longest] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        let long = "a".repeat(121);
        for bad in ["", " ", " a", "a ", "\ta", "a\nb", "a\u{a0}", &long] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
        let text = check_name(&"b\n".repeat(1000)).expect_err("too long").to_string();
        assert!(text.len() < 600 && !text.contains('\n'), "{text}");
    }
}
