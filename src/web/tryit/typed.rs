//! Forms made of JSON Schemas, and the way back.
//!
//! What is typed is kept as it was sent ([`Typed`]), so a form that is shown again loses nothing; arguments are made of it
//! by [`decode`], and arguments that came as JSON are put into it by [`Typed::encode`]. The two are inverse for any
//! arguments: what a control cannot hold exactly (a null, an empty text, a line break in a list) is shown as JSON instead.
//! A control that is left blank leaves its argument out, as a client does.

use serde_json::{Map, Number, Value};

use super::kinds::{Kind, Scalar, below};

/// Names of controls that hold a value in the way of its kind.
pub(super) const PLAIN: &str = "arg";
/// Names of controls that hold a value as JSON.
pub(super) const JSON: &str = "json";
/// The control with arguments that the schema does not know.
pub(super) const REST: &str = "rest";

/// What was typed, by the names of controls.
#[derive(Clone, Debug, Default)]
pub(super) struct Typed(Vec<(String, String)>);

/// What is wrong with one control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// The control's name.
    pub(super) control: String,
    /// One sentence.
    pub(super) words: String,
}

impl Typed {
    /// What a browser sent. Line breaks of forms are CRLF (WHATWG HTML, form submission); arguments have LF.
    pub(super) fn new(pairs: Vec<(String, String)>) -> Self {
        let plain = |text: String| text.replace("\r\n", "\n").replace('\r', "\n");
        let pairs = pairs.into_iter();
        Self(pairs.map(|(name, value)| (name, plain(value))).collect())
    }

    /// The form in which these arguments are filled in.
    pub(super) fn encode(schema: &Map<String, Value>, arguments: &Map<String, Value>) -> Self {
        let mut typed = Self::default();
        let mut rest = Map::new();
        let none = Map::new();
        let known = schema.get("properties").and_then(Value::as_object);
        let known = known.unwrap_or(&none);
        for (name, value) in arguments {
            match known.get(name) {
                Some(property) => typed.put(&below("", name), property, value, false),
                None => {
                    rest.insert(name.clone(), value.clone());
                }
            }
        }
        if !rest.is_empty() {
            typed
                .0
                .push((REST.to_owned(), pretty(&Value::Object(rest))));
        }
        typed
    }

    /// The first value of a control.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All values of a control.
    pub(super) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(own, _)| own == name);
        named.map(|(_, value)| value.as_str())
    }

    fn put(&mut self, path: &str, schema: &Value, value: &Value, nested: bool) {
        let kind = Kind::of(schema, nested);
        if let (Kind::Group(members), Value::Object(map)) = (&kind, value)
            && !map.is_empty()
            && map.keys().all(|name| members.contains_key(name))
        {
            for (name, value) in map {
                self.put(&below(path, name), &members[name.as_str()], value, true);
            }
            return;
        }
        match plain(&kind, value) {
            Some(values) => {
                let name = format!("{PLAIN}{path}");
                let pairs = values.into_iter().map(|value| (name.clone(), value));
                self.0.extend(pairs);
            }
            None => self.0.push((format!("{JSON}{path}"), pretty(value))),
        }
    }
}

/// What the controls of this kind hold when they hold exactly this value; `None` when they cannot.
fn plain(kind: &Kind<'_>, value: &Value) -> Option<Vec<String>> {
    let shown = |text: &str| {
        !text
            .chars()
            .any(|c| c.is_control() && c != '\n' && c != '\t')
    };
    match (kind, value) {
        (Kind::Text, Value::String(text)) if !text.is_empty() && shown(text) => {
            Some(vec![text.clone()])
        }
        (Kind::Integer, Value::Number(number)) if number.is_i64() || number.is_u64() => {
            Some(vec![number.to_string()])
        }
        (Kind::Number, Value::Number(number)) => Some(vec![number.to_string()]),
        (Kind::Truth, Value::Bool(truth)) => Some(vec![truth.to_string()]),
        (Kind::Choice(words), Value::String(word)) if words.contains(&word.as_str()) => {
            Some(vec![word.clone()])
        }
        (Kind::Ticks(words), Value::Array(list)) if !list.is_empty() => {
            // A browser sends ticks in the order of the page.
            let mut left = words.iter();
            let fits = |value: &Value| left.any(|word| value == word);
            let in_order = list.iter().all(fits);
            in_order.then(|| {
                list.iter()
                    .filter_map(Value::as_str)
                    .map(Into::into)
                    .collect()
            })
        }
        (Kind::Lines(scalar), Value::Array(list)) if !list.is_empty() => {
            let lines: Option<Vec<String>> = list.iter().map(|one| line(*scalar, one)).collect();
            Some(vec![lines?.join("\n")])
        }
        _ => None,
    }
}

/// A list's value as a line of its own.
fn line(scalar: Scalar, value: &Value) -> Option<String> {
    match (scalar, value) {
        (Scalar::Text, Value::String(text)) => {
            let fits =
                !text.is_empty() && text.trim() == text && !text.chars().any(char::is_control);
            fits.then(|| text.clone())
        }
        (Scalar::Integer, Value::Number(number)) if number.is_i64() || number.is_u64() => {
            Some(number.to_string())
        }
        (Scalar::Number, Value::Number(number)) => Some(number.to_string()),
        _ => None,
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// The arguments that were typed, or what cannot be read. Whether they fit the schema is for the call to say.
pub(super) fn decode(
    schema: &Map<String, Value>,
    typed: &Typed,
) -> Result<Map<String, Value>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut arguments = Map::new();
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        arguments = read_members("", properties, typed, false, &mut problems);
    }
    let rest = typed.get(REST).unwrap_or_default();
    if !rest.trim().is_empty() {
        match parse(rest) {
            Ok(Value::Object(rest)) => {
                for (name, value) in rest {
                    arguments.entry(name).or_insert(value);
                }
            }
            Ok(_) => problems.push(problem(REST, "must be a JSON object")),
            Err(words) => problems.push(problem(REST, &words)),
        }
    }
    if problems.is_empty() {
        Ok(arguments)
    } else {
        Err(problems)
    }
}

/// Reads a whole set of arguments that was typed as JSON; nothing is no arguments.
pub(super) fn decode_json(text: &str) -> Result<Map<String, Value>, String> {
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    if let Value::Object(arguments) = parse(text)? {
        return Ok(arguments);
    }
    Err("must be a JSON object, such as {\"name\": \"value\"}".to_owned())
}

/// The error says where reading stopped.
fn parse(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("is not valid JSON: {error}"))
}

fn problem(control: &str, words: &str) -> Problem {
    Problem {
        control: control.to_owned(),
        words: words.to_owned(),
    }
}

fn read_members(
    path: &str,
    members: &Map<String, Value>,
    typed: &Typed,
    nested: bool,
    problems: &mut Vec<Problem>,
) -> Map<String, Value> {
    let mut found = Map::new();
    for (name, schema) in members {
        match read(&below(path, name), schema, typed, nested) {
            Ok(Read::Value(value)) => {
                found.insert(name.clone(), value);
            }
            Ok(Read::Nothing) => {}
            Ok(Read::Group(inner)) => {
                let group = read_members(&below(path, name), inner, typed, true, problems);
                if !group.is_empty() {
                    found.insert(name.clone(), Value::Object(group));
                }
            }
            Err(problem) => problems.push(problem),
        }
    }
    found
}

enum Read<'a> {
    Value(Value),
    Nothing,
    Group(&'a Map<String, Value>),
}

fn read<'a>(
    path: &str,
    schema: &'a Value,
    typed: &Typed,
    nested: bool,
) -> Result<Read<'a>, Problem> {
    let as_json = format!("{JSON}{path}");
    if let Some(text) = typed.get(&as_json) {
        if text.trim().is_empty() {
            return Ok(Read::Nothing);
        }
        return parse(text)
            .map(Read::Value)
            .map_err(|words| problem(&as_json, &words));
    }
    let name = format!("{PLAIN}{path}");
    let kind = Kind::of(schema, nested);
    let text = typed.get(&name).unwrap_or_default();
    let value = match &kind {
        Kind::Group(members) => return Ok(Read::Group(members)),
        Kind::Ticks(_) => {
            let ticks: Vec<Value> = typed.all(&name).map(Into::into).collect();
            return Ok(if ticks.is_empty() {
                Read::Nothing
            } else {
                Read::Value(ticks.into())
            });
        }
        Kind::Json => return Ok(Read::Nothing),
        _ if text.is_empty() => return Ok(Read::Nothing),
        Kind::Text | Kind::Choice(_) => Ok(Value::from(text)),
        Kind::Integer => scalar(Scalar::Integer, text),
        Kind::Number => scalar(Scalar::Number, text),
        Kind::Truth => match text {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err("must be yes or no".to_owned()),
        },
        Kind::Lines(one) => {
            let lines = text.lines().map(str::trim).enumerate();
            let list: Result<Vec<Value>, String> = lines
                .filter(|(_, line)| !line.is_empty())
                .map(|(at, line)| {
                    scalar(*one, line).map_err(|words| format!("line {}: {words}", at + 1))
                })
                .collect();
            match list {
                Ok(list) if list.is_empty() => return Ok(Read::Nothing),
                list => list.map(Value::Array),
            }
        }
    };
    value
        .map(Read::Value)
        .map_err(|words| problem(&name, &words))
}

fn scalar(kind: Scalar, text: &str) -> Result<Value, String> {
    let number = || serde_json::from_str::<Number>(text.trim());
    match kind {
        Scalar::Text => Ok(text.into()),
        Scalar::Integer => match number() {
            Ok(number) if number.is_i64() || number.is_u64() => Ok(number.into()),
            _ => Err("must be a whole number, such as 10".to_owned()),
        },
        Scalar::Number => number()
            .map(Into::into)
            .map_err(|_| "must be a number, such as 2.5".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// One property of every kind.
    fn schema() -> Map<String, Value> {
        let schema = json!({
            "type": "object",
            "properties": {
                "text": { "type": "string" },
                "count": { "type": "integer" },
                "share": { "type": "number" },
                "sure": { "type": "boolean" },
                "sort": { "type": "string", "enum": ["new", "old"] },
                "kinds": { "type": "array", "items": { "type": "string", "enum": ["a", "b", "c"] } },
                "names": { "type": "array", "items": { "type": "string" } },
                "ids": { "type": "array", "items": { "type": "integer" } },
                "range": {
                    "type": "object",
                    "properties": { "from": { "type": "string" }, "to/at": { "type": "integer" } },
                    "additionalProperties": false,
                },
                "files": { "type": "object", "additionalProperties": { "type": "string" } },
                "rows": { "type": "array", "items": { "type": "object" } },
            },
        });
        schema.as_object().unwrap().clone()
    }

    fn decoded(pairs: &[(&str, &str)]) -> Result<Value, Vec<(String, String)>> {
        let pairs = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let typed = Typed::new(pairs.collect());
        decode(&schema(), &typed)
            .map(Value::Object)
            .map_err(|problems| {
                let problems = problems.into_iter();
                problems
                    .map(|problem| (problem.control, problem.words))
                    .collect()
            })
    }

    #[test]
    fn what_is_typed_becomes_arguments() {
        for (pairs, expected) in [
            (&[][..], json!({})),
            (
                &[("arg/text", ""), ("arg/count", ""), ("arg/names", " \r\n")],
                json!({}),
            ),
            (
                &[("arg/text", "two\r\nlines\n")],
                json!({ "text": "two\nlines\n" }),
            ),
            (
                &[("arg/count", " 12 "), ("arg/share", "2.50")],
                json!({ "count": 12, "share": 2.5 }),
            ),
            (
                &[("arg/sure", "false"), ("arg/sort", "old")],
                json!({ "sure": false, "sort": "old" }),
            ),
            (
                &[("arg/kinds", "a"), ("arg/kinds", "c")],
                json!({ "kinds": ["a", "c"] }),
            ),
            (
                &[("arg/names", "one\r\n\r\n two \r\n")],
                json!({ "names": ["one", "two"] }),
            ),
            (&[("arg/ids", "1\n2")], json!({ "ids": [1, 2] })),
            (
                &[("arg/range/from", "x"), ("arg/range/to~1at", "3")],
                json!({ "range": { "from": "x", "to/at": 3 } }),
            ),
            (&[("arg/range/from", "")], json!({})),
            (
                &[("json/files", "{\"a.md\":\"# A\\n\"}")],
                json!({ "files": { "a.md": "# A\n" } }),
            ),
            (&[("json/text", "null")], json!({ "text": null })),
            (
                &[("rest", "{\"more\":1,\"text\":\"x\"}")],
                json!({ "more": 1, "text": "x" }),
            ),
        ] {
            assert_eq!(decoded(pairs), Ok(expected), "{pairs:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (pair, words) in [
            (("arg/count", "1.5"), "whole number"),
            (("arg/count", "ten"), "whole number"),
            (("arg/share", "1,5"), "must be a number"),
            (("arg/sure", "perhaps"), "yes or no"),
            (("arg/ids", "1\n\nx"), "line 3: must be a whole number"),
            (("arg/range/to~1at", "x"), "whole number"),
            (("json/files", "{\"a\": }"), "line 1 column 7"),
            (("rest", "[]"), "must be a JSON object"),
        ] {
            let problems = decoded(&[pair]).unwrap_err();
            assert_eq!(problems.len(), 1, "{pair:?}");
            assert_eq!(problems[0].0, pair.0);
            assert!(problems[0].1.contains(words), "{problems:?}");
        }
        assert!(decode_json("[1]").is_err() && decode_json("{").is_err());
        assert_eq!(decode_json(" "), Ok(Map::new()));
    }

    fn value() -> impl Strategy<Value = Value> {
        let text = prop_oneof!["[a-c]", "\\PC{0,8}", "[ a\r\n\t\u{0}]{0,6}"];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1e6..1e6_f64).prop_map(Value::from),
            text.clone().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 4, move |inner| {
            let name = prop_oneof![
                Just("from".to_owned()),
                Just("to/at".to_owned()),
                text.clone()
            ];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((name, inner), 0..4)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Whatever a client may send, wrong or right, survives the way through the form.
        #[test]
        fn arguments_come_back_from_the_form(
            pairs in prop::collection::vec((0_usize..12, value()), 0..8)
        ) {
            let schema = schema();
            let names: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
            let named = |at: usize| names.get(at).map_or("unknown", |name| name.as_str()).to_owned();
            let arguments: Map<String, Value> =
                pairs.into_iter().map(|(at, value)| (named(at), value)).collect();
            let typed = Typed::encode(&schema, &arguments);
            // As a browser sends it.
            let sent = typed.0.into_iter().map(|(name, value)| (name, value.replace('\n', "\r\n")));
            prop_assert_eq!(decode(&schema, &Typed::new(sent.collect())), Ok(arguments));
        }
    }
}
