//! docs/checks.md names tests that are there, and that carry its id, for every check that it must have; what docs/operate.md
//! quotes is said by the program.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::Path;

use crate::harness::files_below;

/// The checks of the backbone and of the engine.
const CHECKS: RangeInclusive<u32> = 1..=33;
const RULES: RangeInclusive<u32> = 1..=12;
/// The checks of agreement and of orchestration, letter by letter: first and last number, and those that have no
/// test.
const LETTERS: [(char, u32, u32, &[u32]); 5] =
    [('R', 1, 18, &[]), ('A', 1, 13, &[]), ('S', 1, 8, &[]), ('F', 1, 24, &[]), ('W', 1, 5, &[])];
/// Further ones, on their own.
const ALONE: [(char, u32); 3] = [('R', 22), ('A', 23), ('S', 12)];

/// The checks that the first cell of a row names: `A01 to A03, A05`.
fn checks_of(cell: &str) -> Vec<(char, u32)> {
    let one = |text: &str| -> Option<(char, u32)> {
        let mut rest = text.trim().chars();
        Some((rest.next()?, rest.as_str().parse().ok()?))
    };
    let mut found = Vec::new();
    for item in cell.split(',') {
        match item.split_once(" to ").map(|(first, last)| (one(first), one(last))) {
            Some((Some((letter, first)), Some((_, last)))) => found.extend((first..=last).map(|n| (letter, n))),
            _ => found.extend(one(item)),
        }
    }
    found
}

/// Whether a test carries a check in its name: `r04_r16_a_charter_...` carries R4 and R16.
fn carries(test: &str, (letter, number): (char, u32)) -> bool {
    test.split('_').any(|word| {
        let digits = word.strip_prefix(letter.to_ascii_lowercase()).unwrap_or_default();
        digits.parse() == Ok(number)
    })
}

/// The names of all tests in the sources: functions below `#[test]`, `#[tokio::test]` or in `proptest!`. One that is
/// ignored proves nothing.
fn tests(root: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let folders = std::fs::read_dir(root.join("crates")).expect("the crates").flatten();
    let sources = folders.flat_map(|folder| ["src", "tests"].map(|part| folder.path().join(part)));
    for file in sources.filter(|folder| folder.is_dir()).flat_map(|folder| files_below(&folder)) {
        if file.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = std::fs::read_to_string(&file).expect("a source");
        let (mut is_test, mut is_ignored) = (false, false);
        for line in text.lines().map(str::trim) {
            if line.starts_with("#[") {
                is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
                is_ignored |= line.starts_with("#[ignore");
                continue;
            }
            let name = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn "));
            if let (true, Some(name)) = (is_test && !is_ignored, name) {
                found.insert(name.split('(').next().unwrap_or_default().to_owned());
            }
            (is_test, is_ignored) = (false, false);
        }
    }
    found
}

#[test]
fn every_check_has_its_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let tests = tests(&root);
    let page = std::fs::read_to_string(root.join("docs/checks.md")).expect("the page");
    let row = |id: &str| -> Vec<String> {
        let begin = format!("| {id} |");
        let row = page.lines().find(|line| line.starts_with(&begin)).unwrap_or_else(|| panic!("no row of {id}"));
        row.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    // Rows of whatever checks: what is named is there.
    for line in page.lines().filter(|line| line.starts_with("| ")) {
        let missing: Vec<&str> = line.split('`').skip(1).step_by(2).filter(|name| !tests.contains(*name)).collect();
        assert!(missing.is_empty(), "no test is called {missing:?}");
    }
    let wanted = CHECKS.map(|id| (format!("P{id}"), format!("p{id}_"), format!("p{id:02}_")));
    let wanted = wanted.chain(RULES.map(|id| (format!("Rule {id}"), format!("rule{id}_"), format!("rule{id}_"))));
    for (id, prefix, padded) in wanted {
        let named = row(&id);
        let missing: Vec<_> = named.iter().filter(|name| !tests.contains(*name)).collect();
        assert!(missing.is_empty(), "{id}: no test is called {missing:?}");
        let own = |name: &String| name.starts_with(&prefix) || name.starts_with(&padded);
        assert!(named.iter().any(own), "{id} has no test of its own");
    }
    // Rows of letters: every check has a row, and in it a test that carries its id.
    let rows: Vec<_> = page
        .lines()
        .filter_map(|line| Some((checks_of(line.strip_prefix("| ")?.split(" |").next()?), line)))
        .map(|(checks, line)| (checks, line.split('`').skip(1).step_by(2).collect::<Vec<_>>()))
        .collect();
    let ranges = LETTERS.iter().flat_map(|(letter, first, last, without)| {
        (*first..=*last).filter(move |number| !without.contains(number)).map(move |number| (*letter, number))
    });
    for check in ranges.chain(ALONE) {
        let proven =
            rows.iter().any(|(checks, named)| checks.contains(&check) && named.iter().any(|test| carries(test, check)));
        assert!(proven, "{}{} has no row with a test that carries it", check.0, check.1);
    }
}

/// The parts of a quoted text that do not stand for something else, as dots, names in capitals and numbers do.
fn parts_of(quoted: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for word in quoted.split_whitespace() {
        let capitals = word.as_bytes().windows(2).any(|two| two.iter().all(u8::is_ascii_uppercase));
        if capitals || word.contains("...") || word.contains(|c: char| c.is_ascii_digit()) {
            parts.push(String::new());
            continue;
        }
        if let Some(last) = parts.last_mut() {
            *last = format!("{last} {word}");
        }
        // What follows may be another text's.
        if word.ends_with([',', ';', ':']) {
            parts.push(String::new());
        }
    }
    let parts = parts.iter().map(|part| part.trim_matches([' ', ':', ',', ';', '.', '(', ')', '"']));
    parts.filter(|part| part.len() >= 8).map(str::to_owned).collect()
}

/// Who reads a text of the program looks it up on this page.
#[test]
fn what_the_page_of_operators_quotes_is_said_by_the_program() {
    // Its middle is one of several words.
    const COMPOSED: &str = "the gateway's operator has revoked or removed this peer";
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folders = std::fs::read_dir(root.join("crates")).expect("the crates").flatten();
    let files = folders.flat_map(|folder| files_below(&folder.path().join("src")));
    let sources: String = files
        .filter(|file| file.extension().is_some_and(|extension| extension == "rs"))
        .map(|file| std::fs::read_to_string(file).expect("a source"))
        .collect();
    // A text may go on in the next line.
    let said: String = sources.split("\\\n").map(str::trim_start).collect();
    let said = said.replace('`', "").replace("\\\"", "\"");

    let page = std::fs::read_to_string(root.join("docs/operate.md")).expect("the page");
    let tables = page.split("\n## ").find(|part| part.starts_with("When something is wrong")).expect("the tables");
    let cells = tables.lines().filter(|line| line.starts_with("| `")).filter_map(|line| line.split(" | ").next());
    let quoted: Vec<String> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).flat_map(parts_of).collect();
    assert!(quoted.len() > 100, "{} parts", quoted.len());
    let unsaid: Vec<_> = quoted.iter().filter(|part| !said.contains(*part) && *part != COMPOSED).collect();
    assert!(unsaid.is_empty(), "the program does not say {unsaid:?}");
}
