//! A tool's arguments on their way in: checked against the compiled schema, the cross-cutting ones lifted out, and a
//! version made for the audit log that keeps what is harmless and digests the rest (security.md 2.5).

use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use crate::integrations;
use crate::kit::schema;
use crate::kit::text;
use crate::kit::tool::{AuditArgs, ToolDef};

/// Characters of text an answer holds unless the caller says otherwise: about 6,000 tokens.
pub(super) const DEFAULT_MAX_CHARS: usize = 24_000;
/// Most characters an answer holds.
pub(super) const MOST_MAX_CHARS: usize = 96_000;
/// Largest arguments taken, in bytes of JSON.
const MAX_ARGUMENT_BYTES: usize = 512 * 1024;
/// Longest idempotency key, in bytes.
const MAX_KEY_BYTES: usize = 255;
/// Longest text kept as it is in the audit log, in characters.
const PLAIN_CHARS: usize = 256;

/// What was sent besides the tool's own arguments.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lifted {
    pub(super) account: Option<String>,
    pub(super) cursor: Option<String>,
    pub(super) dry_run: bool,
    pub(super) idempotency_key: Option<String>,
    pub(super) max_chars: usize,
}

struct Compiled {
    validator: Option<Validator>,
    /// Whether the tool declares a cursor of its own.
    pages: bool,
    /// Top-level arguments whose text is one of a closed set.
    closed: Vec<String>,
}

static COMPILED: LazyLock<HashMap<&'static str, OnceLock<Compiled>>> = LazyLock::new(|| {
    let tools = integrations::ALL
        .iter()
        .flat_map(|integration| integration.tools());
    tools.map(|tool| (tool.name, OnceLock::new())).collect()
});

/// Compiled at the first call of a tool, so that starting does not wait for it.
fn compiled(def: &ToolDef) -> Option<&'static Compiled> {
    Some(COMPILED.get(def.name)?.get_or_init(|| {
        let schema = schema::input_schema(def);
        let properties = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
        let closed = properties
            .iter()
            .filter(|(_, property)| is_closed(property))
            .map(|(name, _)| name.clone())
            .collect();
        let pages = properties.contains_key("cursor");
        let validator = jsonschema::draft202012::new(&Value::Object(schema))
            .inspect_err(|error| tracing::error!(tool.name = def.name, error = %error, "a tool's schema does not compile"))
            .ok();
        Compiled { validator, pages, closed }
    }))
}

fn is_closed(property: &Value) -> bool {
    property.get("enum").is_some()
        || property.get("const").is_some()
        || property.get("items").is_some_and(is_closed)
}

/// Checks `arguments` and takes the cross-cutting ones out. The error is one sentence that names the argument.
pub(super) fn lift(def: &ToolDef, arguments: &mut Map<String, Value>) -> Result<Lifted, String> {
    let compiled = compiled(def).ok_or("the tool is not in the catalogue")?;
    let validator = compiled
        .validator
        .as_ref()
        .ok_or("the tool's schema does not compile")?;
    // Many models write null for an optional argument that they leave out. Deeper down null may mean something.
    arguments.retain(|_, value| !value.is_null());
    // The validator takes a value, so the arguments are moved into one and back.
    let whole = Value::Object(std::mem::take(arguments));
    let problem = validator
        .validate(&whole)
        .err()
        .map(|error| sentence(&error));
    let Value::Object(checked) = whole else {
        return Err("arguments must be an object".to_owned());
    };
    *arguments = checked;
    if let Some(problem) = problem {
        return Err(problem);
    }
    let text = |value: Option<Value>| match value {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    };
    let idempotency_key = text(arguments.remove("idempotency_key"));
    if idempotency_key
        .as_ref()
        .is_some_and(|key| key.len() > MAX_KEY_BYTES)
    {
        return Err(format!(
            "idempotency_key: is longer than {MAX_KEY_BYTES} bytes; send a shorter one"
        ));
    }
    let max_chars = arguments
        .remove("max_chars")
        .and_then(|value| value.as_u64());
    Ok(Lifted {
        account: text(arguments.remove("account")),
        cursor: compiled
            .pages
            .then(|| text(arguments.remove("cursor")))
            .flatten(),
        dry_run: arguments
            .remove("dry_run")
            .and_then(|value| value.as_bool())
            .unwrap_or(false),
        idempotency_key,
        max_chars: max_chars.map_or(DEFAULT_MAX_CHARS, |chars| {
            usize::try_from(chars)
                .unwrap_or(MOST_MAX_CHARS)
                .min(MOST_MAX_CHARS)
        }),
    })
}

/// JSON with sorted keys: a client may write the arguments of a repeated call in another order.
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write_sorted(value, &mut text);
    text
}

fn write_sorted(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            out.push('{');
            for key in keys {
                out.push_str(&Value::String(key.clone()).to_string());
                out.push(':');
                write_sorted(&map[key], out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(list) => {
            out.push('[');
            for item in list {
                write_sorted(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            out.push_str(&value.to_string());
        }
    }
}

/// Whether the tool answers in pages.
pub(super) fn pages(def: &ToolDef) -> bool {
    compiled(def).is_some_and(|compiled| compiled.pages)
}

/// Whether arguments of this size are looked at at all.
pub(super) fn small_enough(arguments: &Map<String, Value>) -> Result<(), String> {
    fn bytes(value: &Value, depth: usize) -> Option<usize> {
        if depth > 64 {
            return None;
        }
        Some(match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 8,
            Value::String(text) => text.len() + 2,
            Value::Array(list) => list
                .iter()
                .try_fold(2, |sum, value| Some(sum + bytes(value, depth + 1)?))?,
            Value::Object(map) => map.iter().try_fold(2, |sum, (name, value)| {
                Some(sum + name.len() + 4 + bytes(value, depth + 1)?)
            })?,
        })
    }
    let size = arguments.iter().try_fold(0, |sum, (name, value)| {
        Some(sum + name.len() + bytes(value, 1)?)
    });
    match size {
        None => Err("arguments are nested deeper than 64 levels".to_owned()),
        Some(size) if size > MAX_ARGUMENT_BYTES => Err(format!(
            "arguments are larger than {MAX_ARGUMENT_BYTES} bytes; send less at once"
        )),
        Some(_) => Ok(()),
    }
}

fn sentence(error: &jsonschema::ValidationError<'_>) -> String {
    let at = error.instance_path().to_string();
    let at = at.trim_start_matches('/').replace('/', ".");
    let said = text::clip(&text::printable(&error.masked().to_string()), 240);
    if at.is_empty() {
        said
    } else {
        format!("{at}: {said}")
    }
}

/// The arguments as the log keeps them. `digest` makes a keyed digest of a text.
pub(super) fn redacted(
    def: &ToolDef,
    arguments: &Map<String, Value>,
    digest: impl Fn(&str) -> String,
) -> Value {
    let closed = compiled(def)
        .map(|compiled| compiled.closed.as_slice())
        .unwrap_or_default();
    let kept = arguments.iter().map(|(name, value)| {
        let own = |names: &[&str]| names.contains(&name.as_str());
        let AuditArgs { plain, dropped } = def.audit;
        let value = if own(dropped) {
            summary(value)
        } else if own(plain) || closed.contains(name) {
            shortened(value)
        } else {
            digested(value, &digest)
        };
        (text::clip(name, 64), value)
    });
    Value::Object(kept.collect())
}

/// The arguments of a tool that does not exist: names and sizes only.
pub(super) fn unknown(arguments: &Map<String, Value>) -> Value {
    let kept = arguments
        .iter()
        .take(32)
        .map(|(name, value)| (text::clip(name, 64), summary(value)));
    Value::Object(kept.collect())
}

fn summary(value: &Value) -> Value {
    match value {
        Value::Null | Value::Bool(_) => value.clone(),
        Value::Number(_) => json!("number"),
        Value::String(text) => json!(format!("text of {} bytes", text.len())),
        Value::Array(list) => json!(format!("list of {}", list.len())),
        Value::Object(map) => json!(format!("object of {}", map.len())),
    }
}

fn shortened(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(text::clip(&text::scrub(text), PLAIN_CHARS)),
        Value::Array(list) => Value::Array(list.iter().take(100).map(shortened).collect()),
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(name, value)| (name.clone(), shortened(value)))
                .collect(),
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn digested(value: &Value, digest: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(digest(text)),
        Value::Array(list) => Value::Array(
            list.iter()
                .take(100)
                .map(|value| digested(value, digest))
                .collect(),
        ),
        Value::Object(map) => {
            let map = map
                .iter()
                .map(|(name, value)| (name.clone(), digested(value, digest)));
            Value::Object(map.collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}
