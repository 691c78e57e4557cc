//! Trying tools and blocks from the browser: everything the person may call, each with a form made of its published
//! schema. A call made here is a call like any other: the same policy, approvals, limits and audit, and the page shows the
//! very answer that a client would get.

mod block;
mod fields;
mod kinds;
mod shown;
mod tool;
mod typed;

use askama::Template;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::Web;
use super::error::Error;
use super::pages::{Message, Page, Place, show};
use super::routing::{get, get_post_while_asked, post_while_asked};
use super::session::SignedIn;
use crate::caller::{Caller, Client};
use crate::calls::{ACCOUNTS_URI, Context};
use crate::kit::integration::Integration;
use crate::kit::schema;

/// What the audit log calls this page. An approval that was asked for here leads back here.
pub(super) const CLIENT: &str = "Workbench pages";
/// Largest form, in bytes: the largest arguments (512 KiB), whose letters take up to three bytes each in a form.
const FORM_BYTES: usize = 2 * 1024 * 1024;

/// The routes.
pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/try", get(list))
        .route("/try/{tool}", get_post_while_asked(tool::form, tool::act))
        .route(
            "/try/blocks/{name}",
            get_post_while_asked(block::form, block::act),
        )
        .route(
            "/try/blocks/{name}/complete",
            post_while_asked(block::complete),
        )
        .layer(DefaultBodyLimit::max(FORM_BYTES))
}

#[derive(Template)]
#[template(path = "try.html", config = "src/web/askama.toml")]
struct List {
    page: Page,
    query: String,
    groups: Vec<Group>,
    /// Whether any of it goes through an account.
    connected: bool,
    /// How many are shown, and of how many.
    shown: usize,
    all: usize,
}

/// An integration in the list.
struct Group {
    id: &'static str,
    name: &'static str,
    sets: Vec<Set>,
}

/// A toolset, or the blocks of one.
struct Set {
    title: String,
    entries: Vec<Entry>,
}

struct Entry {
    /// Below `/try/`.
    path: String,
    name: &'static str,
    title: &'static str,
    does: String,
    /// `read`, `write` or `destructive`; empty for a block.
    effect: &'static str,
    /// What the script looks for, in small letters.
    words: String,
}

#[derive(Deserialize)]
struct Search {
    #[serde(default)]
    q: String,
}

/// What the person may call: what `tools/list` and `resources/templates/list` would answer, and nothing besides.
async fn list(
    State(web): State<Web>,
    SignedIn(caller): SignedIn,
    Query(search): Query<Search>,
) -> Result<Response, Error> {
    let catalogue = web.calls.catalogue(&caller).await?;
    let mut all = vec![Group {
        id: "workbench",
        name: "Workbench",
        sets: vec![Set {
            title: "Context blocks".to_owned(),
            entries: vec![block::accounts_entry()],
        }],
    }];
    let offered = |integration: &Integration| {
        let of_tools = catalogue.tools.iter().map(|(of, _)| of.id);
        let of_blocks = catalogue.blocks.iter().map(|(of, _)| of.id);
        of_tools.chain(of_blocks).any(|id| id == integration.id)
    };
    let integrations = crate::integrations::ALL.iter().copied();
    let mut connected = false;
    for integration in integrations.filter(|one| offered(one)) {
        connected |= integration.open().is_none();
        let mut sets = Vec::new();
        for set in integration.toolsets {
            let offered = |name: &str| catalogue.tools.iter().any(|(_, def)| def.name == name);
            let tools = set.tools.iter().filter(|def| offered(def.name));
            sets.push(Set {
                title: set.title.to_owned(),
                entries: tools
                    .map(|def| {
                        let does = schema::description(def);
                        Entry {
                            path: def.name.to_owned(),
                            name: def.name,
                            title: def.title,
                            effect: def.effect.as_str(),
                            words: words(&[integration.name, def.name, def.title, &does]),
                            does,
                        }
                    })
                    .collect(),
            });
        }
        let blocks = catalogue.blocks.iter();
        let blocks = blocks.filter(|(of, _)| of.id == integration.id);
        sets.push(Set {
            title: "Context blocks".to_owned(),
            entries: blocks
                .map(|(_, def)| Entry {
                    path: format!("blocks/{}", def.name),
                    name: def.name,
                    title: def.title,
                    does: def.description.to_owned(),
                    effect: "",
                    words: words(&[integration.name, def.name, def.title, def.description]),
                })
                .collect(),
        });
        all.push(Group {
            id: integration.id,
            name: integration.name,
            sets,
        });
    }
    // What the person connected comes first.
    all.rotate_left(1);
    let count = |groups: &[Group]| {
        let sets = groups.iter().flat_map(|group| &group.sets);
        sets.map(|set| set.entries.len()).sum()
    };
    let number = count(&all);
    keep(&mut all, &search.q);
    let shown = List {
        page: Page::of(&web, Some(&caller)).at(Place::Try),
        query: search.q,
        shown: count(&all),
        all: number,
        connected,
        groups: all,
    };
    Ok(show(StatusCode::OK, &shown))
}

fn words(parts: &[&str]) -> String {
    parts.join(" ").to_lowercase()
}

/// Leaves what has every word of the query, and no empty headings.
fn keep(groups: &mut Vec<Group>, query: &str) {
    let query = query.to_lowercase();
    let wanted: Vec<&str> = query.split_whitespace().collect();
    for group in groups.iter_mut() {
        for set in &mut group.sets {
            let fits = |entry: &Entry| wanted.iter().all(|word| entry.words.contains(word));
            set.entries.retain(fits);
        }
        group.sets.retain(|set| !set.entries.is_empty());
    }
    groups.retain(|group| !group.sets.is_empty());
}

/// What surrounds a call made here.
fn context(cancel: &CancellationToken) -> Context {
    Context {
        client: Client {
            name: CLIENT.to_owned(),
            protocol: String::new(),
            transport: "web",
        },
        cancel: cancel.clone(),
        ..Context::default()
    }
}

/// Runs a call on a task of its own, so that a browser that goes away cancels it in good order (the call's outcome is then
/// recorded as cancelled) instead of tearing it off in the middle. The call's own time limits hold.
async fn run<T: Send + 'static>(
    call: impl Future<Output = T> + Send + 'static,
    cancel: CancellationToken,
) -> Result<T, Error> {
    let _when_dropped = cancel.drop_guard();
    let task = tokio::spawn(call);
    task.await.map_err(|error| Error::Internal(Box::new(error)))
}

/// The values of `account`, with what people read.
async fn accounts(
    web: &Web,
    caller: &Caller,
    integration: &str,
) -> Result<Vec<(String, String)>, Error> {
    let accounts = web.calls.accounts(caller).await?.into_iter();
    let own = accounts.filter(|account| account.integration == integration);
    Ok(own
        .map(|account| {
            let value = account
                .alias
                .clone()
                .unwrap_or_else(|| account.account.clone());
            let mut label = match &account.alias {
                Some(alias) => format!("{alias} ({})", account.account),
                None => account.account,
            };
            if account.status != "Connected" {
                label = format!("{label}, {}", account.status.to_lowercase());
            }
            (value, label)
        })
        .collect())
}

/// The page for a tool or block that exists and is not this person's to use now.
fn not_offered(
    web: &Web,
    caller: &Caller,
    title: &str,
    integration: &'static Integration,
) -> Response {
    let page = Page::of(web, Some(caller)).at(Place::Try);
    let open = integration.open().is_some();
    let connect = (
        format!("Connect {}", integration.name),
        web.links.connect(integration.id),
    );
    let others = ("What you can try".to_owned(), format!("{}try", page.base));
    let message = Message {
        title: format!("{title} is not available to you now"),
        tone: "bad",
        lines: vec![if open {
            "Your organization does not allow it.".to_owned()
        } else {
            format!(
                "It needs a connected {} account with the right permissions, and your organization must allow it.",
                integration.name
            )
        }],
        actions: if open {
            vec![others]
        } else {
            vec![connect, others]
        },
        close: false,
        page,
    };
    show(StatusCode::NOT_FOUND, &message)
}

/// Whether this is our own block, which has no integration.
fn is_accounts(name: &str) -> bool {
    name == ACCOUNTS_URI.replace("://", "_")
}
