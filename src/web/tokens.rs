//! A person's own personal access tokens: made, shown once, listed, revoked.

use std::time::Duration;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Form, Router};
use http::StatusCode;
use secrecy::ExposeSecret;

use super::Web;
use super::adding::{Setup, setups};
use super::client_setups::Way;
use super::error::Error;
use super::pages::{Page, Place, sentence, show};
use super::routing::get_post;
use super::session::{SignedIn, TokenForm};
use crate::auth::{AuthError, PersonalToken, TokenState};
use crate::caller::{Caller, Scopes};
use crate::clock::Timestamp;
use crate::ids::GrantId;
use crate::integrations;

/// Ended tokens that are still listed.
const ENDED: usize = 20;
const DAY: u64 = 24 * 3_600;

/// How long a token may hold: the form's word, what people read, seconds.
const LIVES: [(&str, &str, Option<u64>); 5] = [
    ("7", "7 days", Some(7 * DAY)),
    ("30", "30 days", Some(30 * DAY)),
    ("90", "90 days", Some(90 * DAY)),
    ("365", "1 year", Some(365 * DAY)),
    ("none", "until it is revoked", None),
];

/// The routes.
pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/tokens", get_post(list, create))
        .route("/tokens/{id}/revoke", get_post(ask, revoke))
}

#[derive(Template)]
#[template(path = "tokens.html", config = "src/web/askama.toml")]
struct Tokens {
    page: Page,
    live: Vec<Line>,
    ended: Vec<Line>,
    /// Whether the person may hand on that something is changed.
    may_write: bool,
    /// Whether they may hand on all integrations.
    may_all: bool,
    integrations: Vec<(&'static str, &'static str)>,
    lives: &'static [(&'static str, &'static str, Option<u64>)],
    draft: Draft,
    problem: Option<String>,
}

/// A token in a list.
struct Line {
    id: GrantId,
    name: String,
    allows: String,
    created: String,
    expires: String,
    used: String,
    state: &'static str,
}

impl Line {
    fn of(token: PersonalToken) -> Self {
        Self {
            id: token.id,
            allows: allows(&token.scopes),
            created: day(token.created_at),
            expires: token.expires_at.map_or_else(|| "never".to_owned(), day),
            used: token.last_used_at.map_or_else(|| "never".to_owned(), day),
            state: match token.state {
                TokenState::Live => "live",
                TokenState::Expired => "expired",
                TokenState::Revoked => "revoked",
            },
            name: token.name,
        }
    }
}

/// What scopes allow, for people.
fn allows(scopes: &Scopes) -> String {
    if *scopes == Scopes::ALL {
        return "everything that you may, signing in here included".to_owned();
    }
    let what = match (scopes.read, scopes.write) {
        (true, true) => "reads and writes",
        (true, false) => "only reads",
        (false, true) => "only writes",
        (false, false) => "calls nothing",
    };
    let audit = if scopes.audit {
        ", reads the audit log"
    } else {
        ""
    };
    match &scopes.integrations {
        None => format!("{what}{audit}"),
        Some(ids) => {
            let names: Vec<&str> = ids
                .iter()
                .map(|id| integrations::integration(id).map_or(id.as_str(), |known| known.name))
                .collect();
            format!("{what}{audit}; only {}", names.join(", "))
        }
    }
}

fn day(at: Timestamp) -> String {
    at.rfc3339().chars().take(10).collect()
}

/// What the form holds.
struct Draft {
    name: String,
    write: bool,
    some: bool,
    integrations: Vec<String>,
    life: String,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            name: String::new(),
            write: false,
            some: false,
            integrations: Vec::new(),
            life: "90".to_owned(),
        }
    }
}

impl Draft {
    fn of(pairs: &[(String, String)]) -> Self {
        let all = |name: &'static str| {
            let named = pairs.iter().filter(move |(own, _)| own == name);
            named.map(|(_, value)| value.clone())
        };
        let one = |name: &'static str| all(name).next().unwrap_or_default();
        Self {
            name: one("name"),
            write: one("access") == "write",
            some: one("which") == "some",
            integrations: all("integration").collect(),
            life: one("life"),
        }
    }

    fn is_chosen(&self, id: &str) -> bool {
        self.integrations.iter().any(|chosen| chosen == id)
    }

    /// What the token is to allow, and for how long; or what is wrong.
    fn wanted(&self) -> Result<(Scopes, Option<Duration>), &'static str> {
        let life = LIVES.iter().find(|(word, _, _)| *word == self.life);
        let (_, _, seconds) = life.ok_or("Choose how long the token holds.")?;
        let mut scopes = Scopes {
            write: self.write,
            ..Scopes::READ_ONLY
        };
        if self.some {
            let mut ids = self.integrations.clone();
            ids.retain(|id| integrations::integration(id).is_some());
            ids.sort_unstable();
            ids.dedup();
            if ids.is_empty() {
                return Err("Choose at least one integration, or all of them.");
            }
            scopes.integrations = Some(ids.into());
        }
        Ok((scopes, seconds.map(Duration::from_secs)))
    }
}

async fn page(
    web: &Web,
    caller: &Caller,
    draft: Draft,
    problem: Option<String>,
) -> Result<Tokens, Error> {
    let tokens = web.auth.own_tokens(caller).await?;
    let (live, ended): (Vec<_>, Vec<_>) = tokens
        .into_iter()
        .partition(|token| token.state == TokenState::Live);
    let known = integrations::ALL.iter();
    let known = known.filter(|one| caller.scopes.cover(one.id));
    Ok(Tokens {
        page: Page::of(web, Some(caller)).at(Place::Clients),
        live: live.into_iter().map(Line::of).collect(),
        ended: ended.into_iter().take(ENDED).map(Line::of).collect(),
        may_write: caller.scopes.write,
        may_all: caller.scopes.integrations.is_none(),
        integrations: known.map(|one| (one.id, one.name)).collect(),
        lives: &LIVES,
        draft,
        problem,
    })
}

async fn list(State(web): State<Web>, SignedIn(caller): SignedIn) -> Result<Response, Error> {
    let page = page(&web, &caller, Draft::default(), None).await?;
    Ok(show(StatusCode::OK, &page))
}

#[derive(Template)]
#[template(path = "token_made.html", config = "src/web/askama.toml")]
struct Made {
    page: Page,
    name: String,
    token: String,
    allows: String,
    expires: Option<String>,
    setups: Vec<Setup>,
}

/// Makes a token and shows it, once: it is in this answer and nowhere else.
async fn create(
    State(web): State<Web>,
    SignedIn(caller): SignedIn,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Result<Response, Error> {
    let csrf = pairs.iter().find(|(name, _)| name == "csrf");
    if !csrf.is_some_and(|(_, token)| web.auth.is_form_token(&caller, token)) {
        return Err(Error::Foreign);
    }
    let draft = Draft::of(&pairs);
    let (scopes, life) = match draft.wanted() {
        Ok(wanted) => wanted,
        Err(problem) => {
            let page = page(&web, &caller, draft, Some(problem.to_owned())).await?;
            return Ok(show(StatusCode::UNPROCESSABLE_ENTITY, &page));
        }
    };
    let allowed = allows(&scopes);
    let made = web
        .auth
        .create_own_token(&caller, &draft.name, life, scopes)
        .await;
    match made {
        Ok(token) => {
            let secret = token.secret.expose_secret();
            let made = Made {
                page: Page::of(&web, Some(&caller)).at(Place::Clients),
                name: draft.name.trim().to_owned(),
                allows: allowed,
                expires: token.expires_at.map(day),
                setups: setups(&web.links, &caller, Some(secret), &[Way::Token]),
                token: secret.to_owned(),
            };
            Ok(show(StatusCode::OK, &made))
        }
        Err(AuthError::Refused(problem)) => {
            let page = page(&web, &caller, draft, Some(sentence(&problem))).await?;
            Ok(show(StatusCode::FORBIDDEN, &page))
        }
        Err(error) => Err(error.into()),
    }
}

#[derive(Template)]
#[template(path = "token_revoke.html", config = "src/web/askama.toml")]
struct Revoking {
    page: Page,
    token: Line,
}

/// Asks whether a token is to end.
async fn ask(
    State(web): State<Web>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let id: GrantId = id.parse().map_err(|_| Error::NotFound)?;
    let own = web.auth.own_tokens(&caller).await?.into_iter();
    let token = own.map(Line::of).find(|token| token.id == id);
    let page = Revoking {
        page: Page::of(&web, Some(&caller)).at(Place::Clients),
        token: token.ok_or(Error::NotFound)?,
    };
    Ok(show(StatusCode::OK, &page))
}

/// Ends a token. Twice is once.
async fn revoke(
    State(web): State<Web>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
    Form(form): Form<TokenForm>,
) -> Result<Response, Error> {
    if !web.auth.is_form_token(&caller, &form.csrf) {
        return Err(Error::Foreign);
    }
    let id: GrantId = id.parse().map_err(|_| Error::NotFound)?;
    let revoked = web.auth.revoke_own_token(&caller, id).await?;
    revoked.ok_or(Error::NotFound)?;
    let base = Page::of(&web, None).base;
    Ok(Redirect::to(&format!("{base}tokens")).into_response())
}
