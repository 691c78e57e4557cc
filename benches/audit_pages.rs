//! What audit review costs on a long log: a year of synthetic calls of 200 people, chained and counted as the product does,
//! on SQLite and on PostgreSQL; then each kind of filtered page, the chart, a record and a conversation, with the plan of
//! every statement. Run with `cargo bench --bench audit_pages`; `ROWS` sets the number of events (two a call), one million
//! unless told, and `ONLY=sqlite` or `ONLY=postgres` leaves the other database out.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unnecessary_wraps,
    unreachable_pub,
    dead_code,
    reason = "a measuring program prints, and ends at the first surprise; the harness of the tests has more than it needs; a filter \
              asks with an option"
)]

#[path = "../tests/it/harness/database.rs"]
mod database;

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection as _};
use workbench_mcp::audit::{
    AuditKeys, AuditLog, Class, Like, Look, Order, Search, Words, link, unlinked,
};
use workbench_mcp::caller::Role;
use workbench_mcp::clock::{Clock, Timestamp};
use workbench_mcp::ids::{CallId, ConnectionId, OrgId, UserId};
use workbench_mcp::store::{AuditPayload, AuditRow, Store, UserRow};

use database::Database;

const PEOPLE: usize = 200;
const TOOLS: usize = 28;
/// Calls of a conversation.
const THREAD: i64 = 20;
/// Events of one transaction.
const BATCH: i64 = 4_096;
/// 2025-11-20T12:00:00Z.
const BEGIN: i64 = 1_763_640_000_000_000;
const YEAR: i64 = 365 * 86_400_000_000;
/// Times that each page is looked at, with other values each time.
const ROUNDS: usize = 40;

/// Numbers that look random and are the same in every run (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) >> 1).unwrap()
    }
}

struct Year {
    org: OrgId,
    people: Vec<UserId>,
    accounts: Vec<ConnectionId>,
    /// Some of the calls.
    calls: Vec<CallId>,
    threads: i64,
}

fn tool(n: usize) -> (String, &'static str, &'static str) {
    let integration = if n < 14 { "github" } else { "hubspot" };
    let effect = match n % 7 {
        5 => "write",
        6 => "destructive",
        _ => "read",
    };
    (format!("{integration}_tool_{n:02}"), integration, effect)
}

#[tokio::main]
async fn main() {
    // `cargo test --benches` and `cargo bench` pass options of their own.
    let rows: i64 = std::env::var("ROWS")
        .ok()
        .map_or(1_000_000, |rows| rows.parse().expect("ROWS is a number"));
    let only = std::env::var("ONLY").unwrap_or_default();
    if only != "postgres" {
        measure(&database::sqlite(), rows).await;
    }
    if only != "sqlite" {
        match database::postgres().await {
            Some(database) => measure(&database, rows).await,
            None => eprintln!("postgres is left out: there is none to start"),
        }
    }
}

async fn measure(database: &Database, rows: i64) {
    let store = database.store().await;
    let started = Instant::now();
    let year = fill(&store, rows).await;
    println!(
        "\n# {}: {rows} events written in {:.0?}",
        database.name,
        started.elapsed()
    );
    if !database.is_sqlite() {
        // What autovacuum does by itself in a day's time.
        database.execute("vacuum analyze").await;
    }
    let keys = AuditKeys {
        hmac: [1; 32],
        signer: None,
    };
    let clock = Clock::manual(Timestamp::from_micros(BEGIN + YEAR));
    let (log, writer) = AuditLog::start(store.clone(), clock, keys).await.unwrap();
    pages(database, &store, &log, &year).await;
    others(&log, &year).await;
    writer.stop().await;
}

/// Writes a year.
async fn fill(store: &Store, rows: i64) -> Year {
    let now = Timestamp::from_micros(BEGIN);
    let org = store.organization(now).await.unwrap().id;
    let mut year = Year {
        org,
        people: Vec::new(),
        accounts: (0..PEOPLE * 2).map(|_| ConnectionId::new(now)).collect(),
        calls: Vec::new(),
        threads: rows / 2 / THREAD,
    };
    for n in 0..PEOPLE {
        let row = UserRow {
            id: UserId::new(now),
            org_id: org,
            email: format!("person{n}@example.test"),
            role: Role::Member,
            created_at: now,
            removed_at: None,
        };
        store.insert_user(&row).await.unwrap();
        year.people.push(row.id);
    }
    let mut numbers = Numbers(7);
    let mut buffer = Vec::new();
    let mut seq = 0;
    while seq < rows {
        let last = (seq + BATCH).min(rows);
        let mut batch = Vec::new();
        while seq < last {
            let at = Timestamp::from_micros(BEGIN + YEAR / rows.max(1) * seq);
            batch.extend(call(&mut year, &mut numbers, seq, at));
            seq += 2;
        }
        let first = batch[0].at;
        let mut chain = |head: &_, row: &mut AuditRow| {
            let at = row.at.max(first);
            link(head, row, at, &mut buffer)
        };
        store
            .append_audit(org, &mut batch, &mut chain, &|_| None)
            .await
            .unwrap();
    }
    year
}

/// The intent and the outcome of a call; now and then it is something else.
fn call(year: &mut Year, numbers: &mut Numbers, seq: i64, at: Timestamp) -> [AuditRow; 2] {
    let id = CallId::new(at);
    let thread = seq / 2 / THREAD;
    // A conversation is of one person.
    let person = usize::try_from(thread).unwrap() * 7 % PEOPLE;
    let (tool, integration, effect) = tool(numbers.next() % TOOLS);
    let account = person * 2 + usize::from(integration == "hubspot");
    let outcome = match numbers.next() % 100 {
        0 => "timeout",
        1 => "rate_limited",
        2 => "upstream_unavailable",
        _ => "ok",
    };
    if seq % 50_000 == 0 {
        year.calls.push(id);
    }
    let micros = 1 << (10 + numbers.next() % 13);
    let payload = |body: String| {
        Some(AuditPayload {
            salt: [5; 32],
            body,
        })
    };
    let intent = AuditRow {
        at,
        kind: "tool.intent".to_owned(),
        user_id: Some(year.people[person]),
        integration: Some(integration.to_owned()),
        tool: Some(tool),
        effect: Some(effect.to_owned()),
        thread: Some(format!("thread-{thread}")),
        facts: r#"{"transport":"http","protocol":"2026-07-28","client":"bench 1.0","grant":"grt_01a1f8d3ea00747cabddcee93f829e01"}"#.to_owned(),
        payload: payload(format!(r#"{{"arguments":{{"query":"hmac:00112233445566778899aabbccddeeff:12","page":{}}}}}"#, seq % 9)),
        commitment: Some([6; 32]),
        ..unlinked(year.org, id)
    };
    let mut done = AuditRow {
        kind: "tool.outcome".to_owned(),
        connection_id: Some(year.accounts[account]),
        outcome: Some(outcome.to_owned()),
        completes: Some(seq + 1),
        facts: format!(
            r#"{{"duration_us":{micros},"upstream_requests":1,"upstream_status":200,"bytes_in":4096,"bytes_out":0}}"#
        ),
        payload: payload(r#"{"account":"an account","detail":{"items":3}}"#.to_owned()),
        ..intent.clone()
    };
    if numbers.next().is_multiple_of(500) {
        let security = numbers.next().is_multiple_of(2);
        let kind = if security {
            "auth.signed_in"
        } else {
            "connection.connected"
        };
        done = AuditRow {
            kind: kind.to_owned(),
            tool: None,
            effect: None,
            thread: None,
            completes: None,
            facts: r#"{"target":"laptop"}"#.to_owned(),
            ..done
        };
    }
    [intent, done]
}

/// Values that are asked for.
struct Wanted<'a> {
    year: &'a Year,
    numbers: Numbers,
}

impl Wanted<'_> {
    fn user(&mut self) -> Option<UserId> {
        Some(self.year.people[self.numbers.next() % PEOPLE])
    }

    fn account(&mut self) -> Option<ConnectionId> {
        Some(self.year.accounts[self.numbers.next() % self.year.accounts.len()])
    }

    fn tool(&mut self) -> Option<String> {
        Some(tool(self.numbers.next() % TOOLS).0)
    }

    fn thread(&mut self) -> Option<String> {
        let threads = usize::try_from(self.year.threads.max(1)).unwrap();
        Some(format!("thread-{}", self.numbers.next() % threads))
    }
}

type Make = fn(&mut Wanted<'_>) -> Search;

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[rustfmt::skip]
const KINDS: &[(&str, Make)] = &[
    ("nothing", |_| Search::default()),
    ("person", |w| Search { user: w.user(), ..Search::default() }),
    ("integration", |_| Search { integration: text("github"), ..Search::default() }),
    ("integration that nobody uses", |_| Search { integration: text("sentry"), ..Search::default() }),
    ("account", |w| Search { connection: w.account(), ..Search::default() }),
    ("tool", |w| Search { tool: w.tool(), ..Search::default() }),
    ("effect read", |_| Search { effect: text("read"), ..Search::default() }),
    ("effect destructive", |_| Search { effect: text("destructive"), ..Search::default() }),
    ("outcome ok", |_| Search { outcome: Some(Like::Is("ok".to_owned())), ..Search::default() }),
    ("outcome timeout", |_| Search { outcome: Some(Like::Is("timeout".to_owned())), ..Search::default() }),
    ("outcome not ok", |_| Search { outcome: Some(Like::NotOk), ..Search::default() }),
    ("thread", |w| Search { thread: w.thread(), ..Search::default() }),
    ("calls", |_| Search { kind: Some(Like::Class(Class::Calls)), ..Search::default() }),
    ("administration", |_| Search { kind: Some(Like::Class(Class::Administration)), ..Search::default() }),
    ("security", |_| Search { kind: Some(Like::Class(Class::Security)), ..Search::default() }),
    ("exact kind", |_| Search { kind: Some(Like::Is("auth.signed_in".to_owned())), ..Search::default() }),
    ("person, tool", |w| Search { user: w.user(), tool: w.tool(), ..Search::default() }),
    ("person, not ok", |w| Search { user: w.user(), outcome: Some(Like::NotOk), ..Search::default() }),
    ("person, timeout", |w| Search { user: w.user(), outcome: Some(Like::Is("timeout".to_owned())), ..Search::default() }),
    ("person, tool, effect, timeout", |w| Search { user: w.user(), tool: w.tool(), effect: text("destructive"), outcome: Some(Like::Is("timeout".to_owned())), ..Search::default() }),
    ("tool, not ok", |w| Search { tool: w.tool(), outcome: Some(Like::NotOk), ..Search::default() }),
    ("tool of the other integration (nothing)", |_| Search { tool: text("github_tool_01"), integration: text("hubspot"), ..Search::default() }),
    ("integration, effect write", |_| Search { integration: text("hubspot"), effect: text("write"), ..Search::default() }),
    ("account of somebody else (nothing)", |w| Search { user: w.user(), connection: w.account(), ..Search::default() }),
    ("person, security", |w| Search { user: w.user(), kind: Some(Like::Class(Class::Security)), ..Search::default() }),
    ("words that are found", |_| Search { words: Some(Words { text: "tool_1".to_owned(), ..Words::default() }), ..Search::default() }),
    ("words that are nowhere", |_| Search { words: Some(Words { text: "no such words".to_owned(), ..Words::default() }), ..Search::default() }),
    ("person, words that are nowhere", |w| Search { user: w.user(), words: Some(Words { text: "no such words".to_owned(), ..Words::default() }), ..Search::default() }),
];

async fn pages(database: &Database, store: &Store, log: &AuditLog, year: &Year) {
    println!("\n| Page of 50 | p50 ms | p95 ms | longest ms | rows | chart p95 ms |");
    println!("|---|---|---|---|---|---|");
    let mut plans = Vec::new();
    for (name, make) in KINDS {
        let mut wanted = Wanted {
            year,
            numbers: Numbers(11),
        };
        let (mut times, mut charts, mut rows) = (Vec::new(), Vec::new(), 0);
        for round in 0..ROUNDS {
            let search = make(&mut wanted);
            // Every third is in the middle of the year, every third at its end and looks at a fortnight.
            let (since, until) = match round % 3 {
                0 => (None, None),
                1 => (None, Some(Timestamp::from_micros(BEGIN + YEAR / 2))),
                _ => (Some(Timestamp::from_micros(BEGIN + YEAR - YEAR / 26)), None),
            };
            let look = Look {
                search: search.clone(),
                since,
                until,
                beyond: None,
                order: Order::Down,
                limit: 50,
            };
            let started = Instant::now();
            let found = log.look(year.org, &look).await.unwrap();
            times.push(started.elapsed());
            rows += found.lines.len();
            let started = Instant::now();
            log.chart(year.org, &search, since, until).await.unwrap();
            charts.push(started.elapsed());
            if round == 0 {
                let search = Search {
                    below: i64::MAX,
                    ..search
                };
                for sql in store.audit_stretch_sql(year.org, &search, Order::Down, 500, 51) {
                    plans.push((*name, plan(database, &sql).await));
                }
            }
        }
        println!(
            "| {name} | {} | {} | {} |",
            figures(&mut times),
            rows / ROUNDS,
            millis(percentile(&mut charts, 95))
        );
    }
    println!("\n| Page | Plan |\n|---|---|");
    for (name, plan) in plans {
        println!("| {name} | `{plan}` |");
    }
}

async fn others(log: &AuditLog, year: &Year) {
    println!("\n| Other | p50 ms | p95 ms | longest ms |\n|---|---|---|---|");
    let org = year.org;
    let all = Search::default();
    let end = Timestamp::from_micros(BEGIN + YEAR);
    for (name, days) in [
        ("chart of a day", 1),
        ("chart of 30 days", 30),
        ("chart of a year", 365),
    ] {
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let since = end.minus(Duration::from_hours(24 * days));
            let started = Instant::now();
            log.chart(org, &all, Some(since), Some(end)).await.unwrap();
            times.push(started.elapsed());
        }
        println!("| {name} | {} |", figures(&mut times));
    }
    let mut wanted = Wanted {
        year,
        numbers: Numbers(13),
    };
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let thread = wanted.thread().unwrap();
        let started = Instant::now();
        let people = log.thread_people(org, &thread).await.unwrap();
        let look = Look {
            search: Search {
                thread: Some(thread),
                user: people.first().map(|(user, _)| *user),
                ..Search::default()
            },
            since: None,
            until: None,
            beyond: None,
            order: Order::Up,
            limit: 100,
        };
        log.look(org, &look).await.unwrap();
        times.push(started.elapsed());
    }
    println!("| a conversation | {} |", figures(&mut times));
    let mut times = Vec::new();
    for call in &year.calls {
        let started = Instant::now();
        log.read(org, *call).await.unwrap();
        times.push(started.elapsed());
    }
    println!("| a record | {} |", figures(&mut times));
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let started = Instant::now();
        log.estimate(org, &all, None, None).await.unwrap();
        times.push(started.elapsed());
    }
    println!("| the size of an export | {} |", figures(&mut times));
}

/// What the database means to do, in one line.
async fn plan(database: &Database, sql: &str) -> String {
    let lines: Vec<String> = if database.is_sqlite() {
        let sql = AssertSqlSafe(format!("explain query plan {sql}"));
        let mut connection = sqlx::SqliteConnection::connect(&database.admin)
            .await
            .unwrap();
        let rows: Vec<(i64, i64, i64, String)> = sqlx::query_as(sql)
            .fetch_all(&mut connection)
            .await
            .unwrap();
        rows.into_iter().map(|(.., detail)| detail).collect()
    } else {
        let sql = AssertSqlSafe(format!("explain (costs off) {sql}"));
        let mut connection = sqlx::PgConnection::connect(&database.admin).await.unwrap();
        let rows: Vec<(String,)> = sqlx::query_as(sql)
            .fetch_all(&mut connection)
            .await
            .unwrap();
        rows.into_iter().map(|(line,)| line).collect()
    };
    let lines: Vec<String> = lines
        .iter()
        .map(|line| line.trim().trim_start_matches("->").trim().to_owned())
        .collect();
    lines.join("; ")
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    let at = (times.len() * percent).div_ceil(100).max(1) - 1;
    times.get(at).copied().unwrap_or_default()
}

fn millis(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1_000.0)
}

fn figures(times: &mut [Duration]) -> String {
    let [half, most, all] = [50, 95, 100].map(|percent| millis(percentile(times, percent)));
    format!("{half} | {most} | {all}")
}
