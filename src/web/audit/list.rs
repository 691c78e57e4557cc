//! The list: filters, chart, rows, and new rows for the script that watches.

use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::chart::{self, Drawing};
use super::filter::{Asked, Filter, Names};
use super::{Reviewer, brief, duration, looked, show_live, to};
use crate::audit::{Beyond, Count, Found, Line, Look, Order, View};
use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::integrations;
use crate::kit::error::Code;
use crate::web::Web;
use crate::web::error::Error;
use crate::web::pages::{Page, Place, show};

/// Rows of a page.
const ROWS: u32 = 50;

/// People and accounts that the form suggests.
const SUGGESTED: usize = 500;

/// What stands in a segment of a path as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// An event as a row.
pub(super) struct Row {
    pub(super) seq: i64,
    pub(super) call: String,
    pub(super) at: String,
    pub(super) brief: String,
    pub(super) person: String,
    pub(super) person_query: String,
    pub(super) what: String,
    pub(super) account: String,
    pub(super) effect: String,
    pub(super) outcome: String,
    pub(super) ok: bool,
    pub(super) duration: String,
    pub(super) thread: String,
    /// The address of the conversation's story, below that of the log.
    pub(super) thread_path: Option<String>,
}

impl Row {
    pub(super) fn of(line: &Line, names: &Names, asked: &Asked) -> Self {
        let person = line.user_id.map(|id| names.person(id));
        let duration_us = line.tool.as_ref().and(Count::duration_us(&line.facts));
        let filter = asked.filter();
        Self {
            seq: line.seq,
            call: line.call_id.to_string(),
            at: line.at.rfc3339(),
            brief: brief(line.at),
            person_query: person
                .as_ref()
                .map(|person| filter.with(&[("person", person)]).query())
                .unwrap_or_default(),
            person: person.unwrap_or_else(|| "the server".to_owned()),
            what: line.tool.clone().unwrap_or_else(|| line.kind.clone()),
            account: line
                .connection_id
                .map(|id| names.account(id))
                .unwrap_or_default(),
            effect: line.effect.clone().unwrap_or_default(),
            ok: line.outcome == "ok",
            outcome: line.outcome.clone(),
            duration: duration_us.map(duration).unwrap_or_default(),
            thread_path: line
                .thread
                .as_deref()
                .and_then(|thread| thread_path(thread, line.user_id.map(|id| id.to_string()))),
            thread: line.thread.clone().unwrap_or_default(),
        }
    }
}

/// The address of a person's conversation; none for the two names that no address can have.
pub(super) fn thread_path(thread: &str, person: Option<String>) -> Option<String> {
    if matches!(thread, "." | "..") {
        return None;
    }
    let segment = utf8_percent_encode(thread, SEGMENT);
    let person = person.unwrap_or_default();
    Some(format!("/threads/{segment}?person={person}"))
}

#[derive(Template)]
#[template(path = "audit/list.html", config = "src/web/askama.toml")]
struct List {
    page: Page,
    asked: Asked,
    /// The filter as a query.
    query: String,
    filtered: bool,
    people: Vec<String>,
    accounts: Vec<(String, String)>,
    tools: Vec<&'static str>,
    integrations: Vec<(&'static str, &'static str)>,
    codes: Vec<&'static str>,
    classes: Vec<Quick>,
    ranges: Vec<Quick>,
    notes: Vec<String>,
    problems: Vec<(&'static str, String)>,
    drawing: Option<Drawing>,
    rows: Vec<Row>,
    newer: Option<String>,
    older: Option<String>,
    /// How far back it was searched, when not everything was.
    searched: Option<String>,
    /// Whether new rows may be put before these, and after which event they are looked for.
    live: Option<i64>,
    views: Vec<Saved>,
}

/// A filter that is one click away.
struct Quick {
    title: &'static str,
    query: String,
    chosen: bool,
}

struct Saved {
    name: String,
    query: String,
    shared: bool,
    /// Whose it is, when it is somebody else's.
    of: Option<String>,
    chosen: bool,
}

impl List {
    fn problem(&self, field: &str) -> Option<&str> {
        let found = self.problems.iter().find(|(known, _)| *known == field);
        found.map(|(_, words)| words.as_str())
    }
}

/// The page.
pub(super) async fn page(
    State(web): State<Web>,
    Reviewer(caller): Reviewer,
    asked: Asked,
) -> Result<Response, Error> {
    let names = Names::of(&web, &caller).await?;
    let filter = Filter::of(&web, &caller, &asked, &names).await?;
    if let Some(call) = filter.call {
        return Ok(to(&web, &format!("/{call}")));
    }
    let views = web.audit.views(&caller).await?;
    let mut list = List::of(&web, &caller, asked, &names, views);
    list.notes.clone_from(&filter.notes);
    if !filter.problems.is_empty() {
        list.problems = filter.problems;
        return Ok(show_live(StatusCode::UNPROCESSABLE_ENTITY, &list));
    }
    let first = list.asked.seq("before").is_none() && list.asked.seq("after").is_none();
    let (found, order) = find(&web, &caller, &filter, &list.asked, ROWS).await?;
    let drawn = web
        .audit
        .chart(caller.org, &filter.search, filter.since, filter.until)
        .await?;
    list.drawing = Some(chart::draw(&drawn, &list.asked));
    list.place(&found, order, first);
    list.rows = rows_of(&found, order, &names, &list.asked);
    if first && filter.until.is_none() {
        // Rows that are not completed yet come after the last that is.
        list.live = Some(found.lines.first().map_or(0, |line| line.seq));
    }
    looked(&web, &caller, "list", &list.query).await?;
    Ok(show_live(StatusCode::OK, &list))
}

/// The lines beyond the place that is asked for. Too few newer ones are the newest page.
async fn find(
    web: &Web,
    caller: &Caller,
    filter: &Filter,
    asked: &Asked,
    limit: u32,
) -> Result<(Found, Order), Error> {
    let look = |beyond, order| Look {
        search: filter.search.clone(),
        since: filter.since,
        until: filter.until,
        beyond,
        order,
        limit,
    };
    if let Some(after) = asked.seq("after") {
        let found = web
            .audit
            .look(caller.org, &look(Some(after), Order::Up))
            .await?;
        if found.beyond != Beyond::Nothing {
            return Ok((found, Order::Up));
        }
    }
    let before = asked.seq("before");
    let found = web
        .audit
        .look(caller.org, &look(before, Order::Down))
        .await?;
    Ok((found, Order::Down))
}

fn rows_of(found: &Found, order: Order, names: &Names, asked: &Asked) -> Vec<Row> {
    let mut rows: Vec<Row> = found
        .lines
        .iter()
        .map(|line| Row::of(line, names, asked))
        .collect();
    if order == Order::Up {
        rows.reverse();
    }
    rows
}

impl List {
    fn of(web: &Web, caller: &Caller, asked: Asked, names: &Names, views: Vec<View>) -> Self {
        let query = asked.filter().query();
        let mut tools: Vec<&'static str> = integrations::ALL
            .iter()
            .flat_map(|one| {
                one.tools()
                    .map(|tool| tool.name)
                    .chain(one.blocks().map(|block| block.name))
            })
            .collect();
        tools.sort_unstable();
        let filter = asked.filter();
        let class = |title, value| Quick {
            title,
            query: filter.with(&[("kind", value)]).query(),
            chosen: asked.get("kind") == value,
        };
        let now = web.audit.now();
        let range = |title, hours| {
            let from = second(now.minus(std::time::Duration::from_hours(hours)));
            Quick {
                title,
                query: filter.with(&[("from", &from), ("to", "")]).query(),
                chosen: false,
            }
        };
        Self {
            page: Page::of(web, Some(caller)).at(Place::Audit),
            people: names
                .people
                .iter()
                .map(|(_, email)| email.clone())
                .take(SUGGESTED)
                .collect(),
            accounts: names
                .accounts
                .iter()
                .take(SUGGESTED)
                .map(|account| {
                    let of = names.person(account.user);
                    (
                        account.id.to_string(),
                        format!("{} of {of} ({})", account.label, account.integration),
                    )
                })
                .collect(),
            tools,
            integrations: integrations::ALL
                .iter()
                .map(|one| (one.id, one.name))
                .collect(),
            codes: CODES.iter().map(|code| code.as_str()).collect(),
            classes: vec![
                class("Everything", ""),
                class("Calls", "calls"),
                class("Administration", "administration"),
                class("Security", "security"),
            ],
            ranges: vec![
                range("Last hour", 1),
                range("Last day", 24),
                range("Last week", 7 * 24),
                range("Last 90 days", 90 * 24),
            ],
            notes: Vec::new(),
            problems: Vec::new(),
            drawing: None,
            rows: Vec::new(),
            newer: None,
            older: None,
            searched: None,
            live: None,
            views: views
                .into_iter()
                .map(|view| Saved {
                    of: (view.user != caller.user).then(|| names.person(view.user)),
                    chosen: view.query == query,
                    name: view.name,
                    query: view.query,
                    shared: view.shared,
                })
                .collect(),
            filtered: !filter.is_empty(),
            query,
            asked,
        }
    }

    /// The links to what is newer and older.
    fn place(&mut self, found: &Found, order: Order, first: bool) {
        let filter = self.asked.filter();
        let link = |name, seq: i64| filter.with(&[(name, &seq.to_string())]).query();
        let ends = (found.lines.first(), found.lines.last());
        let (newest, oldest) = match order {
            Order::Down => ends,
            Order::Up => (ends.1, ends.0),
        };
        let newest = newest.map(|line| line.seq);
        let oldest = oldest.map(|line| line.seq);
        match order {
            Order::Down => {
                self.newer = newest
                    .or_else(|| self.asked.seq("before").map(|seq| seq - 1))
                    .filter(|_| !first)
                    .map(|seq| link("after", seq));
                match found.beyond {
                    Beyond::Nothing => {}
                    Beyond::More(seq) => self.older = Some(link("before", seq)),
                    Beyond::Searched(seq, at) => {
                        self.older = Some(link("before", seq));
                        self.searched = Some(brief(at));
                    }
                }
            }
            Order::Up => {
                let reached = match found.beyond {
                    Beyond::Searched(seq, _) => Some(seq),
                    Beyond::Nothing | Beyond::More(_) => newest,
                };
                self.newer = reached.map(|seq| link("after", seq));
                let before = oldest.or_else(|| self.asked.seq("after").map(|seq| seq + 1));
                self.older = before.map(|seq| link("before", seq));
            }
        }
    }
}

/// A time without its fraction.
fn second(at: Timestamp) -> String {
    Timestamp::from_micros(at.micros().div_euclid(1_000_000) * 1_000_000).rfc3339()
}

/// The codes that the form suggests.
const CODES: [Code; 17] = [
    Code::UnknownTool,
    Code::InvalidInput,
    Code::ConnectionMissing,
    Code::ReauthRequired,
    Code::InsufficientScope,
    Code::AdminConsentRequired,
    Code::AmbiguousAccount,
    Code::BlockedByPolicy,
    Code::ApprovalRequired,
    Code::NotFound,
    Code::Conflict,
    Code::PlanRequired,
    Code::RateLimited,
    Code::UpstreamUnavailable,
    Code::Timeout,
    Code::Cancelled,
    Code::Internal,
];

#[derive(Template)]
#[template(path = "audit/rows.html", config = "src/web/askama.toml")]
struct Rows {
    page: Page,
    rows: Vec<Row>,
}

/// How old what somebody watches may be. What is older was asked for, and that is recorded as any other look.
const NEW: Duration = Duration::from_mins(1);

/// The rows after an event, the newest first, as a part of a page. That somebody watches is recorded by the page, once:
/// looks that write into what they look at would never end.
pub(super) async fn rows(
    State(web): State<Web>,
    Reviewer(caller): Reviewer,
    asked: Asked,
) -> Result<Response, Error> {
    let names = Names::of(&web, &caller).await?;
    let filter = Filter::of(&web, &caller, &asked, &names).await?;
    let after = asked.seq("after").ok_or(Error::NotFound)?;
    if !filter.problems.is_empty() {
        return Err(Error::NotFound);
    }
    let look = Look {
        search: filter.search,
        since: filter.since,
        until: filter.until,
        beyond: Some(after),
        order: Order::Up,
        limit: ROWS,
    };
    let found = web.audit.look(caller.org, &look).await?;
    let now = web.audit.now();
    if found.lines.iter().any(|line| now.since(line.at) > NEW) {
        looked(&web, &caller, "rows", &asked.filter().query()).await?;
    }
    let part = Rows {
        page: Page::of(&web, Some(&caller)).at(Place::Audit),
        rows: rows_of(&found, Order::Up, &names, &asked),
    };
    Ok(show(StatusCode::OK, &part))
}
