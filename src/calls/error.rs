//! Why a call did not bring an answer, in the two voices of design 3.6: `Display` for logs, [`CallError::message`] for the
//! person and the model.

use crate::ids::{ApprovalId, CallId, ConnectionId};
use crate::kit::error::Code;

/// What the person can do about a failure, at one of our own pages or the provider's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Connect a first account of this integration.
    Connect(&'static str),
    /// Connect this account again, of this integration: it is dead, or lacks a scope.
    Reconnect(&'static str, ConnectionId),
    /// Look at this call and say yes or no.
    Approve(ApprovalId),
    /// Open the provider's own page.
    Open(String),
}

/// A refused or failed call. Always recorded before anybody sees it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", .code.as_str())]
pub struct CallError {
    /// The audit record of it.
    pub call: CallId,
    /// The stable code.
    pub code: Code,
    /// One sentence for the person and the model that says what to do. Never holds an upstream body or a secret.
    pub message: String,
    /// Seconds after which trying again makes sense.
    pub retry_after_s: Option<u64>,
    /// Scopes whose lack is the reason.
    pub missing_scopes: Vec<String>,
    /// The accounts to choose from when `account` was ambiguous.
    pub choices: Vec<String>,
    /// What the person can do.
    pub action: Option<Action>,
    /// The provider's last status, when it answered.
    pub provider_status: Option<u16>,
}
