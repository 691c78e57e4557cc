//! The page on which a person decides whether an MCP client may act for them.

use askama::Template;
use axum::extract::{Path, RawForm, Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::header::{CONTENT_SECURITY_POLICY, REFRESH};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use url::Url;

use super::refused;
use crate::auth::server::redirect::Destination;
use crate::auth::server::{Asked, Parameters, Question};
use crate::caller::{Caller, Scopes};
use crate::ids::{self, AuthorizationId};
use crate::integrations;
use crate::web::Web;
use crate::web::error::Error;
use crate::web::pages::{Message, Page, policy_towards, show};
use crate::web::session::{SignedIn, consent_cookie, cookie, set_cookie};

/// Length of the secret in the cookie.
const SECRET: usize = 43;

#[derive(Template)]
#[template(path = "consent.html", config = "src/web/askama.toml")]
struct Consent {
    page: Page,
    question: Question,
    systems: Vec<System>,
    problem: Option<&'static str>,
}

/// An integration that the client may be held to.
struct System {
    id: String,
    name: String,
}

impl Consent {
    /// Whether the code goes to a program on the person's own machine.
    fn is_local(&self) -> bool {
        matches!(self.question.destination, Destination::Loopback(_))
    }

    /// The scheme of the application that the code goes to.
    fn app(&self) -> Option<&str> {
        match &self.question.destination {
            Destination::App(scheme) => Some(scheme),
            Destination::Site(_) | Destination::Loopback(_) => None,
        }
    }
}

/// Shows the question. Sets the cookie that the answer must bring along.
pub(in crate::web) async fn ask(
    State(web): State<Web>,
    SignedIn(caller): SignedIn,
    Path(id): Path<AuthorizationId>,
    request: Request,
) -> Result<Response, Error> {
    let (parts, _) = request.into_parts();
    let browser = browser(&web, &parts).map_or_else(|| ids::random_token(""), ToOwned::to_owned);
    let asked = web.server.ask(&caller, id, &browser).await?;
    let mut response = match asked {
        Asked::Question(question) => page(&web, &caller, question, None),
        Asked::Agreed(url) => going_back(&web, &caller, &url),
        Asked::Gone => return Ok(gone(&web)),
        Asked::Elsewhere => return Ok(elsewhere(&web)),
    };
    set_cookie(&web, &mut response, consent_cookie(&web), &browser, 600);
    Ok(response)
}

/// Takes the answer and sends the browser back to the client.
pub(in crate::web) async fn decide(
    State(web): State<Web>,
    SignedIn(caller): SignedIn,
    Path(id): Path<AuthorizationId>,
    parts: Parts,
    RawForm(form): RawForm,
) -> Result<Response, Error> {
    let form = Parameters::parse(&form);
    let csrf = form.one("csrf").ok().flatten().unwrap_or_default();
    if !web.auth.is_form_token(&caller, csrf) {
        return Err(Error::Foreign);
    }
    let Some(browser) = browser(&web, &parts) else {
        return Ok(elsewhere(&web));
    };
    let Some(asked) = web.server.asked_scopes(id).await? else {
        return Ok(gone(&web));
    };
    let allowed = match form.one("decision").ok().flatten() {
        Some("approve") => match allowed(&asked, &form.all("scope")) {
            Some(allowed) => Some(allowed),
            None => {
                return Ok(match web.server.ask(&caller, id, browser).await? {
                    Asked::Question(question) => page(
                        &web,
                        &caller,
                        question,
                        Some("Tick at least one system, or decline."),
                    ),
                    Asked::Agreed(url) => going_back(&web, &caller, &url),
                    Asked::Gone => gone(&web),
                    Asked::Elsewhere => elsewhere(&web),
                });
            }
        },
        Some("decline") => None,
        _ => return Err(Error::Foreign),
    };
    let to = web
        .server
        .decide(&caller, id, browser, allowed.as_ref())
        .await?;
    Ok(match to {
        Some(url) => Redirect::to(url.as_str()).into_response(),
        None => elsewhere(&web),
    })
}

fn page(web: &Web, caller: &Caller, question: Question, problem: Option<&'static str>) -> Response {
    let policy = policy_towards(&question.redirect_origin);
    let status = if problem.is_some() {
        StatusCode::BAD_REQUEST
    } else {
        StatusCode::OK
    };
    let page = Consent {
        page: Page::of(web, Some(caller)),
        systems: systems(&question.scopes),
        question,
        problem,
    };
    let mut response = show(status, &page);
    if let Some(policy) = policy {
        response
            .headers_mut()
            .insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// The integrations that can be ticked: those that the client named, else all.
fn systems(asked: &Scopes) -> Vec<System> {
    let named = |id: &str| System {
        id: id.to_owned(),
        name: integrations::integration(id)
            .map_or(id, |known| known.name)
            .to_owned(),
    };
    match &asked.integrations {
        Some(ids) => ids.iter().map(|id| named(id)).collect(),
        None => integrations::ALL
            .iter()
            .map(|known| named(known.id))
            .collect(),
    }
}

/// What the ticked boxes allow of what was asked; `None` when no system is ticked. All ticked is no narrowing, so that a
/// system that is added here later is within it.
fn allowed(asked: &Scopes, ticked: &[&str]) -> Option<Scopes> {
    let has = |word: &str| ticked.contains(&word);
    let offered = systems(asked);
    let chosen: Vec<String> = offered
        .iter()
        .filter(|system| has(&format!("integration:{}", system.id)))
        .map(|system| system.id.clone())
        .collect();
    if chosen.is_empty() {
        return None;
    }
    let all = asked.integrations.is_none() && chosen.len() == offered.len();
    Some(Scopes {
        read: asked.read,
        write: asked.write && has("tools:write"),
        audit: asked.audit && has("audit:read"),
        integrations: (!all).then(|| chosen.into()),
    })
}

/// The secret of this browser, if it was shown a question before.
fn browser<'a>(web: &Web, parts: &'a Parts) -> Option<&'a str> {
    cookie(parts, consent_cookie(web)).filter(|secret| secret.len() == SECRET)
}

/// Sends on a browser whose person agreed before. Not by a redirect: when they have just signed in, browsers hold the
/// whole way to the form policy of the sign-in page, which knows no clients.
fn going_back(web: &Web, caller: &Caller, url: &Url) -> Response {
    let message = Message {
        page: Page::of(web, Some(caller)),
        title: "Going back to your AI client".to_owned(),
        tone: "good",
        lines: vec!["You have allowed this client before.".to_owned()],
        actions: vec![("Continue".to_owned(), url.to_string())],
        close: false,
    };
    let mut response = show(StatusCode::OK, &message);
    if let Ok(refresh) = HeaderValue::from_str(&format!("0;url={url}")) {
        response.headers_mut().insert(REFRESH, refresh);
    }
    response
}

fn gone(web: &Web) -> Response {
    refused(
        web,
        StatusCode::GONE,
        "This request was answered already, or it is older than ten minutes.".to_owned(),
    )
}

fn elsewhere(web: &Web) -> Response {
    refused(
        web,
        StatusCode::FORBIDDEN,
        "This request was begun in another browser, so it cannot be answered in this one."
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

    use super::*;

    #[test]
    fn ticked_boxes_narrow_and_never_widen() {
        let every = integrations::ALL.iter();
        let every: Vec<String> = every.map(|one| format!("integration:{}", one.id)).collect();
        let all: Vec<&str> = every.iter().map(String::as_str).collect();
        let with = |more: &[&'static str]| [&all[..], more].concat();
        for (asked, ticked, expected) in [
            ("tools:read", with(&[]), Some("tools:read")),
            (
                "tools:read",
                with(&["tools:write", "audit:read"]),
                Some("tools:read"),
            ),
            (
                "tools:read tools:write",
                with(&["tools:write"]),
                Some("tools:read tools:write"),
            ),
            ("tools:read tools:write", with(&[]), Some("tools:read")),
            (
                "tools:read tools:write",
                vec!["integration:github", "tools:write"],
                Some("tools:read tools:write integration:github"),
            ),
            ("tools:read", vec!["integration:elsewhere"], None),
            ("tools:read", vec![], None),
            (
                "tools:read integration:github",
                with(&[]),
                Some("tools:read integration:github"),
            ),
            (
                "tools:read integration:github",
                vec!["integration:hubspot"],
                None,
            ),
            ("audit:read", with(&["audit:read"]), Some("audit:read")),
        ] {
            let asked = Scopes::parse(asked).unwrap();
            let granted = allowed(&asked, &ticked);
            assert!(granted.iter().all(|granted| asked.contain(granted)));
            let granted = granted.map(|granted| granted.to_string());
            assert_eq!(granted.as_deref(), expected, "{asked} {ticked:?}");
        }
    }
}
