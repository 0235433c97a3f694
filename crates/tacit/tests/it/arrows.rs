//! The house keeps its shape: arrows between rooms only point down.

use std::collections::BTreeMap;
use std::process::Command;

/// Each room stands above the rooms after it in this list.
const FLOORS: [&str; 15] = [
    "tacit",
    "tacit-api",
    "tacit-gateway",
    "tacit-party",
    "tacit-client",
    "tacit-job",
    "tacit-audit",
    "tacit-replica",
    "tacit-store",
    "tacit-link",
    "tacit-accord",
    "tacit-pki",
    "tacit-engine",
    "tacit-model",
    "tacit-algebra",
];

/// Siblings that must not know each other although one stands above the other in the list.
const STRANGERS: [(&str, &str); 13] = [
    ("tacit-gateway", "tacit-party"),
    ("tacit-client", "tacit-store"),
    ("tacit-client", "tacit-replica"),
    ("tacit-gateway", "tacit-replica"),
    ("tacit-party", "tacit-replica"),
    ("tacit-audit", "tacit-link"),
    ("tacit-audit", "tacit-engine"),
    ("tacit-client", "tacit-link"),
    ("tacit-store", "tacit-link"),
    ("tacit-link", "tacit-engine"),
    ("tacit-link", "tacit-accord"),
    ("tacit-accord", "tacit-engine"),
    ("tacit-pki", "tacit-engine"),
];

/// The protocols know neither runtime, network nor disk.
const PURE: [&str; 5] = ["tacit-algebra", "tacit-engine", "tacit-accord", "tacit-job", "tacit-model"];
const IMPURE: [&str; 8] = ["tokio", "rustls", "sqlx", "reqwest", "axum", "hyper", "rand", "getrandom"];

#[test]
fn arrows_only_point_down() {
    let rooms = rooms();
    let floor = |room: &str| {
        FLOORS.iter().position(|f| *f == room).unwrap_or_else(|| panic!("{room} has no floor yet: add it to FLOORS"))
    };
    for (room, arrows) in &rooms {
        for target in arrows.iter().filter(|target| rooms.contains_key(*target)) {
            assert!(floor(room) < floor(target), "{room} -> {target} points up");
            let strange = STRANGERS.iter().any(|(a, b)| a == room && b == target);
            assert!(!strange, "{room} must not know {target}");
        }
        if PURE.contains(&room.as_str()) {
            let impure: Vec<_> = arrows.iter().filter(|target| IMPURE.contains(&target.as_str())).collect();
            assert!(impure.is_empty(), "{room} has no I/O, yet depends on {impure:?}");
        }
    }
    assert_eq!(rooms.len(), FLOORS.len(), "a room left or came: mend FLOORS and ARCHITECTURE.md");
}

/// The workspace's packages with the names of all they depend on, dev-dependencies counted.
fn rooms() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo metadata runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let text = |value: &serde_json::Value| value["name"].as_str().expect("a name").to_owned();
    metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .map(|package| {
            let arrows = package["dependencies"].as_array().expect("dependencies").iter().map(text).collect();
            (text(package), arrows)
        })
        .collect()
}
