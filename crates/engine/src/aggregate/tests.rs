use super::*;

#[test]
fn names_and_aliases_are_unique() {
    let mut names: Vec<&str> =
        registry().iter().flat_map(|a| std::iter::once(a.name).chain(a.aliases.iter().copied())).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert_eq!(find("additive").map(|a| a.name), Some("sum"));
    let table = |line: &str| line.is_empty() || line.starts_with('|') && line.ends_with('|');
    assert!(documentation().lines().all(table));
}
