//! The one place where failures become statuses and words on a page.

use axum::response::{IntoResponse, Response};
use http::StatusCode;

use crate::audit::AuditError;
use crate::auth::AuthError;
use crate::calls::CallError;
use crate::connect::{ConnectError, FlowError};
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

impl From<RulebookError> for Error {
    fn from(error: RulebookError) -> Self {
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

impl From<AuditError> for Error {
    fn from(error: AuditError) -> Self {
        Self::Internal(Box::new(error))
    }
}

impl From<FlowError> for Error {
    fn from(error: FlowError) -> Self {
        Self::Internal(Box::new(error))
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Foreign => StatusCode::FORBIDDEN,
            Self::Internal(source) => {
                tracing::error!(error = %source, "a page failed");
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        (status, self.to_string()).into_response()
    }
}

/// The answer to an address that leads nowhere.
pub(super) async fn not_found() -> Error {
    Error::NotFound
}
