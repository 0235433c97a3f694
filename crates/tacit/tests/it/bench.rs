//! `tacit bench`: the lines that scripts read. Figures themselves decide nothing here.

use serde_json::Value;

use crate::harness::run;

#[test]
fn bench_prints_one_object_per_line_with_the_promised_names() {
    for (name, whats) in [("sum", &["sum", "sum", "bounded"][..]), ("mul", &["throughput", "throughput", "round"][..])]
    {
        let output = run(&["bench", name, "--parties", "3", "--size", "1,40", "--runs", "2", "--json"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let lines: Vec<Value> = String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(|line| serde_json::from_str(line).expect("one JSON object per line"))
            .collect();
        let found: Vec<&str> = lines.iter().filter_map(|line| line["what"].as_str()).collect();
        assert_eq!(found, whats, "{lines:?}");
        for line in &lines {
            for (key, expected) in [("bench", name), ("model", "semi-honest"), ("field", "2^61-1")] {
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
    let wanted =
        ["std_deviation", "linear_regression", "median", "top_k", "entropy", "distinct_count", "logistic_regression"];
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
