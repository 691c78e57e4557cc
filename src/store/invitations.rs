//! Links that make somebody a member, once.

use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use super::people::HOLD;
use super::{Identity, Store, StoreError, UserRow};
use crate::caller::Role;
use crate::clock::Timestamp;
use crate::ids::{GroupId, InvitationId, OrgId, UserId};

/// An invitation. The secret of its link is never stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvitationRow {
    /// Its id.
    pub id: InvitationId,
    /// The organization.
    pub org_id: OrgId,
    /// SHA-256 of the secret.
    pub secret_hash: [u8; 32],
    /// Who is invited; `None` is the set-up link of an installation without people, whose holder chooses.
    pub email: Option<String>,
    /// The role they will have.
    pub role: Role,
    /// The groups they will be in.
    pub groups: Vec<GroupId>,
    /// Who invited.
    pub created_by: Option<UserId>,
    /// When.
    pub created_at: Timestamp,
    /// When the link ends by itself.
    pub expires_at: Timestamp,
    /// When it was used.
    pub accepted_at: Option<Timestamp>,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
}

/// How somebody who accepts an invitation will sign in.
#[derive(Clone, Copy, Debug)]
pub enum Joining<'a> {
    /// With a password that has this hash.
    Password(&'a str),
    /// At an identity provider.
    Identity(&'a Identity),
}

/// What became of an acceptance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// This person is a member now.
    Done(UserId),
    /// The link was used, taken back or ended.
    Gone,
    /// Somebody else has the address or the identity.
    Taken,
}

const COLUMNS: &str = "id, org_id, secret_hash, email, role, group_ids, created_by, created_at, expires_at, \
    accepted_at, revoked_at";

#[derive(FromRow)]
struct InvitationColumns {
    id: Uuid,
    org_id: Uuid,
    secret_hash: Vec<u8>,
    email: Option<String>,
    role: String,
    group_ids: String,
    created_by: Option<Uuid>,
    created_at: i64,
    expires_at: i64,
    accepted_at: Option<i64>,
    revoked_at: Option<i64>,
}

impl TryFrom<InvitationColumns> for InvitationRow {
    type Error = StoreError;

    fn try_from(row: InvitationColumns) -> Result<Self, StoreError> {
        let id = InvitationId::from_uuid(row.id);
        let corrupt = |column| StoreError::Corrupt {
            table: "invitations",
            column,
            id: id.to_string(),
        };
        Ok(Self {
            id,
            org_id: OrgId::from_uuid(row.org_id),
            secret_hash: row
                .secret_hash
                .try_into()
                .map_err(|_| corrupt("secret_hash"))?,
            email: row.email,
            role: Role::parse(&row.role).ok_or_else(|| corrupt("role"))?,
            groups: serde_json::from_str(&row.group_ids).map_err(|_| corrupt("group_ids"))?,
            created_by: row.created_by.map(UserId::from_uuid),
            created_at: Timestamp::from_micros(row.created_at),
            expires_at: Timestamp::from_micros(row.expires_at),
            accepted_at: row.accepted_at.map(Timestamp::from_micros),
            revoked_at: row.revoked_at.map(Timestamp::from_micros),
        })
    }
}

impl Store {
    /// Adds an invitation.
    pub async fn insert_invitation(&self, invitation: &InvitationRow) -> Result<(), StoreError> {
        let groups = serde_json::json!(invitation.groups).to_string();
        on!(&self.db, write pool => sqlx::query(
            "insert into invitations (id, org_id, secret_hash, email, role, group_ids, created_by, created_at, \
             expires_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(invitation.id.uuid())
        .bind(invitation.org_id.uuid())
        .bind(invitation.secret_hash.as_slice())
        .bind(invitation.email.as_deref().map(str::to_lowercase))
        .bind(invitation.role.as_str())
        .bind(groups)
        .bind(invitation.created_by.map(UserId::uuid))
        .bind(invitation.created_at.micros())
        .bind(invitation.expires_at.micros())
        .execute(pool)
        .await
        .map(drop))?;
        Ok(())
    }

    /// The invitation whose link has this secret, whatever became of it.
    pub async fn invitation_by_hash(
        &self,
        secret_hash: &[u8; 32],
    ) -> Result<Option<InvitationRow>, StoreError> {
        let row: Option<InvitationColumns> = on!(&self.db, pool => sqlx::query_as(
            AssertSqlSafe(format!("select {COLUMNS} from invitations where secret_hash = $1")),
        )
        .bind(secret_hash.as_slice())
        .fetch_optional(pool)
        .await)?;
        row.map(TryInto::try_into).transpose()
    }

    /// One invitation, whatever became of it.
    pub async fn invitation(&self, id: InvitationId) -> Result<Option<InvitationRow>, StoreError> {
        let row: Option<InvitationColumns> = on!(&self.db, pool => sqlx::query_as(
            AssertSqlSafe(format!("select {COLUMNS} from invitations where id = $1")),
        )
        .bind(id.uuid())
        .fetch_optional(pool)
        .await)?;
        row.map(TryInto::try_into).transpose()
    }

    /// The invitations to persons that can still be accepted, newest first.
    pub async fn open_invitations(
        &self,
        org: OrgId,
        now: Timestamp,
    ) -> Result<Vec<InvitationRow>, StoreError> {
        let rows: Vec<InvitationColumns> = on!(&self.db, pool => sqlx::query_as(
            AssertSqlSafe(format!(
                "select {COLUMNS} from invitations where org_id = $1 and email is not null and accepted_at is null \
                 and revoked_at is null and expires_at > $2 order by created_at desc, id desc",
            )),
        )
        .bind(org.uuid())
        .bind(now.micros())
        .fetch_all(pool)
        .await)?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Takes an invitation back; false when it was used or taken back before.
    pub async fn revoke_invitation(
        &self,
        org: OrgId,
        id: InvitationId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let revoked = on!(&self.db, write pool => sqlx::query(
            "update invitations set revoked_at = $3 \
             where id = $1 and org_id = $2 and accepted_at is null and revoked_at is null",
        )
        .bind(id.uuid())
        .bind(org.uuid())
        .bind(now.micros())
        .execute(pool)
        .await
        .map(|done| done.rows_affected()))?;
        Ok(revoked == 1)
    }

    /// Uses an invitation, for exactly one caller, and makes `user` a member with its role and groups. A set-up link
    /// works only while nobody is here. `user.id` is not used when an address that was removed comes back.
    pub async fn accept_invitation(
        &self,
        id: InvitationId,
        user: &UserRow,
        joining: Joining<'_>,
        now: Timestamp,
    ) -> Result<Accepted, StoreError> {
        let accepted = self.try_accept(id, user, joining, now).await;
        match accepted {
            Err(StoreError::Conflict(_)) => Ok(Accepted::Taken),
            accepted => accepted,
        }
    }

    async fn try_accept(
        &self,
        id: InvitationId,
        user: &UserRow,
        joining: Joining<'_>,
        now: Timestamp,
    ) -> Result<Accepted, StoreError> {
        on!(&self.db, begin tx => {
            sqlx::query(HOLD).bind(user.org_id.uuid()).execute(&mut *tx).await?;
            let taken: Option<(Option<String>, String, String)> = sqlx::query_as(
                "update invitations set accepted_at = $3 where id = $1 and org_id = $2 and accepted_at is null \
                 and revoked_at is null and expires_at > $3 and (email is not null or not exists \
                 (select 1 from users u where u.org_id = $2 and u.removed_at is null)) \
                 returning email, role, group_ids",
            )
            .bind(id.uuid())
            .bind(user.org_id.uuid())
            .bind(now.micros())
            .fetch_optional(&mut *tx)
            .await?;
            let Some((email, role, groups)) = taken else {
                return Ok(Accepted::Gone);
            };
            let member: Option<(Uuid,)> = sqlx::query_as(
                "insert into users (id, org_id, email, role, created_at, removed_at) \
                 values ($1, $2, $3, $4, $5, null) on conflict (org_id, email) do update set \
                 removed_at = null, role = excluded.role where users.removed_at is not null returning id",
            )
            .bind(user.id.uuid())
            .bind(user.org_id.uuid())
            .bind(email.unwrap_or_else(|| user.email.to_lowercase()))
            .bind(role)
            .bind(now.micros())
            .fetch_optional(&mut *tx)
            .await?;
            let Some((member,)) = member else {
                return Ok(Accepted::Taken);
            };
            // Whoever had the address before is somebody else now.
            sqlx::query("delete from identities where user_id = $1").bind(member).execute(&mut *tx).await?;
            match joining {
                Joining::Password(hash) => {
                    sqlx::query(
                        "insert into passwords (user_id, hash, set_at) values ($1, $2, $3) \
                         on conflict (user_id) do update set hash = excluded.hash, set_at = excluded.set_at",
                    )
                    .bind(member)
                    .bind(hash)
                    .bind(now.micros())
                    .execute(&mut *tx)
                    .await?;
                }
                Joining::Identity(identity) => {
                    sqlx::query(
                        "insert into identities (issuer, subject, user_id, created_at) values ($1, $2, $3, $4)",
                    )
                    .bind(identity.issuer.as_str())
                    .bind(identity.subject.as_str())
                    .bind(member)
                    .bind(now.micros())
                    .execute(&mut *tx)
                    .await?;
                }
            }
            let groups: Vec<GroupId> = serde_json::from_str(&groups).unwrap_or_default();
            for group in groups {
                // A group may be gone since.
                sqlx::query(
                    "insert into group_members (group_id, user_id, added_at) \
                     select id, $2, $3 from groups where id = $1 on conflict (group_id, user_id) do nothing",
                )
                .bind(group.uuid())
                .bind(member)
                .bind(now.micros())
                .execute(&mut *tx)
                .await?;
            }
            sqlx::query("update invitations set accepted_by = $2 where id = $1")
                .bind(id.uuid())
                .bind(member)
                .execute(&mut *tx)
                .await?;
            note!(tx, user.org_id.uuid(), member, "grant", now.micros());
            tx.commit().await?;
            Ok(Accepted::Done(UserId::from_uuid(member)))
        })
    }

    /// Forgets the invitations that ended before `before`; answers how many.
    pub async fn delete_invitations_before(&self, before: Timestamp) -> Result<u64, StoreError> {
        let deleted = on!(&self.db, write pool => sqlx::query("delete from invitations where expires_at < $1")
            .bind(before.micros())
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(deleted)
    }
}
