//! `tacit bench`: the lines that scripts read. Figures themselves decide nothing here.

use serde_json::Value;

use crate::harness::run;

#[test]
fn bench_prints_one_object_per_line_with_the_promised_names() {
    let benches = [
        ("sum", "2^61-1", &["sum", "sum", "bounded"][..]),
        ("mul", "2^61-1", &["throughput", "throughput", "round"][..]),
        ("compare", "2^127-1", &["less_than_64", "less_than_64"][..]),
        ("sort", "2^61-1", &["sort_32", "sort_32"][..]),
    ];
    for (name, field, whats) in benches {
        let output = run(&["bench", name, "--parties", "3", "--size", "1,40", "--runs", "2", "--json"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let lines: Vec<Value> = String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(|line| serde_json::from_str(line).expect("one JSON object per line"))
            .collect();
        let found: Vec<&str> = lines.iter().filter_map(|line| line["what"].as_str()).collect();
        assert_eq!(found, whats, "{lines:?}");
        for line in &lines {
            for (key, expected) in [("bench", name), ("model", "semi-honest"), ("field", field)] {
                assert_eq!(line[key], expected, "{key} in {line}");
            }
            assert_eq!(
                (&line["parties"], &line["threshold"], &line["runs"]),
                (&3.into(), &1.into(), &2.into()),
                "{line}"
            );
            assert_eq!(line["tls"], true, "{line}");
            assert!(["s", "ms", "us", "per_s"].iter().any(|unit| line["unit"] == *unit), "{line}");
            let number = |key: &str| line[key].as_f64().unwrap_or(-1.0);
            assert!(
                0.0 < number("min") && number("min") <= number("median") && number("median") <= number("max"),
                "{line}"
            );
            assert!(number("size") >= 1.0 && number("bytes_sent_per_party") > 0.0, "{line}");
        }
    }
}

/// Every result is compared with plain numbers before its line is printed.
#[test]
fn bench_statistics_are_right() {
    let output = run(&["bench", "statistics", "--parties", "3", "--size", "20", "--runs", "1", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    let found: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let whats: Vec<&str> = found.iter().filter_map(|line| line["what"].as_str()).collect();
    let wanted = [
        "std_deviation",
        "linear_regression",
        "median",
        "top_k",
        "top_keys",
        "entropy",
        "distinct_count",
        "logistic_regression",
    ];
    assert_eq!(whats, wanted);
    assert!(found.iter().all(|line| line["size"] == 20 && line["unit"] == "ms" && line["model"] == "semi-honest"));
}

#[test]
fn bench_multiplies_in_the_model_malicious() {
    let output =
        run(&["bench", "mul", "--model", "malicious", "--parties", "3", "--size", "40", "--runs", "2", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let whats: Vec<&str> = lines.iter().filter_map(|line| line["what"].as_str()).collect();
    assert_eq!(whats, ["throughput", "round"], "{text}");
    assert!(lines.iter().all(|line| line["model"] == "malicious"), "{text}");
}

#[test]
fn bench_refuses_what_it_cannot_measure() {
    for (words, code) in [
        (&["sum", "--parties", "2"][..], 2),
        (&["sum", "--size", "0"][..], 2),
        (&["sum", "--size", "10000001"][..], 2),
        (&["sum", "--runs", "0"][..], 2),
        (&["sum", "--model", "honest"][..], 2),
        (&["mul", "--model", "guaranteed"][..], 3),
    ] {
        let output = run(&[&["bench"][..], words].concat());
        assert_eq!(output.status.code(), Some(code), "{words:?}: {output:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{words:?}: {output:?}");
    }
}

/// A small scene of `bench scale`, whose lines say what was sent.
#[test]
fn scale_counts_what_a_member_of_the_committee_sends() {
    let scene = ["--parties", "6", "--size", "3", "--committee", "3", "--tasks", "4", "--per-minute", "600"];
    let output = run(&[&["bench", "scale", "--json"], &scene[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let told = String::from_utf8(output.stdout).expect("text");
    let lines: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.iter().map(|line| &line["what"]).collect::<Vec<_>>(), ["T_total", "memory"]);
    assert_eq!((&lines[0]["runs"], &lines[0]["refused"]), (&4.into(), &0.into()), "{told}");
    // At least a share, a commitment and a signature for each other member.
    assert!(lines.iter().all(|line| line["bytes_sent_per_party"].as_u64().is_some_and(|sent| sent > 200)), "{told}");
}

/// Each figure of the thesis for three peers, counted and not timed; through the provider with its processes beside.
#[test]
fn f24_orchestration_measures_every_figure_of_the_thesis() {
    let whats = [
        "T_flex_1",
        "T_flex_10",
        "T_flexcon_1",
        "T_flexcon_10",
        "prepare",
        "link_warm",
        "session",
        "T_total",
        "link_cold",
        "T_total_cold",
    ];
    let output = run(&["bench", "orchestration", "--parties", "3", "--runs", "3", "--cold-runs", "1", "--csv"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let mut csv = csv::Reader::from_reader(&*output.stdout);
    let head = csv.headers().expect("a head").clone();
    let names = [
        "what",
        "parties",
        "min",
        "max",
        "mean",
        "std",
        "p25",
        "median",
        "p75",
        "p90",
        "runs",
        "existing",
        "aim",
        "bytes_sent_per_party",
    ];
    assert_eq!(head.iter().collect::<Vec<_>>(), names);
    let rows: Vec<csv::StringRecord> = csv.records().map(|row| row.expect("a row")).collect();
    assert_eq!(rows.iter().map(|row| &row[0]).collect::<Vec<_>>(), whats);
    for row in &rows {
        let number = |name: &str| {
            let column = names.iter().position(|other| *other == name).expect("a column");
            row[column].parse::<f64>().unwrap_or_else(|_| panic!("{name} in {row:?}"))
        };
        assert_eq!(number("parties"), 3.0);
        assert_eq!(number("runs"), if row[0].ends_with("_cold") { 1.0 } else { 3.0 }, "{row:?}");
        let order = ["min", "p25", "median", "p75", "p90", "max"].map(number);
        assert!(order.is_sorted() && order[5] > 0.0 && number("std") >= 0.0, "{row:?}");
        assert!((order[0]..=order[5]).contains(&number("mean")), "{row:?}");
        assert!(number("bytes_sent_per_party") > 0.0, "{row:?}");
    }
    // Counted and not guessed: ten messages are more than one, a request with all its phases more than a message.
    let sent = |what: &str| {
        let row = rows.iter().find(|row| &row[0] == what).unwrap_or_else(|| panic!("no {what}"));
        row[names.len() - 1].parse::<u64>().expect("bytes")
    };
    // Not how much more: a head of the log may be on its way meanwhile.
    assert!(sent("T_flex_10") > sent("T_flex_1"), "{rows:?}");
    // A message that goes on to the provider is no other one on the links.
    assert!(sent("T_flexcon_10") <= 2 * sent("T_flex_10"), "{rows:?}");
    assert!(sent("T_total") > 3 * sent("T_flex_1") && sent("T_total_cold") > sent("T_flex_1"), "{rows:?}");
    let existing = |what: &str| rows.iter().find(|row| &row[0] == what).map(|row| row[11].to_owned());
    assert_eq!(existing("T_flexcon_10").as_deref(), Some("7.112"));
    assert_eq!(existing("T_flexcon_1").as_deref(), Some(""), "the thesis leaves it out");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("orchestration, 3 peers, T_flexcon_10: 0 of 3"), "{told}");
}
