//! People as an admin sees them: what role they have, and how they leave.
//!
//! Both statements that can take an admin away hold the organization's row first, so that two admins who demote each
//! other at the same moment come one after the other, and the second one finds itself the last.

use sqlx::FromRow;
use uuid::Uuid;

use super::users::UserColumns;
use super::{GrantKind, Store, StoreError, UserRow};
use crate::caller::Role;
use crate::clock::Timestamp;
use crate::ids::{ConnectionId, OrgId, UserId};

/// Holds the organization's row until the transaction ends.
pub(super) const HOLD: &str = "update organizations set name = name where id = $1";

/// A person and what an admin asks about them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonRow {
    /// The person.
    pub user: UserRow,
    /// When one of their tokens or browsers was last seen.
    pub last_seen_at: Option<Timestamp>,
    /// How many accounts they have connected.
    pub connections: i64,
    /// Whether they can sign in with a password.
    pub has_password: bool,
    /// Whether an identity provider knows them.
    pub has_identity: bool,
}

/// What became of a wish to change somebody's role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleChange {
    /// They have it now. Their browsers are signed out.
    Done,
    /// They had it before.
    Same,
    /// They are the last admin.
    LastAdmin,
    /// Nobody here has this id.
    NoSuchPerson,
}

/// What became of a wish to remove somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removed {
    /// They are out; the kinds of the live grants that ended with it, one entry each.
    Done(Vec<GrantKind>),
    /// They were out before.
    Before,
    /// They are the last admin.
    LastAdmin,
    /// Nobody here has this id.
    NoSuchPerson,
}

#[derive(FromRow)]
struct PersonColumns {
    #[sqlx(flatten)]
    user: UserColumns,
    last_seen_at: Option<i64>,
    connections: i64,
    passwords: i64,
    identities: i64,
}

impl Store {
    /// The people who are here, by address.
    pub async fn people(&self, org: OrgId) -> Result<Vec<PersonRow>, StoreError> {
        let rows: Vec<PersonColumns> = on!(&self.db, pool => sqlx::query_as(
            "select u.id, u.org_id, u.email, u.role, u.created_at, u.removed_at, \
             (select max(g.last_used_at) from grants g where g.user_id = u.id) as last_seen_at, \
             (select count(*) from connections c where c.user_id = u.id) as connections, \
             (select count(*) from passwords p where p.user_id = u.id) as passwords, \
             (select count(*) from identities i where i.user_id = u.id) as identities \
             from users u where u.org_id = $1 and u.removed_at is null order by u.email, u.id",
        )
        .bind(org.uuid())
        .fetch_all(pool)
        .await)?;
        rows.into_iter()
            .map(|row| {
                Ok(PersonRow {
                    user: row.user.try_into()?,
                    last_seen_at: row.last_seen_at.map(Timestamp::from_micros),
                    connections: row.connections,
                    has_password: row.passwords > 0,
                    has_identity: row.identities > 0,
                })
            })
            .collect()
    }

    /// Gives a person another role, and signs their browsers out. The last admin keeps theirs.
    pub async fn set_role(
        &self,
        org: OrgId,
        user: UserId,
        role: Role,
        now: Timestamp,
    ) -> Result<RoleChange, StoreError> {
        on!(&self.db, begin tx => {
            sqlx::query(HOLD).bind(org.uuid()).execute(&mut *tx).await?;
            let changed = sqlx::query(
                "update users set role = $3 where id = $1 and org_id = $2 and removed_at is null and role <> $3 \
                 and (role <> 'admin' or exists (select 1 from users other where other.org_id = $2 \
                 and other.id <> $1 and other.role = 'admin' and other.removed_at is null))",
            )
            .bind(user.uuid())
            .bind(org.uuid())
            .bind(role.as_str())
            .execute(&mut *tx)
            .await?
            .rows_affected();
            if changed == 0 {
                let before: Option<String> = sqlx::query_scalar(
                    "select role from users where id = $1 and org_id = $2 and removed_at is null",
                )
                .bind(user.uuid())
                .bind(org.uuid())
                .fetch_optional(&mut *tx)
                .await?;
                return Ok(match before {
                    None => RoleChange::NoSuchPerson,
                    Some(before) if before == role.as_str() => RoleChange::Same,
                    Some(_) => RoleChange::LastAdmin,
                });
            }
            sqlx::query(
                "update grants set revoked_at = $2 where user_id = $1 and kind = 'session' and revoked_at is null",
            )
            .bind(user.uuid())
            .bind(now.micros())
            .execute(&mut *tx)
            .await?;
            note!(tx, org.uuid(), user.uuid(), "grant", now.micros());
            tx.commit().await?;
            Ok(RoleChange::Done)
        })
    }

    /// Removes a person: all that lets them in ends in the same transaction. Their connections stay, for whoever calls
    /// this to revoke them at the providers. The last admin stays.
    pub async fn remove_user(
        &self,
        org: OrgId,
        user: UserId,
        now: Timestamp,
    ) -> Result<Removed, StoreError> {
        on!(&self.db, begin tx => {
            sqlx::query(HOLD).bind(org.uuid()).execute(&mut *tx).await?;
            let removed = sqlx::query(
                "update users set removed_at = $3 where id = $1 and org_id = $2 and removed_at is null \
                 and (role <> 'admin' or exists (select 1 from users other where other.org_id = $2 \
                 and other.id <> $1 and other.role = 'admin' and other.removed_at is null))",
            )
            .bind(user.uuid())
            .bind(org.uuid())
            .bind(now.micros())
            .execute(&mut *tx)
            .await?
            .rows_affected();
            if removed == 0 {
                let before: Option<(Option<i64>,)> =
                    sqlx::query_as("select removed_at from users where id = $1 and org_id = $2")
                        .bind(user.uuid())
                        .bind(org.uuid())
                        .fetch_optional(&mut *tx)
                        .await?;
                return Ok(match before {
                    None => Removed::NoSuchPerson,
                    Some((Some(_),)) => Removed::Before,
                    Some((None,)) => Removed::LastAdmin,
                });
            }
            let ended: Vec<(String, Option<i64>)> = sqlx::query_as(
                "update grants set revoked_at = $2 where user_id = $1 and revoked_at is null returning kind, expires_at",
            )
            .bind(user.uuid())
            .bind(now.micros())
            .fetch_all(&mut *tx)
            .await?;
            for statement in [
                "update mcp_sessions set ended_at = $2 where user_id = $1 and ended_at is null",
                "update flows set outcome = 'removed', used_at = coalesce(used_at, $2), sealed = null \
                 where user_id = $1 and outcome is null",
                "update invitations set revoked_at = $2 where created_by = $1 and accepted_at is null \
                 and revoked_at is null",
                "update families set revoked_at = $2, reason = 'the person was removed' where user_id = $1 \
                 and revoked_at is null",
                "update approvals set state = 'expired', expires_at = $2, sealed = null where user_id = $1 \
                 and state in ('waiting', 'approved')",
            ] {
                sqlx::query(statement)
                    .bind(user.uuid())
                    .bind(now.micros())
                    .execute(&mut *tx)
                    .await?;
            }
            for statement in [
                "delete from group_members where user_id = $1",
                "delete from passwords where user_id = $1",
                "delete from consents where user_id = $1",
            ] {
                sqlx::query(statement).bind(user.uuid()).execute(&mut *tx).await?;
            }
            note!(tx, org.uuid(), user.uuid(), "grant", now.micros());
            tx.commit().await?;
            let live = ended
                .into_iter()
                .filter(|(_, expires_at)| expires_at.is_none_or(|at| at > now.micros()))
                .filter_map(|(kind, _)| GrantKind::parse(&kind));
            Ok(Removed::Done(live.collect()))
        })
    }

    /// Brings a removed person back under the same id, with nothing of what let them in before; `None` when nobody with
    /// this address was removed.
    pub async fn restore_user(
        &self,
        org: OrgId,
        email: &str,
        role: Role,
        now: Timestamp,
    ) -> Result<Option<UserRow>, StoreError> {
        on!(&self.db, begin tx => {
            let restored: Option<UserColumns> = sqlx::query_as(
                "update users set removed_at = null, role = $3 \
                 where org_id = $1 and email = $2 and removed_at is not null \
                 returning id, org_id, email, role, created_at, removed_at",
            )
            .bind(org.uuid())
            .bind(email.to_lowercase())
            .bind(role.as_str())
            .fetch_optional(&mut *tx)
            .await?;
            if let Some(user) = &restored {
                // The address may have passed on to somebody else.
                sqlx::query("delete from identities where user_id = $1")
                    .bind(user.id)
                    .execute(&mut *tx)
                    .await?;
                note!(tx, org.uuid(), user.id, "grant", now.micros());
            }
            tx.commit().await?;
            restored.map(TryInto::try_into).transpose()
        })
    }

    /// Connections of people who were removed before `before`, at most `limit`: what a removal that broke off left.
    pub async fn connections_of_removed(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<(ConnectionId, UserId)>, StoreError> {
        let rows: Vec<(Uuid, Uuid)> = on!(&self.db, pool => sqlx::query_as(
            "select c.id, c.user_id from connections c join users u on u.id = c.user_id \
             where u.removed_at < $1 order by c.id limit $2",
        )
        .bind(before.micros())
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await)?;
        let ids =
            |(connection, user)| (ConnectionId::from_uuid(connection), UserId::from_uuid(user));
        Ok(rows.into_iter().map(ids).collect())
    }
}
