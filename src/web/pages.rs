//! What all pages share: the frame, the security headers, and the refusal of forms from other sites.

use askama::Template;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, Method, StatusCode};

use super::Web;
use super::error::{Error, Said};
use crate::auth::AuthError;
use crate::caller::{Caller, Role};

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";

/// A page that the navigation leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Connected accounts.
    Connections,
    /// Calling tools and reading blocks by hand.
    Try,
    /// Calls that wait for a yes.
    Approvals,
    /// The person's own calls.
    Activity,
    /// Signed-in clients, tokens, and how to add a client.
    Clients,
    /// People and groups.
    People,
    /// OAuth apps and switches.
    Integrations,
    /// Rules.
    Policy,
    /// How everybody's accounts are.
    Health,
    /// The audit log.
    Audit,
    /// The installation.
    System,
}

impl Place {
    /// Below the public URL.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Try => "try",
            Self::Approvals => "approvals",
            Self::Activity => "activity",
            Self::Clients => "clients",
            Self::People => "admin/people",
            Self::Integrations => "admin/integrations",
            Self::Policy => "admin/policy",
            Self::Health => "admin/connections",
            Self::Audit => "admin/audit",
            Self::System => "admin/system",
        }
    }

    /// What it is called in the navigation.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Connections => "Connected accounts",
            Self::Try => "Try it",
            Self::Approvals => "Approvals",
            Self::Activity => "My activity",
            Self::Clients => "Clients and tokens",
            Self::People => "People",
            Self::Integrations => "Integrations",
            Self::Policy => "Policy",
            Self::Health => "Connection health",
            Self::Audit => "Audit log",
            Self::System => "System",
        }
    }
}

/// A part of the navigation.
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) places: &'static [Place],
}

const YOURS: Section = Section {
    title: "You",
    places: &[
        Place::Connections,
        Place::Clients,
        Place::Try,
        Place::Approvals,
        Place::Activity,
    ],
};
const ADMINS: Section = Section {
    title: "Organization",
    places: &[
        Place::People,
        Place::Integrations,
        Place::Policy,
        Place::Health,
        Place::Audit,
        Place::System,
    ],
};
const AUDITORS: Section = Section {
    title: "Organization",
    places: &[Place::Audit],
};

/// The frame of a page.
pub(super) struct Page {
    /// The path of the public URL, with a slash at its end.
    pub(super) base: String,
    /// Who is signed in.
    pub(super) person: Option<String>,
    role: Option<Role>,
    /// For the page's forms.
    pub(super) csrf: String,
    /// Where in the navigation it is.
    at: Option<Place>,
}

impl Page {
    pub(super) fn of(web: &Web, caller: Option<&Caller>) -> Self {
        let mut base = web.links.public().path().to_owned();
        if !base.ends_with('/') {
            base.push('/');
        }
        Self {
            base,
            person: caller.map(|caller| caller.email.to_string()),
            role: caller.map(|caller| caller.role),
            csrf: caller
                .map(|caller| web.auth.form_token(caller))
                .unwrap_or_default(),
            at: None,
        }
    }

    /// The same page, marked in the navigation.
    pub(super) fn at(self, place: Place) -> Self {
        Self {
            at: Some(place),
            ..self
        }
    }

    /// Whether the navigation marks this place.
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "templates hand on what they loop over"
    )]
    pub(super) fn is_at(&self, place: &Place) -> bool {
        self.at.as_ref() == Some(place)
    }

    /// Whether the person administers the organization.
    pub(super) fn is_admin(&self) -> bool {
        self.role == Some(Role::Admin)
    }

    /// Where this person can go.
    pub(super) fn sections(&self) -> &'static [Section] {
        match self.role {
            Some(Role::Admin) => &[YOURS, ADMINS],
            Some(Role::Auditor) => &[YOURS, AUDITORS],
            Some(Role::Member) => &[YOURS],
            None => &[],
        }
    }
}

/// Renders a page.
pub(super) fn show(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(error = %error, "a page cannot be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A page that says one thing and what to do next.
#[derive(Template)]
#[template(path = "message.html", config = "src/web/askama.toml")]
pub(super) struct Message {
    pub(super) page: Page,
    pub(super) title: String,
    /// `good`, `bad` or nothing.
    pub(super) tone: &'static str,
    pub(super) lines: Vec<String>,
    pub(super) actions: Vec<(String, String)>,
    /// Whether the window may close itself.
    pub(super) close: bool,
}

/// A page that says what is wrong with what somebody sent, and what to do about it; or that it is our fault.
pub(super) fn problem(
    web: &Web,
    caller: Option<&Caller>,
    error: AuthError,
    back: &str,
) -> Response {
    let (status, wait) = match &error {
        AuthError::Exists(_)
        | AuthError::LastAdmin(_)
        | AuthError::GroupExists(_)
        | AuthError::GroupRuled(_) => (StatusCode::CONFLICT, None),
        AuthError::BadEmail(_) | AuthError::BadGroupName(_) | AuthError::WeakPassword(_) => {
            (StatusCode::UNPROCESSABLE_ENTITY, None)
        }
        AuthError::NoSuchPerson(_) | AuthError::NoSuchGroup(_) => (StatusCode::NOT_FOUND, None),
        AuthError::Throttled { retry_after_s } => {
            (StatusCode::TOO_MANY_REQUESTS, Some(*retry_after_s))
        }
        AuthError::Busy => (StatusCode::SERVICE_UNAVAILABLE, Some(5)),
        AuthError::Refused(_) | AuthError::Invalid | AuthError::Expired => {
            (StatusCode::FORBIDDEN, None)
        }
        AuthError::Vault(_) | AuthError::Audit(_) | AuthError::Store(_) => {
            return Error::from(error).into_response();
        }
    };
    let message = Message {
        page: Page::of(web, caller),
        title: "That did not work".to_owned(),
        tone: "bad",
        lines: vec![sentence(&error.to_string())],
        actions: vec![("Back".to_owned(), back.to_owned())],
        close: false,
    };
    let mut response = show(status, &message);
    if let Some(seconds) = wait {
        response
            .headers_mut()
            .insert(http::header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The date of an RFC 3339 time.
pub(super) fn day(at: &str) -> &str {
    at.split('T').next().unwrap_or(at)
}

/// An RFC 3339 time in UTC as people read it, to the second.
pub(super) fn moment(at: &str) -> String {
    let (day, rest) = at.split_once('T').unwrap_or((at, ""));
    let clock: String = rest.chars().take(8).collect();
    format!("{day} {clock} UTC")
}

/// An error's words as people read them.
pub(super) fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    let mut said = first.unwrap_or_default() + letters.as_str();
    if !said.ends_with(['.', '!', '?']) {
        said.push('.');
    }
    said
}

/// Sets the headers of every page (no opener policy: with one, a popup loses the page that opened it on its way through
/// the provider's), and refuses forms that a browser says come from elsewhere.
pub(super) async fn guard(State(web): State<Web>, request: Request, next: Next) -> Response {
    let mut response = if request.method() == Method::POST && is_foreign(&request) {
        Error::Foreign.into_response()
    } else {
        next.run(request).await
    };
    if let Some(said) = Said::of(&mut response) {
        let message = Message {
            page: Page::of(&web, None),
            title: said.title.to_owned(),
            tone: "bad",
            lines: said.lines,
            actions: vec![("Connected accounts".to_owned(), web.links.connections())],
            close: false,
        };
        response = show(response.status(), &message);
    }
    let headers = response.headers_mut();
    headers
        .entry(CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The policy of a page whose form leads on to a consent page at `origin`: browsers hold redirects after a form to it.
pub(super) fn policy_towards(origin: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("{POLICY} {origin}")).ok()
}

/// The policy of a page whose script asks this server for something.
pub(super) fn policy_with_requests() -> String {
    format!("{POLICY}; connect-src 'self'")
}

/// Whether the browser says that another site sent this form. Requests of programs say nothing and are held to the
/// form's token alone.
fn is_foreign(request: &Request) -> bool {
    let text = |name: HeaderName| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    if let Some(site) = text(HeaderName::from_static("sec-fetch-site"))
        && !matches!(site, "same-origin" | "none")
    {
        return true;
    }
    let Some(origin) = text(ORIGIN) else {
        return false;
    };
    // A page that sends no referrer sends the origin `null` with its forms.
    let host = request
        .headers()
        .get(http::header::HOST)
        .and_then(|value| value.to_str().ok());
    origin != "null" && origin.split_once("://").map(|(_, host)| host) != host
}
