//! Connecting: OAuth facts, what a token says of itself, whose account it is, and what Sentry's refusals mean.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::model::{Organization, Regions, Whoami};
use super::org::{self, PAGE, ROOT};
use crate::kit::client::{Failure, ProviderClient};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::integration::{
    Account, ApiKey, ClientAuth, GRANTED, OAuth2, Revocation, Rotation, Scope, Site, TokenSet,
};
use crate::kit::text;
use crate::kit::tool::{Cx, Granted, Needs};

/// What reading an organization takes.
pub(super) const ORG: Needs = Needs::All(&["org:read"]);
/// What reading issues and events takes.
pub(super) const EVENTS: Needs = Needs::All(&["event:read"]);
/// What changing issues takes.
pub(super) const CHANGES: Needs = Needs::All(&["event:write"]);
/// What reading releases takes.
pub(super) const RELEASES: Needs = Needs::All(&["org:read", "project:read"]);

/// Without these a token is of no use here.
const LEAST: [&str; 2] = ["org:read", "event:read"];

/// Sentry's hierarchy of scopes, as far as our tools ask for them.
const IMPLIED: &[(&str, &[&str])] = &[
    ("org:admin", &["org:write"]),
    ("org:write", &["org:read"]),
    ("project:admin", &["project:write"]),
    ("project:write", &["project:read"]),
    ("team:admin", &["team:write"]),
    ("team:write", &["team:read"]),
    ("event:admin", &["event:write"]),
    ("event:write", &["event:read"]),
];

/// Consent is asked for at sentry.io wherever the organization's data is.
pub(super) const OAUTH: OAuth2 = OAuth2 {
    authorize_url: "https://sentry.io/oauth/authorize/",
    token_url: "https://sentry.io/oauth/token/",
    authorize_params: &[],
    scopes: &[
        Scope::needed(
            "org:read",
            "find your organizations and query events, spans, logs, traces, usage and monitors",
        ),
        Scope::needed("event:read", "search and read issues and events"),
        Scope::needed("project:read", "read projects, their events and releases"),
        Scope::optional("team:read", "see teams"),
        Scope::optional(
            "event:write",
            "resolve, archive, assign and comment on issues",
        ),
    ],
    scope_separator: ' ',
    optional_scope_param: None,
    implied: IMPLIED,
    pkce: true,
    client_auth: ClientAuth::Body,
    // A refresh answers new tokens of both kinds in the place of the old ones.
    rotation: Rotation::Strict,
    gone_errors: &[],
    app_errors: &[],
    read_token,
    revocation: Revocation::Unsupported,
    unpublished_life: None,
    products: &[],
    directory: None,
};

/// A token that the person pastes.
pub(super) const TOKEN: ApiKey = ApiKey {
    name: "auth token",
    hint: "Make a personal token at Sentry under User settings, Personal tokens, or an internal integration under \
           Organization settings, Developer settings. It needs the permissions org:read, event:read, project:read and \
           team:read, and event:write if issues shall be changed.",
    read: facts,
    site: Some(Site {
        hint: "Only for a self-hosted Sentry, such as https://sentry.example.com. Leave it empty for sentry.io.",
        required: false,
    }),
};

fn read_token(answer: &Value) -> Result<TokenSet, ProviderError> {
    TokenSet::standard(answer, ' ')
}

/// What an organization token carries in its middle (`sntrys_<base64 of JSON>_<secret>`).
#[derive(Deserialize)]
struct Facts {
    org: String,
    #[serde(default)]
    region_url: Option<String>,
}

/// The details that name an organization token's organization and region until `identify` has looked at them.
const TOKEN_ORG: &str = "token_org";
const TOKEN_REGION: &str = "token_region";

/// Looks at a token before it is used. Personal tokens (`sntryu_…`, or 64 hexadecimal digits in older versions) and those
/// of internal integrations say nothing of themselves.
fn facts(token: &str) -> Result<Map<String, Value>, &'static str> {
    let mut details = Map::new();
    if token.starts_with("http://") || token.starts_with("https://") {
        return Err(
            "This is an address, perhaps a DSN, which only sends events. Paste an auth token.",
        );
    }
    let Some(rest) = token.strip_prefix("sntrys_") else {
        return Ok(details);
    };
    let cut = "This organization token is not whole. Copy it again.";
    let (middle, _secret) = rest.rsplit_once('_').ok_or(cut)?;
    // Padding came and went between Sentry's versions.
    let json = STANDARD
        .decode(middle)
        .or_else(|_| STANDARD_NO_PAD.decode(middle.trim_end_matches('=')))
        .map_err(|_| cut)?;
    let facts: Facts = serde_json::from_slice(&json).map_err(|_| cut)?;
    details.insert(TOKEN_ORG.to_owned(), facts.org.into());
    if let Some(region) = facts.region_url.filter(|region| !region.is_empty()) {
        details.insert(TOKEN_REGION.to_owned(), region.into());
    }
    Ok(details)
}

/// Whose token it is, what it may do, and the organizations it sees with their regions.
pub(super) fn identify(cx: &Cx) -> BoxFuture<'_, Result<Account, ToolError>> {
    async move {
        let who: Whoami = cx.api.get(&ROOT).slash().send().await?;
        let scopes = who.auth.and_then(|auth| auth.scopes);
        if let Some(scopes) = &scopes {
            enough(scopes)?;
        }
        let organizations = organizations(cx).await?;
        let Some(first) = organizations.first() else {
            return Err(ToolError::Invalid(
                "Sentry shows this account no organization. Ask to be added to one, or use another token."
                    .to_owned(),
            ));
        };
        let user = who.user.unwrap_or_default();
        // Internal integrations act as a user of their own, whom nobody knows.
        let is_person = user.email.contains('@') && !user.email.ends_with("@proxy-user.sentry.io");
        let label = if is_person {
            user.email
        } else {
            first.slug.clone()
        };
        let mut details = Map::new();
        details.insert(org::DETAIL.to_owned(), org::remembered(&organizations));
        if let Some(scopes) = scopes {
            details.insert(GRANTED.to_owned(), json!(scopes));
        }
        Ok(Account {
            id: if user.id.is_empty() {
                format!("org:{}", first.slug)
            } else {
                user.id
            },
            handle: label.clone(),
            label,
            details,
        })
    }
    .boxed()
}

/// Refuses a token with which nothing would work, and says what it lacks.
fn enough(scopes: &[String]) -> Result<(), ToolError> {
    let mut all = scopes.to_vec();
    let mut at = 0;
    while let Some(scope) = all.get(at).cloned() {
        let inner = IMPLIED.iter().filter(|(outer, _)| *outer == scope);
        all.extend(inner.flat_map(|(_, inner)| inner.iter().map(|scope| (*scope).to_owned())));
        at += 1;
    }
    let missing = Granted::Scopes(all).missing(Needs::All(&LEAST));
    if missing.is_empty() {
        return Ok(());
    }
    Err(ProviderError::InsufficientScope {
        missing: missing.into_iter().map(ToOwned::to_owned).collect(),
    }
    .into())
}

/// The organizations of the token: the one it is of, or all that its user is a member of, in every region.
async fn organizations(cx: &Cx) -> Result<Vec<Organization>, ToolError> {
    let named = cx.account.detail(TOKEN_ORG);
    if !named.is_empty() {
        let region = cx.account.detail(TOKEN_REGION);
        let there = if region.is_empty() {
            cx.api.clone()
        } else {
            cx.api.region(region)?
        };
        let path = [ROOT[0], ROOT[1], "organizations", named];
        let request = there.get(&path).slash().query("detailed", "0");
        return Ok(vec![request.send().await?]);
    }
    let regions = cx
        .api
        .get(&[ROOT[0], ROOT[1], "users", "me", "regions"])
        .slash()
        .send::<Regions>()
        .await;
    let regions = match regions {
        Ok(found) => found.regions,
        // Older versions have no regions, and tokens of integrations may not ask.
        Err(
            ProviderError::NotFound
            | ProviderError::Forbidden { .. }
            | ProviderError::Unauthorized
            | ProviderError::Invalid { .. },
        ) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let mut there = Vec::new();
    for region in &regions {
        there.push(cx.api.region(&region.url)?);
    }
    if there.is_empty() {
        there.push(cx.api.clone());
    }
    let mut all: Vec<Organization> = Vec::new();
    for client in there {
        for organization in listed(&client).await? {
            if all.iter().all(|known| known.slug != organization.slug) {
                all.push(organization);
            }
        }
    }
    Ok(all)
}

async fn listed(client: &ProviderClient) -> Result<Vec<Organization>, ProviderError> {
    let path = [ROOT[0], ROOT[1], "organizations"];
    let request = client.get(&path).slash().query("per_page", PAGE);
    request.send().await
}

/// Names a refusal that its status alone does not. Sentry answers `{"detail": …}`, a text or `{code, message}`, and errors
/// of a form by field.
pub(super) fn classify(failure: &Failure<'_>) -> Option<ProviderError> {
    let detail = &failure.body["detail"];
    let code = detail["code"].as_str().unwrap_or_default();
    let message = message(failure.body);
    match failure.status {
        401 | 403 if code == "sso-required" => {
            let url = detail["extra"]["loginUrl"].as_str();
            Some(ProviderError::AdminConsentRequired {
                url: url
                    .filter(|url| url.starts_with("https://"))
                    .map(ToOwned::to_owned),
            })
        }
        400 => Some(ProviderError::Invalid { message }),
        402 => Some(ProviderError::PlanRequired { message }),
        403 => Some(ProviderError::Forbidden { message }),
        409 => Some(ProviderError::Conflict { message }),
        429 => Some(ProviderError::RateLimited {
            retry_after_s: retry_after_s(failure),
        }),
        _other => None,
    }
}

/// The provider's own sentence about it, short and scrubbed.
fn message(body: &Value) -> String {
    let detail = &body["detail"];
    let said = detail
        .as_str()
        .or_else(|| detail["message"].as_str())
        .map(ToOwned::to_owned);
    let said = said.unwrap_or_else(|| {
        let fields = body.as_object().into_iter().flatten();
        let lines = fields.filter_map(|(name, value)| {
            let said = value.as_str().or_else(|| value[0].as_str())?;
            Some(format!("{name}: {said}"))
        });
        lines.collect::<Vec<_>>().join("; ")
    });
    if said.is_empty() {
        "no reason given".to_owned()
    } else {
        text::clip(&text::visible(text::scrub(&said)), 300)
    }
}

/// Seconds until the window ends, from the answer's own date, so that a wrong clock here does not matter. Who asks too much
/// at once only waits for an answer.
fn retry_after_s(failure: &Failure<'_>) -> u64 {
    if let Some(seconds) = failure.retry_after_s() {
        return seconds;
    }
    let number = |name| failure.header(name)?.trim().parse::<i64>().ok();
    if number("x-sentry-rate-limit-concurrentremaining") == Some(0)
        && number("x-sentry-rate-limit-remaining") != Some(0)
    {
        return 1;
    }
    let answered = failure
        .header("date")
        .and_then(|date| OffsetDateTime::parse(date, &Rfc2822).ok());
    match (number("x-sentry-rate-limit-reset"), answered) {
        (Some(reset), Some(answered)) => {
            let seconds = reset.saturating_sub(answered.unix_timestamp());
            u64::try_from(seconds).map_or(1, |seconds| seconds.max(1))
        }
        _ => 60,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

    use http::HeaderMap;

    use super::*;

    fn organization_token(middle: &str) -> String {
        format!("sntrys_{middle}_REDACTED")
    }

    #[test]
    fn organization_tokens_name_their_organization_and_region() {
        let json = r#"{"iat": 1, "url": "https://sentry.io", "region_url": "https://de.sentry.io", "org": "acme"}"#;
        for middle in [STANDARD.encode(json), STANDARD_NO_PAD.encode(json)] {
            let found = facts(&organization_token(&middle)).unwrap();
            assert_eq!(found[TOKEN_ORG], "acme");
            assert_eq!(found[TOKEN_REGION], "https://de.sentry.io");
        }
        let found = facts(&organization_token(&STANDARD.encode(r#"{"org":"acme"}"#))).unwrap();
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn other_tokens_say_nothing_and_half_ones_are_refused() {
        for token in ["sntryu_REDACTED", "REDACTED", "a1b2"] {
            assert!(facts(token).unwrap().is_empty(), "{token}");
        }
        for token in [
            "sntrys_",
            "sntrys_x",
            "sntrys__",
            &organization_token("%%%"),
            &organization_token(&STANDARD.encode("[1]")),
            &organization_token(&STANDARD.encode(r#"{"region_url":"https://de.sentry.io"}"#)),
            "https://REDACTED@o1.ingest.sentry.io/1",
        ] {
            assert!(facts(token).is_err(), "{token}");
        }
    }

    #[test]
    fn a_token_that_lacks_something_is_told_what() {
        let lacks = |scopes: &[&str]| {
            let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
            match enough(&scopes) {
                Err(ToolError::Provider(ProviderError::InsufficientScope { missing })) => missing,
                other => {
                    other.unwrap();
                    Vec::new()
                }
            }
        };
        assert_eq!(lacks(&["org:ci"]), ["org:read", "event:read"]);
        assert_eq!(lacks(&["org:admin"]), ["event:read"]);
        assert_eq!(lacks(&["event:admin", "org:read"]), Vec::<String>::new());
    }

    #[test]
    fn refusals_are_named() {
        let classified = |status, headers: &[(&'static str, &str)], body: Value| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, value.parse().unwrap());
            }
            classify(&Failure {
                status,
                headers: &map,
                body: &body,
            })
        };
        let limited = |seconds| {
            Some(ProviderError::RateLimited {
                retry_after_s: seconds,
            })
        };
        let date = ("date", "Fri, 20 Nov 2026 12:00:00 GMT");
        let reset = ("x-sentry-rate-limit-reset", "1795176007");
        assert_eq!(classified(429, &[date, reset], Value::Null), limited(7));
        let past = ("x-sentry-rate-limit-reset", "-9223372036854775808");
        assert_eq!(classified(429, &[date, past], Value::Null), limited(1));
        let at_once = [
            ("x-sentry-rate-limit-remaining", "3"),
            ("x-sentry-rate-limit-concurrentremaining", "0"),
        ];
        assert_eq!(classified(429, &at_once, Value::Null), limited(1));
        assert_eq!(classified(429, &[], Value::Null), limited(60));
        let invalid = |message: &str| {
            Some(ProviderError::Invalid {
                message: message.to_owned(),
            })
        };
        let of_field = json!({ "status": ["\"gone\" is not a valid choice."] });
        assert_eq!(
            classified(400, &[], of_field),
            invalid("status: \"gone\" is not a valid choice.")
        );
        assert_eq!(
            classified(400, &[], json!({ "detail": "Invalid query" })),
            invalid("Invalid query")
        );
        let sso = json!({ "detail": { "code": "sso-required", "message": "x", "extra": { "loginUrl": "/auth/login/acme/" } } });
        assert_eq!(
            classified(403, &[], sso),
            Some(ProviderError::AdminConsentRequired { url: None })
        );
        assert_eq!(classified(404, &[], Value::Null), None);
    }
}
