//! The schemas of the texts in `tacit_model::api`. A test compares them with the types field by field.

mod groups;
mod negotiations;
mod node;
mod peers;
mod runs;
mod tasks;

use serde_json::{Map, Value, json};

/// All schemas by name.
pub(super) fn all() -> Value {
    let mut schemas = Map::new();
    let mut add = |name: &str, schema: Value| {
        schemas.insert(name.to_owned(), schema);
    };
    basics(&mut add);
    groups::groups(&mut add);
    negotiations::negotiations(&mut add);
    runs::runs(&mut add);
    peers::peers(&mut add);
    tasks::tasks(&mut add);
    node::node(&mut add);
    Value::Object(schemas)
}

type Add<'a> = &'a mut dyn FnMut(&str, Value);

fn object(required: &[(&str, Value)], optional: &[(&str, Value)]) -> Value {
    let fields = required.iter().chain(optional);
    let properties: Map<String, Value> = fields.map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    let required: Vec<&str> = required.iter().map(|(name, _)| *name).collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

/// The body of a request: nothing but these fields.
fn request(required: &[(&str, Value)], optional: &[(&str, Value)]) -> Value {
    let mut schema = object(required, optional);
    schema["additionalProperties"] = json!(false);
    schema
}

/// The body that lists all of something.
fn list_body(field: &str, item: &str) -> Value {
    object(&[(field, list(is(item)))], &[])
}

fn is(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn or_null(name: &str) -> Value {
    json!({ "oneOf": [is(name), { "type": "null" }] })
}

fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn text_or_null() -> Value {
    json!({ "type": ["string", "null"] })
}

/// Texts by names.
fn text_map() -> Value {
    json!({ "type": "object", "additionalProperties": text() })
}

fn whole() -> Value {
    json!({ "type": "integer" })
}

fn whole_or_null() -> Value {
    json!({ "type": ["integer", "null"] })
}

fn number() -> Value {
    json!({ "type": "number" })
}

fn truth() -> Value {
    json!({ "type": "boolean" })
}

fn moment() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

fn one_of(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

fn basics(add: Add<'_>) {
    add(
        "Decimal",
        json!({
            "description": "A whole number: read as text or number, written as text",
            "oneOf": [{ "type": "string", "pattern": "^[0-9]+$" }, { "type": "integer", "minimum": 0 }],
        }),
    );
    add("Fingerprint", json!({ "type": "string", "pattern": "^[0-9a-f]{64}$" }));
    add("AnnouncementBody", text_map());
    add("PairingState", one_of(&["waiting", "registered", "rejected", "revoked"]));
    add("Role", one_of(&["viewer", "operator", "owner"]));
    add("PeerRole", one_of(&["input", "privacy", "both", "recipient"]));
    add("Standing", one_of(&["unknown", "running", "stopped", "stopped_with_error", "mixed"]));
    add("SharingKind", one_of(&["shamir", "additive"]));
    add(
        "OnMissing",
        json!({ "oneOf": [
            one_of(&["wait", "fail"]),
            { "type": "object", "properties": { "proceed": { "type": "integer", "minimum": 0 } }, "required": ["proceed"] },
        ] }),
    );
    add(
        "Problem",
        object(&[("type", text()), ("kind", text()), ("title", text()), ("status", whole()), ("detail", text())], &[]),
    );
}
