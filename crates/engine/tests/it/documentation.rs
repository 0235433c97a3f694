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
        ("operations", operations()),
        ("operation costs", operation_costs()),
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

/// What the listing shows as an example is taken, with rows of the shape and in every model that it says.
#[test]
fn examples_of_all_aggregators_work() {
    for (aggregator, model) in offers() {
        let example = aggregate::Example::of(aggregator);
        let text = aggregate::listing([aggregator]);
        assert!(text.contains(&example.to_string()), "{text}");
        let mut world = World::decentralised(5, 1, example.items, 3).proven(model);
        if model == SecurityModel::Guaranteed {
            world = world.proceed(2);
        }
        world.request.aggregator = example.name.to_owned();
        world.request.max_element = example.max_element;
        let parameters = example.parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        world.request.parameters = parameters.collect();
        let plan = tacit_engine::Plan::build(world.request).unwrap_or_else(|error| panic!("{example}: {error}"));
        assert_eq!(plan.aggregator().name, aggregator.name);
    }
}

/// Whoever makes a mistake is told what there is.
#[test]
fn refusals_name_what_is_taken() {
    let refusal = |aggregator: &str, parameters: &[(&str, &str)]| {
        let world = crate::evaluations::world(3, aggregator, 2, parameters, 1);
        tacit_engine::Plan::build(world.request).expect_err("refused").to_string()
    };
    for (aggregator, parameters, wanted) in [
        ("averge", &[][..], &["averge", "mean", "top_keys", "filter_union"][..]),
        ("mean", &[("max_record", "9")], &["max_record\"", "max_records, per_peer, names", "bounds"]),
        ("mean", &[("max_records", "0")], &["max_records", "1 to 2^32"]),
        ("sum", &[("names", "a,b")], &["sum has no parameter \"names\"", "none of its own"]),
        ("quantile", &[], &["needs the parameter level", "from 0 to 1"]),
        ("histogram", &[], &["needs the parameter edges", "ascending whole numbers"]),
        ("event_correlation", &[("min_peers", "9")], &["min_peers", "1 to as many as there are"]),
        ("event_correlation", &[("peer_weights", "0=2")], &["min_peer_weight", "must be set with peer_weights"]),
        ("set_cardinality", &[("of", "both")], &["union, intersection, or threshold"]),
        ("top_k", &[("k", "2000")], &["how many items, 1 to 1000"]),
    ] {
        let text = refusal(aggregator, parameters);
        assert!(wanted.iter().all(|part| text.contains(part)), "{text}");
    }
    let mut guaranteed = World::decentralised(5, 1, 2, 1).proven(SecurityModel::Guaranteed).proceed(2);
    guaranteed.request.aggregator = "median".to_owned();
    let text = tacit_engine::Plan::build(guaranteed.request).expect_err("refused").to_string();
    assert!(text.ends_with("choose semi-honest or malicious"), "{text}");
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

const MODELS: [SecurityModel; 3] = [SecurityModel::SemiHonest, SecurityModel::Malicious, SecurityModel::Guaranteed];

/// Which protocol each operation is in each model, where it is, and what it tells.
fn operations() -> String {
    let mut table = String::from(
        "| operation | model | protocol | code | what t compute peers learn by it |\n|---|---|---|---|---|\n",
    );
    table.push_str(SESSION_PARTS);
    for operation in aggregate::operations() {
        for model in MODELS {
            let Some(protocol) = operation.protocol(model) else { continue };
            table.push_str(&format!(
                "| {} | {} | {} | `{}` | {} |\n",
                operation.name,
                model.name(),
                protocol.source,
                protocol.code,
                operation.leakage
            ));
        }
        let refused: Vec<&str> =
            MODELS.iter().filter(|model| operation.protocol(**model).is_none()).map(|model| model.name()).collect();
        if !refused.is_empty() {
            table.push_str(&format!("| {} | {} | refused | | |\n", operation.name, refused.join(", ")));
        }
    }
    table
}

/// What a session does before and after its function.
const SESSION_PARTS: &str = "\
| deal an input, bounds declared | semi-honest | Shamir 1979, t shares from seeds (Cramer, Damgård, Ishai 2005) | `session/input.rs` | nothing |
| deal an input, bounds declared | malicious, guaranteed | refused | | |
| deal an input, bounds proven | semi-honest | the same, and a fully linear proof (Boneh, Boyle, Corrigan-Gibbs, Gilboa, Ishai 2019) | `session/range.rs` | nothing |
| deal an input, bounds proven | malicious | the same, its point tossed after all shares are held | `session/verify.rs` | nothing |
| deal an input, bounds proven | guaranteed | masked by keys of sets (Cramer, Damgård, Ishai 2005), agreed (Dolev, Strong 1983), with the same proof | `session/guaranteed/masked.rs` | nothing |
| open the result, to all or to some | semi-honest | spare shares compared, from 3t+1 on corrected (Reed, Solomon 1960; Berlekamp, Welch 1986) | `session/opening.rs` | the result, to its recipients |
| open the result, to all or to some | malicious | the same with 2t+1 shares at least | `session/opening.rs` | the result, to its recipients |
| open the result, to all or to some | guaranteed | signed shares, decoded (Gao 2003) | `session/guaranteed/opening.rs` | the result, to its recipients |
";

/// `rounds; elements` of every operation, first of those that sessions begin and end with.
fn operation_costs() -> String {
    let mut table = head("| operation | numbers at once | field | model |", 4);
    for (name, part) in session_parts() {
        for model in MODELS {
            let cells: Vec<String> =
                aggregate::PEERS.map(|n| part(n, model).unwrap_or_else(|| "refused".to_owned())).collect();
            if cells.iter().any(|cell| cell != "refused") {
                table.push_str(&format!("| {name} | each | 2^61-1 | {} | {} |\n", model.name(), cells.join(" | ")));
            }
        }
    }
    for operation in aggregate::operations() {
        for model in MODELS {
            if operation.protocol(model).is_none() {
                continue;
            }
            let (name, numbers, field) = (operation.name, operation.numbers, operation.field);
            table.push_str(&format!("| {name} | {numbers} | {} | {} |", field.name(), model.name()));
            for n in aggregate::PEERS {
                let cost = operation.cost(model, n, threshold(n, model, false), numbers);
                let cell = cost.map_or("refused".to_owned(), |cost| {
                    let elements = cost.bytes as f64 / field.bytes() as f64 / numbers as f64;
                    format!("{}; {elements:.2}{}", cost.rounds, if cost.kings { " K" } else { "" })
                });
                table.push_str(&format!(" {cell} |"));
            }
            table.push('\n');
        }
    }
    table
}

/// What a session does around its function, from forecasts of sums: what a thousand numbers more cost, divided.
type Part = fn(usize, SecurityModel) -> Option<String>;

fn session_parts() -> [(&'static str, Part); 4] {
    fn forecast(n: usize, model: SecurityModel, items: usize, change: fn(&mut World)) -> Option<Forecast> {
        let mut world = World::decentralised(n, threshold(n, model, true), 1, 1).proven(model);
        if model == SecurityModel::Guaranteed {
            world = world.proceed(2);
        }
        (world.request.items, world.request.max_element) = (items, (1 << 16) - 1);
        change(&mut world);
        Some(tacit_engine::Plan::build(world.request).ok()?.forecast())
    }
    fn cell(
        n: usize,
        model: SecurityModel,
        change: fn(&mut World),
        rounds: fn(&Forecast) -> usize,
        bytes: fn(&Forecast) -> u64,
    ) -> Option<String> {
        let (less, more) = (forecast(n, model, 1000, change)?, forecast(n, model, 2000, change)?);
        let elements = (bytes(&more) - bytes(&less)) as f64 / 8.0 / 1000.0;
        Some(format!("{}; {elements:.2}", rounds(&more)))
    }
    fn dealt(forecast: &Forecast) -> u64 {
        forecast.input_bytes + forecast.compute_bytes - forecast.opening_bytes
    }
    fn declare(world: &mut World) {
        _ = world.request.parameters.insert("bounds".to_owned(), "declared".to_owned());
    }
    [
        ("deal an input, bounds declared", |n, model| cell(n, model, declare, |f| f.input_rounds, dealt)),
        ("deal an input of 16 bits, bounds proven", |n, model| cell(n, model, |_| (), |f| f.input_rounds, dealt)),
        ("open the result, to all", |n, model| cell(n, model, |_| (), |f| f.opening_rounds, |f| f.opening_bytes)),
        ("open the result, to one", |n, model| {
            cell(n, model, |world| world.request.recipients.truncate(1), |f| f.opening_rounds, |f| f.opening_bytes)
        }),
    ]
}

/// What sums and functions on shares survive in each model.
fn survives() -> String {
    let mut table = head("| model | what |", 2);
    for model in MODELS {
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
        table.push_str(&format!("| {} | computing wrongly: noticed, survived |", model.name()));
        let product = aggregate::find("product").expect("registered");
        for n in aggregate::PEERS {
            let cell = task(product, model, n).map_or_else(
                |error| refused(&error),
                |world| {
                    let forecast = world.plan().forecast();
                    format!("{}, {}", forecast.cheaters_noticed, forecast.cheaters_survived)
                },
            );
            table.push_str(&format!(" {cell} |"));
        }
        table.push('\n');
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
