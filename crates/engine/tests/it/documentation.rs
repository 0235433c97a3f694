//! docs/protocols.md says what the registry and the planner say.

use std::path::Path;

use tacit_engine::{Forecast, PlanError, SecurityModel, aggregate};

use crate::reference::{offers, task, threshold};
use crate::world::World;

/// Run with `TACIT_WRITE_PROTOCOLS=1` to bring the file up to date.
#[test]
fn protocols_are_documented_as_they_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocols.md");
    let kept = std::fs::read_to_string(&path).expect("docs/protocols.md");
    let tables = [
        ("registry", aggregate::documentation()),
        ("primitives", aggregate::primitives()),
        ("costs", costs()),
        ("survives", survives()),
        ("forecast", forecasts()),
    ];
    let now = tables.iter().fold(kept.clone(), |page, (mark, table)| between(&page, mark, table));
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

/// Files that the page names are there.
#[test]
fn protocols_are_where_the_page_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("../../docs/protocols.md")).expect("docs/protocols.md");
    let named: Vec<&str> = page.split('`').skip(1).step_by(2).filter(|text| text.ends_with(".rs")).collect();
    assert!(named.len() > 30, "{named:?}");
    for file in named {
        let places = ["src", "src/arithmetic", ".", "../.."].map(|place| root.join(place).join(file));
        assert!(places.iter().any(|path| path.is_file()), "{file}");
    }
}

fn between(text: &str, mark: &str, content: &str) -> String {
    let (begin, end) = (format!("<!-- {mark} -->\n"), format!("<!-- /{mark} -->"));
    let (before, rest) = text.split_once(&begin).expect("an opening mark");
    let (_, after) = rest.split_once(&end).expect("a closing mark");
    format!("{before}{begin}{content}{end}{after}")
}

/// The heads of columns, one for each number of compute peers.
fn head(columns: &str, dashes: usize) -> String {
    let peers: String = aggregate::PEERS.map(|n| format!(" n = {n} |")).collect();
    format!("{columns}{peers}\n|{}\n", "---|".repeat(dashes + aggregate::PEERS.count()))
}

/// Why there is no plan, in a word or two.
fn refused(error: &PlanError) -> String {
    match error {
        PlanError::TooFewForGuaranteed { needed, .. } | PlanError::TooFewForGuaranteedProducts { needed, .. } => {
            format!("refused: n >= {needed}")
        }
        other => format!("refused: {other}"),
    }
}

/// The reference task of each aggregator in each model, for every number of compute peers.
fn costs() -> String {
    let mut table = head("| aggregator | model | field |", 3);
    for (aggregator, model) in offers() {
        let plans: Vec<_> = aggregate::PEERS.map(|n| task(aggregator, model, n).map(|world| world.plan())).collect();
        let mut fields: Vec<&str> = plans.iter().flatten().map(|plan| plan.field().name()).collect();
        fields.dedup();
        table.push_str(&format!("| `{}` | {} | {} |", aggregator.name, model.name(), fields.join(", then ")));
        for plan in &plans {
            let cell = plan.as_ref().map_or_else(refused, |plan| {
                let Forecast { rounds, input_bytes, compute_bytes, .. } = plan.forecast();
                format!("{rounds}; {input_bytes} + {compute_bytes}")
            });
            table.push_str(&format!(" {cell} |"));
        }
        table.push('\n');
    }
    table
}

/// What sums and functions on shares survive in each model.
fn survives() -> String {
    let mut table = head("| model | what |", 2);
    for model in [SecurityModel::SemiHonest, SecurityModel::Malicious, SecurityModel::Guaranteed] {
        for (name, what) in [("sum", "sums and statistics"), ("product", "functions on shares")] {
            let aggregator = aggregate::find(name).expect("registered");
            table.push_str(&format!("| {} | {what} |", model.name()));
            for n in aggregate::PEERS {
                let cell = match task(aggregator, model, n) {
                    Err(error) => refused(&error),
                    Ok(world) => {
                        let f = world.plan().forecast();
                        assert_eq!(f.colluding, threshold(n, model, name == "sum"));
                        format!("{}; {}, {}; {}, {}", f.colluding, f.losses_before, f.losses, f.detected, f.corrected)
                    }
                };
                table.push_str(&format!(" {cell} |"));
            }
            table.push('\n');
        }
    }
    table
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
