//! Rule 9: what results with noise cost is kept by each peer for each of its series.

use serde_json::{Value, json};

use crate::rooms::Rooms;

/// Epsilon is spent with the freeze and stays spent, also through a restart; a peer whose budget is spent is left out and
/// its owner reads why; exact numbers are not given of a series with a budget.
#[test]
fn rule9_a_series_gives_until_its_epsilon_is_spent() {
    let mut scene = Rooms::found(4);
    scene.measure("seats", 0, &["3", "4", "5", "6"]);
    let budget = |scene: &Rooms, text: &str| scene.rooms[3].policy(json!({ "epsilon_budgets": [text] }));
    budget(&scene, "seats=1.5");
    let noisy = json!({ "sources": ["seats"], "parameters": { "epsilon": "1" }, "decimals": 0, "most": "10" });
    let ask = |scene: &Rooms, aggregator: &str, more: &Value| {
        let answer = scene.ask(&scene.question(aggregator, more.clone()));
        assert_eq!(answer["state"], "done", "{answer}");
        answer["windows"][0]["contributors"].as_u64().expect("a number")
    };
    let spent = |scene: &Rooms| {
        let policy = scene.rooms[3].node.api("GET", "/peers/room3/policy", None).ok().json();
        let spent = policy["spent"][0].clone();
        (spent["source"].clone(), spent["epsilon"].clone(), spent["results"].clone())
    };
    assert_eq!(ask(&scene, "noisy_mean", &noisy), 4);
    assert_eq!(spent(&scene), (json!("seats"), json!("1"), json!(1)));

    // New samples, so that only the budget is in the way.
    scene.measure("seats", 0, &["4", "4", "5", "6"]);
    assert_eq!(ask(&scene, "noisy_mean", &noisy), 3);
    let why = scene.rooms[3].trouble();
    assert!(why.contains("\"seats\" has spent epsilon 1 of 1.5, and this would cost 1 more"), "{why}");

    scene.rooms[3].node.restart();
    scene.measure("seats", 0, &["4", "5", "5", "6"]);
    assert_eq!(ask(&scene, "noisy_mean", &noisy), 3, "a restart gives nothing back");
    assert_eq!(spent(&scene), (json!("seats"), json!("1"), json!(1)));

    let exact = json!({ "sources": ["seats"], "decimals": 0, "most": "10" });
    scene.measure("seats", 0, &["4", "5", "6", "6"]);
    assert_eq!(ask(&scene, "mean", &exact), 3);
    let why = scene.rooms[3].trouble();
    assert!(why.contains("has a budget of epsilon or delta, and mean opens exact numbers"), "{why}");

    // What costs less still fits, and a larger budget counts what was spent.
    let half = json!({ "sources": ["seats"], "parameters": { "epsilon": "0.5" }, "decimals": 0, "most": "10" });
    scene.measure("seats", 0, &["5", "5", "6", "6"]);
    assert_eq!(ask(&scene, "noisy_count", &half), 4);
    budget(&scene, "*=2");
    scene.measure("seats", 0, &["5", "5", "6", "7"]);
    assert_eq!(ask(&scene, "noisy_count", &noisy), 3);
    budget(&scene, "seats=2.5");
    scene.measure("seats", 0, &["5", "5", "7", "7"]);
    assert_eq!(ask(&scene, "noisy_count", &noisy), 4);
    assert_eq!(spent(&scene), (json!("seats"), json!("2.5"), json!(3)));
    for wrong in ["seats", "seats=-1", "seats=much"] {
        let policy = json!({ "epsilon_budgets": [wrong] });
        assert_eq!(scene.rooms[3].node.api("PUT", "/peers/room3/policy", Some(&policy)).status, 422, "{wrong}");
    }
}
