//! Access tokens of the embedded authorization server, from the side of whoever is shown one.

use zeroize::Zeroizing;

use super::{Auth, AuthError, MAX_SECRET, caller};
use crate::caller::{Caller, Credential};
use crate::store::{GrantKind, GrantRow};
use crate::vault;

/// What access tokens begin with.
pub const ACCESS_PREFIX: &str = "wba_";

/// What an access token is looked up by. The resource that it is for (RFC 8707) is part of it, so that the token of one
/// server says nothing to another one on the same database.
pub(super) fn access_hash(token: &str, resource: &str) -> [u8; 32] {
    let bound = Zeroizing::new(format!("{token} {resource}"));
    vault::hash(&bound)
}

impl Auth {
    /// Whose access token for this resource this is.
    pub async fn access(&self, token: &str, resource: &str) -> Result<Caller, AuthError> {
        if token.len() > MAX_SECRET || !token.starts_with(ACCESS_PREFIX) {
            return Err(AuthError::Invalid);
        }
        let hash = access_hash(token, resource);
        let known = self.live_hash(hash, GrantKind::Access).await?;
        Ok(caller(&known, Credential::Access(known.grant.id)))
    }

    /// Writes down the first use of an access token before it counts: its refresh token may be shown again until then, and
    /// ends this one. Later uses are noted in batches, as of every grant.
    pub(super) async fn see_first_use(&self, grant: &mut GrantRow) -> Result<(), AuthError> {
        let now = self.inner.clock.now();
        let fresh = grant.kind == GrantKind::Access
            && grant.last_used_at.is_none()
            && grant.revoked_at.is_none()
            && grant.expires_at.is_none_or(|at| at > now);
        if fresh {
            if !self.inner.store.use_grant(grant.id, now).await? {
                return Err(AuthError::Invalid);
            }
            grant.last_used_at = Some(now);
        }
        Ok(())
    }
}
