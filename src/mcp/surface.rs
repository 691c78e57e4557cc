//! The small surface: four tools that find and run all others, for clients that cannot bear a long list.
//!
//! It is listed instead of the tools themselves when there are more of them than `WORKBENCH_MAX_LISTED_TOOLS`, or when the
//! client asks: `/mcp?tools=search`, or `stdio --tools search`. `tools=all` asks for the whole list. Runners are split by
//! effect, so that their annotations are true and a client can let one of them through without asking.
//!
//! Only this module knows of it: a runner is unwrapped before `calls` sees the request, so policy, approval, limits and the
//! log see the inner tool. What is listed small may still be called by its own name.

use std::sync::Arc;

use rmcp::model::{Tool, ToolAnnotations};
use serde_json::{Map, Value, json};

use crate::calls::{Catalogue, SEARCH};
use crate::integrations;
use crate::kit::schema;
use crate::kit::text;
use crate::kit::tool::Effect;

/// How tools are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Surface {
    /// All, unless there are too many.
    #[default]
    Auto,
    /// All.
    All,
    /// The four tools that find and run the others.
    Search,
}

impl Surface {
    /// Reads `all` or `search`.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "all" => Some(Self::All),
            "search" => Some(Self::Search),
            _ => None,
        }
    }

    /// What the `tools` parameter of a request's query asks for.
    pub(super) fn of_query(query: &str) -> Option<Self> {
        query
            .split('&')
            .find_map(|pair| pair.strip_prefix("tools="))
            .and_then(Self::parse)
    }

    /// Whether `tools` tools are listed as four.
    pub(super) const fn is_small(self, tools: usize, most: usize) -> bool {
        match self {
            Self::Auto => tools > most,
            Self::All => false,
            Self::Search => true,
        }
    }
}

/// A runner and what it may run.
struct Runner {
    name: &'static str,
    title: &'static str,
    description: &'static str,
    effect: &'static str,
}

const RUNNERS: [Runner; 3] = [
    Runner {
        name: "tools_run_read",
        title: "Run a reading tool",
        description: "Runs a tool with the effect `read` that tools_search found.",
        effect: "read",
    },
    Runner {
        name: "tools_run_write",
        title: "Run a writing tool",
        description: "Runs a tool with the effect `write` that tools_search found.",
        effect: "write",
    },
    Runner {
        name: "tools_run_destructive",
        title: "Run a destructive tool",
        description: "Runs a tool with the effect `destructive` that tools_search found: it may lose data or reach people.",
        effect: "destructive",
    },
];

/// The search, and the runners that have something to run.
pub(super) fn tools(catalogue: &Catalogue) -> Vec<Tool> {
    let search = json!({
        "type": "object",
        "properties": {
            "query": { "type": "string", "description": "words for what to do, such as `create invoice`" },
            "integration": { "type": "string", "description": "only tools of this one, by id" },
            "limit": { "type": "integer", "minimum": 1, "maximum": 20 },
        },
        "additionalProperties": false,
    });
    let mut tools = vec![
        tool(
            SEARCH,
            "Find tools",
            "Finds tools by words; answers their names, effects and argument schemas, to be run with tools_run_read, \
             tools_run_write or tools_run_destructive.",
            search,
        )
        .with_annotations(ToolAnnotations::new().read_only(true)),
    ];
    for runner in &RUNNERS {
        let used = |effect: Effect| effect.as_str() == runner.effect;
        if !catalogue.tools.iter().any(|(_, def)| used(def.effect)) {
            continue;
        }
        let schema = json!({
            "type": "object",
            "properties": {
                "name": { "type": "string", "description": "the tool's name" },
                "arguments": {
                    "type": ["object", "string"],
                    "description": "the tool's arguments, as an object or as its JSON text",
                },
            },
            "required": ["name"],
            "additionalProperties": false,
        });
        let hints = ToolAnnotations::new();
        let hints = match runner.effect {
            "read" => hints.read_only(true),
            effect => hints.destructive(effect == "destructive"),
        };
        tools.push(
            tool(runner.name, runner.title, runner.description, schema).with_annotations(hints),
        );
    }
    tools
}

fn tool(name: &'static str, title: &'static str, description: &'static str, input: Value) -> Tool {
    let Value::Object(input) = input else {
        return Tool::default();
    };
    Tool::new(name, description, Arc::new(input))
        .with_title(title)
        .with_raw_output_schema(Arc::new(schema::output_schema()))
}

/// A call as `calls` is to see it.
#[derive(Debug, PartialEq)]
pub(super) struct Inner {
    pub(super) name: String,
    pub(super) arguments: Map<String, Value>,
    /// What is wrong with the way it was wrapped; it is recorded and refused with that.
    pub(super) wrong: Option<String>,
}

/// Takes the inner call out of a runner's; any other call is itself.
pub(super) fn unwrap(name: &str, mut arguments: Map<String, Value>) -> Inner {
    let Some(runner) = RUNNERS.iter().find(|runner| runner.name == name) else {
        return Inner {
            name: name.to_owned(),
            arguments,
            wrong: None,
        };
    };
    let Some(Value::String(inner)) = arguments.remove("name") else {
        return Inner {
            name: name.to_owned(),
            arguments,
            wrong: Some("name: must be the name of a tool; tools_search finds it".to_owned()),
        };
    };
    let given = arguments.remove("arguments").unwrap_or(Value::Null);
    let mut wrong = arguments
        .keys()
        .next()
        .map(|other| format!("{}: belongs into `arguments`", text::clip(other, 64)));
    let arguments = match given {
        Value::Object(arguments) => arguments,
        Value::Null => Map::new(),
        // Some clients send nested arguments as text.
        Value::String(text) if text.trim().is_empty() => Map::new(),
        Value::String(text) => serde_json::from_str(&text).unwrap_or_else(|_| {
            wrong = Some("arguments: the text is not a JSON object".to_owned());
            Map::new()
        }),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
            wrong = Some("arguments: must be an object, or its JSON text".to_owned());
            Map::new()
        }
    };
    if let Some((_, def)) = integrations::tool(&inner)
        && def.effect.as_str() != runner.effect
    {
        wrong = Some(format!(
            "{} has the effect `{effect}`; run it with tools_run_{effect}",
            def.name,
            effect = def.effect.as_str()
        ));
    }
    Inner {
        name: inner,
        arguments,
        wrong,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const READ: &str = "tools_run_read";

    type Case = (&'static str, Value, &'static str, Value, &'static str);

    /// What is called with which arguments; the inner tool, its arguments, and what is wrong.
    fn wrapped() -> Vec<Case> {
        vec![
            (
                "github_list_issues",
                json!({ "repo": "a/b" }),
                "github_list_issues",
                json!({ "repo": "a/b" }),
                "",
            ),
            (
                READ,
                json!({ "name": "github_list_issues", "arguments": { "repo": "a/b" } }),
                "github_list_issues",
                json!({ "repo": "a/b" }),
                "",
            ),
            (
                READ,
                json!({ "name": "github_list_issues", "arguments": "{\"repo\":\"a/b\"}" }),
                "github_list_issues",
                json!({ "repo": "a/b" }),
                "",
            ),
            (
                READ,
                json!({ "name": "github_list_issues" }),
                "github_list_issues",
                json!({}),
                "",
            ),
            (
                READ,
                json!({ "name": "github_list_issues", "arguments": "{" }),
                "github_list_issues",
                json!({}),
                "not a JSON object",
            ),
            (
                READ,
                json!({ "name": "github_list_issues", "arguments": 7 }),
                "github_list_issues",
                json!({}),
                "must be an object",
            ),
            (
                READ,
                json!({ "name": "github_list_issues", "repo": "a/b" }),
                "github_list_issues",
                json!({}),
                "repo: belongs into",
            ),
            (
                READ,
                json!({ "name": "hubspot_archive_records", "arguments": {} }),
                "hubspot_archive_records",
                json!({}),
                "tools_run_destructive",
            ),
            (
                READ,
                json!({ "name": "hubspot_link_records", "arguments": {} }),
                "hubspot_link_records",
                json!({}),
                "tools_run_write",
            ),
            (
                "tools_run_destructive",
                json!({ "name": "github_list_issues" }),
                "github_list_issues",
                json!({}),
                "tools_run_read",
            ),
            (
                READ,
                json!({ "name": "nothing_here", "arguments": {} }),
                "nothing_here",
                json!({}),
                "",
            ),
            (
                READ,
                json!({ "name": "tools_run_read", "arguments": {} }),
                "tools_run_read",
                json!({}),
                "",
            ),
            (
                READ,
                json!({}),
                "tools_run_read",
                json!({}),
                "name: must be",
            ),
        ]
    }

    #[test]
    fn a_runner_is_unwrapped() {
        for (name, given, inner, arguments, wrong) in wrapped() {
            let found = unwrap(name, given.as_object().unwrap().clone());
            assert_eq!(found.name, inner, "{given}");
            assert_eq!(Value::Object(found.arguments), arguments, "{given}");
            match found.wrong {
                Some(said) => assert!(!wrong.is_empty() && said.contains(wrong), "{given}: {said}"),
                None => assert!(wrong.is_empty(), "{given}"),
            }
        }
    }

    #[test]
    fn the_query_asks() {
        for (query, expected) in [
            ("", None),
            ("tools=search", Some(Surface::Search)),
            ("a=b&tools=all", Some(Surface::All)),
            ("tools=everything", None),
            ("xtools=all", None),
        ] {
            assert_eq!(Surface::of_query(query), expected, "{query}");
        }
        assert!(Surface::Auto.is_small(41, 40) && !Surface::Auto.is_small(40, 40));
        assert!(Surface::Search.is_small(1, 40) && !Surface::All.is_small(500, 40));
    }
}
