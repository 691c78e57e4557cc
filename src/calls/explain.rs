//! The one table of failures: each gets its code, a sentence that says what to do, and what the person can open.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::caps;
use super::error::{Action, CallError};
use super::idempotency::Repeated;
use crate::approvals::{ApprovalError, Approver};
use crate::audit::AuditError;
use crate::clock::Timestamp;
use crate::connect::ConnectError;
use crate::ids::{ApprovalId, CallId, ConnectionId};
use crate::kit::error::{Code, ProviderError, ToolError};
use crate::kit::integration::Integration;
use crate::kit::text;
use crate::policy::{Cap, Denial};
use crate::store::{Status, StoreError};
use crate::vault::VaultError;

/// Everything that can end a call before its answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("no tool or block is called {0}")]
    Unknown(String),
    #[error("{0}")]
    Arguments(String),
    #[error("denied: {1:?}")]
    Denied(&'static Integration, Denial),
    #[error("needs approval: {0:?}")]
    Unapproved(Unapproved),
    #[error("{failure}")]
    Approved {
        failure: Box<Self>,
        /// Whether the yes can be used by another try.
        kept: bool,
    },
    #[error("the idempotency key was used: {0:?}")]
    Repeated(Repeated),
    #[error("our own limit is reached for {0} s")]
    Limited(u64),
    #[error("the organization's limit of {per_minute} calls a minute is reached for {seconds} s")]
    Paced {
        /// At which integration; `None` is the person's own limit.
        at: Option<&'static Integration>,
        per_minute: NonZeroU32,
        seconds: u64,
    },
    #[error("the daily cap of {} is reached", caps::words(.cap))]
    Capped {
        cap: Cap,
        resets: Timestamp,
        seconds: u64,
    },
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Tool(#[from] ToolError),
    #[error("no answer in {0} s")]
    Timeout(u64),
    #[error("cancelled by the caller")]
    Cancelled,
    #[error("the tool panicked")]
    Panicked,
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// Why a call that needs a yes has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unapproved {
    /// Nobody decided yet.
    Waiting {
        id: ApprovalId,
        why: Arc<str>,
        approver: Approver,
    },
    /// Somebody said no.
    No,
    /// Too many questions are open; the address is where they are.
    TooMany(String),
}

impl From<ApprovalError> for Failure {
    fn from(error: ApprovalError) -> Self {
        match error {
            ApprovalError::Store(error) => error.into(),
            ApprovalError::Audit(error) => error.into(),
            ApprovalError::Vault(error) => error.into(),
        }
    }
}

/// The account that a failure is about, once one was chosen.
pub(super) struct About {
    pub(super) integration: &'static Integration,
    /// `None` where the integration is open to everyone.
    pub(super) connection: Option<ConnectionId>,
    pub(super) account: String,
}

impl Failure {
    /// The two voices: what the caller is told, and, when it is our fault, a line in the log.
    pub(super) fn explain(self, call: CallId, about: Option<&About>) -> CallError {
        let error = self.told(call, about);
        if error.code == Code::Internal {
            tracing::error!(call.id = %call, error = %self, source = ?std::error::Error::source(&self), "a call failed by our fault");
        }
        error
    }

    fn told(&self, call: CallId, about: Option<&About>) -> CallError {
        let told = |code, message: String| CallError {
            call,
            code,
            message,
            retry_after_s: None,
            missing_scopes: Vec::new(),
            choices: Vec::new(),
            action: None,
            provider_status: None,
        };
        match self {
            Self::Unknown(name) => told(
                Code::UnknownTool,
                format!(
                    "nothing here is called {}; list the tools again",
                    text::clip(&text::printable(name), 100)
                ),
            ),
            Self::Arguments(problem) => told(Code::InvalidInput, problem.clone()),
            Self::Denied(integration, denial) => {
                told(Code::BlockedByPolicy, denial.words(integration))
            }
            Self::Unapproved(unapproved) => unapproved_call(unapproved, told),
            Self::Approved { failure, kept } => approved(failure.told(call, about), *kept),
            Self::Repeated(repeated) => repeated_call(*repeated, told),
            Self::Limited(seconds) => CallError {
                retry_after_s: Some(*seconds),
                ..told(
                    Code::RateLimited,
                    format!("too many calls for this account; try again in {seconds} s"),
                )
            },
            Self::Paced {
                at,
                per_minute,
                seconds,
            } => CallError {
                retry_after_s: Some(*seconds),
                ..told(
                    Code::RateLimited,
                    match at {
                        None => format!(
                            "you have made the {per_minute} calls a minute that your organization allows a person; try again in {seconds} s"
                        ),
                        Some(integration) => format!(
                            "your organization has made the {per_minute} calls a minute that it allows at {}; try again in {seconds} s",
                            integration.name
                        ),
                    },
                )
            },
            Self::Capped {
                cap,
                resets,
                seconds,
            } => CallError {
                retry_after_s: Some(*seconds),
                ..told(
                    Code::RateLimited,
                    format!(
                        "the daily cap of {} is reached; it resets at {resets}, or an admin raises it",
                        caps::words(cap)
                    ),
                )
            },
            Self::Connect(error) => connect(error, told, about),
            Self::Tool(error) => tool(error, told, about),
            Self::Timeout(seconds) => told(
                Code::Timeout,
                format!("the call was stopped after {seconds} s; ask for less at once"),
            ),
            Self::Cancelled => told(Code::Cancelled, "the call was cancelled".to_owned()),
            Self::Audit(_) => CallError {
                retry_after_s: Some(2),
                ..told(
                    Code::Internal,
                    format!(
                        "the audit log cannot be written, so nothing was answered; try again ({call})"
                    ),
                )
            },
            Self::Panicked | Self::Store(_) | Self::Vault(_) => told(
                Code::Internal,
                format!("something failed on our side ({call})"),
            ),
        }
    }
}

/// The failure of a call that had taken a yes.
fn approved(error: CallError, kept: bool) -> CallError {
    let more = if kept {
        "nothing was changed and the approval still holds, so the same call can be tried again"
    } else {
        "the approval is used up: look at what happened before asking for another one"
    };
    CallError {
        message: format!("{}; {more}", error.message),
        ..error
    }
}

fn repeated_call(repeated: Repeated, told: impl Fn(Code, String) -> CallError) -> CallError {
    let (message, retry_after_s) = match repeated {
        Repeated::OtherArguments => (
            "this idempotency_key was used with other arguments; a different call needs a key of its own",
            None,
        ),
        Repeated::UnderWay => (
            "the first call with this idempotency_key is still under way; repeat the call later with the same key to get its answer",
            Some(5),
        ),
        Repeated::Unknown => (
            "the outcome of the first call with this idempotency_key is unknown; look whether it happened before trying again with another key",
            None,
        ),
    };
    CallError {
        retry_after_s,
        ..told(Code::Conflict, message.to_owned())
    }
}

fn unapproved_call(unapproved: &Unapproved, told: impl Fn(Code, String) -> CallError) -> CallError {
    match unapproved {
        Unapproved::Waiting { id, why, approver } => CallError {
            action: Some(Action::Approve(*id)),
            ..told(
                Code::ApprovalRequired,
                match approver {
                    Approver::Person => format!(
                        "this call needs the person's approval ({why}); have them open the link, then repeat it exactly as it was"
                    ),
                    Approver::Admin => format!(
                        "this call needs an admin's approval ({why}); have one open the link, then repeat it exactly as it was"
                    ),
                },
            )
        },
        Unapproved::No => told(
            Code::BlockedByPolicy,
            "exactly this call was asked about and refused; go on without it".to_owned(),
        ),
        Unapproved::TooMany(url) => CallError {
            action: Some(Action::Open(url.clone())),
            ..told(
                Code::ApprovalRequired,
                "too many calls wait for approval; have the person decide about those first"
                    .to_owned(),
            )
        },
    }
}

fn connect(
    error: &ConnectError,
    told: impl Fn(Code, String) -> CallError,
    about: Option<&About>,
) -> CallError {
    match error {
        ConnectError::Missing(integration) => CallError {
            action: Some(Action::Connect(integration.id)),
            ..told(
                Code::ConnectionMissing,
                format!("no {} account is connected; connect one", integration.name),
            )
        },
        ConnectError::Ambiguous {
            integration,
            choices,
        } => CallError {
            choices: choices.clone(),
            ..told(
                Code::AmbiguousAccount,
                format!(
                    "several {} accounts are connected; say which in `account`",
                    integration.name
                ),
            )
        },
        ConnectError::NoSuchAccount { wanted, choices } => CallError {
            choices: choices.clone(),
            ..told(
                Code::AmbiguousAccount,
                format!(
                    "no connected account is called {}; choose one of the others",
                    text::clip(&text::printable(wanted), 80)
                ),
            )
        },
        ConnectError::Dead { .. } | ConnectError::Scope { .. } => lost(error, told),
        ConnectError::Later { retry_after_s } => CallError {
            retry_after_s: Some(*retry_after_s),
            ..told(
                Code::UpstreamUnavailable,
                format!(
                    "the provider does not renew the access now; try again in {retry_after_s} s"
                ),
            )
        },
        ConnectError::Unavailable => CallError {
            retry_after_s: Some(5),
            ..told(
                Code::UpstreamUnavailable,
                "the access is being renewed; try again in a few seconds".to_owned(),
            )
        },
        ConnectError::App {
            integration,
            reason,
        } => told(
            Code::UpstreamUnavailable,
            format!(
                "the organization's OAuth app for {integration} does not work ({reason}); an admin must mend it"
            ),
        ),
        ConnectError::Provider(error) => provider(error, told, about),
        ConnectError::Audit(_)
        | ConnectError::Store(_)
        | ConnectError::Vault(_)
        | ConnectError::Secret
        | ConnectError::UnknownProvider(_)
        | ConnectError::Http(_) => {
            let call = told(Code::Internal, String::new()).call;
            told(
                Code::Internal,
                format!("the connection cannot be used for a reason on our side ({call})"),
            )
        }
    }
}

/// A connection that only the person can mend.
fn lost(error: &ConnectError, told: impl Fn(Code, String) -> CallError) -> CallError {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "`connect` sends only these two here"
    )]
    match error {
        ConnectError::Dead {
            integration,
            id,
            account,
            status,
        } => CallError {
            action: Some(Action::Reconnect(integration.id, *id)),
            ..told(
                Code::ReauthRequired,
                match status {
                    Status::Disabled => {
                        format!(
                            "the {} account {account} was deactivated after repeated failures; reconnect it",
                            integration.name
                        )
                    }
                    Status::Connected | Status::Expired | Status::Error => {
                        format!(
                            "the connection to the {} account {account} expired; reconnect it",
                            integration.name
                        )
                    }
                },
            )
        },
        ConnectError::Scope {
            integration,
            id,
            account,
            missing,
        } => CallError {
            missing_scopes: missing.clone(),
            action: Some(Action::Reconnect(integration.id, *id)),
            ..told(
                Code::InsufficientScope,
                format!(
                    "the {} account {account} was connected without {}; reconnect it and allow that",
                    integration.name,
                    missing.join(", ")
                ),
            )
        },
        other => told(Code::Internal, other.to_string()),
    }
}

fn tool(
    error: &ToolError,
    told: impl Fn(Code, String) -> CallError,
    about: Option<&About>,
) -> CallError {
    match error {
        ToolError::Invalid(_) | ToolError::NotFound(_) | ToolError::Conflict(_) => told(
            error.code(),
            text::clip(&text::visible(error.to_string()), 600),
        ),
        ToolError::Provider(error) => provider(error, told, about),
        ToolError::Records(StoreError::Conflict(what)) => told(Code::Conflict, what.clone()),
        ToolError::Records(_) => {
            let call = told(Code::Internal, String::new()).call;
            told(
                Code::Internal,
                format!("something failed on our side ({call})"),
            )
        }
    }
}

fn provider(
    error: &ProviderError,
    told: impl Fn(Code, String) -> CallError,
    about: Option<&About>,
) -> CallError {
    let name = about.map_or("the provider", |about| about.integration.name);
    let account = about
        .filter(|about| about.connection.is_some())
        .map(|about| format!(" account {}", about.account))
        .unwrap_or_default();
    let reconnect =
        about.and_then(|about| Some(Action::Reconnect(about.integration.id, about.connection?)));
    let code = error.code();
    match error {
        ProviderError::BadSegment(segment) => told(
            code,
            format!("{segment:?} cannot be an id or a part of a path; use the one a list gave you"),
        ),
        ProviderError::Invalid { message } => {
            told(code, format!("{name} did not accept it: {message}"))
        }
        ProviderError::Unauthorized => CallError {
            action: reconnect,
            ..told(
                code,
                format!("{name} no longer accepts the connection of the{account}; reconnect it"),
            )
        },
        ProviderError::InsufficientScope { missing } => CallError {
            missing_scopes: missing.clone(),
            action: reconnect,
            ..told(
                code,
                if missing.is_empty() {
                    format!(
                        "{name} says that the{account} was connected without a needed permission; reconnect it and allow more"
                    )
                } else {
                    format!(
                        "the {name}{account} lacks {}; reconnect it and allow that",
                        missing.join(", ")
                    )
                },
            )
        },
        ProviderError::Forbidden { message } if account.is_empty() => {
            told(code, format!("{name} refused: {message}"))
        }
        ProviderError::Forbidden { message } => told(
            code,
            format!("{name} refused: {message}; the{account} may not do this"),
        ),
        ProviderError::AdminConsentRequired { url } => CallError {
            action: url.clone().map(Action::Open).or(reconnect),
            ..told(
                code,
                format!(
                    "{name} wants a sign-in or an administrator's consent for this first; open the link"
                ),
            )
        },
        ProviderError::NotFound if account.is_empty() => {
            told(code, format!("{name} has no such record"))
        }
        ProviderError::NotFound => told(
            code,
            format!("{name} has no such record, or the{account} may not see it"),
        ),
        ProviderError::Conflict { message } => told(
            code,
            format!("{name} reports a conflict: {message}; read the record again"),
        ),
        ProviderError::PlanRequired { message } => told(
            code,
            format!("{name} says its plan does not include this: {message}"),
        ),
        ProviderError::RateLimited { retry_after_s } => CallError {
            retry_after_s: Some(*retry_after_s),
            ..told(
                code,
                format!("{name} limits the rate; try again in {retry_after_s} s"),
            )
        },
        ProviderError::Unavailable { reason } => told(
            code,
            format!("{name} does not work right now ({reason}); try again later"),
        ),
        ProviderError::TooLarge { max_bytes } => told(
            code,
            format!("{name} answered more than {max_bytes} bytes; ask for less at once"),
        ),
        ProviderError::Timeout => told(
            code,
            format!("{name} did not answer in time; try again or ask for less"),
        ),
    }
}
