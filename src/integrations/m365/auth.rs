//! Connecting: OAuth facts, whose account it is, and what Microsoft's refusals mean.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::graph;
use super::model::or_default;

use crate::kit::client::Failure;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::integration::{
    Account, ClientAuth, Directory, OAuth2, Product, Revocation, Rotation, Scope, TokenSet,
};
use crate::kit::text;
use crate::kit::tool::Cx;

/// Everything that is ever asked for. A scope that writes contains the one that reads.
const SCOPES: &[Scope] = &[
    Scope::needed("offline_access", "stay connected"),
    Scope::needed("User.Read", "know which account this is"),
    Scope::optional(
        "MailboxSettings.Read",
        "know your time zone and working hours",
    ),
    Scope::optional("Mail.ReadWrite", "read, sort and draft your mail"),
    Scope::optional("Mail.Send", "send mail as you"),
    Scope::optional(
        "Mail.ReadWrite.Shared",
        "work in mailboxes that are shared with you",
    ),
    Scope::optional(
        "Mail.Send.Shared",
        "send mail from mailboxes that are shared with you",
    ),
    Scope::optional("Calendars.ReadWrite", "read and change your calendar"),
    Scope::optional(
        "Calendars.Read.Shared",
        "see when people are free who share their calendar with you",
    ),
    Scope::optional("Contacts.ReadWrite", "read and change your contacts"),
    Scope::optional("People.Read", "find the people you work with"),
    Scope::optional(
        "User.ReadBasic.All",
        "look up names and addresses in your organization",
    ),
    Scope::optional(
        "Files.ReadWrite.All",
        "read and change the files that you can open",
    ),
    Scope::optional(
        "Sites.ReadWrite.All",
        "read SharePoint sites and change their lists",
    ),
    Scope::optional(
        "Sites.Selected",
        "work in the SharePoint sites that an administrator chose for this app",
    ),
    Scope::optional("Team.ReadBasic.All", "see which teams you are in"),
    Scope::optional("Channel.ReadBasic.All", "see the names of channels"),
    Scope::optional("Chat.ReadWrite", "read your chats and write in them"),
    Scope::optional("ChannelMessage.Send", "post in channels as you"),
    Scope::optional(
        "ChannelMessage.Read.All",
        "read channel messages (an administrator must allow it)",
    ),
];

/// Codes of the error reference that blame the app's registration or the tenant that it was sent to, whatever the error
/// word beside them.
const APP_ERRORS: &[&str] = &[
    // No such tenant.
    "AADSTS90002",
    // Not registered for several tenants, but sent to `common`.
    "AADSTS50194",
    // Not known in this tenant.
    "AADSTS700016",
    // The redirect address is not registered.
    "AADSTS50011",
    // The secret is wrong; it has expired.
    "AADSTS7000215",
    "AADSTS7000222",
    // The app is switched off.
    "AADSTS7000112",
];

/// What can be connected alone. Channel messages and single sites wait for an administrator, so nobody is asked for them
/// unawares.
const PRODUCTS: &[Product] = &[
    product(
        "mail",
        "Outlook mail",
        "mail",
        &[
            "MailboxSettings.Read",
            "Mail.ReadWrite",
            "Mail.Send",
            "Mail.ReadWrite.Shared",
            "Mail.Send.Shared",
        ],
    ),
    product(
        "calendar",
        "Outlook calendar",
        "calendar",
        &[
            "MailboxSettings.Read",
            "Calendars.ReadWrite",
            "Calendars.Read.Shared",
        ],
    ),
    product(
        "people",
        "Contacts and people",
        "people",
        &["Contacts.ReadWrite", "People.Read", "User.ReadBasic.All"],
    ),
    product("files", "OneDrive files", "files", &["Files.ReadWrite.All"]),
    product(
        "sharepoint",
        "SharePoint sites and lists",
        "sharepoint",
        &["Sites.ReadWrite.All"],
    ),
    product(
        "teams",
        "Teams chats and channels",
        "teams",
        &[
            "Team.ReadBasic.All",
            "Channel.ReadBasic.All",
            "Chat.ReadWrite",
            "ChannelMessage.Send",
            "User.ReadBasic.All",
        ],
    ),
    Product {
        chosen: false,
        ..product(
            "channel_messages",
            "Reading Teams channels (an administrator must allow it)",
            "teams",
            &["ChannelMessage.Read.All"],
        )
    },
    Product {
        chosen: false,
        ..product(
            "selected_sites",
            "Only SharePoint sites that an administrator chose",
            "sharepoint",
            &["Sites.Selected"],
        )
    },
];

const fn product(
    id: &'static str,
    title: &'static str,
    toolset: &'static str,
    scopes: &'static [&'static str],
) -> Product {
    Product {
        id,
        title,
        toolset,
        scopes,
        chosen: true,
    }
}

const DIRECTORY: Directory = Directory {
    tenants: &[
        ("common", "work, school and personal accounts"),
        (
            "organizations",
            "work and school accounts of any organization",
        ),
        ("consumers", "personal accounts only"),
    ],
    admin_consent_url: Some("https://login.microsoftonline.com/{tenant}/v2.0/adminconsent"),
    admin_consent_tenant: "organizations",
    admin_refusals: &[
        "admin_consent_required",
        "consent_required",
        // Neither the person nor an administrator has consented.
        "AADSTS65001",
        // An administrator must consent.
        "AADSTS90094",
        // The person has asked an administrator; the request is open.
        "AADSTS90095",
    ],
    personal_tenant: Some("consumers"),
    // What the permissions reference gives to work and school accounts alone.
    personal: Some((
        "a personal Microsoft account (outlook.com, hotmail.com, live.com)",
        &[
            "Mail.ReadWrite.Shared",
            "Mail.Send.Shared",
            "User.ReadBasic.All",
            "Sites.ReadWrite.All",
            "Sites.Selected",
            "Team.ReadBasic.All",
            "Channel.ReadBasic.All",
            "Chat.ReadWrite",
            "ChannelMessage.Send",
            "ChannelMessage.Read.All",
        ],
    )),
};

pub(super) const OAUTH: OAuth2 = OAuth2 {
    authorize_url: "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize",
    token_url: "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token",
    authorize_params: &[],
    scopes: SCOPES,
    scope_separator: ' ',
    optional_scope_param: None,
    // What the permissions reference grants to each scope contains what it grants to these.
    implied: &[
        ("Mail.ReadWrite", &["Mail.Read"]),
        ("Mail.ReadWrite.Shared", &["Mail.Read.Shared"]),
        ("Calendars.ReadWrite", &["Calendars.Read"]),
        ("Contacts.ReadWrite", &["Contacts.Read"]),
        (
            "Files.ReadWrite.All",
            &["Files.Read.All", "Files.ReadWrite"],
        ),
        ("Files.ReadWrite", &["Files.Read"]),
        ("Files.Read.All", &["Files.Read"]),
        ("Sites.ReadWrite.All", &["Sites.Read.All"]),
        (
            "Chat.ReadWrite",
            &["Chat.Read", "Chat.Create", "ChatMessage.Send"],
        ),
        ("Chat.Read", &["Chat.ReadBasic"]),
    ],
    pkce: true,
    client_auth: ClientAuth::Body,
    rotation: Rotation::Grace,
    // An interactive step that a refresh cannot take (OpenID Connect Core §3.1.2.6).
    gone_errors: &["interaction_required", "login_required", "consent_required"],
    app_errors: APP_ERRORS,
    unpublished_life: None,
    read_token,
    revocation: Revocation::Unsupported,
    products: PRODUCTS,
    directory: Some(DIRECTORY),
};

/// Reads a token answer. Graph's scopes may come with its address in front, and `offline_access` is granted by a refresh
/// token and not named.
fn read_token(answer: &Value) -> Result<TokenSet, ProviderError> {
    const GRAPH: &str = "https://graph.microsoft.com/";
    let mut tokens = TokenSet::standard(answer, ' ')?;
    let renewable = tokens.refresh_token.is_some();
    if let Some(scopes) = &mut tokens.scopes {
        for scope in scopes.iter_mut() {
            if let Some(name) = scope.strip_prefix(GRAPH) {
                *scope = name.to_owned();
            }
        }
        if renewable && !scopes.iter().any(|scope| scope == "offline_access") {
            scopes.push("offline_access".to_owned());
        }
    }
    Ok(tokens)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Me {
    id: String,
    #[serde(default, deserialize_with = "or_default")]
    display_name: String,
    #[serde(default, deserialize_with = "or_default")]
    mail: String,
    user_principal_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Settings {
    #[serde(default, deserialize_with = "or_default")]
    time_zone: String,
}

/// The account behind the token. Work and school accounts are numbered by their directory with a UUID, personal ones with
/// sixteen hexadecimal digits.
pub(super) fn identify(cx: &Cx) -> BoxFuture<'_, Result<Account, ToolError>> {
    async move {
        let me: Me = cx.api.get(&graph::path(&["me"])).send().await?;
        let address = if me.mail.is_empty() {
            me.user_principal_name.clone()
        } else {
            me.mail
        };
        let work = me.id.len() == 36;
        let mut details = Map::new();
        let kind = if work { "work" } else { "personal" };
        details.insert("kind".to_owned(), json!(kind));
        details.insert("name".to_owned(), json!(me.display_name));
        let domain = me.user_principal_name.rsplit_once('@');
        if let (true, Some((_, domain))) = (work, domain) {
            details.insert("tenant".to_owned(), json!(domain));
        }
        if cx.granted.has("MailboxSettings.Read") {
            let path = graph::path(&["me", "mailboxSettings"]);
            // An account without a mailbox has no time zone, and is connected all the same.
            if let Ok(settings) = cx.api.get(&path).send::<Settings>().await
                && !settings.time_zone.is_empty()
            {
                details.insert("time_zone".to_owned(), json!(settings.time_zone));
            }
        }
        Ok(Account {
            id: me.id,
            label: address.clone(),
            handle: address,
            details,
        })
    }
    .boxed()
}

/// Names a refusal that its status alone does not (Graph's "Microsoft Graph error responses" and the codes of Exchange).
pub(super) fn classify(failure: &Failure<'_>) -> Option<ProviderError> {
    let error = failure.body.get("error")?;
    let word = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
    let code = word("code");
    let said = if word("message").is_empty() {
        code
    } else {
        word("message")
    };
    let message = text::clip(&text::scrub(said), 300);
    Some(match (failure.status, code) {
        (401, _) | (_, "InvalidAuthenticationToken") => ProviderError::Unauthorized,
        (429, _) | (_, "TooManyRequests" | "ApplicationThrottled" | "activityLimitReached") => {
            ProviderError::RateLimited {
                retry_after_s: failure.retry_after_s().unwrap_or(30),
            }
        }
        (_, "MailboxNotEnabledForRESTAPI" | "MailboxNotSupportedForRESTAPI") => {
            ProviderError::PlanRequired {
                message: "this account has no mailbox in Exchange Online".to_owned(),
            }
        }
        (400, "ErrorInvalidIdMalformed") => ProviderError::Invalid {
            message: "the id is none of this mailbox; take it from a list".to_owned(),
        },
        (403, _) => match scopes_in(said) {
            missing if missing.is_empty() => ProviderError::Forbidden { message },
            missing => ProviderError::InsufficientScope { missing },
        },
        (400 | 405 | 411 | 413..=415 | 422, _) => ProviderError::Invalid { message },
        (409 | 412, _) => ProviderError::Conflict { message },
        (423, _) => ProviderError::Conflict {
            message: format!("it is locked: {message}"),
        },
        _ => return None,
    })
}

/// The scopes that a refusal names: "API requires one of 'Chat.Read, Chat.ReadWrite'."
fn scopes_in(said: &str) -> Vec<String> {
    let Some((_, rest)) = said.split_once("requires one of '") else {
        return Vec::new();
    };
    let names = rest.split('\'').next().unwrap_or_default().split(',');
    let names = names.map(|name| text::clip(&text::scrub(name.trim()), 60));
    names.filter(|name| !name.is_empty()).take(10).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;
    use http::HeaderMap;

    fn classified(status: u16, code: &str, message: &str) -> Option<ProviderError> {
        let body = json!({ "error": { "code": code, "message": message } });
        classify(&Failure {
            status,
            headers: &HeaderMap::new(),
            body: &body,
        })
    }

    #[test]
    fn refusals_are_named() {
        assert_eq!(
            classified(401, "InvalidAuthenticationToken", "expired"),
            Some(ProviderError::Unauthorized)
        );
        assert_eq!(
            classified(503, "TooManyRequests", "slow down"),
            Some(ProviderError::RateLimited { retry_after_s: 30 })
        );
        assert_eq!(
            classified(
                403,
                "Forbidden",
                "Missing scope permissions on the request. API requires one of 'Chat.Read, Chat.ReadWrite'. Scopes on the request 'User.Read'"
            ),
            Some(ProviderError::InsufficientScope {
                missing: vec!["Chat.Read".to_owned(), "Chat.ReadWrite".to_owned()]
            })
        );
        assert_eq!(
            classified(403, "ErrorAccessDenied", "Access is denied."),
            Some(ProviderError::Forbidden {
                message: "Access is denied.".to_owned()
            })
        );
        assert!(matches!(
            classified(412, "ErrorIrresolvableConflict", "changed"),
            Some(ProviderError::Conflict { .. })
        ));
        assert_eq!(classified(404, "ErrorItemNotFound", "gone"), None);
        assert_eq!(classified(500, "InternalServerError", "oops"), None);
    }

    #[test]
    fn granted_scopes_are_read_without_their_address() {
        let tokens = read_token(&json!({
            "access_token": "REDACTED", "refresh_token": "REDACTED", "expires_in": 3600,
            "scope": "https://graph.microsoft.com/Mail.Read User.Read openid"
        }))
        .unwrap();
        assert_eq!(
            tokens.scopes.unwrap(),
            ["Mail.Read", "User.Read", "openid", "offline_access"]
        );
    }

    #[test]
    fn every_product_asks_for_scopes_that_are_known() {
        let known = |name: &str| {
            SCOPES
                .iter()
                .any(|scope| scope.name == name && scope.optional)
        };
        for product in PRODUCTS {
            for scope in product.scopes {
                assert!(known(scope), "{scope}");
            }
        }
        let (_, personal) = DIRECTORY.personal.unwrap();
        assert!(personal.iter().all(|scope| known(scope)));
        for scope in SCOPES.iter().filter(|scope| scope.optional) {
            let named = PRODUCTS
                .iter()
                .any(|product| product.scopes.contains(&scope.name));
            assert!(named, "{}", scope.name);
        }
    }
}
