//! How one connects to HubSpot, whose portal a connection is, and what its refusals mean.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value};

use crate::kit::client::Failure;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::integration::{
    Account, ClientAuth, OAuth2, Revocation, RevokedToken, Rotation, Scope, TokenSet,
};
use crate::kit::text;
use crate::kit::tool::Cx;

use super::model::Portal;
use super::names;

/// The endpoints with dated versions: those under `/oauth/v1` stop working on 16 February 2027
/// (<https://developers.hubspot.com/changelog/v1-oauth-api-deprecation>).
pub(super) const OAUTH: OAuth2 = OAuth2 {
    authorize_url: "https://app.hubspot.com/oauth/authorize",
    token_url: "https://api.hubapi.com/oauth/2026-03/token",
    authorize_params: &[],
    scopes: &[
        Scope::needed("oauth", "to know which portal this is"),
        Scope::needed(
            "crm.objects.contacts.read",
            "to read contacts and activities",
        ),
        Scope::needed("crm.objects.companies.read", "to read companies"),
        Scope::needed("crm.objects.deals.read", "to read deals and pipelines"),
        Scope::needed("crm.objects.owners.read", "to show owners by name"),
        Scope::optional(
            "crm.objects.contacts.write",
            "to change contacts and log activities",
        ),
        Scope::optional("crm.objects.companies.write", "to change companies"),
        Scope::optional("crm.objects.deals.write", "to change deals"),
        Scope::optional("tickets", "to read and change tickets"),
        Scope::optional("crm.lists.read", "to read lists and their members"),
        Scope::optional("sales-email-read", "to read the text of logged e-mails"),
        Scope::optional("crm.schemas.custom.read", "to find custom objects by name"),
        Scope::optional("crm.objects.custom.read", "to read custom objects"),
        Scope::optional("crm.objects.custom.write", "to change custom objects"),
        Scope::optional("crm.objects.line_items.read", "to read line items of deals"),
        Scope::optional(
            "crm.objects.line_items.write",
            "to change line items of deals",
        ),
        Scope::optional("crm.objects.products.read", "to read products"),
        Scope::optional("crm.objects.quotes.read", "to read quotes"),
    ],
    scope_separator: ' ',
    optional_scope_param: Some("optional_scope"),
    implied: &[],
    pkce: true,
    client_auth: ClientAuth::Body,
    rotation: Rotation::None,
    gone_errors: &["BAD_REFRESH_TOKEN"],
    app_errors: &["BAD_CLIENT_ID", "BAD_CLIENT_SECRET"],
    unpublished_life: None,
    read_token,
    revocation: Revocation::Rfc7009 {
        url: "https://api.hubapi.com/oauth/2026-03/token/revoke",
        token: RevokedToken::Refresh,
    },
    products: &[],
    directory: None,
};

/// HubSpot lists what was granted as an array named `scopes`, beside the fields of RFC 6749, and says whose portal it is.
fn read_token(answer: &Value) -> Result<TokenSet, ProviderError> {
    let mut tokens = TokenSet::standard(answer, ' ')?;
    if let Some(scopes) = answer.get("scopes").and_then(Value::as_array) {
        let scopes = scopes.iter().filter_map(Value::as_str);
        tokens.scopes = Some(scopes.map(ToOwned::to_owned).collect());
    }
    let portal = answer.get("hub_id").and_then(Value::as_u64);
    tokens.subject = portal.map(|portal| portal.to_string());
    Ok(tokens)
}

/// Whose portal this is. A connection is pinned to the portal's id. Its domain is told only to who holds the token as
/// text, so the label is the domain that most owners have their addresses at.
pub(super) fn identify(cx: &Cx) -> BoxFuture<'_, Result<Account, ToolError>> {
    async move {
        let portal = cx.api.get(&["account-info", "v3", "details"]);
        let (portal, owners) =
            futures_util::future::join(portal.send::<Portal>(), names::owners(cx)).await;
        let portal = portal?;
        // Without owners there is still a portal.
        let owners = owners.map(|found| found.owners).unwrap_or_default();
        let emails = owners.iter().filter_map(|owner| owner.email.as_deref());
        let label = label(&portal, emails);
        let mut details = Map::new();
        for (name, value) in [
            ("hub_id", portal.id.to_string()),
            ("ui_domain", portal.ui_domain),
            ("time_zone", portal.time_zone),
            ("currency", portal.company_currency),
            ("account_type", portal.account_type),
            ("hosting", portal.data_hosting_location),
        ] {
            if !value.is_empty() {
                details.insert(name.to_owned(), Value::String(value));
            }
        }
        Ok(Account {
            id: portal.id.to_string(),
            handle: label.clone(),
            label,
            details,
        })
    }
    .boxed()
}

/// Mail hosts that say nothing about whose portal it is.
const OPEN_MAIL_HOSTS: [&str; 6] = [
    "gmail.com",
    "googlemail.com",
    "hotmail.com",
    "icloud.com",
    "outlook.com",
    "yahoo.com",
];

fn label(portal: &Portal, emails: impl Iterator<Item = impl AsRef<str>>) -> String {
    let mut domains: BTreeMap<String, usize> = BTreeMap::new();
    let mut people = 0;
    for email in emails {
        people += 1;
        if let Some((_, domain)) = email.as_ref().rsplit_once('@') {
            *domains.entry(domain.to_lowercase()).or_default() += 1;
        }
    }
    let most = domains
        .into_iter()
        .max_by_key(|(_, count)| *count)
        .filter(|(domain, count)| {
            count * 2 > people && !OPEN_MAIL_HOSTS.contains(&domain.as_str())
        });
    let name = match most {
        Some((domain, _)) => domain,
        None => format!("portal-{}", portal.id),
    };
    match portal.account_type.as_str() {
        "" | "STANDARD" => name,
        other => format!("{name}-{}", other.to_lowercase().replace('_', "-")),
    }
}

/// Names a refusal by `category` and `policyName`, which say more than the status.
pub(super) fn classify(failure: &Failure<'_>) -> Option<ProviderError> {
    let word = |name: &str| {
        failure
            .body
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    match (failure.status, word("category")) {
        (403, "MISSING_SCOPES") => Some(ProviderError::InsufficientScope {
            missing: missing_scopes(failure.body),
        }),
        (429, _) => Some(ProviderError::RateLimited {
            retry_after_s: failure
                .retry_after_s()
                .unwrap_or_else(|| wait(word("policyName"))),
        }),
        (402, _) => None,
        (400..=499, "VALIDATION_ERROR" | "BAD_REQUEST" | "PROPERTY_DOESNT_EXIST") => {
            Some(ProviderError::Invalid {
                message: message(failure),
            })
        }
        (400..=499, "OBJECT_NOT_FOUND") => Some(ProviderError::NotFound),
        (409, _) | (400..=499, "CONFLICT" | "OBJECT_ALREADY_EXISTS") => {
            Some(ProviderError::Conflict {
                message: message(failure),
            })
        }
        _ => None,
    }
}

/// How long each kind of limit lasts. The daily one does not bind OAuth apps, but a portal's own policy may.
fn wait(policy: &str) -> u64 {
    match policy {
        "DAILY" => 3_600,
        "SECONDLY" => 1,
        _ => 10,
    }
}

/// The sentence, and the reasons within it that say more. HubSpot puts the id of an existing record into the sentence.
fn message(failure: &Failure<'_>) -> String {
    let mut said = failure.message();
    let details = failure.body.get("errors").and_then(Value::as_array);
    for detail in details.into_iter().flatten().take(5) {
        let Some(reason) = detail.get("message").and_then(Value::as_str) else {
            continue;
        };
        if !reason.is_empty() && !said.contains(reason) {
            said.push_str("; ");
            said.push_str(&text::scrub(reason));
        }
    }
    text::clip(&said, 600)
}

/// The exact names, granular ones first: `requiredScopes` holds older, wider names that new apps cannot ask for.
fn missing_scopes(body: &Value) -> Vec<String> {
    let errors = body.get("errors").and_then(Value::as_array);
    let contexts = errors
        .into_iter()
        .flatten()
        .map(|error| error.get("context"))
        .chain([body.get("context")]);
    let mut granular = Vec::new();
    let mut plain = Vec::new();
    for context in contexts.flatten() {
        let names = |name: &str| {
            let list = context.get(name).and_then(Value::as_array);
            list.into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(|scope| text::clip(&text::printable(scope), 80))
                .collect::<Vec<_>>()
        };
        granular.extend(names("requiredGranularScopes"));
        plain.extend(names("requiredScopes"));
    }
    let mut missing = if granular.is_empty() { plain } else { granular };
    missing.sort();
    missing.dedup();
    missing
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;
    use http::HeaderMap;
    use serde_json::json;

    fn classified(status: u16, body: &Value) -> Option<ProviderError> {
        classify(&Failure {
            status,
            headers: &HeaderMap::new(),
            body,
        })
    }

    #[test]
    fn limits_say_how_long_they_last() {
        for (policy, seconds) in [
            ("SECONDLY", 1),
            ("TEN_SECONDLY_ROLLING", 10),
            ("DAILY", 3_600),
            ("", 10),
        ] {
            assert_eq!(
                classified(429, &json!({ "policyName": policy })),
                Some(ProviderError::RateLimited {
                    retry_after_s: seconds
                })
            );
        }
    }

    #[test]
    fn granular_scopes_are_named_before_plain_ones() {
        let body = json!({ "category": "MISSING_SCOPES", "errors": [
            { "message": "x", "context": {
                "requiredScopes": ["contacts"],
                "requiredGranularScopes": ["crm.objects.deals.read", "crm.objects.contacts.read"],
            } },
        ] });
        assert_eq!(
            classified(403, &body),
            Some(ProviderError::InsufficientScope {
                missing: vec![
                    "crm.objects.contacts.read".to_owned(),
                    "crm.objects.deals.read".to_owned(),
                ]
            })
        );
        let body = json!({ "category": "MISSING_SCOPES", "errors": [
            { "message": "x", "context": { "requiredScopes": ["tickets"] } },
        ] });
        assert_eq!(
            classified(403, &body),
            Some(ProviderError::InsufficientScope {
                missing: vec!["tickets".to_owned()]
            })
        );
    }

    #[test]
    fn granted_scopes_come_from_the_array() {
        let answer = json!({
            "token_type": "bearer", "access_token": "REDACTED", "refresh_token": "REDACTED",
            "expires_in": 1800, "hub_id": 4711, "user_id": 9, "scopes": ["oauth", "tickets"],
        });
        let tokens = read_token(&answer).unwrap();
        assert_eq!(tokens.expires_in_s, Some(1_800));
        assert_eq!(
            tokens.scopes,
            Some(vec!["oauth".to_owned(), "tickets".to_owned()])
        );
        assert_eq!(tokens.subject.as_deref(), Some("4711"));
    }

    #[test]
    fn a_portal_is_called_by_the_domain_of_most() {
        let portal = |kind: &str| -> Portal {
            serde_json::from_value(json!({ "portalId": 4711, "accountType": kind })).unwrap()
        };
        let table: [(&str, &[&str], &str); 5] = [
            (
                "STANDARD",
                &["a@acme.example", "b@ACME.example", "c@x.example"],
                "acme.example",
            ),
            ("SANDBOX", &["a@acme.example"], "acme.example-sandbox"),
            ("STANDARD", &["a@gmail.com", "b@gmail.com"], "portal-4711"),
            (
                "STANDARD",
                &["a@one.example", "b@two.example"],
                "portal-4711",
            ),
            ("DEVELOPER_TEST", &[], "portal-4711-developer-test"),
        ];
        for (kind, emails, expected) in table {
            assert_eq!(label(&portal(kind), emails.iter().copied()), expected);
        }
    }
}
