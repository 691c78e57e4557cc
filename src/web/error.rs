//! The one place where failures become statuses and words on a page.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;

use crate::audit::AuditError;
use crate::auth::AuthError;
use crate::calls::CallError;
use crate::clock::Clock;
use crate::connect::{ConnectError, FlowError};
use crate::ids::CallId;
use crate::keys::KeysError;
use crate::rulebook::RulebookError;
use crate::store::StoreError;

/// Why a page cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such page or thing, or it is somebody else's.
    #[error("There is nothing at this address.")]
    NotFound,
    /// A form that this person was not shown.
    #[error(
        "This form is too old or came from another site. Go back, reload the page and try again."
    )]
    Foreign,
    /// Our fault.
    #[error("Something failed on our side. Try again in a moment.")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Internal(Box::new(error))
    }
}

impl From<AuditError> for Error {
    fn from(error: AuditError) -> Self {
        Self::Internal(Box::new(error))
    }
}

impl From<RulebookError> for Error {
    fn from(error: RulebookError) -> Self {
        Self::Internal(Box::new(error))
    }
}

impl From<KeysError> for Error {
    fn from(error: KeysError) -> Self {
        Self::Internal(Box::new(error))
    }
}

impl From<AuthError> for Error {
    fn from(error: AuthError) -> Self {
        Self::Internal(Box::new(error))
    }
}

impl From<ConnectError> for Error {
    fn from(error: ConnectError) -> Self {
        Self::Internal(Box::new(error))
    }
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        Self::Internal(Box::new(error))
    }
}

impl From<FlowError> for Error {
    fn from(error: FlowError) -> Self {
        Self::Internal(Box::new(error))
    }
}

/// A failure on its way to a person: [`super::pages::guard`] makes a page of it.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) title: &'static str,
    pub(super) lines: Vec<String>,
}

impl Said {
    /// What a response is to say on a page; `None` when it is a page, or what was asked for.
    pub(super) fn of(response: &mut Response) -> Option<Self> {
        if let Some(said) = response.extensions_mut().remove::<Self>() {
            return Some(said);
        }
        // What axum itself refuses is a line of text for developers.
        let kind = response.headers().get(CONTENT_TYPE);
        let is_text = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
        if !response.status().is_client_error() || !is_text {
            return None;
        }
        let line = match response.status() {
            StatusCode::METHOD_NOT_ALLOWED => "This address takes no such request.",
            StatusCode::PAYLOAD_TOO_LARGE => "That is more than a form may hold. Shorten it.",
            _ => "The address or the form cannot be read. Go back and try again.",
        };
        Some(Self {
            title: "That did not work",
            lines: vec![line.to_owned()],
        })
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut lines = vec![self.to_string()];
        let (status, title) = match &self {
            Self::NotFound => (StatusCode::NOT_FOUND, "Nothing is here"),
            Self::Foreign => (StatusCode::FORBIDDEN, "This form is not valid any more"),
            Self::Internal(source) => {
                let id = CallId::new(Clock::System.now());
                tracing::error!(call.id = %id, error = %source, "a page failed");
                lines.push(format!(
                    "If it goes on, tell whoever runs this server: {id}."
                ));
                (StatusCode::INTERNAL_SERVER_ERROR, "That did not work")
            }
        };
        let mut response = (status, lines.join(" ")).into_response();
        response.extensions_mut().insert(Said { title, lines });
        response
    }
}

/// The answer to an address that leads nowhere.
pub(super) async fn not_found() -> Error {
    Error::NotFound
}
