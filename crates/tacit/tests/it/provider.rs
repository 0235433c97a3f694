//! Another program in place of the engine: MPyC among the peers, over proto/smc.proto.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::run;
use crate::lab::{Lab, Machine};
use crate::wait::within;

const PATIENCE: Duration = Duration::from_secs(60);

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

/// A Python with what the example needs. Made once for all runs of the tests.
fn python() -> PathBuf {
    let example = repository().join("examples/mpyc-provider");
    let wanted = std::fs::read_to_string(example.join("requirements.txt")).expect("requirements.txt");
    let folder = std::env::temp_dir().join("tacit-mpyc-venv");
    let (python, done) = (folder.join("bin/python"), folder.join("done"));
    // One run makes it, others wait; the lock goes with the process.
    let lock = std::fs::File::create(std::env::temp_dir().join("tacit-mpyc-venv.lock")).expect("a lock file");
    lock.lock().expect("the lock");
    if std::fs::read_to_string(&done).is_ok_and(|text| text == wanted) {
        return python;
    }
    let run = |command: &mut Command| {
        let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "-r"]).arg(example.join("requirements.txt")));
    std::fs::write(done, wanted).expect("a note");
    python
}

/// A provider beside a peer; it ends with this value.
struct Provider(Child);

impl Provider {
    fn start(room: &Machine, python: &Path) -> Self {
        let socket = room.data().join("smc.sock");
        let _old = std::fs::remove_file(&socket);
        let log = std::fs::File::create(room.data().join("provider.log")).expect("a log");
        let mut command = room.command(python);
        command.arg(repository().join("examples/mpyc-provider/provider.py")).arg("--socket").arg(&socket);
        command.arg("--proto").arg(repository().join("proto/smc.proto"));
        let child = command.stdin(Stdio::null()).stdout(log.try_clone().expect("the log")).stderr(log).spawn();
        let provider = Self(child.expect("python starts"));
        within(PATIENCE, "the provider to listen", || match socket.exists() {
            true => Ok(()),
            false => Err(std::fs::read_to_string(room.data().join("provider.log")).unwrap_or_default()),
        });
        provider
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // It is asked, so that it ends its workers.
        let _told = Command::new("kill").arg(self.0.id().to_string()).status();
        let _gone = self.0.wait();
    }
}

/// Configures, starts, hands one row in each; what became of the run.
fn compute(manager: &Machine, rooms: &[Machine], rows: [&str; 3], provider: &[&str]) -> Value {
    let numbers = ["--items", "2", "--max-element", "1000", "--field", "1013", "--slots", "1"];
    manager.told(&[&["group", "configure", "1"], &numbers[..], provider].concat());
    manager.told(&["group", "start", "1"]);
    for (room, row) in rooms.iter().zip(rows) {
        let name = room.told(&["peer", "list"])[0]["name"].as_str().expect("a name").to_owned();
        within(PATIENCE, "the row to be taken", || {
            let output = room.run(&["peer", "rows", &name, row]);
            if output.status.success() { Ok(()) } else { Err(format!("{output:?}")) }
        });
    }
    within(PATIENCE, "the run to end", || {
        let slots = manager.told(&["group", "slots", "1"]);
        let over = slots.as_array().expect("slots").iter().any(|slot| slot["state"] != "open");
        if over { Ok(slots[0].clone()) } else { Err(slots.to_string()) }
    })
}

fn results(room: &Machine) -> Vec<String> {
    let name = room.told(&["peer", "list"])[0]["name"].as_str().expect("a name").to_owned();
    let results = room.told(&["peer", "results", &name]);
    let values = |result: &Value| {
        let values = result["values"].as_array().expect("values");
        values.iter().map(|v| v.as_str().expect("a decimal")).collect::<Vec<_>>().join(";")
    };
    results.as_array().expect("a list").iter().map(values).collect()
}

/// The newest receipt is that of the provider's session, the other that of the engine's; both hold, to both verifiers.
fn receipts_say_who_computed(manager: &Machine, room: &Machine) {
    let name = room.told(&["peer", "list"])[0]["name"].as_str().expect("a name").to_owned();
    let receipts = within(PATIENCE, "both receipts", || {
        let list = room.told(&["receipt", "list", "--peer", &name]);
        if list.as_array().map(Vec::len) == Some(2) { Ok(list) } else { Err(list.to_string()) }
    });
    assert_eq!(manager.told(&["receipt", "list"]).as_array().map(Vec::len), Some(2));
    let [file, mine] = ["receipt.json", "mine.json"].map(|name| room.data().join(name));
    let [file, mine] = [&file, &mine].map(|path| path.to_str().expect("a text"));
    for (receipt, provider) in [(&receipts[0], Value::from("mpyc")), (&receipts[1], Value::Null)] {
        let session = receipt["session"].as_str().expect("a session");
        let shown = room.run(&["receipt", "show", session, "--peer", &name, "--out", file, "--contribution", mine]);
        assert!(shown.status.success(), "{shown:?}");
        let told = room.told(&["receipt", "verify", file, "--contribution", mine]);
        assert_eq!((&told["ok"], &told["provider"]), (&true.into(), &provider), "{told}");
        assert_eq!(told["statement"]["contributors"]["count"], 3, "{told}");
        assert!(told["signers"].as_array().is_some_and(|signers| signers.len() >= 2), "{told}");
        assert!(told["statement"]["agreement"].is_string(), "{told}");

        let own = run(&["receipt", "verify", file]);
        let script = repository().join("scripts/verify_receipt.py");
        let other = Command::new("python3").arg(script).args([file, "--contribution", mine]).output();
        for said in [own, other.expect("python3 runs")] {
            assert!(said.status.success(), "{said:?}");
            let plainly = String::from_utf8_lossy(&said.stdout).contains("computed by the SMC provider mpyc");
            assert_eq!(plainly, !provider.is_null(), "{said:?}");
        }
    }
}

/// Asks for a sum of what each room measures now through a provider; how the command ended.
fn ask_for_sum(manager: &Machine, rooms: &[Machine], values: [u32; 3], provider: &str) -> Output {
    for (number, (room, value)) in (1..).zip(rooms.iter().zip(values)) {
        room.told(&["peer", "measure", &format!("room{number}"), &format!("heat={value}")]);
    }
    within(PATIENCE, "all offers", || {
        let offers = manager.told(&["task", "offers", "--group", "1"]);
        let of_heat = offers.as_array().expect("a list").iter().filter(|o| o["sources"] == json!(["heat"])).count();
        if of_heat == 3 { Ok(()) } else { Err(offers.to_string()) }
    });
    let typed = "task run --group 1 --source heat --preselector now --aggregator sum --purpose heating --most 1000";
    let typed: Vec<&str> = typed.split(' ').chain(["--parameter", provider]).collect();
    manager.run(&typed)
}

#[track_caller]
fn is_refused(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("the charter does not name the SMC provider"), "{said}");
}

/// Other members' providers run nothing here, whatever they say; a peer that goes away leaves nothing behind; long vectors.
#[test]
fn f15_the_example_provider_stands_what_others_do() {
    let mut tests = Command::new(python());
    tests.args(["-B", "-m", "unittest", "test_provider"]).current_dir(repository().join("examples/mpyc-provider"));
    let output = tests.output().expect("python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The same peers, never restarted, compute with the engine, then with MPyC, and not at all when a provider is
/// missing: never a plain sum.
#[test]
fn f15_a_sum_through_an_smc_provider_that_is_swapped_in() {
    let python = python();
    let lab = Lab::new();
    let manager = lab.gateway();
    let ask = std::cell::Cell::new(false);
    let rooms = lab.rooms(&manager, 3, |_| {
        // All but the first owner allow pings; a relative path begins in the data folder.
        let pings = if ask.replace(true) { "pings = true\n" } else { "" };
        format!("[provider]\nname = \"mpyc\"\nsocket = \"smc.sock\"\n{pings}")
    });
    let ping = |args: &[&str]| manager.run(&[&["group", "ping", "1", "--messages", "3"], args].concat());
    let pinged = |args: &[&str]| manager.told(&[&["group", "ping", "1", "--messages", "3"], args].concat());
    assert_eq!(pinged(&[])["members"], 3);
    let nobody = ping(&["--providers"]);
    assert_eq!(nobody.status.code(), Some(4), "no provider is there: {nobody:?}");
    let done = compute(&manager, &rooms, ["1;3", "2;5", "4;0"], &[]);
    assert_eq!((&done["state"], &done["contributors"]), (&"done".into(), &3.into()), "{done}");

    // Which program gets the inputs is the group's to agree on.
    is_refused(&ask_for_sum(&manager, &rooms, [1, 2, 3], "provider=mpyc"));

    let mut providers: Vec<Provider> = rooms.iter().map(|room| Provider::start(room, &python)).collect();
    let through = pinged(&["--providers"]);
    assert_eq!((&through["members"], &through["messages"]), (&2.into(), &3.into()), "{through}");
    assert_eq!(through["silent"], json!(["room1"]), "{through}");
    let done = compute(&manager, &rooms, ["10;300", "20;0", "30;500"], &["--parameter", "provider=mpyc"]);
    let logs: Vec<String> = rooms
        .iter()
        .map(|room| std::fs::read_to_string(room.data().join("provider.log")).unwrap_or_default())
        .collect();
    assert_eq!((&done["state"], &done["contributors"]), (&"done".into(), &3.into()), "{done} {logs:?}");
    for (room, log) in rooms.iter().zip(&logs) {
        let mut results = results(room);
        results.sort();
        assert_eq!(results, ["60;800", "7;8"]);
        assert!(log.contains("session done"), "the provider did not compute: {log}");
    }

    receipts_say_who_computed(&manager, &rooms[0]);

    // Now it has agreed on this one, and on no other.
    is_refused(&ask_for_sum(&manager, &rooms, [1, 2, 3], "provider=other"));
    let asked = ask_for_sum(&manager, &rooms, [400, 30, 7], "provider=mpyc");
    assert!(asked.status.success(), "{asked:?}");
    let told: Value = serde_json::from_slice(&asked.stdout).expect("JSON");
    let sum = &told["results"][0];
    assert_eq!((&sum["contributors"], &sum["statistics"][0]["value"]), (&json!(3), &json!(437.0)), "{told}");
    for room in &rooms {
        let log = std::fs::read_to_string(room.data().join("provider.log")).unwrap_or_default();
        assert_eq!(log.matches("session done").count(), 2, "the engine computed: {log}");
    }

    drop(providers.pop());
    let through = pinged(&["--providers"]);
    assert_eq!((&through["members"], &through["silent"]), (&json!(1), &json!(["room1", "room3"])), "{through}");
    let failed = compute(&manager, &rooms, ["1;1", "1;1", "1;1"], &["--parameter", "provider=mpyc"]);
    assert_eq!(failed["state"], "failed", "{failed}");
    let trouble = rooms[2].told(&["peer", "list"])[0]["last_error"].to_string();
    assert!(trouble.contains("SMC provider mpyc does not answer"), "{trouble}");
    assert!(rooms.iter().all(|room| results(room).len() == 3), "nobody has a fourth result");

    // It is there again: so is the peer, which was not restarted.
    providers.push(Provider::start(&rooms[2], &python));
    let done = compute(&manager, &rooms, ["5;1", "6;1", "7;1"], &["--parameter", "provider=mpyc"]);
    assert_eq!((&done["state"], &done["contributors"]), (&"done".into(), &3.into()), "{done}");
    assert!(rooms.iter().all(|room| results(room).contains(&"18;3".to_owned())));
}
