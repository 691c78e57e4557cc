//! The page on which an administrator consents for everybody (`adminconsent` of the Microsoft identity platform).
//!
//! It posts to its own address, so a program only needs to post `decision` (`approve` or `deny`).

use askama::Template;
use http::StatusCode;

use super::Asked;
use super::answer::Answer;
use super::authorize::{html, told, trusted};
use super::providers::Provider;

/// The directory that an answer names.
const TENANT: &str = "00000000-0000-0000-0000-0000000000ac";

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sandbox {{ provider.name }}: for administrators</title>
<style>
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
  body { max-width: 30rem; margin: 3rem auto; padding: 0 1rem; }
  code { overflow-wrap: anywhere; }
  button { font: inherit; padding: .5rem 1.5rem; border: 1px solid #8888; border-radius: .5rem; margin-right: .5rem; }
</style>
</head>
<body>
<main>
<h1>Sandbox {{ provider.name }}: for administrators</h1>
<p>This page stands in for {{ provider.name }}. The app <code>{{ client_id }}</code> asks for everybody in your
organization:</p>
<ul>{% for scope in scopes %}<li><code>{{ scope }}</code></li>{% endfor %}</ul>
<form method="post">
<button name="decision" value="approve">Approve for everybody</button>
<button name="decision" value="deny">Deny</button>
</form>
</main>
</body>
</html>
"#
)]
struct AdminPage<'a> {
    provider: &'a Provider,
    client_id: &'a str,
    scopes: Vec<&'a str>,
}

/// Shows the page, or takes its answer.
pub(super) fn answer(provider: &Provider, asked: &Asked) -> Answer {
    let one = |name: &str| {
        let found = asked.query.iter().find(|(found, _)| found == name);
        found.map_or("", |(_, value)| value.as_str())
    };
    if asked.path.starts_with("/common/") {
        return told(
            provider,
            "AADSTS900144: name one directory, or organizations.",
        );
    }
    let (client_id, state) = (one("client_id"), one("state"));
    let Some(mut to) = trusted(one("redirect_uri")) else {
        return told(
            provider,
            "The redirect_uri must be https, or http on this machine.",
        );
    };
    if client_id.is_empty() || state.is_empty() || one("scope").is_empty() {
        return told(provider, "The request lacks its client_id, scope or state.");
    }
    if asked.method != http::Method::POST {
        let scopes = one("scope").split(' ').collect();
        let page = AdminPage {
            provider,
            client_id,
            scopes,
        };
        return html(StatusCode::OK, &page);
    }
    let decision = url::form_urlencoded::parse(&asked.body)
        .find(|(name, _)| name == "decision")
        .map(|(_, value)| value.into_owned());
    match decision.as_deref() {
        Some("approve") => {
            to.query_pairs_mut()
                .append_pair("admin_consent", "True")
                .append_pair("tenant", TENANT)
                .append_pair("state", state);
        }
        Some("deny") => {
            to.query_pairs_mut()
                .append_pair("error", "access_denied")
                .append_pair(
                    "error_description",
                    "AADSTS65004: The administrator said no",
                )
                .append_pair("state", state);
        }
        _ => return told(provider, "Send the decision: approve or deny."),
    }
    Answer::see_other(to.as_str())
}
