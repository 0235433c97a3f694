//! docs/protocols.md says what the registry and the planner say.

use std::path::Path;

use tacit_engine::aggregate;

use crate::world::World;

/// Run with `TACIT_WRITE_PROTOCOLS=1` to bring the file up to date.
#[test]
fn protocols_are_documented_as_they_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocols.md");
    let kept = std::fs::read_to_string(&path).expect("docs/protocols.md");
    let now = between(&between(&kept, "registry", &aggregate::documentation()), "forecast", &forecasts());
    if std::env::var_os("TACIT_WRITE_PROTOCOLS").is_some() {
        std::fs::write(&path, now).expect("docs/protocols.md");
        return;
    }
    assert!(kept == now, "docs/protocols.md is out of date: see the comment of this test");
    for aggregator in aggregate::registry() {
        assert!(kept.contains(&format!("`{}`", aggregator.name)), "{} is missing", aggregator.name);
        assert!(kept.contains(aggregator.leakage), "what {} leaks is missing", aggregator.name);
        assert!(aggregator.models.iter().all(|model| kept.contains(model.name())));
    }
}

fn between(text: &str, mark: &str, content: &str) -> String {
    let (begin, end) = (format!("<!-- {mark} -->\n"), format!("<!-- /{mark} -->"));
    let (before, rest) = text.split_once(&begin).expect("an opening mark");
    let (_, after) = rest.split_once(&end).expect("a closing mark");
    format!("{before}{begin}{content}{end}{after}")
}

fn forecasts() -> String {
    let mut table = String::from(
        "| peers | t | items | rounds | bytes an input peer sends | bytes a compute peer sends besides | losses survived \
         after the freeze | wrong shares noticed | corrected | who together learn nothing |\n\
         |---|---|---|---|---|---|---|---|---|---|\n",
    );
    for (n, t) in [(3, 1), (4, 1), (5, 2), (7, 2), (11, 5)] {
        for items in [1, 288, 1_000_000] {
            let mut world = World::decentralised(n, t, 1, 1);
            world.request.items = items;
            let f = world.plan().forecast();
            table.push_str(&format!(
                "| {n} | {t} | {items} | {} | {} | {} | {} | {} | {} | {} |\n",
                f.rounds, f.input_bytes, f.compute_bytes, f.losses, f.detected, f.corrected, f.colluding
            ));
        }
    }
    table
}
