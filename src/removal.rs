//! Removing a person: what lets them in ends first, in one transaction, and then their accounts are revoked at the
//! providers, one after the other. What breaks off there is taken up again, by asking once more or by the job.

use std::time::Duration;

use serde::Serialize;

use crate::audit::Actor;
use crate::auth::{Auth, AuthError, Removal};
use crate::clock::Timestamp;
use crate::connect::{ConnectError, Connections, Revoked, Synced};
use crate::store::{Store, UserRow};

/// How long after a removal the job takes up what is left of it.
const LEFT: Duration = Duration::from_mins(5);
/// Connections the job takes up at once.
const AT_ONCE: u32 = 20;

/// Why somebody was not removed, or not wholly.
#[derive(Debug, thiserror::Error)]
pub enum RemovalError {
    /// They could not be.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// They are out, and an account of theirs is still stored.
    #[error(
        "they can no longer sign in, but an account of theirs is still connected; remove them once more"
    )]
    Connect(#[from] ConnectError),
}

/// One account of a removed person.
#[derive(Clone, Debug, Serialize)]
pub struct Disconnected {
    /// The integration's id.
    pub integration: String,
    /// The account.
    pub account: String,
    /// What the provider said.
    pub provider: String,
}

/// What removing a person did.
#[derive(Clone, Debug, Serialize)]
pub struct Receipt {
    /// Their address.
    pub email: String,
    /// What ended here; `None` when they were out before and only accounts were left.
    pub ended: Option<Removal>,
    /// Their accounts.
    pub accounts: Vec<Disconnected>,
}

/// Removes a person. The last admin stays.
pub async fn remove(
    auth: &Auth,
    connections: &Connections,
    by: impl Into<Actor>,
    user: &UserRow,
) -> Result<Receipt, RemovalError> {
    let by = by.into();
    let ended = auth.remove(by, user).await?;
    connections.forget(user.id);
    let mut accounts = Vec::new();
    for row in connections
        .of(user.id)
        .await
        .map_err(ConnectError::from)?
        .iter()
    {
        // Somebody else, such as the job, may have been faster.
        let erase = Synced::Erase;
        if let Some(receipt) = connections
            .disconnect_by(by, user.id, row.id, erase)
            .await?
        {
            let provider = match receipt.revoked {
                Revoked::Yes => "revoked".to_owned(),
                Revoked::Unsupported => "offers no revocation; deleted here".to_owned(),
                Revoked::Key => "a key; deleted here, and to be deleted at the provider".to_owned(),
                Revoked::No(reason) => format!("not revoked: {reason}; deleted here"),
                Revoked::Before => "disconnected before; now deleted here".to_owned(),
            };
            accounts.push(Disconnected {
                integration: receipt.integration,
                account: receipt.account,
                provider,
            });
        }
    }
    Ok(Receipt {
        email: user.email.clone(),
        ended,
        accounts,
    })
}

/// Revokes accounts that a removal left behind because its process ended.
pub async fn finish(
    store: &Store,
    connections: &Connections,
    now: Timestamp,
) -> Result<(), ConnectError> {
    for (connection, user) in store
        .connections_of_removed(now.minus(LEFT), AT_ONCE)
        .await?
    {
        connections
            .disconnect_by(Actor::System, user, connection, Synced::Erase)
            .await?;
    }
    Ok(())
}
