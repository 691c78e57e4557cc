//! Connecting: OAuth facts, whose account it is, and what Google's refusals mean.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::kit::Timestamp;
use crate::kit::client::Failure;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::integration::{
    Account, ClientAuth, OAuth2, Revocation, RevokedToken, Rotation, Scope, TokenSet,
};
use crate::kit::text;
use crate::kit::tool::Cx;

/// Reads mail and its settings.
pub(super) const GMAIL_READ: &str = "https://www.googleapis.com/auth/gmail.readonly";
/// Sends mail.
pub(super) const GMAIL_SEND: &str = "https://www.googleapis.com/auth/gmail.send";
/// Writes drafts and sends them.
pub(super) const GMAIL_COMPOSE: &str = "https://www.googleapis.com/auth/gmail.compose";
/// Makes and renames labels.
pub(super) const GMAIL_LABELS: &str = "https://www.googleapis.com/auth/gmail.labels";
/// Everything with mail but deleting it for good.
pub(super) const GMAIL_MODIFY: &str = "https://www.googleapis.com/auth/gmail.modify";
/// Everything with mail.
pub(super) const GMAIL_ALL: &str = "https://mail.google.com/";
/// Reads events.
pub(super) const EVENTS_READ: &str = "https://www.googleapis.com/auth/calendar.events.readonly";
/// Reads and writes events.
pub(super) const EVENTS: &str = "https://www.googleapis.com/auth/calendar.events";
/// Reads the list of calendars.
pub(super) const CALENDARS: &str = "https://www.googleapis.com/auth/calendar.calendarlist.readonly";
/// Asks who is busy when.
pub(super) const FREE_BUSY: &str = "https://www.googleapis.com/auth/calendar.freebusy";
/// Reads contacts.
pub(super) const CONTACTS_READ: &str = "https://www.googleapis.com/auth/contacts.readonly";
/// Reads and writes contacts.
pub(super) const CONTACTS: &str = "https://www.googleapis.com/auth/contacts";
/// Reads the addresses that Google saved by itself.
pub(super) const CONTACTS_OTHER: &str = "https://www.googleapis.com/auth/contacts.other.readonly";
/// Reads the organization's directory.
pub(super) const DIRECTORY: &str = "https://www.googleapis.com/auth/directory.readonly";
/// Reads files.
pub(super) const DRIVE_READ: &str = "https://www.googleapis.com/auth/drive.readonly";
/// Makes files and changes those that this app made.
pub(super) const DRIVE_FILE: &str = "https://www.googleapis.com/auth/drive.file";
/// Reads and changes files.
pub(super) const DRIVE: &str = "https://www.googleapis.com/auth/drive";
/// Reads and changes documents.
pub(super) const DOCUMENTS: &str = "https://www.googleapis.com/auth/documents";
/// Reads and changes spreadsheets.
pub(super) const SPREADSHEETS: &str = "https://www.googleapis.com/auth/spreadsheets";
/// Reads and changes presentations.
pub(super) const PRESENTATIONS: &str = "https://www.googleapis.com/auth/presentations";

pub(super) const OAUTH: OAuth2 = OAuth2 {
    authorize_url: "https://accounts.google.com/o/oauth2/v2/auth",
    token_url: "https://oauth2.googleapis.com/token",
    // Without both there is no refresh token when somebody consents again. `include_granted_scopes` is left out on
    // purpose: it would mix what another consent of the same person granted into this one.
    authorize_params: &[("access_type", "offline"), ("prompt", "consent")],
    scopes: SCOPES,
    scope_separator: ' ',
    optional_scope_param: None,
    implied: IMPLIED,
    pkce: true,
    client_auth: ClientAuth::Body,
    rotation: Rotation::None,
    gone_errors: &[],
    app_errors: &["redirect_uri_mismatch", "org_internal", "deleted_client"],
    // An external app whose consent screen is in "Testing" gets refresh tokens of seven days.
    unpublished_life: Some(Duration::from_hours(7 * 24)),
    read_token,
    revocation: Revocation::Rfc7009 {
        url: "https://oauth2.googleapis.com/revoke",
        token: RevokedToken::Refresh,
    },
    products: &[],
    directory: None,
};

/// On Google's consent page a person ticks each of these by itself, so every product is optional.
const SCOPES: &[Scope] = &[
    Scope::needed("openid", "know which account this is"),
    Scope::needed("email", "know the account's address"),
    Scope::optional(GMAIL_READ, "search and read your mail"),
    Scope::optional(GMAIL_SEND, "send mail in your name"),
    Scope::optional(
        GMAIL_MODIFY,
        "write drafts, label, archive and trash your mail",
    ),
    Scope::optional(EVENTS_READ, "see your events"),
    Scope::optional(EVENTS, "create and change events and answer invitations"),
    Scope::optional(CALENDARS, "know which calendars you have"),
    Scope::optional(FREE_BUSY, "find times at which people are free"),
    Scope::optional(CONTACTS_READ, "look people up in your contacts"),
    Scope::optional(CONTACTS, "add and correct contacts"),
    Scope::optional(
        CONTACTS_OTHER,
        "look people up among the addresses that you wrote to",
    ),
    Scope::optional(DIRECTORY, "look people up in your organization's directory"),
    Scope::optional(DRIVE_READ, "search and read your files"),
    Scope::optional(
        DRIVE_FILE,
        "create files, and change those that were created here",
    ),
    Scope::optional(DRIVE, "change, move, copy and share any of your files"),
    Scope::optional(DOCUMENTS, "read and edit your documents"),
    Scope::optional(SPREADSHEETS, "read and edit your spreadsheets"),
    Scope::optional(PRESENTATIONS, "read and edit your presentations"),
];

/// What each scope covers, one step at a time: every method of Google's API descriptions that takes an inner scope takes
/// the outer one too.
const IMPLIED: &[(&str, &[&str])] = &[
    // What is asked for by a short name is granted by a long one.
    ("https://www.googleapis.com/auth/userinfo.email", &["email"]),
    (
        "https://www.googleapis.com/auth/userinfo.profile",
        &["profile"],
    ),
    (GMAIL_ALL, &[GMAIL_MODIFY]),
    (GMAIL_MODIFY, &[GMAIL_READ, GMAIL_COMPOSE, GMAIL_LABELS]),
    (GMAIL_COMPOSE, &[GMAIL_SEND]),
    (
        "https://www.googleapis.com/auth/calendar",
        &[
            "https://www.googleapis.com/auth/calendar.readonly",
            EVENTS,
            CALENDARS,
            FREE_BUSY,
        ],
    ),
    (
        "https://www.googleapis.com/auth/calendar.readonly",
        &[EVENTS_READ, CALENDARS, FREE_BUSY],
    ),
    (
        "https://www.googleapis.com/auth/calendar.calendarlist",
        &[CALENDARS],
    ),
    (EVENTS, &[EVENTS_READ]),
    (CONTACTS, &[CONTACTS_READ]),
    (
        DRIVE,
        &[
            DRIVE_READ,
            DRIVE_FILE,
            "https://www.googleapis.com/auth/drive.metadata",
            DOCUMENTS,
            SPREADSHEETS,
            PRESENTATIONS,
        ],
    ),
    (
        DRIVE_READ,
        &[
            "https://www.googleapis.com/auth/drive.metadata.readonly",
            "https://www.googleapis.com/auth/documents.readonly",
            "https://www.googleapis.com/auth/spreadsheets.readonly",
            "https://www.googleapis.com/auth/presentations.readonly",
        ],
    ),
    (
        "https://www.googleapis.com/auth/drive.metadata",
        &["https://www.googleapis.com/auth/drive.metadata.readonly"],
    ),
    (
        DOCUMENTS,
        &["https://www.googleapis.com/auth/documents.readonly"],
    ),
    (
        SPREADSHEETS,
        &["https://www.googleapis.com/auth/spreadsheets.readonly"],
    ),
    (
        PRESENTATIONS,
        &["https://www.googleapis.com/auth/presentations.readonly"],
    ),
];

fn read_token(answer: &Value) -> Result<TokenSet, ProviderError> {
    TokenSet::standard(answer, ' ')
}

#[derive(Deserialize)]
struct Userinfo {
    id: String,
    email: String,
}

/// The account behind the token.
pub(super) fn identify(cx: &Cx) -> BoxFuture<'_, Result<Account, ToolError>> {
    async move {
        let user: Userinfo = cx.api.get(&["oauth2", "v2", "userinfo"]).send().await?;
        Ok(Account {
            id: user.id,
            label: user.email.clone(),
            handle: user.email,
            details: Map::new(),
        })
    }
    .boxed()
}

/// Seconds to wait when Google names a limit but no time: its limits count by the minute.
const A_WHILE_S: u64 = 30;
/// The same for a limit of the day.
const LONG_S: u64 = 3_600;

/// Names a refusal that its status alone does not. Google's message is in `error.message`, its reasons are words in
/// `error.errors[].reason` (the older form) and `error.details[].reason`.
pub(super) fn classify(failure: &Failure<'_>) -> Option<ProviderError> {
    let said = failure.body.get("error")?;
    let message = message(said);
    let reasons = reasons(said);
    let is = |words: &[&str]| reasons.iter().any(|reason| words.contains(reason));
    match failure.status {
        403 | 429 => {
            if is(&["dailyLimitExceeded", "dailyLimitExceededUnreg"]) {
                return Some(ProviderError::RateLimited {
                    retry_after_s: wait(failure, &message).unwrap_or(LONG_S),
                });
            }
            let limits = [
                "rateLimitExceeded",
                "userRateLimitExceeded",
                "sharingRateLimitExceeded",
                "quotaExceeded",
                "RATE_LIMIT_EXCEEDED",
            ];
            if failure.status == 429 || is(&limits) {
                return Some(ProviderError::RateLimited {
                    retry_after_s: wait(failure, &message).unwrap_or(A_WHILE_S),
                });
            }
            if is(&["accessNotConfigured", "SERVICE_DISABLED"]) {
                return Some(ProviderError::Forbidden {
                    message: format!(
                        "an admin must enable {} in the Google Cloud project of this app first (APIs & Services, Library)",
                        service(said)
                    ),
                });
            }
            if is(&["insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"])
                || is_scope_challenge(failure)
            {
                return Some(ProviderError::InsufficientScope {
                    missing: challenged(failure),
                });
            }
            if is(&["domainPolicy", "admin_policy_enforced"]) {
                return Some(ProviderError::AdminConsentRequired { url: None });
            }
            Some(ProviderError::Forbidden { message })
        }
        // 410 is Calendar's word for an event that is deleted already and for an old sync token.
        410 if is(&["fullSyncRequired", "updatedMinTooLongAgo"]) => {
            Some(ProviderError::Conflict { message })
        }
        409 | 412 => Some(ProviderError::Conflict { message }),
        400 if is(&["EXPIRED_SYNC_TOKEN", "FAILED_PRECONDITION"])
            || is(&["failedPrecondition"]) =>
        {
            Some(ProviderError::Conflict { message })
        }
        400 | 405 | 411..=415 | 422 => Some(ProviderError::Invalid { message }),
        _other => None,
    }
}

/// Google's own sentence, short and scrubbed.
fn message(said: &Value) -> String {
    let said = said.get("message").and_then(Value::as_str);
    text::clip(&text::scrub(said.unwrap_or("no reason given")), 300)
}

/// Every word that says why, of both forms, and the status word.
fn reasons(said: &Value) -> Vec<&str> {
    let listed = ["errors", "details"]
        .iter()
        .filter_map(|name| said.get(name).and_then(Value::as_array))
        .flatten()
        .filter_map(|entry| entry.get("reason").and_then(Value::as_str));
    let status = said.get("status").and_then(Value::as_str);
    listed.chain(status).collect()
}

/// How long to wait: the header, else "Retry after 2026-11-20T12:10:00.000Z" against the answer's own date.
fn wait(failure: &Failure<'_>, message: &str) -> Option<u64> {
    if let Some(seconds) = failure.retry_after_s() {
        return Some(seconds);
    }
    let (_, rest) = message.split_once("Retry after ")?;
    let until = Timestamp::parse_rfc3339(rest.split_whitespace().next()?)?;
    let answered = OffsetDateTime::parse(failure.header("date")?, &Rfc2822).ok()?;
    u64::try_from(until.seconds() - answered.unix_timestamp())
        .ok()
        .map(|seconds| seconds.max(1))
}

/// The API that is switched off, as `details[].metadata` names it.
fn service(said: &Value) -> String {
    let details = said.get("details").and_then(Value::as_array);
    let metadata = |name| {
        let mut entries = details.into_iter().flatten();
        entries.find_map(|entry| entry.get("metadata")?.get(name)?.as_str())
    };
    let name = metadata("serviceTitle").or_else(|| metadata("service"));
    name.map_or_else(
        || "this API".to_owned(),
        |name| text::clip(&text::scrub(name), 80),
    )
}

/// RFC 6750 §3.1: `error="insufficient_scope"`.
fn is_scope_challenge(failure: &Failure<'_>) -> bool {
    failure
        .header("www-authenticate")
        .is_some_and(|challenge| challenge.contains("insufficient_scope"))
}

/// The scopes that the challenge names; any one of them would do, and the first few are enough to say.
fn challenged(failure: &Failure<'_>) -> Vec<String> {
    let challenge = failure.header("www-authenticate").unwrap_or_default();
    let named = challenge
        .split_once("scope=\"")
        .and_then(|(_, rest)| rest.split('"').next());
    named
        .unwrap_or_default()
        .split_whitespace()
        .take(3)
        .map(|scope| text::clip(&text::scrub(scope), 80))
        .collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;
    use http::HeaderMap;
    use serde_json::json;

    fn classified(
        status: u16,
        headers: &[(&'static str, &'static str)],
        body: &Value,
    ) -> Option<ProviderError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        classify(&Failure {
            status,
            headers: &map,
            body,
        })
    }

    fn refusal(reason: &str, message: &str) -> Value {
        json!({"error": {"code": 403, "message": message, "errors": [{"domain": "usageLimits", "reason": reason, "message": message}]}})
    }

    #[test]
    fn limits_are_not_refusals() {
        let limited = |retry_after_s| Some(ProviderError::RateLimited { retry_after_s });
        let date = ("date", "Fri, 20 Nov 2026 12:00:00 GMT");
        let user = refusal(
            "userRateLimitExceeded",
            "User-rate limit exceeded.  Retry after 2026-11-20T12:02:05.196Z",
        );
        assert_eq!(classified(403, &[date], &user), limited(125));
        assert_eq!(classified(403, &[], &user), limited(A_WHILE_S));
        assert_eq!(classified(403, &[("retry-after", "7")], &user), limited(7));
        let quota = refusal("quotaExceeded", "Calendar usage limits exceeded.");
        assert_eq!(classified(403, &[], &quota), limited(A_WHILE_S));
        let day = refusal("dailyLimitExceeded", "Daily Limit Exceeded");
        assert_eq!(classified(403, &[], &day), limited(LONG_S));
        let exhausted = json!({"error": {"code": 429, "message": "Resource has been exhausted", "status": "RESOURCE_EXHAUSTED"}});
        assert_eq!(classified(429, &[], &exhausted), limited(A_WHILE_S));
    }

    #[test]
    fn missing_scopes_and_switched_off_apis_are_told_apart() {
        let insufficient = json!({"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "Request had insufficient authentication scopes.",
            "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT", "domain": "googleapis.com"}]}});
        assert_eq!(
            classified(403, &[], &insufficient),
            Some(ProviderError::InsufficientScope {
                missing: Vec::new()
            })
        );
        let challenge = (
            "www-authenticate",
            "Bearer realm=\"https://accounts.google.com/\", error=\"insufficient_scope\", scope=\"https://mail.google.com/ https://www.googleapis.com/auth/gmail.modify\"",
        );
        assert_eq!(
            classified(403, &[challenge], &insufficient),
            Some(ProviderError::InsufficientScope {
                missing: vec![GMAIL_ALL.to_owned(), GMAIL_MODIFY.to_owned()]
            })
        );
        let disabled = json!({"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "People API has not been used in project 1 before or it is disabled.",
            "errors": [{"reason": "accessNotConfigured"}],
            "details": [{"reason": "SERVICE_DISABLED", "metadata": {"service": "people.googleapis.com", "serviceTitle": "People API"}}]}});
        assert_eq!(
            classified(403, &[], &disabled),
            Some(ProviderError::Forbidden {
                message: "an admin must enable People API in the Google Cloud project of this app first (APIs & Services, Library)".to_owned()
            })
        );
        let plain = refusal("forbidden", "You need to be the organizer");
        assert_eq!(
            classified(403, &[], &plain),
            Some(ProviderError::Forbidden {
                message: "You need to be the organizer".to_owned()
            })
        );
    }

    #[test]
    fn old_sync_tokens_and_changed_records_are_conflicts() {
        let conflict = |status, body: &Value| {
            matches!(
                classified(status, &[], body),
                Some(ProviderError::Conflict { .. })
            )
        };
        assert!(conflict(
            410,
            &refusal("fullSyncRequired", "Sync token is no longer valid")
        ));
        assert!(conflict(
            412,
            &refusal("conditionNotMet", "Precondition Failed")
        ));
        let expired = json!({"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "Sync token is expired.",
            "details": [{"reason": "EXPIRED_SYNC_TOKEN"}]}});
        assert!(conflict(400, &expired));
        // An event that is gone already stays "not found".
        assert_eq!(
            classified(410, &[], &refusal("deleted", "Resource has been deleted")),
            None
        );
    }

    #[test]
    fn every_scope_that_is_implied_stands_alone_too() {
        let outer: Vec<_> = IMPLIED.iter().map(|(outer, _)| *outer).collect();
        let mut seen = outer.clone();
        seen.dedup();
        assert_eq!(seen.len(), outer.len(), "each scope once");
        for scope in SCOPES {
            assert!(
                !scope.why.is_empty() && scope.why.len() < 60,
                "{}",
                scope.name
            );
            assert_eq!(
                scope.optional,
                scope.name.starts_with("https://"),
                "{}",
                scope.name
            );
        }
    }
}
