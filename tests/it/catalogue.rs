//! What holds for every tool and block of every integration: names, descriptions, sizes, scopes, fixtures.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use workbench_mcp::integrations;
use workbench_mcp::kit::integration::Integration;
use workbench_mcp::kit::schema;
use workbench_mcp::kit::tool::{Effect, Needs, ToolDef};
use workbench_mcp::kit::uri;
use workbench_mcp::links::Links;
use workbench_mcp::mcp;

use crate::harness::fixtures;

/// The second word of every tool's name. A new verb is a new kind of action to learn; look twice for one that fits.
const VERBS: &[&str] = &[
    "archive",
    "check",
    "create",
    "delete",
    "describe",
    "edit",
    "find",
    "get",
    "import",
    "link",
    "list",
    "log",
    "lookup",
    "map",
    "merge",
    "organize",
    "propose",
    "query",
    "read",
    "reply",
    "respond",
    "review",
    "save",
    "search",
    "send",
    "share",
    "summarize",
    "unlink",
    "update",
    "write",
];

/// The largest listed tool, in tokens of four bytes.
const TOOL_TOKENS: usize = 260;

/// Tools that may be larger. Most take a list of steps of several kinds, each with fields of its own: one call is then one
/// change, which five tools could not be. An event, a search of every kind of file, and a window of a calendar in somebody's
/// time zone, have as many fields.
const STEPS: &[&str] = &[
    "google_edit_doc",
    "google_edit_slides",
    "google_find_availability",
    "google_search_files",
    "google_share_file",
    "google_write_file",
    "google_write_sheet",
    "m365_list_events",
    "m365_save_event",
    "m365_search_mail",
    "m365_share_file",
    "m365_update_mail",
];

/// The largest of those.
const STEPS_TOKENS: usize = 330;

/// The largest sum over the tools of one integration, in tokens of four bytes (tools.md section 15).
const INTEGRATION_TOKENS: &[(&str, usize)] = &[
    ("github", 3_500),
    ("google", 5_850),
    ("health", 2_600),
    ("hubspot", 3_500),
    ("m365", 6_000),
    ("sentry", 2_700),
];

/// The largest icon, in bytes: a few strokes that a page of twenty cards still draws at once.
const ICON_BYTES: usize = 400;

/// Arguments that mean the same everywhere and whose names and bounds say it all. The server's instructions explain the
/// first four; the others are the header fields of mail (RFC 5322) and the fields of a contact's card.
const SELF_EXPLANATORY: &[&str] = &[
    "cursor",
    "limit",
    "dry_run",
    "idempotency_key",
    "to",
    "cc",
    "bcc",
    "subject",
    "given_name",
    "surname",
    "company",
    "job_title",
    "mobile",
    "notes",
];

fn tools() -> impl Iterator<Item = (&'static Integration, &'static ToolDef)> {
    integrations::ALL
        .iter()
        .flat_map(|integration| integration.tools().map(|tool| (*integration, tool)))
}

fn listed(integration: &'static Integration, tool: &'static ToolDef) -> Value {
    let links = Links::new("https://workbench.example/".parse().unwrap());
    mcp::tool_json(tool, integration, &links)
}

/// Calls `look` with every schema of an object with fields in `schema` and where it stands.
fn objects(schema: &Value, place: &str, look: &mut impl FnMut(&str, &Value)) {
    if !schema.is_object() {
        return;
    }
    if schema["properties"].is_object() {
        look(place, schema);
    }
    for group in ["properties", "$defs", "patternProperties"] {
        for (name, below) in schema[group].as_object().into_iter().flatten() {
            objects(below, &format!("{place}.{name}"), look);
        }
    }
    for word in ["items", "additionalProperties", "not"] {
        objects(&schema[word], place, look);
    }
    for union in ["anyOf", "oneOf", "allOf", "prefixItems"] {
        for below in schema[union].as_array().into_iter().flatten() {
            objects(below, place, look);
        }
    }
}

/// All problems at once read better than the first one.
fn none(problems: &[String]) {
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit())
}

#[test]
fn tools_are_named_integration_verb_noun() {
    let mut problems = Vec::new();
    for (integration, tool) in tools() {
        let words: Vec<&str> = tool.name.split('_').collect();
        let named = matches!(words.as_slice(), [first, verb, noun @ ..]
            if *first == integration.id
                && VERBS.contains(verb)
                // A search of everything there is needs no noun.
                && (!noun.is_empty() || *verb == "search"))
            && words.iter().all(|word| is_word(word))
            // The shortest limit that a widely used client sets on names.
            && tool.name.len() <= 64;
        if !named {
            problems.push(format!(
                "{} is not {}_<verb>_<noun> with a verb of the list",
                tool.name, integration.id
            ));
        }
        if tool.title.is_empty() {
            problems.push(format!("{} has no title", tool.name));
        }
    }
    none(&problems);
}

#[test]
fn names_and_addresses_are_unique() {
    let mut seen = BTreeSet::new();
    for integration in integrations::ALL {
        assert!(seen.insert(integration.id), "{} twice", integration.id);
        for name in integration.tools().map(|tool| tool.name) {
            assert!(seen.insert(name), "{name} twice");
        }
        for block in integration.blocks() {
            assert!(seen.insert(block.name), "{} twice", block.name);
            assert!(seen.insert(block.uri), "{} twice", block.uri);
        }
        for (old, _) in integration.aliases {
            assert!(seen.insert(old), "{old} twice");
        }
    }
    let mut providers = BTreeSet::new();
    for provider in integrations::ALL.iter().flat_map(|one| one.providers) {
        assert!(providers.insert(provider.id), "{} twice", provider.id);
    }
}

#[test]
fn former_names_lead_to_tools_of_the_same_integration() {
    for integration in integrations::ALL {
        for (old, new) in integration.aliases {
            assert!(
                integration.tools().any(|tool| tool.name == *new),
                "{old} leads to {new}, which {} has not",
                integration.id
            );
        }
    }
}

#[test]
fn inputs_are_closed_objects_with_every_field_described() {
    let mut problems = Vec::new();
    for (_, tool) in tools() {
        if schema::description(tool).is_empty() {
            problems.push(format!("{} has no description", tool.name));
        }
        let input = Value::Object(schema::input_schema(tool));
        assert_eq!(input["type"], "object", "{}", tool.name);
        // Some clients drop or refuse tools with these at the root.
        for word in ["anyOf", "oneOf", "allOf", "not", "if", "enum", "$ref"] {
            if input.get(word).is_some() {
                problems.push(format!("{} has {word} at the root", tool.name));
            }
        }
        objects(&input, tool.name, &mut |place, object| {
            if object.get("additionalProperties") != Some(&Value::Bool(false)) {
                problems.push(format!("{place} takes unknown fields"));
            }
            for (name, field) in object["properties"].as_object().unwrap() {
                let described = field["description"]
                    .as_str()
                    .is_some_and(|text| !text.trim().is_empty());
                if !described && !SELF_EXPLANATORY.contains(&name.as_str()) {
                    problems.push(format!("{place}: {name} is not described"));
                }
            }
        });
    }
    none(&problems);
}

#[test]
fn what_the_audit_log_keeps_are_arguments_that_exist() {
    for (_, tool) in tools() {
        let input = schema::input_schema(tool);
        let fields = input["properties"].as_object().unwrap();
        for name in tool.audit.plain.iter().chain(tool.audit.dropped) {
            assert!(fields.contains_key(*name), "{} has no {name}", tool.name);
        }
        for name in tool.audit.plain {
            assert!(
                !tool.audit.dropped.contains(name),
                "{}: {name} is both kept and dropped",
                tool.name
            );
        }
    }
}

#[test]
fn scopes_are_ones_that_connecting_can_grant() {
    let mut problems = Vec::new();
    for integration in integrations::ALL {
        let mut known = BTreeSet::new();
        let mut oauth = false;
        for facts in integration
            .providers
            .iter()
            .filter_map(|provider| provider.auth.oauth2())
        {
            oauth = true;
            known.extend(facts.scopes.iter().map(|scope| scope.name));
            for scope in facts.scopes {
                assert!(!scope.why.is_empty(), "{} has no reason", scope.name);
            }
            let mut more = true;
            while more {
                let before = known.len();
                for (whole, parts) in facts.implied {
                    if known.contains(whole) {
                        known.extend(*parts);
                    }
                }
                more = known.len() > before;
            }
        }
        let tools = integration.tools().map(|tool| (tool.name, tool.scopes));
        let blocks = integration.blocks().map(|block| (block.name, block.scopes));
        for (name, needs) in tools.chain(blocks) {
            let (Needs::All(scopes) | Needs::Any(scopes)) = needs else {
                continue;
            };
            if scopes.is_empty() {
                problems.push(format!("{name} needs an empty list; say Needs::Nothing"));
            }
            for scope in scopes.iter().filter(|_| oauth) {
                if !known.contains(scope) {
                    problems.push(format!("{name} needs {scope}, which nobody asks for"));
                }
            }
        }
    }
    none(&problems);
}

#[test]
fn tools_name_an_account_where_there_is_one() {
    for (integration, tool) in tools() {
        let name = tool.name;
        assert_eq!(tool.account, integration.open().is_none(), "{name}");
        let input = schema::input_schema(tool);
        let offered = input["properties"].get("account").is_some();
        assert_eq!(offered, tool.account, "{name}");
    }
}

#[test]
fn open_hosts_have_their_rules() {
    let open = integrations::ALL.iter().filter_map(|one| one.open());
    for (provider, open) in open {
        let hosts = provider.api.hosts.iter().map(|(host, _)| *host);
        let rules = open.hosts.iter().map(|rule| rule.host);
        assert_eq!(
            hosts.collect::<BTreeSet<_>>(),
            rules.collect::<BTreeSet<_>>()
        );
        for rule in open.hosts {
            assert!(rule.allows.requests > 0 && !rule.allows.within.is_zero());
        }
    }
}

#[test]
fn annotations_say_what_tools_do() {
    for (integration, tool) in tools() {
        let listed = listed(integration, tool);
        // As the protocol reads an annotation that is left out.
        let hint = |name: &str, otherwise: bool| {
            listed["annotations"]
                .get(name)
                .map_or(otherwise, |hint| hint.as_bool().unwrap())
        };
        let read_only = hint("readOnlyHint", false);
        let destructive = hint("destructiveHint", true);
        let idempotent = hint("idempotentHint", false);
        let name = tool.name;
        assert!(hint("openWorldHint", true), "{name}");
        match tool.effect {
            Effect::Read => assert!(read_only, "{name}"),
            Effect::Write { idempotent: again } => {
                assert_eq!(
                    (read_only, destructive, idempotent),
                    (false, false, again),
                    "{name}"
                );
            }
            Effect::Destructive { idempotent: again } => {
                assert_eq!(
                    (read_only, destructive, idempotent),
                    (false, true, again),
                    "{name}"
                );
            }
        }
        assert_eq!(listed["name"], name);
        assert_eq!(listed["title"], tool.title);
        assert_eq!(listed["outputSchema"]["type"], "object", "{name}");
    }
}

#[test]
fn tools_are_small_enough_to_list() {
    let mut problems = Vec::new();
    let mut sums = BTreeMap::new();
    for (integration, tool) in tools() {
        let tokens = listed(integration, tool).to_string().len() / 4;
        *sums.entry(integration.id).or_insert(0) += tokens;
        let most = if STEPS.contains(&tool.name) {
            STEPS_TOKENS
        } else {
            TOOL_TOKENS
        };
        if tokens > most {
            problems.push(format!("{}: {tokens} tokens", tool.name));
        }
    }
    for (integration, tokens) in &sums {
        let most = INTEGRATION_TOKENS.iter().find(|(id, _)| id == integration);
        if most.is_none_or(|(_, most)| tokens > most) {
            problems.push(format!("all of {integration}: {tokens} tokens"));
        }
    }
    none(&problems);
    eprintln!("tokens: {sums:?}");
}

#[test]
fn icons_are_small_drawings() {
    for integration in integrations::ALL {
        let icon = integration.icon;
        assert!(icon.starts_with("<svg"), "{}: {icon}", integration.id);
        assert!(
            icon.len() <= ICON_BYTES,
            "{}: {}",
            integration.id,
            icon.len()
        );
    }
}

#[test]
fn blocks_are_addressed_by_integration_and_account() {
    let mut problems = Vec::new();
    for integration in integrations::ALL {
        for provider in integration.providers {
            assert_eq!(provider.scheme, integration.id, "{}", provider.id);
        }
        for block in integration.blocks() {
            let name = block.name;
            if block.uri.split_once("://").map(|(scheme, _)| scheme) != Some(integration.id) {
                problems.push(format!("{name} is not at {}://", integration.id));
            }
            let first = uri::variables(block.uri).first() == Some(&"account");
            match (integration.open().is_some(), first) {
                (false, false) => problems.push(format!("{name} does not begin with the account")),
                (true, true) => problems.push(format!("{name} names an account that nobody has")),
                _ => {}
            }
            if !name.starts_with(&format!("{}_", integration.id)) {
                problems.push(format!("{name} does not begin with {}_", integration.id));
            }
            if block.title.is_empty() || block.description.is_empty() || !block.mime.contains('/') {
                problems.push(format!("{name} lacks a title, description or media type"));
            }
        }
    }
    none(&problems);
}

#[test]
fn tools_and_blocks_have_fixtures_of_success_and_failure() {
    let mut problems = Vec::new();
    let results = |integration: &str, folder: &str| -> Vec<Value> {
        fixtures::cases(integration, folder)
            .iter()
            .map(|path| fixtures::read::<Value>(path)["result"].take())
            .collect()
    };
    for integration in integrations::ALL {
        let id = integration.id;
        for tool in integration.tools() {
            let results = results(id, tool.name);
            if !results.iter().any(|result| result["items"].is_array()) {
                problems.push(format!("{} has no fixture of success", tool.name));
            }
            if !results.iter().any(|result| result["error"].is_object()) {
                problems.push(format!("{} has no fixture of failure", tool.name));
            }
        }
        for block in integration.blocks() {
            if !results(id, block.name)
                .iter()
                .any(|result| result["text"].is_string())
            {
                problems.push(format!("{} has no fixture of success", block.name));
            }
        }
        if !results(id, "identify")
            .iter()
            .any(|result| result["id"].is_string())
        {
            problems.push(format!("{id} has no fixture of an account"));
        }
    }
    none(&problems);
}

#[test]
fn every_folder_of_fixtures_belongs_to_something() {
    for integration in integrations::ALL {
        let known: BTreeSet<&str> = integration
            .tools()
            .map(|tool| tool.name)
            .chain(integration.blocks().map(|block| block.name))
            .chain(["identify"])
            .collect();
        for path in fixtures::all_cases(integration.id) {
            let folder = path.parent().unwrap().file_name().unwrap();
            assert!(
                known.contains(folder.to_str().unwrap()),
                "{} is run by no test",
                path.display()
            );
        }
    }
}
