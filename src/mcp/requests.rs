//! What to say to a request that rmcp could not read: unknown, or known with parameters that are not the specification's.

use rmcp::ErrorData;
use rmcp::model::ErrorCode;

/// The requests we answer, and what they need.
const REQUESTS: [(&str, &str); 12] = [
    (
        "initialize",
        "`protocolVersion`, `capabilities` and `clientInfo`",
    ),
    ("ping", "no parameters"),
    ("tools/list", "an optional `cursor` that is a string"),
    (
        "tools/call",
        "`name`, a string, and optional `arguments`, an object",
    ),
    ("resources/list", "an optional `cursor` that is a string"),
    (
        "resources/templates/list",
        "an optional `cursor` that is a string",
    ),
    ("resources/read", "`uri`, a string"),
    ("resources/subscribe", "`uri`, a string"),
    ("resources/unsubscribe", "`uri`, a string"),
    (
        "completion/complete",
        "`ref`, and `argument` with `name` and `value`",
    ),
    ("logging/setLevel", "`level`, one of the eight syslog words"),
    ("subscriptions/listen", "`notifications`, an object"),
];

/// The requests that 2026-07-28 removed.
const REMOVED: [&str; 5] = [
    "initialize",
    "ping",
    "logging/setLevel",
    "resources/subscribe",
    "resources/unsubscribe",
];

/// The error for such a request, of a revision without sessions or with them.
pub(super) fn unreadable(method: &str, stateless: bool) -> ErrorData {
    let known = REQUESTS
        .iter()
        .find(|(known, _)| *known == method)
        .filter(|(known, _)| !stateless || !REMOVED.contains(known));
    match known {
        Some((method, needs)) => ErrorData::invalid_params(
            format!("the parameters of `{method}` are wrong: it needs {needs}"),
            None,
        ),
        None => ErrorData::new(ErrorCode::METHOD_NOT_FOUND, method.to_owned(), None),
    }
}
