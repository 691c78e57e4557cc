//! A trace's answer as a list of spans. Sentry nests them as deep as the calls went, deeper than serde_json goes, and a
//! parser without a limit would leave the stack's end to whoever writes the answer. So each span is read by itself, with
//! its children as the text they are, and the list of what is still to be read takes the place of the stack.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::model::{readable, readable_list};
use crate::kit::error::ProviderError;

/// Nesting of spans that is followed.
pub(super) const DEEPEST: usize = 200;

/// A span, an error or an uptime check.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Node {
    pub(super) event_id: String,
    pub(super) event_type: String,
    #[serde(deserialize_with = "readable")]
    pub(super) project_slug: String,
    #[serde(deserialize_with = "readable")]
    pub(super) op: String,
    #[serde(deserialize_with = "readable")]
    pub(super) description: Option<String>,
    #[serde(deserialize_with = "readable")]
    pub(super) transaction: String,
    /// Milliseconds.
    #[serde(deserialize_with = "readable")]
    pub(super) duration: f64,
    /// Seconds since 1970.
    #[serde(deserialize_with = "readable")]
    pub(super) start_timestamp: Option<f64>,
    #[serde(deserialize_with = "readable")]
    pub(super) end_timestamp: Option<f64>,
    #[serde(deserialize_with = "readable")]
    pub(super) is_transaction: bool,
    #[serde(deserialize_with = "readable_list")]
    pub(super) errors: Vec<Fault>,
    #[serde(deserialize_with = "readable_list")]
    pub(super) occurrences: Vec<Fault>,
    #[serde(deserialize_with = "readable")]
    pub(super) issue_id: Option<u64>,
    /// As they are written, until they are read themselves.
    children: Option<Vec<Box<RawValue>>>,
    /// Places in the list of all, in their order.
    #[serde(skip)]
    pub(super) below: Vec<usize>,
    /// How many there are with all below it.
    #[serde(skip)]
    pub(super) size: usize,
    /// Whether something went wrong in it or below it.
    #[serde(skip)]
    pub(super) failed: bool,
}

/// An error or another issue within a span.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Fault {
    pub(super) issue_id: Option<u64>,
    pub(super) description: Option<String>,
    pub(super) short_id: Option<String>,
}

impl Node {
    pub(super) fn is_span(&self) -> bool {
        matches!(self.event_type.as_str(), "span" | "uptime_check")
    }
}

/// A trace as it was answered.
#[derive(Debug, Default)]
pub(super) struct Spans {
    /// Every span before those below it.
    pub(super) all: Vec<Node>,
    /// The places of those that are below no other.
    pub(super) roots: Vec<usize>,
    /// How many could not be read; what is below them is missing too.
    pub(super) unreadable: usize,
    /// Whether some were nested deeper than is followed.
    pub(super) too_deep: bool,
}

impl Spans {
    /// Reads the body of `GET …/trace/{id}/`.
    pub(super) fn read(body: &[u8]) -> Result<Self, ProviderError> {
        let roots: Vec<Box<RawValue>> =
            serde_json::from_slice(body).map_err(|error| ProviderError::Unavailable {
                reason: format!("answered a trace that is no JSON list ({error})"),
            })?;
        let mut spans = Self::default();
        // Taken from the end: reversed, so that siblings keep their order.
        let mut left: Vec<(Box<RawValue>, Option<usize>, usize)> = Vec::new();
        left.extend(roots.into_iter().rev().map(|root| (root, None, 0)));
        while let Some((raw, parent, depth)) = left.pop() {
            let Ok(mut node) = serde_json::from_str::<Node>(raw.get()) else {
                spans.unreadable += 1;
                continue;
            };
            let below = node.children.take().unwrap_or_default();
            let at = spans.all.len();
            spans.all.push(node);
            match parent.and_then(|parent| spans.all.get_mut(parent)) {
                Some(parent) => parent.below.push(at),
                None => spans.roots.push(at),
            }
            if depth < DEEPEST {
                let below = below.into_iter().rev();
                left.extend(below.map(|child| (child, Some(at), depth + 1)));
            } else {
                spans.too_deep |= !below.is_empty();
            }
        }
        spans.sum_up();
        Ok(spans)
    }

    /// Tells every span what is below it. Those come after it, so from the end each finds them done.
    fn sum_up(&mut self) {
        for at in (0..self.all.len()).rev() {
            let (before, after) = self.all.split_at_mut(at + 1);
            let Some(node) = before.last_mut() else {
                continue;
            };
            let below = || {
                node.below
                    .iter()
                    .filter_map(|place| after.get(place - at - 1))
            };
            let size = 1 + below().map(|child| child.size).sum::<usize>();
            let failed = !node.is_span()
                || !node.errors.is_empty()
                || !node.occurrences.is_empty()
                || below().any(|child| child.failed);
            (node.size, node.failed) = (size, failed);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

    use super::*;

    fn nested(depth: usize) -> String {
        let open = r#"{"event_id":"s","event_type":"span","children":["#;
        format!("[{}{}]", open.repeat(depth), "]}".repeat(depth))
    }

    #[test]
    fn spans_nest_deeper_than_a_parser_goes() {
        let spans = Spans::read(nested(150).as_bytes()).unwrap();
        assert_eq!(spans.all.len(), 150);
        assert_eq!(spans.all[0].size, 150);
        assert!(!spans.too_deep);
        let spans = Spans::read(nested(1_000).as_bytes()).unwrap();
        assert_eq!(spans.all.len(), DEEPEST + 1);
        assert!(spans.too_deep);
    }

    #[test]
    fn siblings_keep_their_order_and_an_odd_one_costs_itself_alone() {
        let body = r#"[{"event_id":"a","event_type":"span","children":[
            {"event_id":"b","event_type":"span"}, 7, {"event_id":"c","event_type":"error"}]}, {"event_id":"d","event_type":"span"}]"#;
        let spans = Spans::read(body.as_bytes()).unwrap();
        let ids: Vec<&str> = spans.all.iter().map(|node| &*node.event_id).collect();
        assert_eq!(ids, ["a", "b", "c", "d"]);
        assert_eq!((spans.roots, spans.unreadable), (vec![0, 3], 1));
        assert_eq!(spans.all[0].below, [1, 2]);
        let failed: Vec<bool> = spans.all.iter().map(|node| node.failed).collect();
        assert_eq!(failed, [true, false, true, false]);
        assert!(Spans::read(b"{}").is_err());
        assert!(Spans::read(b"<html>").is_err());
    }
}
