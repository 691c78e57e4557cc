//! The architecture as a test: who may name whom, which crate stays where, and the order of things.
//!
//! Unit tests (`mod tests` under `#[cfg(test)]`) are not scanned: they may set up what their module must not know.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::fixtures;

/// What each module of the crate may name of the others. `module::Item` allows that item alone. One way only: base, vault,
/// store, kit, integrations, services, calls, faces, app.
const IMPORTS: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("config", &[]),
    ("telemetry", &[]),
    // Named points where the crash tests kill the process; they do nothing in a release.
    ("faults", &[]),
    // An id begins with its instant (UUIDv7).
    ("ids", &["clock::Timestamp"]),
    // A token of another issuer ends by itself: Timestamp.
    ("caller", &["ids", "clock::Timestamp"]),
    ("links", &["ids", "config"]),
    ("vault", &["ids"]),
    // A person's role is a column; it is plain data. A data key is stored as the vault wraps it.
    (
        "store",
        &[
            "ids",
            "clock",
            "caller::Role",
            "caller::Approver",
            "caller::Scopes",
            "vault::Sealed",
            "vault::WrappedDataKey",
        ],
    ),
    // A tool's rows: what it keeps, and that keeping may fail.
    (
        "kit",
        &[
            "ids",
            "clock",
            "store::Record",
            "store::Records",
            "store::StoreError",
        ],
    ),
    // Who loads what everybody waits for.
    ("turns", &[]),
    ("integrations", &["kit"]),
    ("audit", &["ids", "clock", "caller", "store", "vault"]),
    // Tells other processes through the store what changed.
    ("changes", &["clock", "ids", "store"]),
    // Rules and groups are named by their ids.
    ("policy", &["caller", "ids", "kit"]),
    // Rules are read from rows, checked against what there is, recorded and told to other processes.
    (
        "rulebook",
        &[
            "turns",
            "ids",
            "clock",
            "caller",
            "store",
            "kit",
            "integrations",
            "policy",
            "audit",
            "changes",
        ],
    ),
    // Mail tools have their messages marked: kit. Whether that is allowed is a rule of the organization: rulebook. Links
    // of messages are signed: vault.
    (
        "tracking",
        &[
            "ids",
            "clock",
            "links",
            "store",
            "kit",
            "rulebook",
            "vault::Mac",
        ],
    ),
    // Fetches documents whose address somebody else named.
    ("fetch", &[]),
    // A person who loses access is forgotten by every process: changes. The authorization server publishes its own
    // addresses, and a client may be a document somewhere: links, fetch.
    (
        "auth",
        &[
            "ids", "clock", "config", "caller", "links", "store", "vault", "audit", "changes",
            "turns", "fetch",
        ],
    ),
    // A connection that changes its state changes what others list: changes. Refreshing has crash points: faults. Servers
    // that people name are dialled with care: fetch.
    (
        "connect",
        &[
            "turns", "ids", "clock", "caller", "links", "store", "vault", "kit", "audit",
            "changes", "faults", "fetch",
        ],
    ),
    // A question keeps its arguments sealed: vault. Who waits for the answer is told on every replica: changes.
    (
        "approvals",
        &[
            "ids", "clock", "caller", "store", "vault", "audit", "changes",
        ],
    ),
    // What lets a person in ends, then their accounts: both sides of the house.
    ("removal", &["audit", "auth", "clock", "connect", "store"]),
    // The installation as a whole: what admins see of it.
    (
        "system",
        &["audit", "clock", "ids", "keys", "rounds", "store", "vault"],
    ),
    ("rounds", &["clock"]),
    // Rotation seals again what `connect` sealed.
    ("keys", &["clock", "ids", "store", "vault", "connect"]),
    // Cursors are sealed to the person: vault. The catalogue of a person is kept until it changes: changes. A refusal
    // carries the page that mends it, for every face alike: links.
    (
        "calls",
        &[
            "ids",
            "clock",
            "caller",
            "links",
            "store",
            "vault",
            "kit",
            "integrations",
            "policy",
            "rulebook",
            "approvals",
            "audit",
            "connect",
            "changes",
            "tracking",
        ],
    ),
    // Sessions of older clients are rows: clock, ids, store.
    (
        "mcp",
        &[
            "clock",
            "ids",
            "store",
            "caller",
            "links",
            "kit",
            "integrations",
            "calls",
        ],
    ),
    // Of the store only the failure, which has an answer of its own, and what a page lists as it is stored. Of mcp the
    // service and the older transport.
    (
        "web",
        &[
            "ids",
            "clock",
            "caller",
            "links",
            "kit",
            "integrations",
            "auth",
            "connect",
            "policy",
            "approvals",
            "rulebook",
            "audit",
            "calls",
            "mcp",
            // Removing a person; whose word about an address is believed.
            "removal",
            "system",
            "rounds::Ended",
            "keys::KeysError",
            "config::Network",
            "store::StoreError",
            "store::FamilyRow",
            "tracking",
        ],
    ),
    // The loops: everything that has something to do from time to time.
    (
        "jobs",
        &[
            "clock",
            "store",
            "vault",
            "kit",
            "integrations",
            "audit",
            "auth",
            "connect",
            "calls",
            "changes",
            "keys",
            // What a removal left behind.
            "removal",
            "rounds",
        ],
    ),
    // It is the outside world.
    ("sandbox", &["clock", "ids"]),
    // The size of a tool and the table of the README: kit. Listed tools name an address of ours: links.
    ("schemas", &["integrations", "kit", "links", "mcp"]),
    ("main", &["cli"]),
    ("lib", &[]),
];

/// The modules that put everything together, and what they still must not name.
const BUILDERS: &[(&str, &[&str])] = &[("app", &["cli"]), ("cli", &[])];

/// Words that only some files may say, by the beginning of their path below `src`.
const CONFINED: &[(&str, &[&str])] = &[
    ("rmcp::", &["mcp/"]),
    ("axum::", &["web/", "sandbox/", "app/"]),
    ("sqlx::", &["store/"]),
    ("AssertSqlSafe", &["store/"]),
    // Documents whose address somebody else named are fetched with guards of their own: fetch. An identity provider is
    // asked by `auth`, and its tokens are read there.
    (
        "reqwest::",
        &["kit/client/", "connect/", "fetch.rs", "auth/oidc/"],
    ),
    ("jsonwebtoken::", &["auth/oidc/"]),
    ("argon2::", &["auth/password.rs"]),
    ("oauth2::", &["connect/"]),
    ("aes_gcm::", &["vault/"]),
    ("anyhow", &["main.rs", "cli/", "app/", "schemas.rs"]),
    ("SystemTime", &["clock.rs"]),
    ("now_utc(", &[]),
    ("now_v7(", &[]),
    ("new_v4(", &[]),
    ("getrandom::", &["clock.rs", "ids.rs", "vault/"]),
    ("rand::", &[]),
    (
        "std::env::var",
        &["config.rs", "config/", "faults.rs", "cli/", "telemetry.rs"],
    ),
];

/// The longest file in `src`, in lines.
const LINES: usize = 600;

struct Source {
    /// Below `src`, with `/`.
    path: String,
    /// The whole text.
    text: String,
    /// Without comments and unit tests.
    code: String,
}

impl Source {
    /// The module of the crate's root that it belongs to.
    fn module(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|name| name == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let below = path.strip_prefix(root()).unwrap();
            Source {
                path: below.to_str().unwrap().replace('\\', "/"),
                code: code(&text),
                text,
            }
        })
        .collect()
}

/// Without whole-line comments and without the unit tests, which close a file.
fn code(text: &str) -> String {
    let end = text
        .find("#[cfg(test)]\nmod tests")
        .or_else(|| text.find("#[cfg(all(test"))
        .unwrap_or(text.len());
    text[..end]
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .fold(String::new(), |text, line| text + line + "\n")
}

/// Every `(module, item)` that `code` names after `crate::` (`workbench_mcp::` in the binary), groups in braces included;
/// the item is empty for the module.
fn named(code: &str) -> BTreeSet<(String, String)> {
    let mut named = BTreeSet::new();
    for word in ["crate::", "workbench_mcp::"] {
        for (place, _) in code.match_indices(word) {
            // Not the tail of another name.
            if code[..place].ends_with(|letter: char| letter.is_alphanumeric() || letter == '_') {
                continue;
            }
            for path in paths(&code[place + word.len()..]) {
                let mut parts = path.split("::");
                let module = parts.next().unwrap_or_default().to_owned();
                let item = parts.next().filter(|item| *item != "self");
                named.insert((module, item.unwrap_or_default().to_owned()));
            }
        }
    }
    named
}

/// The paths that `text` begins with: `a::b::C`, `a::{b, c::D}`, `{a, b::C}`.
fn paths(text: &str) -> Vec<String> {
    let is_path = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
    let end = text.find(|letter| !is_path(letter)).unwrap_or(text.len());
    let (start, rest) = text.split_at(end);
    let Some(group) = rest
        .strip_prefix('{')
        .filter(|_| start.is_empty() || start.ends_with("::"))
    else {
        return vec![start.trim_end_matches(':').to_owned()];
    };
    let mut paths_found = Vec::new();
    let mut depth = 0;
    let mut member = String::new();
    for letter in group.chars() {
        match letter {
            '}' if depth == 0 => break,
            ',' if depth == 0 => paths_found.extend(members(start, &std::mem::take(&mut member))),
            _ => {
                match letter {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                member.push(letter);
            }
        }
    }
    paths_found.extend(members(start, &member));
    paths_found
}

fn members(start: &str, member: &str) -> Vec<String> {
    let member = member.trim();
    if member.is_empty() {
        return Vec::new();
    }
    paths(member)
        .into_iter()
        .map(|path| format!("{start}{path}"))
        .collect()
}

/// What `code` of `module` names although it must not.
fn forbidden(module: &str, code: &str) -> Vec<String> {
    let row = |rows: &'static [(&'static str, &'static [&'static str])]| {
        rows.iter().find(|(name, _)| *name == module)
    };
    let allowed = row(IMPORTS);
    let banned = row(BUILDERS);
    if allowed.is_none() && banned.is_none() {
        return vec!["is in no row of the table".to_owned()];
    }
    named(code)
        .into_iter()
        .filter(|(other, item)| {
            let exact = format!("{other}::{item}");
            let allows = |(_, names): &(&str, &[&str])| {
                names.contains(&other.as_str()) || names.contains(&exact.as_str())
            };
            let bans = |(_, names): &(&str, &[&str])| names.contains(&other.as_str());
            other != module && !allowed.is_some_and(allows) && banned.is_none_or(bans)
        })
        .map(|(other, item)| format!("names {other}::{item}"))
        .collect()
}

fn none(problems: &[String]) {
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn modules_name_only_what_the_table_allows() {
    let problems: Vec<String> = sources()
        .iter()
        .flat_map(|source| {
            forbidden(source.module(), &source.code)
                .into_iter()
                .map(|what| format!("src/{} {what}", source.path))
        })
        .collect();
    none(&problems);
}

#[test]
fn the_table_names_modules_that_exist() {
    let modules: BTreeSet<String> = sources()
        .iter()
        .map(|source| source.module().to_owned())
        .collect();
    for (module, others) in IMPORTS.iter().chain(BUILDERS) {
        assert!(modules.contains(*module), "there is no module {module}");
        for other in *others {
            let other = other.split("::").next().unwrap();
            assert!(
                modules.contains(other),
                "{module}: there is no module {other}"
            );
        }
    }
}

#[test]
fn a_planted_import_is_found() {
    for code in [
        "use crate::store::Store;",
        "use crate::kit::tool::Cx;\nuse crate::{kit, store::Store};",
        "fn f() { crate::vault::open() }",
        "use crate::{\n    kit::{self, tool::Cx},\n    connect,\n};",
    ] {
        assert_eq!(forbidden("integrations", code).len(), 1, "{code}");
    }
    for code in [
        "use crate::store::Records;",
        "use crate::store::{Record, Records};",
    ] {
        assert!(forbidden("kit", code).is_empty(), "{code}");
        assert!(!forbidden("integrations", code).is_empty(), "{code}");
    }
    assert_eq!(
        forbidden("kit", "use crate::store::{Records, Store};").len(),
        1
    );
    assert_eq!(
        code("use a;\n// crate::store\n#[cfg(test)]\nmod tests {\n    use crate::store;\n}\n"),
        "use a;\n"
    );
}

#[test]
fn crates_and_calls_stay_where_they_belong() {
    let mut problems = Vec::new();
    for source in sources() {
        for (word, places) in CONFINED {
            if places.iter().any(|place| source.path.starts_with(place)) {
                continue;
            }
            for (number, line) in source.code.lines().enumerate() {
                if says(line, word) {
                    let line = line.trim();
                    problems.push(format!("src/{} ({number}): {line}", source.path));
                }
            }
        }
    }
    none(&problems);
}

/// Whether `line` has `word` as a word of its own and not as a part of one of our own paths.
fn says(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(place, _)| {
        let before = &line[..place];
        !before.ends_with(|letter: char| letter.is_alphanumeric() || letter == '_' || letter == '"')
            && !before.ends_with("::")
    })
}

#[test]
fn files_are_short() {
    let problems: Vec<String> = sources()
        .iter()
        .map(|source| (source, source.text.lines().count()))
        .filter(|(_, lines)| *lines > LINES)
        .map(|(source, lines)| format!("src/{} has {lines} lines", source.path))
        .collect();
    none(&problems);
}

#[test]
fn the_registry_lists_every_folder_twice_in_order() {
    let registry = std::fs::read_to_string(root().join("integrations/mod.rs")).unwrap();
    let modules: Vec<&str> = registry
        .lines()
        .filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'))
        .collect();
    let listed: Vec<&str> = registry
        .match_indices("::INTEGRATION")
        .map(|(place, _)| registry[..place].rsplit('&').next().unwrap())
        .collect();
    let mut folders: Vec<String> = std::fs::read_dir(root().join("integrations"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    folders.sort();
    assert_eq!(modules, folders);
    assert_eq!(listed, folders);
    let ids: Vec<&str> = workbench_mcp::integrations::ALL
        .iter()
        .map(|integration| integration.id)
        .collect();
    assert_eq!(ids, folders);
}

#[test]
fn the_crate_lists_its_modules_in_the_table() {
    let lib = std::fs::read_to_string(root().join("lib.rs")).unwrap();
    let modules = lib
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    for module in modules {
        assert!(
            IMPORTS
                .iter()
                .chain(BUILDERS)
                .any(|(name, _)| *name == module),
            "{module} is in no row of the table"
        );
    }
}

/// How secrets begin, with the least length of what follows.
const SECRETS: &[(&str, usize)] = &[
    ("ghp_", 8),
    ("gho_", 8),
    ("ghu_", 8),
    ("ghs_", 8),
    ("ghr_", 8),
    ("github_pat_", 8),
    ("pat-na1-", 8),
    ("pat-eu1-", 8),
    ("sk-", 16),
    ("sk_live_", 8),
    ("sk_test_", 8),
    ("rk_live_", 8),
    ("eyJ", 12),
    ("ya29.", 8),
    ("AKIA", 12),
    ("xoxb-", 8),
    ("xoxp-", 8),
    ("wbt_", 8),
    ("wba_", 8),
    ("wbr_", 8),
    ("wbc_", 8),
    ("-----BEGIN ", 3),
];

/// The first thing in `text` that looks like a secret.
fn secret(text: &str) -> Option<&str> {
    let is_token = |letter: char| letter.is_ascii_alphanumeric() || "-_./+=".contains(letter);
    let token = |place: usize| {
        let rest = &text[place..];
        &rest[..rest.find(|letter| !is_token(letter)).unwrap_or(rest.len())]
    };
    for (start, length) in SECRETS {
        for (place, _) in text.match_indices(start) {
            let inside = text[..place].ends_with(|letter: char| letter.is_ascii_alphanumeric());
            let found = token(place + start.len());
            if !inside && found.len() >= *length && !found.starts_with("REDACTED") {
                return Some(&text[place..place + start.len() + found.len()]);
            }
        }
    }
    for start in ["Bearer ", "Basic ", "token "] {
        for (place, _) in text.match_indices(start) {
            let found = token(place + start.len());
            // A word of prose has no digits; a credential is longer than any.
            let prose = found.len() < 16 || !found.contains(|letter: char| letter.is_ascii_digit());
            if !prose && !found.starts_with("REDACTED") {
                return Some(&text[place..place + start.len() + found.len()]);
            }
        }
    }
    None
}

#[test]
fn fixtures_hold_no_secrets() {
    // Put together here, so that this file holds no token itself.
    let planted = ["ghp", "_", "0123456789abcdef"].concat();
    assert_eq!(secret(&format!("\"{planted}\"")), Some(planted.as_str()));
    let planted = ["Bearer", " ", "0123456789abcdef"].concat();
    assert_eq!(secret(&planted), Some(planted.as_str()));
    assert_eq!(
        secret("Bearer REDACTED, ghp_REDACTED, risk-averse, task-1"),
        None
    );

    for integration in workbench_mcp::integrations::ALL {
        let account = fixtures::root().join(integration.id).join("account.json");
        for path in fixtures::all_cases(integration.id)
            .into_iter()
            .chain([account])
        {
            let text = std::fs::read_to_string(&path).unwrap();
            assert_eq!(secret(&text), None, "{}", path.display());
            secret_fields(&path, "", &serde_json::from_str(&text).unwrap());
        }
    }
}

/// Fields that hold a credential by their name say `REDACTED`.
fn secret_fields(path: &Path, name: &str, value: &Value) {
    match value {
        // What tools keep is no credential, for those are the vault's; places in a list of changes are called tokens too.
        Value::Object(map) => map
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "records" | "kept"))
            .for_each(|(name, value)| secret_fields(path, name, value)),
        Value::Array(list) => list
            .iter()
            .for_each(|value| secret_fields(path, name, value)),
        Value::String(text) => {
            let secret = [
                "access_token",
                "refresh_token",
                "id_token",
                "token",
                "client_secret",
                "api_key",
                "authorization",
            ]
            .contains(&name.to_lowercase().as_str());
            assert!(
                !secret || text.starts_with("REDACTED") || text.is_empty(),
                "{}: {name}",
                path.display()
            );
        }
        _ => {}
    }
}
