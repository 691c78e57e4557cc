//! Tools: what a caller can do at a provider.

use std::future::Future;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::client::ProviderClient;
use super::error::{ProviderError, ToolError};
use super::integration::{Account, Provider};
use super::output::Output;
use super::people::People;
use super::progress::Progress;
use super::tracking::Tracking;
use crate::clock::Timestamp;
use crate::store::Records;

/// What a call may change. There is no default: every tool says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Changes nothing anywhere.
    Read,
    /// Adds or changes records; nothing is lost.
    Write {
        /// Whether the same call again changes nothing more.
        idempotent: bool,
    },
    /// May lose something, or reaches people who cannot be un-reached.
    Destructive {
        /// Whether the same call again changes nothing more.
        idempotent: bool,
    },
}

impl Effect {
    /// Whether the call changes nothing.
    pub const fn is_read(self) -> bool {
        matches!(self, Self::Read)
    }

    /// The word in the audit log and in policy rules.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write { .. } => "write",
            Self::Destructive { .. } => "destructive",
        }
    }
}

/// The provider scopes a tool or block needs. A tool whose need is not met is not listed and is refused.
///
/// The design has a plain list; HubSpot's tools work with any one of several object scopes, so the list says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// No scope beyond being connected.
    Nothing,
    /// Every one of these.
    All(&'static [&'static str]),
    /// At least one of these; the tool checks the exact one with [`Cx::require`].
    Any(&'static [&'static str]),
}

/// The scopes of a connection as the provider granted them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Granted {
    /// The provider does not tell (GitHub Apps, API keys); it will refuse by itself.
    Unknown,
    /// Exactly these, with everything they imply.
    Scopes(Vec<String>),
}

impl Granted {
    /// Whether `scope` is granted, as far as is known.
    pub fn has(&self, scope: &str) -> bool {
        match self {
            Self::Unknown => true,
            Self::Scopes(scopes) => scopes.iter().any(|granted| granted == scope),
        }
    }

    /// The scopes of `needs` that are missing; empty when the need is met.
    pub fn missing(&self, needs: Needs) -> Vec<&'static str> {
        match needs {
            Needs::Nothing => Vec::new(),
            Needs::All(scopes) => scopes
                .iter()
                .copied()
                .filter(|scope| !self.has(scope))
                .collect(),
            Needs::Any(scopes) if scopes.iter().any(|scope| self.has(scope)) => Vec::new(),
            Needs::Any(scopes) => scopes.to_vec(),
        }
    }
}

/// What the audit log keeps of a tool's arguments. Numbers, booleans and closed choices are always kept; other text is
/// kept as a keyed digest and a length unless it is named here (security.md 2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditArgs {
    /// Top-level arguments kept as they are: ids, repository names, object types. Never free text or addresses.
    pub plain: &'static [&'static str],
    /// Top-level arguments of which only type and length are kept: bodies and files.
    pub dropped: &'static [&'static str],
}

impl AuditArgs {
    /// Digests for everything that is text.
    pub const NONE: Self = Self {
        plain: &[],
        dropped: &[],
    };
}

/// A tool: the struct is its input, its doc comment the description, its field comments the parameters' descriptions.
pub trait Tool: DeserializeOwned + JsonSchema + Send + 'static {
    /// `<integration>_<verb>_<noun>`.
    const NAME: &'static str;
    /// The title people see.
    const TITLE: &'static str;
    /// What it may change.
    const EFFECT: Effect;
    /// The scopes without which it cannot work.
    const SCOPES: Needs;
    /// What the audit log keeps of the arguments.
    const AUDIT: AuditArgs = AuditArgs::NONE;
    /// Whether a call reaches people outside who cannot be un-reached: mail that is sent, comments that notify, money that
    /// is paid back. Organizations cap how many of these a day may see.
    const OUTWARD: bool = false;

    /// Does it. With `cx.dry_run` a write answers the exact changes and makes none.
    fn call(self, cx: &Cx) -> impl Future<Output = Result<Output, ToolError>> + Send;
}

type Call = for<'a> fn(&'a Cx, Value) -> BoxFuture<'a, Result<Output, ToolError>>;

/// A [`Tool`] with its types erased, so that a catalogue is a static table.
#[derive(Clone, Copy)]
pub struct ToolDef {
    /// See [`Tool::NAME`].
    pub name: &'static str,
    /// See [`Tool::TITLE`].
    pub title: &'static str,
    /// See [`Tool::EFFECT`].
    pub effect: Effect,
    /// See [`Tool::SCOPES`].
    pub scopes: Needs,
    /// See [`Tool::AUDIT`].
    pub audit: AuditArgs,
    /// See [`Tool::OUTWARD`].
    pub outward: bool,
    /// Whether calls go through an account; false where the integration is open to everyone.
    pub account: bool,
    /// The input's schema as derived; `description` at its root is the tool's.
    pub schema: fn() -> schemars::Schema,
    /// Does it.
    pub call: Call,
}

impl ToolDef {
    /// Erases `T`.
    pub const fn of<T: Tool>() -> Self {
        Self {
            name: T::NAME,
            title: T::TITLE,
            effect: T::EFFECT,
            scopes: T::SCOPES,
            audit: T::AUDIT,
            outward: T::OUTWARD,
            account: true,
            schema: || {
                schemars::generate::SchemaSettings::draft2020_12()
                    .with(|settings| {
                        settings.inline_subschemas = true;
                        settings.meta_schema = None;
                    })
                    .into_generator()
                    .into_root_schema_for::<T>()
            },
            call: |cx, arguments| {
                async move {
                    let tool: T = serde_json::from_value(arguments)
                        .map_err(|error| ToolError::Invalid(error.to_string()))?;
                    tool.call(cx).await
                }
                .boxed()
            },
        }
    }

    /// Erases a tool of an integration that is open to everyone: its schema offers no `account`.
    pub const fn open<T: Tool>() -> Self {
        Self {
            account: false,
            ..Self::of::<T>()
        }
    }
}

impl std::fmt::Debug for ToolDef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ToolDef")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// All that a tool or block may touch: one connection's account, client and records.
#[derive(Clone)]
pub struct Cx {
    /// The provider it acts at.
    pub provider: &'static Provider,
    /// The only road out, with the person's credential inside.
    pub api: ProviderClient,
    /// Whose account it is there.
    pub account: Account,
    /// The scopes of this connection.
    pub granted: Granted,
    /// Rows of this connection, kept between calls.
    pub records: Records,
    /// The present instant.
    pub now: Timestamp,
    /// Whether a write should only tell what it would do.
    pub dry_run: bool,
    /// A word that is the same for every repetition of this write by the same person, and different for any other one;
    /// for providers that refuse or replay a repetition themselves. `None` when the caller gave no `idempotency_key`.
    pub idempotency_key: Option<String>,
    /// How many characters of text the caller wants at most; tools that fetch text stop there.
    pub max_chars: usize,
    /// Tells the caller how far long work has come.
    pub progress: Progress,
    /// Who somebody is in the caller's other systems.
    pub people: People,
    /// Opens and clicks of this connection's sent mail.
    pub tracking: Tracking,
    /// For a block: the version ([`super::block::Content::version`]) of it that is held already. A block that can find
    /// out cheaply whether that is still the newest answers [`super::block::Content::unchanged`] then.
    pub held: Option<String>,
}

impl Cx {
    /// Fails with the exact scope when this connection lacks it.
    pub fn require(&self, scope: &str) -> Result<(), ToolError> {
        if self.granted.has(scope) {
            Ok(())
        } else {
            Err(ProviderError::InsufficientScope {
                missing: vec![scope.to_owned()],
            }
            .into())
        }
    }

    /// The address of a context block of this account: `cx.uri("contacts/7")` is `hubspot://acme/contacts/7`; where there
    /// is no account, `health://articles/7`. The caller encodes each segment with [`super::uri::encode`].
    pub fn uri(&self, rest: &str) -> String {
        if self.provider.auth.open().is_some() {
            return format!("{}://{rest}", self.provider.scheme);
        }
        format!(
            "{}://{}/{rest}",
            self.provider.scheme,
            super::uri::encode(&self.account.handle)
        )
    }
}
