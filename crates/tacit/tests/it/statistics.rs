//! Statistics over the records of three organisations, each with a process of its own.

use serde_json::{Value, json};

use crate::harness::{Node, run};
use crate::wait::until;

/// Three peers that give, compute and receive; the first one's node orchestrates, too.
struct Trio {
    nodes: Vec<Node>,
    gid: i64,
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

impl Trio {
    fn found() -> Self {
        Self::of(3)
    }

    /// The same with so many of them.
    fn of(members: usize) -> Self {
        let node = |name: &&str| {
            let roles = if *name == "a" { "manager,peer" } else { "peer" };
            Node::with(name, &["--roles", roles])
        };
        let nodes: Vec<Node> = NAMES[..members].iter().map(node).collect();
        let gateway = &nodes[0];
        let group = gateway.api("POST", "/groups", Some(&json!({ "name": "registry" }))).json();
        let gid = group["gid"].as_i64().expect("a number");
        for (name, node) in NAMES.iter().zip(&nodes) {
            let code = gateway.api("POST", &format!("/groups/{gid}/codes"), None).json();
            let joining = json!({
                "name": name, "role": "both", "gateway_url": format!("{}/api/v1", gateway.url()),
                "registration_code": code["code"], "operator": format!("hospital {name}"),
            });
            let joined = node.api("POST", "/peers", Some(&joining)).json();
            let verdict = json!({ "verified": true, "fingerprint": joined["fingerprint"] });
            gateway.api("POST", &format!("/members/{name}/verify"), Some(&verdict)).ok();
        }
        Self { nodes, gid }
    }

    /// `tacit ARGS` against one of the nodes, to its end.
    fn command(&self, node: usize, args: &[&str]) -> std::process::Output {
        let node = &self.nodes[node];
        let token = node.data().join("keys").join("owner.token");
        let url = node.url();
        run(&[args, &["--node", &url, "--token-file", token.to_str().expect("a path")]].concat())
    }

    /// Configures, runs one slot and returns what all three received.
    fn compute<const N: usize>(&self, run_number: i64, options: &[&str], rows: [&[u64]; N]) -> Value {
        let gid = self.gid.to_string();
        let output = self.command(0, &[&["group", "configure", &gid, "--slots", "1"], options].concat());
        assert!(output.status.success(), "{output:?}");
        until("all members to be connected", || {
            let group = self.nodes[0].api("GET", &format!("/groups/{gid}"), None).ok().json();
            let members = group["members"].as_array().cloned().unwrap_or_default();
            if members.iter().all(|m| m["connected"] == true) { Ok(()) } else { Err(group.to_string()) }
        });
        self.nodes[0].api("POST", &format!("/groups/{gid}/start"), None).ok();
        for ((name, node), row) in NAMES.iter().zip(&self.nodes).zip(rows) {
            until("the run to be heard of", || {
                let peer = node.api("GET", &format!("/peers/{name}"), None).ok().json();
                if peer["run"] == run_number { Ok(()) } else { Err(peer.to_string()) }
            });
            let values: Vec<String> = row.iter().map(u64::to_string).collect();
            let body = json!({ "rows": [{ "values": values }] });
            until("the row to be taken", || {
                let reply = node.api("POST", &format!("/peers/{name}/rows"), Some(&body));
                if reply.status == 200 { Ok(()) } else { Err(format!("{reply:?}")) }
            });
        }
        let results = NAMES.iter().zip(&self.nodes).map(|(name, node)| {
            until("the result", || {
                let all = node.api("GET", &format!("/peers/{name}/results?run={run_number}"), None).ok().json();
                match all["results"].as_array().and_then(|results| results.first()) {
                    Some(result) => Ok(result.clone()),
                    None => Err(all.to_string()),
                }
            })
        });
        let results: Vec<Value> = results.collect();
        for other in &results[1..] {
            for part in ["values", "statistics", "no_result", "contributors"] {
                assert_eq!(results[0][part], other[part], "{part}");
            }
        }
        self.wait_stopped();
        results[0].clone()
    }

    fn wait_stopped(&self) {
        until("the run to end", || {
            let group = self.nodes[0].api("GET", &format!("/groups/{}", self.gid), None).ok().json();
            if group["status"] == "stopped" { Ok(()) } else { Err(group["status"].to_string()) }
        });
    }
}

fn number(result: &Value, name: &str) -> f64 {
    let statistics = result["statistics"].as_array().expect("statistics");
    let found = statistics.iter().find(|statistic| statistic["name"] == name);
    found.and_then(|s| s["value"].as_f64()).unwrap_or_else(|| panic!("no {name} in {result}"))
}

/// What is computed on shares between the freeze and the opening, over TLS; `max_records` and all other settings
/// come from the command line.
#[test]
fn p30_p31_p32_functions_on_shares_over_three_processes() {
    let trio = Trio::found();
    let of = |run: i64, aggregator: &str, more: &[&str], rows: [&[u64]; 3]| {
        let items = if aggregator == "distinct_count" { 1 } else { rows[0].len() }.to_string();
        let options = ["--aggregator", aggregator, "--items", &items, "--max-element", "1000"];
        trio.compute(run, &[&options, more].concat(), rows)
    };
    let rows: [&[u64]; 3] = [&[2, 0, 1000, 7], &[3, 0, 1000, 0], &[5, 9, 1000, 1]];

    let product = of(1, "product", &[], rows);
    assert_eq!(product["values"], json!(["30", "0", "1000000000", "0"]));
    assert_eq!((&product["statistics"], product["contributors"].as_i64()), (&Value::Null, Some(3)));
    let shown = trio.command(1, &["peer", "results", "b"]);
    let shown = String::from_utf8_lossy(&shown.stdout);
    assert!(shown.contains("30;0;1000000000;0"), "{shown}");

    // Sums 10, 9, 3000, 8.
    let entropy = of(2, "entropy", &["--parameter", "q=2"], rows);
    assert_eq!(entropy["values"], json!(["3027", "9000245"]));
    assert_eq!(number(&entropy, "per_mille"), 18.0);

    let events = of(3, "event_correlation", &["--parameter", "min_peers=2"], rows);
    let found: Vec<Value> =
        events["statistics"].as_array().expect("statistics").iter().map(|s| s["name"].clone()).collect();
    assert_eq!(json!(found), json!(["peers(1)", "weight(1)", "peers(3)", "weight(3)", "peers(4)", "weight(4)"]));
    assert_eq!([number(&events, "peers(4)"), number(&events, "weight(4)")], [2.0, 8.0]);

    let distinct = of(4, "distinct_count", &[], [&[7, 8, 1000], &[], &[8, 8, 0]]);
    assert_eq!(number(&distinct, "distinct"), 4.0);
    assert_eq!(of(5, "set_intersection", &[], rows)["values"], json!(["1", "0", "1", "0"]));
    assert_eq!(of(6, "set_cardinality", &[], rows)["values"], json!(["4"]));

    // Sums 10, 9, 3000, 8.
    let top = of(7, "top_k", &["--parameter", "k=2", "--parameter", "names=ssh,dns,http,ftp"], rows);
    assert_eq!(
        top["statistics"],
        json!([{ "name": "sum(http)", "value": 3000.0 }, { "name": "sum(ssh)", "value": 10.0 }])
    );
    let median = ["--aggregator", "median", "--items", "2", "--max-element", "9000", "--parameter", "max_records=2"];
    let median = trio.compute(8, &median, [&[1, 10, 4, 9000], &[], &[3, 20, 8, 0]]);
    assert_eq!([number(&median, "median(x1)"), number(&median, "median(x2)")], [3.5, 15.0]);

    // What b says counts twice; a and c, who agree on the third event alone, count once each.
    let weights =
        ["--parameter", "peer_weights=b=2", "--parameter", "min_peer_weight=3", "--parameter", "learn=counts"];
    let trusted = of(9, "event_correlation", &weights, [&[1, 1, 1, 0], &[1, 0, 0, 1], &[0, 1, 1, 1]]);
    assert_eq!(
        trusted["statistics"],
        json!([{ "name": "peers(1)", "value": 2.0 }, { "name": "peers(4)", "value": 2.0 }])
    );

    // Addresses that nobody listed before: 192.0.2.1 and 198.51.100.7.
    let addresses = ["--aggregator", "top_keys", "--items", "2", "--max-element", "4294967295", "--parameter", "k=1"];
    let addresses = [&addresses[..], &["--parameter", "keys_as=ipv4", "--parameter", "max_records=2"]].concat();
    let (one, other) = (3_221_225_985, 3_325_256_711);
    let top = trio.compute(10, &addresses, [&[one, 500, other, 400], &[], &[other, 300]]);
    assert_eq!(top["statistics"], json!([{ "name": "sum(198.51.100.7)", "value": 700.0 }]));

    let quantile = ["--aggregator", "quantile", "--items", "1", "--max-element", "9", "--parameter", "level=0.25"];
    let quantile = trio.compute(11, &quantile, [&[8], &[2], &[4]]);
    assert_eq!(number(&quantile, "quantile_0.25(x1)"), 3.0);
}

/// Noise, and what it costs where strangers read it.
#[test]
fn rule9_noise_over_three_processes_is_in_the_receipt() {
    let trio = Trio::found();
    let options = ["--aggregator", "noisy_count", "--items", "1", "--max-element", "100", "--parameter", "epsilon=20"];
    let count = trio.compute(1, &options, [&[7, 8, 9], &[], &[4]]);
    // With so little noise another number comes once in 100 million times.
    assert_eq!([number(&count, "count"), number(&count, "epsilon")], [4.0, 20.0]);
    let data = trio.nodes[0].data();
    let data = data.to_str().expect("a path");
    let json = |arguments: &[&str]| -> Value {
        serde_json::from_slice(&run(&[&["receipt"][..], arguments, &["--data", data]].concat()).stdout)
            .unwrap_or_default()
    };
    let session = until("the receipt", || match json(&["list", "--json"])[0]["session"].as_str() {
        Some(session) => Ok(session.to_owned()),
        None => Err("none yet".to_owned()),
    });
    let budget = json(&["show", &session])["statement"]["budget"].clone();
    assert_eq!((&budget["epsilon"], &budget["hides"]), (&json!("20"), &json!("record")), "{budget}");
    let delta: f64 = budget["delta"].as_str().and_then(|text| text.parse().ok()).expect("a number");
    assert!(0.0 < delta && delta < 1e-8, "{delta}");
}

#[test]
fn logistic_regression_over_three_processes() {
    let trio = Trio::found();
    let options = ["--aggregator", "logistic_regression", "--items", "2", "--max-element", "9"];
    let options = [&options[..], &["--parameter", "max_records=10", "--parameter", "names=dose,ill"]].concat();
    // Of five records each: 1 ill at dose 1, 2 at 3, 4 at 6.
    let of = |dose: u64, ill: usize| (0..5).flat_map(|i| [dose, u64::from(i < ill)]).collect::<Vec<u64>>();
    let rows = [of(1, 1), of(3, 2), of(6, 4)];
    let fit = trio.compute(1, &options, [&rows[0], &rows[1], &rows[2]]);
    // By statsmodels' Logit.
    let wanted = [-2.01159136, 0.55920731, 1.20355597, 0.31383618];
    let names = ["coefficient(intercept)", "coefficient(dose)", "standard_error(intercept)", "standard_error(dose)"];
    for (name, wanted) in names.iter().zip(wanted) {
        assert!((number(&fit, name) - wanted).abs() < 0.01 * wanted.abs(), "{name}: {fit}");
    }
}

#[test]
fn statistics_over_three_processes() {
    let trio = Trio::found();

    // Three records at a, none at b, one at c.
    let options = ["--aggregator", "mean", "--items", "2", "--max-element", "100", "--parameter", "names=age,stay"];
    let mean = trio.compute(1, &options, [&[1, 10, 2, 20, 7, 0], &[], &[5, 30]]);
    assert_eq!(mean["values"], json!(["4", "15", "60"]));
    assert_eq!([number(&mean, "count"), number(&mean, "mean(age)"), number(&mean, "mean(stay)")], [4.0, 3.75, 15.0]);
    let shown = trio.command(1, &["peer", "results", "b"]);
    let shown = String::from_utf8_lossy(&shown.stdout);
    assert!(shown.contains("mean(age)") && shown.contains("3.75"), "{shown}");

    let options = ["--aggregator", "variance", "--items", "1", "--max-element", "1000000000000"];
    let far = 999_999_999_990;
    let variance = trio.compute(2, &options, [&[far + 1, far + 2], &[], &[far + 4]]);
    // Doubles would have lost everything: the squares have 80 bits.
    assert_eq!(number(&variance, "variance(x1)"), 7.0 / 3.0);

    // y = 5 + 2a + 3b in every record.
    let options = [
        "--aggregator",
        "linear_regression",
        "--items",
        "3",
        "--max-element",
        "1000",
        "--parameter",
        "names=a,b,y",
        "--parameter",
        "max_records=500",
    ];
    let regression =
        trio.compute(3, &options, [&[0, 0, 5, 1, 0, 7], &[0, 1, 8, 10, 10, 55, 3, 7, 32], &[100, 200, 805]]);
    for (name, value) in [
        ("count", 6.0),
        ("coefficient(intercept)", 5.0),
        ("coefficient(a)", 2.0),
        ("coefficient(b)", 3.0),
        ("standard_error(b)", 0.0),
        ("r_squared", 1.0),
    ] {
        assert_eq!(number(&regression, name), value, "{name}");
    }

    // Columns that depend on each other, and nobody with a record: said so, instead of a number.
    let singular = trio.compute(4, &options, [&[1, 1, 1, 2, 2, 5], &[3, 3, 2, 4, 4, 4], &[5, 5, 9]]);
    assert!(singular["no_result"].as_str().is_some_and(|why| why.contains("depend on each other")), "{singular}");
    let nothing = trio.compute(5, &options, [&[], &[], &[]]);
    assert_eq!((&nothing["no_result"], &nothing["statistics"]), (&json!("no records"), &Value::Null));
}

/// The models that check what members do, chosen in the group's configuration.
#[test]
fn rule5_security_models_over_three_processes() {
    let trio = Trio::found();
    let malicious = ["--parameter", "security_model=malicious"];
    let sum = [&["--aggregator", "sum", "--items", "3", "--max-element", "1000"], &malicious[..]].concat();
    let result = trio.compute(1, &sum, [&[1000, 0, 3], &[1000, 7, 4], &[1000, 0, 5]]);
    assert_eq!(result["values"], json!(["3000", "7", "12"]));
    let variance = [&["--aggregator", "variance", "--items", "1", "--max-element", "1000000"], &malicious[..]].concat();
    let result = trio.compute(2, &variance, [&[1, 2], &[], &[4]]);
    assert_eq!(number(&result, "variance(x1)"), 7.0 / 3.0);

    let quartet = Trio::of(4);
    let gid = quartet.gid.to_string();
    let rules = quartet.command(0, &["group", "slot-rules", &gid, "--on-missing-input", "2", "--deadline", "5"]);
    assert!(rules.status.success(), "{rules:?}");
    let guaranteed = ["--aggregator", "histogram", "--items", "1", "--max-element", "9", "--parameter", "edges=3,6"];
    let guaranteed = [&guaranteed[..], &["--parameter", "security_model=guaranteed"]].concat();
    let result = quartet.compute(1, &guaranteed, [&[1, 2, 3], &[], &[9], &[4, 5]]);
    assert_eq!(result["values"], json!(["2", "3", "1"]));

    let gid = trio.gid.to_string();
    let shape = ["group", "configure", &gid, "--items", "1", "--max-element", "5"];
    let output = trio.command(0, &[&shape[..], &["--parameter", "security_model=benevolent"]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("security_model"), "{output:?}");
}

/// What the planner foresees is said where a group is configured and where it is shown, in words and in the API.
#[test]
fn planner_forecast_of_a_group_is_shown() {
    let shown = |group: &Trio, options: &[&str]| {
        let gid = group.gid.to_string();
        let shape = ["group", "configure", &gid, "--items", "2", "--max-element", "100"];
        let configured = group.command(0, &[&shape[..], options].concat());
        assert!(configured.status.success(), "{configured:?}");
        let said = String::from_utf8_lossy(&configured.stdout).into_owned();
        let show = group.command(0, &["group", "show", &gid]);
        let line = |text: &str, start: &str| text.lines().find(|line| line.starts_with(start)).map(str::to_owned);
        let show = String::from_utf8_lossy(&show.stdout);
        for start in ["  survives", "  a slot", "  forecast"] {
            assert_eq!(line(&said, start), line(&show, start), "shown as it was configured");
        }
        (said, group.nodes[0].api("GET", &format!("/groups/{gid}"), None).ok().json())
    };
    let proceeding = |group: &Trio| {
        let gid = group.gid.to_string();
        let rules = group.command(0, &["group", "slot-rules", &gid, "--on-missing-input", "2", "--deadline", "5"]);
        assert!(rules.status.success(), "{rules:?}");
    };
    let trio = Trio::found();
    let (said, body) = shown(&trio, &["--parameter", "bounds=declared"]);
    assert!(said.contains("the loss of 1 of 3 compute peers after the freeze, none before it; no cheater"), "{said}");
    assert!(said.contains("about 4 rounds, 127 B from each input peer"), "{said}");
    let forecast = &body["forecast"];
    let foreseen = ["rounds", "losses", "losses_before", "cheaters_noticed", "cheaters_survived", "colluding"];
    assert_eq!(foreseen.map(|what| forecast[what].as_u64()), [4, 1, 0, 0, 0, 1].map(Some), "{body}");
    assert!(forecast["micros"].as_u64().is_some_and(|micros| (500..5000).contains(&micros)), "{forecast}");
    assert!(forecast["notes"].as_array().is_some_and(|notes| !notes.is_empty()), "{forecast}");

    // As docs/tutorial.md has it.
    let gid = trio.gid.to_string();
    let configured = trio.command(0, &["group", "configure", &gid, "--items", "3", "--max-element", "1000000"]);
    let said = String::from_utf8_lossy(&configured.stdout);
    let line = "about 5 rounds, 1.1 kB from each input peer and 846 B from each compute peer, 2 ms on one machine";
    assert!(said.contains(line), "{said}");

    let (said, _) = shown(&trio, &["--aggregator", "product", "--parameter", "security_model=malicious"]);
    assert!(said.contains("no loss of any of 3 compute peers; no cheater, but no wrong result of up to 1"), "{said}");
    // Three are too few for this model: the configuration may be right for the group to come.
    proceeding(&trio);
    let (said, body) = shown(&trio, &["--parameter", "security_model=guaranteed"]);
    assert!(said.contains("forecast   none yet: "), "{said}");
    assert!(body["forecast"].is_null() && body["no_forecast"].as_str().is_some_and(|why| !why.is_empty()), "{body}");

    let quartet = Trio::of(4);
    proceeding(&quartet);
    let (said, _) = shown(&quartet, &["--parameter", "security_model=guaranteed"]);
    assert!(said.contains("the loss or the cheating of 1 of 4 compute peers at any time"), "{said}");
}

#[test]
fn statistics_that_cannot_be_right_are_refused() {
    let trio = Trio::found();
    let gid = trio.gid.to_string();
    let refused = |options: &[&str], why: &str| {
        let shape = ["group", "configure", &gid, "--items", "2", "--max-element", "100"];
        let output = trio.command(0, &[&shape[..], options].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(why), "{options:?}: {output:?}");
    };
    for name in ["mode", "logistic"] {
        refused(&["--aggregator", name], name);
    }
    refused(&["--aggregator", "quantile"], "level");
    refused(&["--aggregator", "event_correlation"], "min_peers");
    refused(&["--aggregator", "entropy", "--parameter", "q=1"], "entropy");
    refused(&["--aggregator", "histogram"], "edges");
    refused(&["--aggregator", "mean", "--parameter", "edges=1,2"], "edges");
    refused(&["--aggregator", "mean", "--parameter", "names=one"], "names");
    refused(&["--aggregator", "sum", "--parameter", "max_records=1"], "max_records");
    let far = ["--aggregator", "variance", "--max-element", "18446744073709551615", "--field", "18446744073709551557"];
    let output = trio.command(0, &[&["group", "configure", &gid, "--items", "1"], &far[..]].concat());
    assert!(!output.status.success(), "{output:?}");

    let listed = run(&["group", "aggregators"]);
    let text = String::from_utf8_lossy(&listed.stdout);
    assert!(text.contains("linear_regression") && text.contains("X^T X"), "{text}");
    let listed = run(&["group", "aggregators", "--json"]);
    let parsed: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    assert!(parsed.as_array().is_some_and(|all| all.iter().any(|a| a["name"] == "mean")), "{parsed}");
}
