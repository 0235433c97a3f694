//! Canonical JSON, class by class as RFC 8785 (JSON Canonicalization Scheme) demands it. The cases are written from the
//! RFC's text: section 3.2.2 (literals, strings, numbers), 3.2.3 (order of names), 3.2.4 (UTF-8), appendix B (numbers).

use serde_json::Value;
use tacit_accord::canonical;

/// The canonical form of a JSON text.
#[track_caller]
fn of(text: &str) -> String {
    let value: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    canonical(&value).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// It is the form of each of these texts, its own among them.
#[track_caller]
fn form(canonical: &str, texts: &[&str]) {
    for text in texts.iter().chain(&[canonical]) {
        assert_eq!(of(text), canonical, "{text}");
    }
}

#[test]
fn rfc8785_arrays_keep_their_order_and_whitespace_goes() {
    form("[]", &[" [ ] ", "[\n]"]);
    form("{}", &["{\t}"]);
    form(
        "[3,{\"10\":false,\"2\":[],\"b\":null},[true,[1,2]],\"\"]",
        &["[3 , {\"b\":null,\"10\":false,\"2\":[ ]},\r\n[true,[1,2]],\"\"]"],
    );
    form("[null,true,false]", &["[null , true , false]"]);
}

#[test]
fn rfc8785_names_are_sorted_in_objects_of_every_depth() {
    form(
        "{\"\":0,\"1\":{\"\\n\":1,\"A\":{\"K\":[{\"Y\":1,\"z\":2}],\"k\":{}}},\"11\":{},\"2\":\"\",\"B\":[],\"b\":7}",
        &[
            "{\"b\":7,\"2\":\"\",\"11\":{},\"B\":[],\"\":0,\"1\":{\"A\":{\"k\":{},\"K\":[{\"z\":2,\"Y\":1}]},\"\\u000a\":1}}",
        ],
    );
}

/// Section 3.2.3: by UTF-16 code units and nothing else, so neither by locale nor by code point.
#[test]
fn rfc8785_order_knows_no_locale_and_no_code_points() {
    // In French an accent at the end weighs more: cote, côte, coté. By code units, o before ô.
    form(
        "{\"cote\":1,\"cots\":0,\"cot\u{e9}\":2,\"c\u{f4}te\":3}",
        &["{\"c\u{f4}te\":3,\"cots\":0,\"cot\\u00e9\":2,\"cote\":1}"],
    );
    // Beyond the basic plane a character is a pair that begins with D8xx to DBxx: before U+E000, after U+D7FF.
    form(
        "{\"\\n\":1,\"\\r\":2,\"1\":3,\"</script>\":4,\"\u{7f}\":5,\"\u{80}\":6,\"\u{f6}\":7,\"\u{20ac}\":8,\"\u{d7ff}\":9,\
         \"\u{10000}\":10,\"\u{1f600}\":11,\"\u{10ffff}\":12,\"\u{e000}\":13,\"\u{fb33}\":14,\"\u{ffff}\":15}",
        &[
            "{\"\\uffff\":15,\"\\ufb33\":14,\"\\ue000\":13,\"\\udbff\\udfff\":12,\"\\ud83d\\ude00\":11,\"\\ud800\\udc00\":10,\
           \"\\ud7ff\":9,\"\\u20ac\":8,\"\\u00f6\":7,\"\\u0080\":6,\"\\u007f\":5,\"<\\/script>\":4,\"\\u0031\":3,\
           \"\\u000d\":2,\"\\u000A\":1}",
        ],
    );
}

/// Section 3.1: texts are not normalised; two that look alike stay two.
#[test]
fn rfc8785_unicode_stays_as_it_is() {
    form(
        "{\"composed\":\"\u{c5}\",\"two marks\":\"A\u{30a}\"}",
        &["{\"two marks\":\"A\\u030a\",\"composed\":\"\\u00c5\"}"],
    );
    form("{\"A\u{30a}\":1,\"\u{c5}\":2}", &["{\"\\u00C5\":2,\"A\\u030A\":1}"]);
    assert_eq!(of("\"\\ud83d\\ude02\"").into_bytes(), [b'"', 0xf0, 0x9f, 0x98, 0x82, b'"'], "UTF-8, section 3.2.4");
}

/// Section 3.2.2.2: short escapes where there are some, small hexadecimal digits where there are none, and nothing else
/// is escaped.
#[test]
fn rfc8785_escapes_what_must_be_and_in_one_way() {
    for code in 0..0x20_u32 {
        let escaped = match char::from_u32(code) {
            Some('\u{8}') => "\\b".to_owned(),
            Some('\t') => "\\t".to_owned(),
            Some('\n') => "\\n".to_owned(),
            Some('\u{c}') => "\\f".to_owned(),
            Some('\r') => "\\r".to_owned(),
            _ => format!("\\u00{code:02x}"),
        };
        form(&format!("[\"{escaped}\"]"), &[&format!("[\"\\u{code:04x}\"]"), &format!("[\"\\u{code:04X}\"]")]);
        form(&format!("{{\"{escaped}\":0}}"), &[&format!("{{\"\\u{code:04X}\":0}}")]);
    }
    form("\"\\\\\\\"/\"", &["\"\\u005c\\u0022\\u002f\"", "\"\\u005C\\\"\\/\""]);
    form(
        "\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"",
        &["\"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\""],
    );
    form("\"\u{7f}\u{80}\u{2028}\u{2029}\u{feff}\"", &["\"\\u007f\\u0080\\u2028\\u2029\\ufeff\""]);
    // Half of a pair is no character: the RFC demands an error.
    for lone in ["\"\\ud800\"", "\"\\udead\"", "\"\\ud83d\\u0041\"", "{\"\\udfff\":1}"] {
        assert!(serde_json::from_str::<Value>(lone).is_err(), "{lone}");
    }
}

/// Section 3.2.2.3 writes doubles as ECMAScript does; here whatever is no exact integer below 2^53 is refused, so that no
/// two readers can differ over one.
#[test]
fn rfc8785_numbers_are_exact_integers_or_refused() {
    for (text, canonical) in [
        ("0", "0"),
        ("7", "7"),
        ("-1", "-1"),
        ("9007199254740991", "9007199254740991"),
        ("-9007199254740991", "-9007199254740991"),
    ] {
        assert_eq!(of(text), canonical);
        assert_eq!(of(&format!("{{\"a\":[{text}]}}")), format!("{{\"a\":[{canonical}]}}"));
    }
    // Appendix B: the smallest and the largest doubles, the ends of the integers, exponents; and what merely has a point.
    for refused in [
        "0.0",
        "-0",
        "-0.0",
        "56.0",
        "1.5",
        "4.50",
        "2e-3",
        "1E30",
        "5e-324",
        "-5e-324",
        "1.7976931348623157e308",
        "-1.7976931348623157e308",
        "9007199254740992",
        "-9007199254740992",
        "295147905179352830000",
        "9.999999999999997e22",
        "1e+21",
        "333333333.33333329",
        "0.000001",
        "18446744073709551615",
        "18446744073709551616",
    ] {
        for text in [refused.to_owned(), format!("[1,{refused}]"), format!("{{\"a\":{{\"b\":{refused}}}}}")] {
            let value: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert!(canonical(&value).is_err(), "{text}");
        }
    }
}
