//! Finding tools by words, for clients that list only the four tools of the small surface (tools.md section 1).

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::explain::Failure;
use super::run::{Run, Subject};
use super::{Answer, CallError, Calls, Context, arguments};
use crate::audit::Kind;
use crate::caller::Caller;
use crate::kit::integration::Integration;
use crate::kit::output::{Item, Output};
use crate::kit::schema;
use crate::kit::tool::{Effect, ToolDef};

/// The name under which a search is called and recorded.
pub const SEARCH: &str = "tools_search";
/// Tools of one answer when nothing else is asked for.
const DEFAULT_LIMIT: usize = 8;
/// Tools of one answer at most: each comes with its schema.
const MAX_LIMIT: usize = 20;
/// Longest query, in characters.
const MAX_QUERY: usize = 200;

/// What to look for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Query {
    query: String,
    integration: Option<String>,
    limit: Option<usize>,
}

impl Calls {
    /// Finds tools among those the caller may call now, best match first, each with the schema of its arguments.
    pub async fn search(
        &self,
        caller: &Caller,
        arguments: Map<String, Value>,
        context: Context,
    ) -> Result<Answer, CallError> {
        let subject = Subject {
            kind: Kind::Tool,
            name: SEARCH,
            integration: "",
            effect: Effect::Read,
        };
        let logged = arguments::unknown(&arguments);
        let run = Run::begin(self, caller, &context, &subject, logged);
        let found = self.found(caller, arguments).await;
        let (call, account, output) = run.end(found, |output| output.items.len()).await?;
        Ok(Answer {
            call,
            integration: None,
            account,
            replayed: None,
            output,
        })
    }

    async fn found(
        &self,
        caller: &Caller,
        mut arguments: Map<String, Value>,
    ) -> Result<Output, Failure> {
        arguments.retain(|_, value| !value.is_null());
        let query: Query = serde_json::from_value(Value::Object(arguments))
            .map_err(|error| Failure::Arguments(error.to_string()))?;
        if query.query.chars().count() > MAX_QUERY {
            return Err(Failure::Arguments(format!(
                "query: at most {MAX_QUERY} characters; a few words are enough"
            )));
        }
        let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(Failure::Arguments(format!(
                "limit: must be between 1 and {MAX_LIMIT}"
            )));
        }
        let catalogue = self.gather(caller).await?;
        let mut tools = catalogue.tools;
        let mut connected: Vec<&str> = tools
            .iter()
            .map(|(integration, _)| integration.id)
            .collect();
        connected.dedup();
        if let Some(wanted) = &query.integration {
            tools.retain(|(integration, _)| integration.id == wanted);
        }
        let words = words(&query.query);
        let mut ranked: Vec<(u32, &Integration, &ToolDef)> = tools
            .into_iter()
            .map(|(integration, def)| (score(&words, integration, def), integration, def))
            .filter(|(score, ..)| words.is_empty() || *score > 0)
            .collect();
        // Equal ones stay in the catalogue's order, so the same question has the same answer.
        ranked.sort_by_key(|(score, ..)| std::cmp::Reverse(*score));
        let total = ranked.len();
        ranked.truncate(limit);
        let items = ranked
            .into_iter()
            .map(|(_, integration, def)| item(integration, def));
        let mut output = Output::of(items.collect()).total(u64::try_from(total).ok());
        output.truncated = total > limit;
        if total == 0 {
            output = output.warn(if connected.is_empty() {
                "no account is connected yet, so there is no tool to find".to_owned()
            } else {
                format!(
                    "nothing matches; there are tools of {}: try other words, or none with `integration` to list",
                    connected.join(", ")
                )
            });
        }
        Ok(output)
    }
}

fn item(integration: &Integration, def: &ToolDef) -> Item {
    let fields = [
        ("title", json!(def.title)),
        ("description", json!(schema::description(def))),
        ("integration", json!(integration.id)),
        ("effect", json!(def.effect.as_str())),
        ("input_schema", Value::Object(schema::input_schema(def))),
    ];
    Item {
        fields: fields
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        ..Item::new(def.name)
    }
}

/// Lower-case words without a plural's `s`.
fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| {
            let word = word.to_lowercase();
            match word.strip_suffix('s') {
                Some(stem) if stem.len() > 2 && !stem.ends_with('s') => stem.to_owned(),
                _ => word,
            }
        })
        .collect()
}

/// How well a tool fits: every word counts where it says most.
fn score(wanted: &[String], integration: &Integration, def: &ToolDef) -> u32 {
    let places = [
        (6, words(def.name)),
        (3, words(def.title)),
        (2, words(integration.name)),
        (1, words(&schema::description(def))),
    ];
    let worth = |wanted: &String| {
        places
            .iter()
            .filter_map(|(weight, words)| {
                if words.contains(wanted) {
                    Some(weight * 2)
                } else {
                    let begins = |word: &String| word.starts_with(wanted.as_str());
                    words.iter().any(begins).then_some(*weight)
                }
            })
            .sum::<u32>()
    };
    wanted.iter().map(worth).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::integrations;

    #[test]
    fn the_best_tool_comes_first() {
        let best = |query: &str| {
            let wanted = words(query);
            integrations::ALL
                .iter()
                .flat_map(|integration| integration.tools().map(move |def| (*integration, def)))
                .map(|(integration, def)| (score(&wanted, integration, def), def.name))
                .max_by_key(|(score, name)| (*score, std::cmp::Reverse(*name)))
                .filter(|(score, _)| *score > 0)
                .map(|(_, name)| name)
        };
        for (query, expected) in [
            ("list issues", Some("github_list_issues")),
            ("GitHub issue list", Some("github_list_issues")),
            ("hubspot owners", Some("hubspot_list_owners")),
            ("merge records", Some("hubspot_merge_records")),
            ("xyzzy", None),
            ("", None),
        ] {
            assert_eq!(best(query), expected, "{query}");
        }
    }

    #[test]
    fn words_lose_case_and_plural() {
        assert_eq!(words("Deals, ISSUES & access"), ["deal", "issue", "access"]);
        assert_eq!(words("  "), Vec::<String>::new());
    }
}
