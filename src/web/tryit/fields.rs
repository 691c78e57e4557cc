//! The controls of a form, filled in with what was typed, each with what it is for and what is wrong with it.

use serde_json::{Map, Value};

use super::kinds::{Kind, below, is_required, members};
use super::typed::{JSON, PLAIN, Problem, REST, Typed};

/// Arguments that every tool has; their published descriptions are as short as can be, so people get their own.
const COMMON: [(&str, &str); 4] = [
    ("account", "Which of your accounts answers."),
    (
        "max_chars",
        "How long the answer may get, in characters: 1000 to 96000, 24000 when left out.",
    ),
    (
        "dry_run",
        "Shows what would change and changes nothing. The button Dry run sets it.",
    ),
    (
        "idempotency_key",
        "A word of your own: the same call with the same word happens once, and its repetition shows the first answer.",
    ),
];

/// One line of a form.
#[derive(Debug)]
pub(super) enum Row {
    /// A group begins.
    Open {
        /// The argument's name.
        legend: String,
        /// Its description.
        hint: String,
        /// Whether it must be there.
        required: bool,
    },
    /// The group ends.
    Close,
    /// A control.
    Field(Field),
}

/// One argument as a control.
#[derive(Debug)]
pub(super) struct Field {
    /// The control's name.
    pub(super) name: String,
    /// The control's id, unique in the page.
    pub(super) id: String,
    /// The argument's name.
    pub(super) label: String,
    /// What it is for, and what it may hold.
    pub(super) hint: String,
    /// Whether it must be there.
    pub(super) required: bool,
    /// What is wrong with what it holds.
    pub(super) problem: Option<String>,
    /// How it is filled in.
    pub(super) control: Control,
}

impl Field {
    /// Whether something is filled in.
    pub(super) fn is_chosen(&self) -> bool {
        match &self.control {
            Control::Line { value, .. } | Control::Area { value, .. } => !value.is_empty(),
            Control::Choice(list) => list.iter().any(|one| one.chosen && !one.value.is_empty()),
            Control::Ticks(list) => list.iter().any(|one| one.chosen),
        }
    }
}

/// How an argument is filled in.
#[derive(Debug)]
pub(super) enum Control {
    /// One line of text.
    Line {
        /// What it holds.
        value: String,
        /// `text`, `numeric` or `decimal`, for keyboards on screens.
        mode: &'static str,
    },
    /// Several lines of text, a list's one value a line, or JSON.
    Area {
        /// What it holds.
        value: String,
        /// How many lines are shown.
        rows: usize,
        /// Whether it is JSON.
        json: bool,
    },
    /// One of several.
    Choice(Vec<Choice>),
    /// Some of several.
    Ticks(Vec<Choice>),
}

/// One of the values to choose from.
#[derive(Debug)]
pub(super) struct Choice {
    /// What is sent.
    pub(super) value: String,
    /// What is read.
    pub(super) label: String,
    /// Whether it is chosen.
    pub(super) chosen: bool,
}

/// The form, filled in: the tool's own arguments, and those that every tool has. `accounts` are the values of `account` to
/// choose from, with what people read.
pub(super) fn rows(
    schema: &Map<String, Value>,
    typed: &Typed,
    problems: &[Problem],
    accounts: &[(String, String)],
) -> (Vec<Row>, Vec<Row>) {
    let mut form = Filling {
        typed,
        problems,
        accounts,
    };
    let (mut own, mut common) = (Vec::new(), Vec::new());
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        let shared = COMMON.iter().any(|(shared, _)| shared == name);
        let rows = if shared { &mut common } else { &mut own };
        form.add("", name, property, is_required(schema, name), false, rows);
    }
    if let Some(rest) = typed.get(REST) {
        own.push(Row::Field(Field {
            name: REST.to_owned(),
            id: REST.to_owned(),
            label: "other arguments".to_owned(),
            hint: "JSON: arguments that the tool does not know.".to_owned(),
            required: false,
            problem: form.problem(REST),
            control: area(rest, true),
        }));
    }
    (own, common)
}

struct Filling<'a> {
    typed: &'a Typed,
    problems: &'a [Problem],
    accounts: &'a [(String, String)],
}

impl Filling<'_> {
    fn problem(&self, name: &str) -> Option<String> {
        let found = self.problems.iter().find(|problem| problem.control == name);
        found.map(|problem| problem.words.clone())
    }

    fn add(
        &mut self,
        path: &str,
        name: &str,
        schema: &Value,
        required: bool,
        nested: bool,
        rows: &mut Vec<Row>,
    ) {
        let path = below(path, name);
        let as_json = format!("{JSON}{path}");
        let typed_json = self.typed.get(&as_json);
        let kind = if typed_json.is_some() {
            Kind::Json
        } else {
            Kind::of(schema, nested)
        };
        if let Kind::Group(members) = kind {
            rows.push(Row::Open {
                legend: name.to_owned(),
                hint: hint(name, schema, &Kind::Group(members)),
                required,
            });
            for (inner, member) in members {
                let required = schema
                    .as_object()
                    .is_some_and(|map| is_required(map, inner));
                self.add(&path, inner, member, required, true, rows);
            }
            rows.push(Row::Close);
            return;
        }
        let control_name = if matches!(kind, Kind::Json) {
            as_json
        } else {
            format!("{PLAIN}{path}")
        };
        let control = if path == "/account" && typed_json.is_none() {
            self.account(&control_name)
        } else {
            self.control(&kind, &control_name, name, schema)
        };
        rows.push(Row::Field(Field {
            id: control_name.replace(|c: char| !c.is_ascii_alphanumeric(), "-"),
            label: name.to_owned(),
            hint: hint(name, schema, &kind),
            required,
            problem: self.problem(&control_name),
            control,
            name: control_name,
        }));
    }

    fn control(&self, kind: &Kind<'_>, name: &str, label: &str, schema: &Value) -> Control {
        let value = self.typed.get(name).unwrap_or_default();
        let line = |mode| Control::Line {
            value: value.to_owned(),
            mode,
        };
        match kind {
            Kind::Text if value.contains('\n') || is_long(label, schema) => area(value, false),
            Kind::Text => line("text"),
            Kind::Integer => line("numeric"),
            Kind::Number => line("decimal"),
            Kind::Truth => choices(value, [("true", "yes"), ("false", "no")]),
            Kind::Choice(words) => choices(value, words.iter().map(|word| (*word, *word))),
            Kind::Ticks(words) => {
                let ticked: Vec<&str> = self.typed.all(name).collect();
                let tick = |word: &&str| Choice {
                    value: (*word).to_owned(),
                    label: (*word).to_owned(),
                    chosen: ticked.contains(word),
                };
                Control::Ticks(words.iter().map(tick).collect())
            }
            Kind::Lines(_) => area(value, false),
            Kind::Group(_) | Kind::Json => area(value, true),
        }
    }

    /// The person's accounts; one that is asked for and is not among them stays what it is.
    fn account(&self, name: &str) -> Control {
        let value = self.typed.get(name).unwrap_or_default();
        let own = self.accounts.iter();
        choices(
            value,
            own.map(|(value, label)| (value.as_str(), label.as_str())),
        )
    }
}

/// A choice that may be left out. What was typed stays, even when it is none of the choices.
fn choices<'a>(typed: &str, all: impl IntoIterator<Item = (&'a str, &'a str)>) -> Control {
    let mut list = vec![Choice {
        value: String::new(),
        label: "(left out)".to_owned(),
        chosen: typed.is_empty(),
    }];
    list.extend(all.into_iter().map(|(value, label)| Choice {
        value: value.to_owned(),
        label: label.to_owned(),
        chosen: value == typed,
    }));
    if !list.iter().any(|choice| choice.chosen) {
        list.push(Choice {
            value: typed.to_owned(),
            label: typed.to_owned(),
            chosen: true,
        });
    }
    Control::Choice(list)
}

fn area(value: &str, json: bool) -> Control {
    Control::Area {
        value: value.to_owned(),
        rows: value.lines().count().clamp(3, 16),
        json,
    }
}

/// Whether a text is one that people write in lines. JSON Schema has no word for that, so names and descriptions tell.
fn is_long(name: &str, schema: &Value) -> bool {
    let described = schema.get("description").and_then(Value::as_str);
    matches!(
        name,
        "body" | "comment" | "text" | "message" | "html" | "content"
    ) || described.is_some_and(|words| words.contains("Markdown"))
}

/// What an argument is for and what it may hold, as far as the schema says.
fn hint(name: &str, schema: &Value, kind: &Kind<'_>) -> String {
    if let Some((_, words)) = COMMON.iter().find(|(common, _)| *common == name) {
        return (*words).to_owned();
    }
    let mut parts = Vec::new();
    if let Some(words) = schema.get("description").and_then(Value::as_str) {
        parts.push(words.trim_end_matches('.').to_owned());
    }
    let bounds = |least: &str, most: &str| match (schema.get(least), schema.get(most)) {
        (Some(least), Some(most)) => Some(format!("{least} to {most}")),
        (Some(least), None) if *least != 0 => Some(format!("at least {least}")),
        (None, Some(most)) => Some(format!("at most {most}")),
        _ => None,
    };
    parts.extend(bounds("minimum", "maximum"));
    if matches!(kind, Kind::Lines(_)) {
        let bounds = bounds("minItems", "maxItems");
        parts.push(bounds.map_or_else(
            || "one a line".to_owned(),
            |bounds| format!("{bounds}, one a line"),
        ));
    }
    if matches!(kind, Kind::Json) {
        parts.push(shape(schema));
    }
    match schema.get("default") {
        Some(Value::String(word)) => parts.push(format!("{word} when left out")),
        Some(value) => parts.push(format!("{value} when left out")),
        None => {}
    }
    if parts.is_empty() {
        return String::new();
    }
    parts.join("; ") + "."
}

/// What a value looks like as JSON, in short: `JSON: [{id, properties*, links}]`.
fn shape(schema: &Value) -> String {
    fn brief(schema: &Value) -> String {
        let kind = schema.get("type").and_then(Value::as_str);
        match kind {
            Some("array") => {
                let items = schema.get("items").map_or_else(|| "…".to_owned(), brief);
                format!("[{items}]")
            }
            Some("object") => match members(schema) {
                Some(list) => {
                    let object = schema.as_object();
                    let mark = |name: &String| {
                        let required = object.is_some_and(|map| is_required(map, name));
                        format!("{name}{}", if required { "*" } else { "" })
                    };
                    let names: Vec<String> = list.keys().map(mark).collect();
                    format!("{{{}}}", names.join(", "))
                }
                None => match schema.get("additionalProperties") {
                    Some(inner @ Value::Object(_)) => format!("{{name: {}}}", brief(inner)),
                    _ => "{name: value}".to_owned(),
                },
            },
            Some(other) => other.to_owned(),
            None => "any value".to_owned(),
        }
    }
    format!("JSON: {}", brief(schema))
}
