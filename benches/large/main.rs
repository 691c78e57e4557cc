//! Large accounts and files through the real `serve` process: a mailbox of ten thousand threads, a report of two hundred
//! pages, a workbook and a sheet of fifty thousand rows. For each kind of call the time, what the answer weighs, and the
//! most memory the process had at once. Run with `cargo bench --bench large`; `BENCH_CALLS` sets the calls of each kind.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a measuring program prints, and ends at the first surprise"
)]

mod files;
#[path = "../process.rs"]
mod process;
mod upstream;

use std::time::{Duration, Instant};

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use workbench_mcp::app::App;
use workbench_mcp::caller::{Role, Scopes};
use workbench_mcp::clock::Clock;
use workbench_mcp::config::Config;

use process::{Process, status_mib};
use upstream::{PAGES, ROWS, THREADS};

/// What every answer must stay below, in KiB: `max_chars` left out allows 24,000 characters, which stand in the answer
/// twice, as text and as structured content, with escapes.
const ANSWER_KIB: f64 = 128.0;
/// The scopes that the tools below need.
const SCOPES: [&str; 5] = [
    "openid",
    "email",
    "https://www.googleapis.com/auth/gmail.readonly",
    "https://www.googleapis.com/auth/drive.readonly",
    "https://www.googleapis.com/auth/spreadsheets",
];

#[tokio::main]
async fn main() {
    let calls = std::env::var("BENCH_CALLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(10);
    let (google, report, workbook) = upstream::start().await;
    let data = tempfile::tempdir().unwrap();
    let settings = [
        ("WORKBENCH_DATA_DIR", data.path().display().to_string()),
        ("WORKBENCH_PROVIDER_GOOGLE_API_URL", google),
        ("WORKBENCH_LOG", "warn".to_owned()),
    ];
    // Each call is another person's, so that nobody waits for the pace that is kept with an account.
    let tokens = people(&settings, calls).await;
    let server = Process::serve(&settings).await;
    println!(
        "{THREADS} threads; a report of {PAGES} pages, {:.1} MiB; a workbook of {ROWS} rows, {:.1} MiB; at rest {:.1} MiB",
        mib(report),
        mib(workbook),
        server.resident_mib()
    );
    let bench = Bench { server, tokens };
    for (what, how, call) in cases() {
        bench.measured(what, how, call).await;
    }
    println!("afterwards {:.1} MiB", bench.server.resident_mib());
}

/// How a call is made.
#[derive(Clone, Copy)]
enum How {
    /// By everybody, one after another.
    Each,
    /// By everybody at once.
    Together,
    /// By one person, and then for so many pages.
    Pages(usize),
}

type Call = (&'static str, Value);

/// What is measured.
fn cases() -> Vec<(&'static str, How, Call)> {
    let mail = |arguments: Value| ("google_search_mail", arguments);
    let file = |arguments: Value| ("google_read_file", arguments);
    let sheet = |arguments: Value| ("google_read_sheet", arguments);
    let pages = json!({ "file": "report", "pages": "100-105" });
    let cells = json!({ "file": "workbook", "range": "A49990:H50001" });
    vec![
        ("mail: 15 threads", How::Each, mail(json!({ "q": "offer" }))),
        (
            "mail: 30 threads",
            How::Each,
            mail(json!({ "q": "offer", "limit": 30 })),
        ),
        (
            "mail: pages of 15 threads",
            How::Pages(10),
            mail(json!({ "q": "offer" })),
        ),
        (
            "report: its beginning",
            How::Each,
            file(json!({ "file": "report" })),
        ),
        ("report: pages 100-105", How::Each, file(pages.clone())),
        ("report: pages 100-105", How::Together, file(pages)),
        (
            "workbook: its beginning",
            How::Each,
            file(json!({ "file": "workbook" })),
        ),
        ("workbook: its last rows", How::Each, file(cells.clone())),
        ("workbook: its last rows", How::Together, file(cells)),
        (
            "sheet: 100 rows",
            How::Each,
            sheet(json!({ "file": "sheet" })),
        ),
        (
            "sheet: 1,000 rows",
            How::Each,
            sheet(json!({ "file": "sheet", "limit": 1_000 })),
        ),
        (
            "sheet: its last rows",
            How::Each,
            sheet(json!({ "file": "sheet", "ranges": ["Contracts!A49990:H50001"] })),
        ),
        (
            "sheet: pages of 100 rows",
            How::Pages(10),
            sheet(json!({ "file": "sheet" })),
        ),
    ]
}

fn mib(bytes: usize) -> f64 {
    bytes as f64 / 1024.0 / 1024.0
}

/// People with a connected Google account each; their tokens.
async fn people(settings: &[(&str, String)], people: usize) -> Vec<String> {
    let named = settings
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()));
    let app = App::start(&Config::load(named, None).unwrap(), Clock::System)
        .await
        .unwrap();
    let mut tokens = Vec::new();
    for number in 1..=people {
        let email = format!("p{number}@example.test");
        let person = app
            .auth
            .add_user(app.org, &email, Role::Member)
            .await
            .unwrap();
        let token = app
            .auth
            .create_token(&person, "bench", None, Scopes::ALL)
            .await
            .unwrap();
        let credential =
            json!({ "access_token": format!("bench-token-{number}"), "scopes": SCOPES });
        let credential = serde_json::from_value(credential).unwrap();
        app.connections
            .import(app.org, person.id, "google", credential)
            .await
            .unwrap();
        tokens.push(token.secret.expose_secret().to_owned());
    }
    app.stop().await;
    tokens
}

struct Bench {
    server: Process,
    tokens: Vec<String>,
}

/// One answer.
struct Answer {
    took: Duration,
    bytes: usize,
    content: Value,
}

impl Bench {
    async fn made(&self, how: How, (tool, mut arguments): Call) -> Vec<Answer> {
        let mut answers = Vec::new();
        match how {
            How::Each => {
                for token in &self.tokens {
                    answers.push(self.call(token, tool, &arguments).await);
                }
            }
            How::Together => {
                let calls = self
                    .tokens
                    .iter()
                    .map(|token| self.call(token, tool, &arguments));
                answers = futures_util::future::join_all(calls).await;
            }
            How::Pages(pages) => {
                for _ in 0..pages {
                    let answer = self.call(&self.tokens[0], tool, &arguments).await;
                    arguments["cursor"] = answer.content["next_cursor"].clone();
                    assert!(arguments["cursor"].is_string(), "there is no next page");
                    answers.push(answer);
                }
            }
        }
        answers
    }

    async fn measured(&self, what: &str, how: How, call: Call) {
        let process = self.server.id();
        let (rest, used) = (self.server.resident_mib(), self.server.cpu_us());
        // The highest mark begins anew (proc(5), clear_refs).
        std::fs::write(format!("/proc/{process}/clear_refs"), "5").unwrap();
        let mut answers = self.made(how, call).await;
        let used = (self.server.cpu_us() - used) / 1e3 / answers.len() as f64;
        answers.sort_by_key(|answer| answer.took);
        let ms = |answer: &Answer| answer.took.as_secs_f64() * 1e3;
        let largest = answers.iter().map(|answer| answer.bytes).max().unwrap();
        let kib = largest as f64 / 1024.0;
        let content = &answers[0].content;
        let how = match how {
            How::Each => "one by one",
            How::Together => "all at once",
            How::Pages(_) => "page by page",
        };
        println!(
            "{what:<26} {how:<12} p50 {:>7.1} ms   most {:>7.1} ms   processor {used:>6.1} ms   answer {kib:>5.1} KiB{}   peak {:>6.1} MiB (rest {rest:.1})",
            ms(&answers[answers.len() / 2]),
            ms(answers.last().unwrap()),
            if content["truncated"] == true || content["next_cursor"].is_string() {
                ", cut"
            } else {
                "     "
            },
            status_mib(process, "VmHWM:"),
        );
        assert!(kib <= ANSWER_KIB, "the answer is not bounded");
    }

    async fn call(&self, token: &str, tool: &str, arguments: &Value) -> Answer {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "bench", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let request = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": { "name": tool, "arguments": arguments, "_meta": meta },
        });
        let sent = Instant::now();
        let answer = client
            .post(&self.server.url)
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/call")
            .header("mcp-name", tool)
            .bearer_auth(token)
            .body(request.to_string())
            .send()
            .await
            .unwrap();
        let text = answer.text().await.unwrap();
        let took = sent.elapsed();
        // An answer that took its time comes as an event.
        let event = text
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .next_back();
        let mut body: Value = serde_json::from_str(event.unwrap_or(&text)).unwrap();
        let content = body["result"]["structuredContent"].take();
        assert!(
            body["result"]["isError"] != true && content["items"].is_array(),
            "{text}"
        );
        Answer {
            took,
            bytes: text.len(),
            content,
        }
    }
}
