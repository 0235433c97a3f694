//! docs/checks.md names tests that are there, and that carry its id, for every check that it must have.

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
