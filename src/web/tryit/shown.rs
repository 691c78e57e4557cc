//! An answer as the page shows it.

use std::time::Duration;

use serde_json::Value;

use crate::calls::Action;
use crate::ids::CallId;
use crate::kit::text;
use crate::mcp::{Failed, Tried};

/// Characters of a token, about: what models of today make of English and JSON.
const TOKEN: usize = 4;

/// The answer to a call.
pub(super) struct Shown {
    /// The audit record.
    pub(super) call: CallId,
    /// How long it took, in milliseconds.
    pub(super) millis: u128,
    /// Whether it was a dry run.
    pub(super) dry: bool,
    /// What went wrong.
    pub(super) problem: Option<Trouble>,
    /// The structured content; empty when there is none.
    pub(super) structured: String,
    /// Every piece of content, in order.
    pub(super) contents: Vec<Piece>,
    /// The whole answer, as JSON.
    pub(super) whole: String,
    /// Characters of text that a model reads.
    pub(super) chars: usize,
    /// About how many tokens those are.
    pub(super) tokens: usize,
    /// Where the next page starts.
    pub(super) cursor: Option<String>,
}

/// Why there is no answer, or one that is a failure.
pub(super) struct Trouble {
    /// The stable code.
    pub(super) code: &'static str,
    /// One sentence that says what to do.
    pub(super) words: String,
    /// What to do about it: words and an address.
    pub(super) action: Option<(&'static str, String)>,
    /// Whether the call can be repeated once somebody agreed.
    pub(super) waits: bool,
}

/// A piece of content.
pub(super) struct Piece {
    /// `text`, `resource_link` or a media type.
    pub(super) kind: String,
    /// What it says.
    pub(super) text: String,
    /// What is told about it.
    pub(super) meta: Vec<(String, String)>,
}

impl Shown {
    /// The page's view of an answer.
    pub(super) fn of(tried: &Tried, took: Duration, dry: bool) -> Self {
        let result = &tried.body["result"];
        let list = |name: &str| {
            result[name]
                .as_array()
                .map(Vec::as_slice)
                .unwrap_or_default()
        };
        let contents = list("content").iter().map(piece);
        let contents: Vec<Piece> = contents
            .chain(list("contents").iter().map(resource))
            .collect();
        let structured = &result["structuredContent"];
        let cursor = structured["next_cursor"].as_str().map(ToOwned::to_owned);
        let chars = contents
            .iter()
            .map(|piece| piece.text.chars().count())
            .sum();
        Self {
            call: tried.call,
            millis: took.as_millis(),
            dry,
            problem: tried.failure.as_ref().map(trouble),
            structured: if structured.is_null() {
                String::new()
            } else {
                pretty(structured)
            },
            contents,
            whole: pretty(&tried.body),
            chars,
            tokens: usize::div_ceil(chars, TOKEN),
            cursor,
        }
    }
}

fn trouble(failed: &Failed) -> Trouble {
    let action = failed.action.as_ref().map(|(action, url)| {
        let words = match action {
            Action::Connect(_) => "Connect an account",
            Action::Reconnect(..) => "Reconnect the account",
            Action::Approve(_) => "Look at the call and decide",
            Action::Open(_) => "Open the page",
        };
        (words, url.clone())
    });
    Trouble {
        code: failed.code.as_str(),
        words: failed.message.clone(),
        waits: matches!(failed.action, Some((Action::Approve(_), _))),
        action,
    }
}

/// A piece of a tool's content.
fn piece(value: &Value) -> Piece {
    let kind = value["type"].as_str().unwrap_or_default();
    let said = value["text"].as_str().or_else(|| value["uri"].as_str());
    Piece {
        kind: kind.to_owned(),
        text: text::visible(said.unwrap_or_default().to_owned()),
        meta: Vec::new(),
    }
}

/// A piece of a block.
fn resource(value: &Value) -> Piece {
    let field = |name: &str| value[name].as_str().unwrap_or_default();
    let mut meta = vec![("uri".to_owned(), field("uri").to_owned())];
    let more = value["_meta"].as_object().into_iter().flatten();
    meta.extend(more.map(|(name, value)| {
        let shown = value
            .as_str()
            .map_or_else(|| value.to_string(), ToOwned::to_owned);
        (name.clone(), shown)
    }));
    Piece {
        kind: field("mimeType").to_owned(),
        text: text::visible(field("text").to_owned()),
        meta,
    }
}

fn pretty(value: &Value) -> String {
    text::visible(serde_json::to_string_pretty(value).unwrap_or_default())
}
