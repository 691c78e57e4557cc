//! The JSON Schemas of tools as clients see them and as `calls` checks them: what schemars derives, without its noise, plus
//! the arguments that every tool has.
//!
//! Small schemas matter: a client puts all of them into the model's context. Nothing here changes what is accepted, except
//! that an optional argument is left out rather than null.

use serde_json::{Map, Value, json};

use super::tool::ToolDef;

/// Smallest and largest `max_chars`, in characters.
pub const MAX_CHARS: std::ops::RangeInclusive<u64> = 1_000..=96_000;

/// What the tool is for: its doc comment, on one line per paragraph.
pub fn description(def: &ToolDef) -> String {
    (def.schema)()
        .get("description")
        .and_then(Value::as_str)
        .map(|text| {
            text.split("\n\n")
                .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
                .collect::<Vec<_>>()
                .join("\n")
        })
        .unwrap_or_default()
}

/// The schema of the tool's arguments, cross-cutting ones included.
pub fn input_schema(def: &ToolDef) -> Map<String, Value> {
    let mut derived = (def.schema)().to_value();
    plain(&mut derived);
    let mut properties = match derived.get_mut("properties").map(Value::take) {
        Some(Value::Object(properties)) => properties,
        _ => Map::new(),
    };
    let pages = properties.contains_key("cursor");
    if def.account {
        properties.insert(
            "account".to_owned(),
            json!({ "type": "string", "description": "which" }),
        );
    }
    if def.effect.is_read() || pages {
        properties.insert(
            "max_chars".to_owned(),
            json!({ "type": "integer", "minimum": MAX_CHARS.start(), "maximum": MAX_CHARS.end(), "description": "size cap" }),
        );
    }
    if !def.effect.is_read() {
        properties.insert("dry_run".to_owned(), json!({ "type": "boolean" }));
        properties.insert("idempotency_key".to_owned(), json!({ "type": "string" }));
    }
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("properties".to_owned(), Value::Object(properties));
    if let Some(required) = derived.get_mut("required").map(Value::take)
        && required.as_array().is_some_and(|names| !names.is_empty())
    {
        schema.insert("required".to_owned(), required);
    }
    if let Some(definitions) = derived.get_mut("$defs").map(Value::take) {
        schema.insert("$defs".to_owned(), definitions);
    }
    schema.insert("additionalProperties".to_owned(), json!(false));
    schema
}

/// The schema of every tool's structured answer: `{account, items, next_cursor?, total?, truncated, warnings, links}`, or
/// `{items, error}` for a refusal. Clients pay for every byte of it once per tool and learn the envelope from the server's
/// instructions, so it only asks for `items`; both lines of the TypeScript SDK check refusals against it too.
pub fn output_schema() -> Map<String, Value> {
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("required".to_owned(), json!(["items"]));
    schema
}

/// Takes the noise out of a derived schema and everything below it.
fn plain(schema: &mut Value) {
    let Value::Object(map) = schema else { return };
    map.remove("$schema");
    map.remove("title");
    without_null(map);
    closed_choice(map);
    if map
        .get("format")
        .and_then(Value::as_str)
        .is_some_and(is_rust_number)
    {
        map.remove("format");
    }
    if map.get("default").is_some_and(says_nothing) {
        map.remove("default");
    }
    for (key, value) in map.iter_mut() {
        match key.as_str() {
            "properties" | "$defs" | "patternProperties" => {
                if let Value::Object(schemas) = value {
                    schemas.values_mut().for_each(plain);
                }
            }
            "items" | "additionalProperties" | "not" | "contains" => plain(value),
            "prefixItems" | "anyOf" | "oneOf" | "allOf" => {
                if let Value::Array(schemas) = value {
                    schemas.iter_mut().for_each(plain);
                }
            }
            _ => {}
        }
    }
}

/// `Option<T>` becomes `T`: that it may be left out is what `required` says.
fn without_null(map: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = map.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            map.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = map.get_mut("enum") {
        choices.retain(|choice| !choice.is_null());
    }
    for union in ["anyOf", "oneOf"] {
        let Some(Value::Array(members)) = map.get_mut(union) else {
            continue;
        };
        members.retain(|member| member.get("type").and_then(Value::as_str) != Some("null"));
        if members.len() == 1
            && let Some(Value::Object(only)) = members.pop()
        {
            map.remove(union);
            for (key, value) in only {
                map.entry(key).or_insert(value);
            }
        }
    }
}

/// An enum whose variants are documented comes as one schema per variant; the names alone are enough.
fn closed_choice(map: &mut Map<String, Value>) {
    let Some(Value::Array(members)) = map.get("oneOf") else {
        return;
    };
    let mut names = Vec::new();
    for member in members {
        match (member.get("const"), member.get("enum")) {
            (Some(Value::String(name)), None) => names.push(json!(name)),
            (None, Some(Value::Array(some))) if some.iter().all(Value::is_string) => {
                names.extend(some.iter().cloned());
            }
            _ => return,
        }
    }
    map.remove("oneOf");
    map.insert("type".to_owned(), json!("string"));
    map.insert("enum".to_owned(), Value::Array(names));
}

/// The widths of Rust's numbers, which schemars writes as `format`.
fn is_rust_number(format: &str) -> bool {
    matches!(
        format,
        "int8"
            | "int16"
            | "int32"
            | "int64"
            | "int"
            | "uint8"
            | "uint16"
            | "uint32"
            | "uint64"
            | "uint"
            | "float"
            | "double"
    )
}

/// Defaults that everyone assumes anyway.
fn says_nothing(default: &Value) -> bool {
    match default {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(true) => false,
    }
}

#[cfg(test)]
mod tests {
    #![expect(
        dead_code,
        reason = "the fields are only there for the schema derived from them"
    )]

    use schemars::JsonSchema;
    use serde::Deserialize;

    use super::*;
    use crate::kit::args::{Cursor, Detail, Limit};
    use crate::kit::error::ToolError;
    use crate::kit::output::Output;
    use crate::kit::tool::{Cx, Effect, Needs, Tool};

    /// Finds things
    /// by text.
    ///
    /// Newest first.
    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Find {
        /// What to look for.
        query: String,
        /// At least this many.
        #[serde(default)]
        least: Option<u32>,
        /// How it is called.
        title: Option<String>,
        /// The kinds.
        #[serde(default)]
        kinds: Vec<Kind>,
        #[serde(default)]
        detail: Option<Detail>,
        #[serde(default)]
        limit: Limit<10, 50>,
        #[serde(default)]
        cursor: Option<Cursor>,
    }

    #[derive(Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Big,
        Small,
    }

    impl Tool for Find {
        const NAME: &'static str = "test_find_things";
        const TITLE: &'static str = "Find things";
        const EFFECT: Effect = Effect::Read;
        const SCOPES: Needs = Needs::Nothing;

        async fn call(self, _: &Cx) -> Result<Output, ToolError> {
            Ok(Output::default())
        }
    }

    #[test]
    fn derived_schemas_become_plain() {
        let def = ToolDef::of::<Find>();
        assert_eq!(description(&def), "Finds things by text.\nNewest first.");
        assert_eq!(
            Value::Object(input_schema(&def)),
            json!({
                "type": "object",
                "properties": {
                    "query": { "type": "string", "description": "What to look for." },
                    "least": { "type": "integer", "minimum": 0, "description": "At least this many." },
                    "title": { "type": "string", "description": "How it is called." },
                    "kinds": { "type": "array", "description": "The kinds.", "items": { "type": "string", "enum": ["big", "small"] } },
                    "detail": { "type": "string", "enum": ["ids", "summary", "full"], "description": "How much of each record to return." },
                    "limit": { "type": "integer", "minimum": 1, "maximum": 50, "default": 10 },
                    "cursor": { "type": "string" },
                    "account": { "type": "string", "description": "which" },
                    "max_chars": { "type": "integer", "minimum": 1000, "maximum": 96000, "description": "size cap" }
                },
                "required": ["query"],
                "additionalProperties": false
            })
        );
    }

    #[test]
    fn the_output_schema_stays_tiny() {
        let text = Value::Object(output_schema()).to_string();
        assert!(text.len() <= 60, "{} bytes", text.len());
    }
}
