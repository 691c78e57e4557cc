//! Why a connection cannot be used.

use crate::ids::ConnectionId;
use crate::kit::error::ProviderError;
use crate::kit::integration::Integration;
use crate::store::{Status, StoreError};
use crate::vault::VaultError;

/// Why a connection cannot be used. `calls` gives each its code and its sentence.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The person has no account of this integration.
    #[error("no account of {} is connected", .0.id)]
    Missing(&'static Integration),
    /// Several accounts fit and none was named.
    #[error("several accounts of {} are connected", .integration.id)]
    Ambiguous {
        /// The integration.
        integration: &'static Integration,
        /// What `account` may say.
        choices: Vec<String>,
    },
    /// No account is called that.
    #[error("no connected account is called {wanted:?}")]
    NoSuchAccount {
        /// What was asked for.
        wanted: String,
        /// What `account` may say.
        choices: Vec<String>,
    },
    /// The connection expired or was deactivated.
    #[error("connection {id} is {}", .status.as_str())]
    Dead {
        /// The integration.
        integration: &'static Integration,
        /// The connection.
        id: ConnectionId,
        /// What the person calls it.
        account: String,
        /// How it is dead.
        status: Status,
    },
    /// The grant lacks scopes that the call needs.
    #[error("connection {id} lacks {}", .missing.join(", "))]
    Scope {
        /// The integration.
        integration: &'static Integration,
        /// The connection.
        id: ConnectionId,
        /// What the person calls it.
        account: String,
        /// The scopes.
        missing: Vec<String>,
    },
    /// The token cannot be renewed now, but may be later.
    #[error("the access token cannot be renewed for {retry_after_s} s")]
    Later {
        /// Seconds to wait.
        retry_after_s: u64,
    },
    /// A refresh by somebody else takes too long.
    #[error("the access token is being renewed")]
    Unavailable,
    /// The organization has not set up its OAuth app, or the provider does not accept it.
    #[error("the OAuth app of {integration} does not work: {reason}")]
    App {
        /// The integration.
        integration: String,
        /// The provider's word, or `not set up`.
        reason: String,
    },
    /// A row names a provider that this version does not have.
    #[error("provider {0} is not known")]
    UnknownProvider(String),
    /// What is stored is no credential.
    #[error("a stored credential cannot be used")]
    Secret,
    /// The provider refused.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The vault's keys could not be loaded.
    #[error(transparent)]
    Keys(#[from] crate::keys::KeysError),
    /// The vault could not open or seal.
    #[error("the vault failed")]
    Vault(#[from] VaultError),
    /// The database failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// The log could not take what happened.
    #[error("the audit log failed")]
    Audit(#[from] crate::audit::AuditError),
    /// No HTTP client can be made on this machine.
    #[error("no HTTP client: {0}")]
    Http(String),
}
