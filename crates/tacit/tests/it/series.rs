//! Series that peers fetch by themselves.

use std::cell::Cell;
use std::fs::OpenOptions;
use std::io::Write;
use std::process::Command;

use serde_json::Value;
use tacit_model::{Clock, SystemClock};

use crate::lab::{Lab, Machine};
use crate::wait::{until, until_offers};

fn ago(ms: i64) -> i64 {
    SystemClock.now().plus(-ms).0
}

/// The configuration of the first room's file, the second's command, the third's database.
fn source(number: usize, room: &Machine) -> String {
    let (old, fresh) = (ago(7_200_000), ago(60_000));
    let what = match number {
        1 => {
            let file = room.data().join("room.csv");
            let text = format!("at,temperature\n{old},99\n{fresh},20\n");
            std::fs::write(&file, text).expect("a file");
            format!("csv = \"{}\"", file.display())
        }
        2 => format!("command = [\"printf\", \"at,temperature\\\\n{old},99\\\\n{fresh},22\\\\n\"]"),
        _ => {
            let file = room.data().join("readings.db");
            let script = format!(
                "import sqlite3; d = sqlite3.connect('{}'); d.execute('CREATE TABLE r (at INTEGER, t REAL)'); \
                 d.executemany('INSERT INTO r VALUES (?, ?)', [({old}, 99), ({fresh}, 24)]); d.commit()",
                file.display()
            );
            let made = Command::new("python3").args(["-c", &script]).status().expect("python3 runs");
            assert!(made.success());
            format!("sql = \"sqlite:{}\"\nquery = \"SELECT at, t AS temperature FROM r WHERE at > $1\"", file.display())
        }
    };
    format!("[[sources]]\npeer = \"room{number}\"\nevery_s = 1\n{what}\n")
}

/// What a command prints that asks for the mean temperature; nothing if it fails.
pub(crate) fn ask(manager: &Machine, preselector: &str) -> Value {
    let question = [
        "task",
        "run",
        "--group",
        "1",
        "--source",
        "temperature",
        "--preselector",
        preselector,
        "--aggregator",
        "mean",
        "--purpose",
        "HVAC",
        "--most",
        "100",
        "--tell-gateway",
    ];
    serde_json::from_slice(&manager.run(&question).stdout).unwrap_or_default()
}

fn mean(manager: &Machine, preselector: &str) -> Result<f64, String> {
    let told = ask(manager, preselector);
    let all = told["results"][0]["statistics"].as_array().cloned().unwrap_or_default();
    let found = all.iter().find(|s| s["name"] == "mean(temperature)").and_then(|s| s["value"].as_f64());
    found.ok_or_else(|| told.to_string())
}

/// A file, a command and a database feed three peers; a task selects what it asks for, and what comes later is taken
/// later.
#[test]
fn f15_series_come_from_files_commands_and_databases() {
    let lab = Lab::new();
    let manager = lab.gateway();
    let number = Cell::new(0);
    let rooms = lab.rooms(&manager, 3, |room| {
        number.set(number.get() + 1);
        source(number.get(), room)
    });
    let has = |o: &Value| o["sources"] == serde_json::json!(["temperature"]);
    until_offers(3, || manager.told(&["task", "offers", "--group", "1"]), has);
    let first = mean(&manager, "last_1h").expect("a mean");
    assert!((first - 22.0).abs() < 1e-9, "{first}");

    let mut file = OpenOptions::new().append(true).open(rooms[0].data().join("room.csv")).expect("the file");
    writeln!(file, "{},26", ago(0)).expect("a line");
    until("the new line", || match mean(&manager, "now")? {
        found if (found - 24.0).abs() < 1e-9 => Ok(()),
        other => Err(other.to_string()),
    });

    // A row that came late: older than the newest one that was taken.
    writeln!(file, "{},28", ago(1_800_000)).expect("a line");
    until("the late line", || match mean(&manager, "last_1h")? {
        found if (found - 24.0).abs() < 1e-9 => Ok(()),
        other => Err(other.to_string()),
    });

    // What is wrong in a file its owner reads; where, and not what.
    writeln!(file, "{},warm", SystemClock.now().0).expect("a line");
    until("the complaint", || {
        let peer = rooms[0].told(&["peer", "list"])[0]["last_error"].to_string();
        if peer.contains("room.csv") && peer.contains("temperature of") && !peer.contains("warm") {
            Ok(())
        } else {
            Err(peer)
        }
    });
    // And it stops nothing.
    writeln!(file, "{},29", ago(0)).expect("a line");
    until("the line after it", || match mean(&manager, "now")? {
        found if (found - 25.0).abs() < 1e-9 => Ok(()),
        other => Err(other.to_string()),
    });
}
