//! What can go wrong with a call, and the one stable code each failure has.

use serde::Serialize;

/// The closed set of failure codes that clients, the audit log and the web see (design 3.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// No tool or block has this name.
    UnknownTool,
    /// The arguments are wrong.
    InvalidInput,
    /// The person has not connected this integration.
    ConnectionMissing,
    /// The connection is dead and the person must connect again.
    ReauthRequired,
    /// The grant lacks a scope.
    InsufficientScope,
    /// An administrator of the provider must consent first.
    AdminConsentRequired,
    /// Several accounts fit.
    AmbiguousAccount,
    /// The organization does not allow it.
    BlockedByPolicy,
    /// A person must approve first.
    ApprovalRequired,
    /// The provider has no such record, or hides it.
    NotFound,
    /// The record changed meanwhile, or exists already.
    Conflict,
    /// The provider's plan does not include it.
    PlanRequired,
    /// Too many requests.
    RateLimited,
    /// The provider failed or answered nonsense.
    UpstreamUnavailable,
    /// It took too long.
    Timeout,
    /// The caller took the call back.
    Cancelled,
    /// Our fault.
    Internal,
}

impl Code {
    /// The word in answers and in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownTool => "unknown_tool",
            Self::InvalidInput => "invalid_input",
            Self::ConnectionMissing => "connection_missing",
            Self::ReauthRequired => "reauth_required",
            Self::InsufficientScope => "insufficient_scope",
            Self::AdminConsentRequired => "admin_consent_required",
            Self::AmbiguousAccount => "ambiguous_account",
            Self::BlockedByPolicy => "blocked_by_policy",
            Self::ApprovalRequired => "approval_required",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::PlanRequired => "plan_required",
            Self::RateLimited => "rate_limited",
            Self::UpstreamUnavailable => "upstream_unavailable",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }
}

/// A request to a provider that did not succeed. Texts are safe to show: they never hold credentials, and of the
/// provider's own words only a short, scrubbed message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// An argument cannot be a path segment: empty, `.`, `..`, too long, or with control characters.
    #[error("`{0}` cannot be part of an address")]
    BadSegment(String),
    /// 401 even after a refresh, or a refusal that only a new consent mends.
    #[error("the provider no longer accepts this connection")]
    Unauthorized,
    /// The grant lacks scopes; empty when the provider does not say which.
    #[error("the connection lacks a permission{}{}", if .missing.is_empty() { "" } else { ": " }, .missing.join(", "))]
    InsufficientScope {
        /// The scopes the provider asked for, in its own words.
        missing: Vec<String>,
    },
    /// The provider wants a step by the person at its own page first (single sign-on, an administrator's consent).
    #[error("an administrator's consent is needed")]
    AdminConsentRequired {
        /// The provider's page for that step, when it gave one.
        url: Option<String>,
    },
    /// 403 for a reason other than scopes.
    #[error("the provider refused: {message}")]
    Forbidden {
        /// The provider's reason.
        message: String,
    },
    /// 404 or 410.
    #[error("not found")]
    NotFound,
    /// 409 or 412.
    #[error("conflict: {message}")]
    Conflict {
        /// The provider's reason.
        message: String,
    },
    /// 402, or a refusal that names the plan.
    #[error("the provider's plan does not include this: {message}")]
    PlanRequired {
        /// The provider's reason.
        message: String,
    },
    /// 400 or 422: the provider did not accept the values.
    #[error("the provider did not accept the request: {message}")]
    Invalid {
        /// The provider's reason.
        message: String,
    },
    /// 429, or the provider's own form of it.
    #[error("rate limited for {retry_after_s} s")]
    RateLimited {
        /// Seconds to wait before trying again.
        retry_after_s: u64,
    },
    /// 5xx, a broken connection, a redirect elsewhere, or an answer that is not what it should be.
    #[error("the provider failed: {reason}")]
    Unavailable {
        /// What was wrong, in our words.
        reason: String,
    },
    /// No answer in time.
    #[error("the provider did not answer in time")]
    Timeout,
    /// The answer is larger than the cap.
    #[error("the provider's answer is larger than {max_bytes} bytes")]
    TooLarge {
        /// The cap, in bytes after decompression.
        max_bytes: usize,
    },
}

/// What a tool or block can answer instead of data.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// The arguments are wrong in a way the schema cannot say. The text is one sentence that names the argument.
    #[error("{0}")]
    Invalid(String),
    /// The record does not exist or is not visible; the text says what was looked for and why it may be hidden.
    #[error("{0}")]
    NotFound(String),
    /// The record exists or changed meanwhile; the text says what to do.
    #[error("{0}")]
    Conflict(String),
    /// The provider refused or failed.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// This connection's own records could not be read or written.
    #[error("the store failed")]
    Records(#[source] crate::store::StoreError),
}

impl From<crate::store::StoreError> for ToolError {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Records(error)
    }
}

impl ProviderError {
    /// The stable code of this failure.
    pub const fn code(&self) -> Code {
        match self {
            Self::BadSegment(_) | Self::Invalid { .. } => Code::InvalidInput,
            Self::Unauthorized => Code::ReauthRequired,
            Self::InsufficientScope { .. } | Self::Forbidden { .. } => Code::InsufficientScope,
            Self::AdminConsentRequired { .. } => Code::AdminConsentRequired,
            Self::NotFound => Code::NotFound,
            Self::Conflict { .. } => Code::Conflict,
            Self::PlanRequired { .. } => Code::PlanRequired,
            Self::RateLimited { .. } => Code::RateLimited,
            Self::Unavailable { .. } | Self::TooLarge { .. } => Code::UpstreamUnavailable,
            Self::Timeout => Code::Timeout,
        }
    }

    /// Whether it is about one record: a part of an answer may be missing for it without the rest being worth nothing. A
    /// dead connection, a limit or an outage is told as what it is.
    pub const fn is_partial(&self) -> bool {
        matches!(
            self,
            Self::NotFound
                | Self::Forbidden { .. }
                | Self::InsufficientScope { .. }
                | Self::TooLarge { .. }
                | Self::Conflict { .. }
                | Self::Invalid { .. }
        )
    }
}

impl ToolError {
    /// The stable code of this failure.
    pub const fn code(&self) -> Code {
        match self {
            Self::Invalid(_) => Code::InvalidInput,
            Self::NotFound(_) => Code::NotFound,
            Self::Conflict(_) => Code::Conflict,
            Self::Provider(error) => error.code(),
            Self::Records(_) => Code::Internal,
        }
    }
}
