//! How the values of a JSON Schema are filled in.

use serde_json::{Map, Value};

/// How values of a schema are filled in.
pub(super) enum Kind<'a> {
    Text,
    Integer,
    Number,
    Truth,
    Choice(Vec<&'a str>),
    Ticks(Vec<&'a str>),
    Lines(Scalar),
    Group(&'a Map<String, Value>),
    Json,
}

/// What a list holds, one a line.
#[derive(Clone, Copy)]
pub(super) enum Scalar {
    Text,
    Integer,
    Number,
}

impl<'a> Kind<'a> {
    /// `nested` is whether the schema is one of a group's members: groups are not put into groups.
    pub(super) fn of(schema: &'a Value, nested: bool) -> Self {
        if schema.get("const").is_some() {
            return Self::Json;
        }
        if schema.get("enum").is_some() {
            return words(schema).map_or(Self::Json, Self::Choice);
        }
        match schema.get("type").and_then(Value::as_str) {
            Some("string") => Self::Text,
            Some("integer") => Self::Integer,
            Some("number") => Self::Number,
            Some("boolean") => Self::Truth,
            Some("array") => match schema.get("items") {
                Some(items) => match Self::of(items, true) {
                    Self::Choice(words) => Self::Ticks(words),
                    Self::Text => Self::Lines(Scalar::Text),
                    Self::Integer => Self::Lines(Scalar::Integer),
                    Self::Number => Self::Lines(Scalar::Number),
                    Self::Truth | Self::Ticks(_) | Self::Lines(_) | Self::Group(_) | Self::Json => {
                        Self::Json
                    }
                },
                None => Self::Json,
            },
            Some("object") if !nested => match members(schema) {
                Some(members) if schema["additionalProperties"] == Value::Bool(false) => {
                    Self::Group(members)
                }
                _ => Self::Json,
            },
            _ => Self::Json,
        }
    }
}

/// The values of a closed choice of texts, none of them empty.
fn words(schema: &Value) -> Option<Vec<&str>> {
    let list = schema.get("enum")?.as_array()?;
    let word = |value: &'_ Value| value.as_str().is_some_and(|word| !word.is_empty());
    list.iter()
        .all(word)
        .then(|| list.iter().filter_map(Value::as_str).collect())
}

pub(super) fn members(schema: &Value) -> Option<&Map<String, Value>> {
    let members = schema.get("properties")?.as_object()?;
    (!members.is_empty()).then_some(members)
}

pub(super) fn is_required(schema: &Map<String, Value>, name: &str) -> bool {
    let names = schema.get("required").and_then(Value::as_array);
    names.is_some_and(|names| names.iter().any(|one| one == name))
}

/// The path of a member below `path`. Slashes within a name are escaped as in JSON pointers (RFC 6901 §3).
pub(super) fn below(path: &str, name: &str) -> String {
    let name = name.replace('~', "~0").replace('/', "~1");
    format!("{path}/{name}")
}
