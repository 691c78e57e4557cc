//! Personal access tokens, browser sessions, one-time sign-in tickets and access tokens: each is a hash that names a person.

use sqlx::FromRow;
use uuid::Uuid;

use super::users::UserColumns;
use super::{Store, StoreError, UserRow};
use crate::caller::Scopes;
use crate::clock::Timestamp;
use crate::ids::{GrantId, GroupId, OrgId, UserId};

/// How the name of a session begins that was made with a personal access token; the token's id follows.
pub const BY_TOKEN: &str = "token ";

/// What a grant is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantKind {
    /// A personal access token.
    Token,
    /// A signed-in browser.
    Session,
    /// A link that signs in once.
    Ticket,
    /// An access token of the embedded authorization server.
    Access,
}

impl GrantKind {
    /// The word stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Session => "session",
            Self::Ticket => "ticket",
            Self::Access => "access",
        }
    }

    /// Reads the stored word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Token, Self::Session, Self::Ticket, Self::Access]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }
}

/// A grant. The secret itself is never stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantRow {
    /// Its id.
    pub id: GrantId,
    /// The organization.
    pub org_id: OrgId,
    /// Whom it names.
    pub user_id: UserId,
    /// What it is for.
    pub kind: GrantKind,
    /// SHA-256 of the secret.
    pub secret_hash: [u8; 32],
    /// What its owner calls it.
    pub name: String,
    /// What it allows.
    pub scopes: Scopes,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked, or used up.
    pub revoked_at: Option<Timestamp>,
    /// When it was last shown.
    pub last_used_at: Option<Timestamp>,
}

#[derive(FromRow)]
struct GrantColumns {
    id: Uuid,
    org_id: Uuid,
    user_id: Uuid,
    kind: String,
    secret_hash: Vec<u8>,
    name: String,
    scopes: String,
    created_at: i64,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    last_used_at: Option<i64>,
}

impl TryFrom<GrantColumns> for GrantRow {
    type Error = StoreError;

    fn try_from(row: GrantColumns) -> Result<Self, StoreError> {
        let id = GrantId::from_uuid(row.id);
        let corrupt = |column| StoreError::Corrupt {
            table: "grants",
            column,
            id: id.to_string(),
        };
        Ok(Self {
            id,
            org_id: OrgId::from_uuid(row.org_id),
            user_id: UserId::from_uuid(row.user_id),
            kind: GrantKind::parse(&row.kind).ok_or_else(|| corrupt("kind"))?,
            secret_hash: row
                .secret_hash
                .try_into()
                .map_err(|_| corrupt("secret_hash"))?,
            name: row.name,
            scopes: Scopes::parse(&row.scopes).map_err(|_| corrupt("scopes"))?,
            created_at: Timestamp::from_micros(row.created_at),
            expires_at: row.expires_at.map(Timestamp::from_micros),
            revoked_at: row.revoked_at.map(Timestamp::from_micros),
            last_used_at: row.last_used_at.map(Timestamp::from_micros),
        })
    }
}

/// A grant and the person it names.
#[derive(FromRow)]
struct GrantAndUser {
    #[sqlx(flatten)]
    grant: GrantColumns,
    email: String,
    role: String,
    user_created_at: i64,
    removed_at: Option<i64>,
}

/// One row for each group the person is in, or one without a group.
#[derive(FromRow)]
struct GrantAndGroup {
    #[sqlx(flatten)]
    grant: GrantAndUser,
    group_id: Option<Uuid>,
}

impl GrantAndUser {
    fn split(self) -> Result<(GrantRow, UserRow), StoreError> {
        let user = UserColumns {
            id: self.grant.user_id,
            org_id: self.grant.org_id,
            email: self.email,
            role: self.role,
            created_at: self.user_created_at,
            removed_at: self.removed_at,
        };
        Ok((self.grant.try_into()?, user.try_into()?))
    }
}

impl Store {
    /// Adds a grant.
    pub async fn insert_grant(&self, grant: &GrantRow) -> Result<(), StoreError> {
        on!(&self.db, write pool => sqlx::query(
            "insert into grants (id, org_id, user_id, kind, secret_hash, name, scopes, created_at, expires_at, \
             revoked_at, last_used_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        )
        .bind(grant.id.uuid())
        .bind(grant.org_id.uuid())
        .bind(grant.user_id.uuid())
        .bind(grant.kind.as_str())
        .bind(grant.secret_hash.as_slice())
        .bind(grant.name.as_str())
        .bind(grant.scopes.to_string())
        .bind(grant.created_at.micros())
        .bind(grant.expires_at.map(Timestamp::micros))
        .bind(grant.revoked_at.map(Timestamp::micros))
        .bind(grant.last_used_at.map(Timestamp::micros))
        .execute(pool)
        .await
        .map(drop))?;
        Ok(())
    }

    /// The grant with this hash, its person and their groups, live or not: the caller judges. One look, because every
    /// request begins with it.
    pub async fn grant_by_hash(
        &self,
        secret_hash: &[u8; 32],
    ) -> Result<Option<(GrantRow, UserRow, Vec<GroupId>)>, StoreError> {
        let rows: Vec<GrantAndGroup> = on!(&self.db, pool => sqlx::query_as(
            "select g.id, g.org_id, g.user_id, g.kind, g.secret_hash, g.name, g.scopes, g.created_at, g.expires_at, \
             g.revoked_at, g.last_used_at, u.email, u.role, u.created_at as user_created_at, u.removed_at, m.group_id \
             from grants g join users u on u.id = g.user_id left join group_members m on m.user_id = g.user_id \
             where g.secret_hash = $1 order by m.group_id",
        )
        .bind(secret_hash.as_slice())
        .fetch_all(pool)
        .await)?;
        let groups = rows.iter().filter_map(|row| row.group_id);
        let groups = groups.map(GroupId::from_uuid).collect();
        let Some(first) = rows.into_iter().next() else {
            return Ok(None);
        };
        let (grant, user) = first.grant.split()?;
        Ok(Some((grant, user, groups)))
    }

    /// The grant with this id and its person, live or not: the caller judges.
    pub async fn grant(&self, id: GrantId) -> Result<Option<(GrantRow, UserRow)>, StoreError> {
        let row: Option<GrantAndUser> = on!(&self.db, pool => sqlx::query_as(
            "select g.id, g.org_id, g.user_id, g.kind, g.secret_hash, g.name, g.scopes, g.created_at, g.expires_at, \
             g.revoked_at, g.last_used_at, u.email, u.role, u.created_at as user_created_at, u.removed_at \
             from grants g join users u on u.id = g.user_id where g.id = $1",
        )
        .bind(id.uuid())
        .fetch_optional(pool)
        .await)?;
        row.map(GrantAndUser::split).transpose()
    }

    /// Uses up a single-use grant; true for exactly one caller, and for none after it expired.
    pub async fn consume_grant(&self, id: GrantId, now: Timestamp) -> Result<bool, StoreError> {
        let consumed = on!(&self.db, write pool => sqlx::query(
            "update grants set revoked_at = $2, last_used_at = $2 \
             where id = $1 and revoked_at is null and (expires_at is null or expires_at > $2)",
        )
        .bind(id.uuid())
        .bind(now.micros())
        .execute(pool)
        .await
        .map(|done| done.rows_affected()))?;
        Ok(consumed == 1)
    }

    /// Notes that a grant was shown, at once; false when it has ended. A refresh token may be shown again only while what
    /// came of it was not used, so the first use of an access token must be seen by every process.
    pub async fn use_grant(&self, id: GrantId, now: Timestamp) -> Result<bool, StoreError> {
        let used = on!(&self.db, write pool => sqlx::query(
            "update grants set last_used_at = $2 where id = $1 and revoked_at is null",
        )
        .bind(id.uuid())
        .bind(now.micros())
        .execute(pool)
        .await
        .map(|done| done.rows_affected()))?;
        Ok(used == 1)
    }

    /// Ends a grant, and the browsers that were signed in with it; false when it had ended before.
    pub async fn revoke_grant(&self, id: GrantId, now: Timestamp) -> Result<bool, StoreError> {
        on!(&self.db, begin tx => {
            let revoked: Option<(Uuid, Uuid)> = sqlx::query_as(
                "update grants set revoked_at = $2 where id = $1 and revoked_at is null returning org_id, user_id",
            )
            .bind(id.uuid())
            .bind(now.micros())
            .fetch_optional(&mut *tx)
            .await?;
            if let Some((org_id, user_id)) = revoked {
                sqlx::query(
                    "update grants set revoked_at = $3 where user_id = $1 and kind = 'session' and name = $2 \
                     and revoked_at is null",
                )
                .bind(user_id)
                .bind(format!("{BY_TOKEN}{id}"))
                .bind(now.micros())
                .execute(&mut *tx)
                .await?;
                let seq: i64 = sqlx::query_scalar(super::changes::NEXT).fetch_one(&mut *tx).await?;
                sqlx::query(super::changes::INSERT)
                    .bind(seq)
                    .bind(org_id)
                    .bind(user_id)
                    .bind("grant")
                    .bind(now.micros())
                    .execute(&mut *tx)
                    .await?;
            }
            tx.commit().await?;
            Ok(revoked.is_some())
        })
    }

    /// A person's grants of one kind, newest first.
    pub async fn grants_of(
        &self,
        user: UserId,
        kind: GrantKind,
    ) -> Result<Vec<GrantRow>, StoreError> {
        let rows: Vec<GrantColumns> = on!(&self.db, pool => sqlx::query_as(
            "select id, org_id, user_id, kind, secret_hash, name, scopes, created_at, expires_at, revoked_at, \
             last_used_at from grants where user_id = $1 and kind = $2 order by created_at desc, id desc",
        )
        .bind(user.uuid())
        .bind(kind.as_str())
        .fetch_all(pool)
        .await)?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Notes when grants were last shown; an older instant never replaces a newer one.
    pub async fn touch_grants(&self, used: &[(GrantId, Timestamp)]) -> Result<(), StoreError> {
        // Always in the same order, so that two processes cannot wait for each other.
        let mut used = used.to_vec();
        used.sort_unstable();
        on!(&self.db, begin tx => {
            for (id, at) in &used {
                sqlx::query(
                    "update grants set last_used_at = $2 where id = $1 and (last_used_at is null or last_used_at < $2)",
                )
                .bind(id.uuid())
                .bind(at.micros())
                .execute(&mut *tx)
                .await?;
            }
            tx.commit().await?;
        });
        Ok(())
    }
}
