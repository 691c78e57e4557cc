//! One event, condensed: what was thrown where in our own code, what led to it, and nothing of what an application's
//! memory may hold besides.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::model::{Breadcrumb, Event, Exception, Frame, Stacktrace, Tag, each_readable};
use super::org::Org;
use crate::kit::output::Item;
use crate::kit::text;
use crate::kit::tool::Cx;

/// Exceptions of a chain that are shown.
const CHAIN: usize = 4;
/// Frames whose source lines are shown.
const WITH_SOURCE: usize = 3;
/// Lines of source on either side.
const AROUND: u64 = 2;
/// Variables of a frame that are named.
const VARIABLES: usize = 8;
/// Breadcrumbs shown, the last ones.
pub(super) const CRUMBS: usize = 15;
/// Tags shown.
const TAGS: usize = 30;
/// Longest line.
const LINE: usize = 200;

/// An event as lists show it.
pub(super) fn item(cx: &Cx, org: &Org, event: &Event) -> Item {
    let mut item = Item::new(&event.event_id)
        .field("title", text::clip(&event.title, LINE))
        .field("at", event.date_created.as_deref())
        .field(
            "location",
            event.location.as_deref().or(event.culprit.as_deref()),
        )
        .field("issue", event.group_id.as_deref());
    for key in ["environment", "release", "level", "transaction"] {
        item.set(key, tag(event, key));
    }
    if let Some(group) = &event.group_id {
        item.url = Some(org.page(&["issues", group, "events", &event.event_id]));
    }
    if let Some(project) = &event.project_id {
        item.uri = Some(org.uri(cx, "events", project, &[&event.event_id]));
    }
    item
}

/// A tag's value.
pub(super) fn tag(event: &Event, key: &str) -> Option<String> {
    let tag = event.tags.iter().find(|tag| tag.key == key)?;
    tag.value.as_str().map(ToOwned::to_owned)
}

/// All tags but those that say who somebody is.
pub(super) fn tags(event: &Event) -> Map<String, Value> {
    let known = event.tags.iter().filter(|tag| !is_personal(tag));
    known
        .take(TAGS)
        .map(|tag| (tag.key.clone(), shortened(&tag.value)))
        .collect()
}

/// Whether a tag holds somebody's name or address. Sentry itself writes `user` as `id:…`, `email:…`, `username:…` or
/// `ip:…`; only ids tell no more than that it was the same person.
fn is_personal(tag: &Tag) -> bool {
    let value = tag.value.as_str().unwrap_or_default();
    match tag.key.to_ascii_lowercase().as_str() {
        // An application may use addresses as ids.
        "user" => !value.starts_with("id:") || value.contains('@'),
        "user.id" => value.contains('@'),
        "email" | "username" | "ip" | "ip_address" | "user_email" | "user_name" => true,
        key => key.starts_with("user."),
    }
}

/// A value of an application, short and without anything that looks like a credential.
fn shortened(value: &Value) -> Value {
    match value {
        Value::String(said) => text::clip(&text::scrub(said), LINE).into(),
        Value::Array(_) | Value::Object(_) => {
            text::clip(&text::scrub(&value.to_string()), LINE).into()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn entry<'a>(event: &'a Event, kind: &str) -> Option<&'a Value> {
    let entry = event.entries.iter().find(|entry| entry.kind == kind)?;
    Some(&entry.data)
}

/// What was thrown: the exceptions, the outermost first, each with at most `frames` frames, our own first.
pub(super) fn thrown(event: &Event, frames: usize) -> String {
    let mut text = String::new();
    let chain = entry(event, "exception").map(|data| &data["values"]);
    let chain: Vec<Exception> = chain.map(each_readable).unwrap_or_default();
    for (at, exception) in chain.iter().rev().take(CHAIN).enumerate() {
        if at > 0 {
            text.push_str("Caused by: ");
        }
        let kind = exception.kind.as_deref().unwrap_or("Error");
        let value = exception.value.as_deref().unwrap_or_default();
        text.push_str(&text::clip(&text::scrub(&format!("{kind}: {value}")), 500));
        let handled = exception
            .mechanism
            .as_ref()
            .and_then(|mechanism| mechanism["handled"].as_bool());
        if handled == Some(false) {
            text.push_str(" (unhandled)");
        }
        text.push('\n');
        if let Some(stack) = &exception.stacktrace {
            // The cause of a cause is told by fewer frames.
            stack_text(
                stack,
                if at == 0 { frames } else { frames.div_ceil(2) },
                at == 0,
                &mut text,
            );
        }
    }
    if chain.len() > CHAIN {
        let _ = writeln!(text, "… {} more causes", chain.len() - CHAIN);
    }
    if chain.is_empty() {
        if let Some(stack) = lone_stack(event) {
            stack_text(&stack, frames, true, &mut text);
        }
        let said = entry(event, "message").and_then(|data| data["formatted"].as_str());
        if let Some(said) = said
            .or(event.message.as_deref())
            .filter(|said| !said.is_empty())
        {
            text.insert_str(0, &format!("{}\n", text::clip(&text::scrub(said), 1_000)));
        }
    }
    text::visible(text)
}

/// The stack of an event without an exception: its own, or that of the thread that crashed.
fn lone_stack(event: &Event) -> Option<Stacktrace> {
    if let Some(data) = entry(event, "stacktrace") {
        return serde_json::from_value(data.clone()).ok();
    }
    let threads = entry(event, "threads")?["values"].as_array()?;
    let crashed = |thread: &&Value| thread["crashed"] == true;
    let current = |thread: &&Value| thread["current"] == true;
    let thread = threads
        .iter()
        .find(crashed)
        .or_else(|| threads.iter().find(current))?;
    serde_json::from_value(thread["stacktrace"].clone()).ok()
}

/// The frames, the innermost first: our own as far as they go, then others until there are `most`; what is left out is
/// counted where it was.
fn stack_text(stack: &Stacktrace, most: usize, with_source: bool, text: &mut String) {
    let frames: Vec<&Frame> = stack.frames.iter().rev().collect();
    let mut shown: Vec<usize> = Vec::new();
    // What Sentry does not say of is neither our own nor a library's.
    for own in [Some(true), None, Some(false)] {
        let fitting = frames
            .iter()
            .enumerate()
            .filter(|(_, frame)| frame.in_app == own);
        shown.extend(
            fitting
                .map(|(at, _)| at)
                .take(most.saturating_sub(shown.len())),
        );
    }
    shown.sort_unstable();
    let mut sources = if with_source { WITH_SOURCE } else { 0 };
    let mut skipped = 0;
    for (at, frame) in frames.iter().enumerate() {
        if shown.binary_search(&at).is_err() {
            skipped += 1;
            continue;
        }
        tell_skipped(&mut skipped, text);
        let is_library = frame.in_app == Some(false);
        let own = if is_library { " (library)" } else { "" };
        let function = frame.function.as_deref().unwrap_or("?");
        let file = frame.filename.as_deref().or(frame.module.as_deref());
        let file = file.unwrap_or("?");
        let line = frame
            .line_no
            .map(|line| format!(":{line}"))
            .unwrap_or_default();
        let said = format!("  at {function} in {file}{line}{own}");
        text.push_str(&text::clip(&said, LINE));
        text.push('\n');
        if !is_library && sources > 0 {
            sources -= 1;
            source(frame, text);
        }
    }
    tell_skipped(&mut skipped, text);
}

fn tell_skipped(skipped: &mut usize, text: &mut String) {
    if *skipped > 0 {
        let _ = writeln!(text, "  … {skipped} frames");
        *skipped = 0;
    }
}

fn source(frame: &Frame, text: &mut String) {
    let Some(here) = frame.line_no else {
        return;
    };
    for (number, line) in &frame.context {
        if number.abs_diff(here) <= AROUND {
            let mark = if *number == here { '>' } else { ' ' };
            let line = text::scrub(line.as_deref().unwrap_or_default());
            let _ = writeln!(text, "    {mark} {number} | {}", text::clip(&line, 160));
        }
    }
    // Their values are whatever the application's memory held: passwords, people's addresses.
    let names = frame.vars.iter().flatten().take(VARIABLES);
    let names: Vec<String> = names
        .map(|(name, _)| text::clip(&text::scrub(name), 60))
        .collect();
    if !names.is_empty() {
        let _ = writeln!(text, "      variables: {}", names.join(", "));
    }
}

/// What happened before, the latest last.
pub(super) fn breadcrumbs(event: &Event, most: usize) -> Vec<String> {
    let values = entry(event, "breadcrumbs").map(|data| &data["values"]);
    let crumbs: Vec<Breadcrumb> = values.map(each_readable).unwrap_or_default();
    let from = crumbs.len().saturating_sub(most);
    let line = |crumb: &Breadcrumb| {
        let mut parts: Vec<String> = Vec::new();
        parts.extend(crumb.timestamp.as_deref().map(|at| text::clip(at, 24)));
        let level = crumb.level.as_deref().filter(|level| *level != "info");
        parts.extend(level.map(ToOwned::to_owned));
        parts.extend(crumb.category.clone());
        parts.extend(crumb.message.clone().filter(|said| !said.is_empty()));
        let data = crumb.data.iter().flatten();
        let data = data.filter(|(name, _)| {
            matches!(
                name.as_str(),
                "method" | "url" | "status_code" | "from" | "to" | "reason"
            )
        });
        parts.extend(data.map(|(_, value)| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), ToOwned::to_owned)
        }));
        text::visible(text::clip(&text::scrub(&parts.join(" ")), LINE))
    };
    crumbs[from..].iter().map(line).collect()
}

/// The request that was under way. Its headers, cookies and body stay where they are.
pub(super) fn request(event: &Event) -> Option<Value> {
    let data = entry(event, "request")?;
    let method = data["method"].as_str().unwrap_or("GET");
    let url = data["url"].as_str()?;
    let said = text::clip(&text::scrub(url), 300);
    Some(json!(format!("{method} {said}")))
}

/// Versions of what it ran on.
pub(super) fn contexts(event: &Event) -> Map<String, Value> {
    let mut found = Map::new();
    for (name, context) in event.contexts.iter().flatten() {
        let text = |key: &str| context[key].as_str();
        match name.as_str() {
            "trace" => {
                found.extend(text("trace_id").map(|id| ("trace".to_owned(), id.into())));
            }
            "browser" | "os" | "runtime" | "device" | "client_os" => {
                let said = [text("name").or_else(|| text("model")), text("version")];
                let said: Vec<&str> = said.into_iter().flatten().collect();
                if !said.is_empty() {
                    found.insert(name.clone(), said.join(" ").into());
                }
            }
            _other => {}
        }
    }
    found
}

/// The event as one value: what `sections` of an issue and the block of an event show.
pub(super) fn condensed(event: &Event, frames: usize, crumbs: usize) -> Map<String, Value> {
    let mut all = Item::new(&event.event_id)
        .field("event_id", event.event_id.as_str())
        .field(
            "at",
            event
                .date_created
                .as_deref()
                .or(event.date_received.as_deref()),
        )
        .field("title", text::clip(&event.title, LINE))
        .field("platform", event.platform.as_deref())
        .field(
            "release",
            event
                .release
                .as_ref()
                .and_then(|release| release.version.clone()),
        )
        .field("environment", tag(event, "environment"))
        .field("transaction", tag(event, "transaction"));
    if frames > 0 {
        all.set("exception", thrown(event, frames));
    }
    if crumbs > 0 {
        all.set("breadcrumbs", breadcrumbs(event, crumbs));
    }
    all.set("request", request(event));
    all.set("contexts", contexts(event));
    all.set("tags", tags(event));
    all.set("previous", event.previous_event_id.as_deref());
    all.set("next", event.next_event_id.as_deref());
    all.fields
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

    use super::*;

    fn event(entries: &Value) -> Event {
        serde_json::from_value(json!({ "eventID": "e1", "entries": entries })).unwrap()
    }

    fn frame(function: &str, own: bool) -> Value {
        json!({ "function": function, "filename": "a.py", "lineNo": 7, "inApp": own,
                "context": [[1, "far"], [6, "before"], [7, "here"], [8, null]] })
    }

    #[test]
    fn our_own_frames_come_first_and_the_rest_is_counted() {
        let frames: Vec<Value> = [
            ("main", true),
            ("lib_a", false),
            ("lib_b", false),
            ("handler", true),
            ("lib_c", false),
        ]
        .map(|(name, own)| frame(name, own))
        .to_vec();
        let entries = json!([{ "type": "exception", "data": { "values": [
            { "type": "KeyError", "value": "'id'" },
            { "type": "ApiError", "value": "bad", "mechanism": { "handled": false }, "stacktrace": { "frames": frames } },
        ] } }]);
        let text = thrown(&event(&entries), 2);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "ApiError: bad (unhandled)",
                "  … 1 frames",
                "  at handler in a.py:7",
                "      6 | before",
                "    > 7 | here",
                "      8 | ",
                "  … 2 frames",
                "  at main in a.py:7",
                "      6 | before",
                "    > 7 | here",
                "      8 | ",
                "Caused by: KeyError: 'id'",
            ]
        );
        assert!(thrown(&event(&entries), 5).contains("at lib_c in a.py:7 (library)"));
    }

    #[test]
    fn one_odd_value_costs_itself_alone() {
        let entries = json!([{ "type": "exception", "data": { "values": [
            7,
            { "type": "Odd", "value": { "not": "text" }, "stacktrace": { "frames": [
                { "function": "native", "filename": "a.c", "lineNo": -1, "inApp": null, "context": [[-1, "x"], "odd"] },
                "no frame",
                { "function": 12, "filename": "b.py", "lineNo": "7", "inApp": "yes" },
                frame("handler", true),
            ] } },
        ] } }]);
        let text = thrown(&event(&entries), 8);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "Odd: ",
                "  at handler in a.py:7",
                "      6 | before",
                "    > 7 | here",
                "      8 | ",
                "  at ? in b.py",
                "  at native in a.c:-1",
                "    > -1 | x",
            ]
        );
        let entries = json!([{ "type": "breadcrumbs", "data": { "values": ["odd", { "message": "clicked", "level": 3 }] } }]);
        assert_eq!(breadcrumbs(&event(&entries), 5), ["clicked"]);
    }

    #[test]
    fn tags_tell_nobodys_name_or_address() {
        let tags = [
            ("environment", "production"),
            ("user", "email:ada@example.com"),
            ("user.email", "ada@example.com"),
            ("user.ip", "203.0.113.7"),
            ("user.username", "ada"),
            ("user.id", "77"),
            ("Email", "ada@example.com"),
            ("userland", "yes"),
        ];
        let tags = tags.map(|(key, value)| json!({ "key": key, "value": value }));
        let found: Event =
            serde_json::from_value(json!({ "eventID": "e1", "tags": tags })).unwrap();
        let keys = |event: &Event| -> Vec<String> { super::tags(event).keys().cloned().collect() };
        assert_eq!(keys(&found), ["environment", "user.id", "userland"]);
        for (value, expected) in [
            ("id:77", &["user"][..]),
            ("id:ada@example.com", &[][..]),
            ("ip:203.0.113.7", &[][..]),
            ("username:ada", &[][..]),
        ] {
            let found = json!({ "eventID": "e1", "tags": [{ "key": "user", "value": value }] });
            assert_eq!(
                keys(&serde_json::from_value(found).unwrap()),
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn events_without_an_exception_tell_their_message_and_thread() {
        let entries = json!([
            { "type": "message", "data": { "formatted": "disk is full" } },
            { "type": "threads", "data": { "values": [
                { "crashed": false, "stacktrace": { "frames": [frame("idle", true)] } },
                { "crashed": true, "stacktrace": { "frames": [frame("write", true)] } },
            ] } },
        ]);
        let text = thrown(&event(&entries), 3);
        assert!(text.starts_with("disk is full\n  at write"), "{text}");
        assert!(!text.contains("idle"));
        assert_eq!(thrown(&event(&json!([])), 3), "");
        assert_eq!(
            thrown(&event(&json!([{ "type": "exception", "data": null }])), 3),
            ""
        );
    }

    #[test]
    fn breadcrumbs_are_the_last_ones_and_hold_no_credentials() {
        let values: Vec<Value> = (0..30)
            .map(|at| json!({ "category": "xhr", "message": format!("step {at}"), "data": { "url": "/x", "headers": "hidden" } }))
            .collect();
        let mut all = values;
        all.push(json!({ "message": "Bearer abcdefghijkl", "level": "error" }));
        let entries = json!([{ "type": "breadcrumbs", "data": { "values": all } }]);
        let lines = breadcrumbs(&event(&entries), 3);
        assert_eq!(
            lines,
            [
                "xhr step 28 /x",
                "xhr step 29 /x",
                "error Bearer [REDACTED]"
            ]
        );
    }
}
