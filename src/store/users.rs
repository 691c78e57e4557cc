//! The organization and its people.

use sqlx::FromRow;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::caller::Role;
use crate::clock::Timestamp;
use crate::ids::{OrgId, UserId};

/// An organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrgRow {
    /// Its id.
    pub id: OrgId,
    /// What it is called.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRow {
    /// Their id.
    pub id: UserId,
    /// Their organization.
    pub org_id: OrgId,
    /// Their e-mail address, in lower case.
    pub email: String,
    /// What they may do.
    pub role: Role,
    /// When they were added.
    pub created_at: Timestamp,
    /// When they were removed.
    pub removed_at: Option<Timestamp>,
}

#[derive(FromRow)]
struct OrgColumns {
    id: Uuid,
    name: String,
    created_at: i64,
}

impl From<OrgColumns> for OrgRow {
    fn from(row: OrgColumns) -> Self {
        Self {
            id: OrgId::from_uuid(row.id),
            name: row.name,
            created_at: Timestamp::from_micros(row.created_at),
        }
    }
}

#[derive(FromRow)]
pub(super) struct UserColumns {
    pub(super) id: Uuid,
    pub(super) org_id: Uuid,
    pub(super) email: String,
    pub(super) role: String,
    pub(super) created_at: i64,
    pub(super) removed_at: Option<i64>,
}

impl TryFrom<UserColumns> for UserRow {
    type Error = StoreError;

    fn try_from(row: UserColumns) -> Result<Self, StoreError> {
        let id = UserId::from_uuid(row.id);
        Ok(Self {
            id,
            org_id: OrgId::from_uuid(row.org_id),
            email: row.email,
            role: Role::parse(&row.role).ok_or_else(|| StoreError::Corrupt {
                table: "users",
                column: "role",
                id: id.to_string(),
            })?,
            created_at: Timestamp::from_micros(row.created_at),
            removed_at: row.removed_at.map(Timestamp::from_micros),
        })
    }
}

impl Store {
    /// The one organization of this installation, made on first use; whoever comes second gets the same one.
    pub async fn organization(&self, now: Timestamp) -> Result<OrgRow, StoreError> {
        const FIND: &str = "select id, name, created_at from organizations where slot = 1";
        let found: Option<OrgColumns> =
            on!(&self.db, pool => sqlx::query_as(FIND).fetch_optional(pool).await)?;
        if let Some(row) = found {
            return Ok(row.into());
        }
        on!(&self.db, write pool => sqlx::query(
            "insert into organizations (id, slot, name, created_at) values ($1, 1, $2, $3) on conflict (slot) do nothing",
        )
        .bind(OrgId::new(now).uuid())
        .bind("Organization")
        .bind(now.micros())
        .execute(pool)
        .await
        .map(drop))?;
        let row: OrgColumns = on!(&self.db, pool => sqlx::query_as(FIND).fetch_one(pool).await)?;
        Ok(row.into())
    }

    /// Adds a person. Addresses are kept in lower case, so two that differ in case alone conflict.
    pub async fn insert_user(&self, user: &UserRow) -> Result<(), StoreError> {
        on!(&self.db, write pool => sqlx::query(
            "insert into users (id, org_id, email, role, created_at, removed_at) values ($1, $2, $3, $4, $5, $6)",
        )
        .bind(user.id.uuid())
        .bind(user.org_id.uuid())
        .bind(user.email.to_lowercase())
        .bind(user.role.as_str())
        .bind(user.created_at.micros())
        .bind(user.removed_at.map(Timestamp::micros))
        .execute(pool)
        .await
        .map(drop))?;
        Ok(())
    }

    /// One person.
    pub async fn user(&self, id: UserId) -> Result<Option<UserRow>, StoreError> {
        let row: Option<UserColumns> = on!(&self.db, pool => sqlx::query_as(
            "select id, org_id, email, role, created_at, removed_at from users where id = $1",
        )
        .bind(id.uuid())
        .fetch_optional(pool)
        .await)?;
        row.map(TryInto::try_into).transpose()
    }

    /// The person with this address, in whatever case.
    pub async fn user_by_email(
        &self,
        org: OrgId,
        email: &str,
    ) -> Result<Option<UserRow>, StoreError> {
        let row: Option<UserColumns> = on!(&self.db, pool => sqlx::query_as(
            "select id, org_id, email, role, created_at, removed_at from users where org_id = $1 and email = $2",
        )
        .bind(org.uuid())
        .bind(email.to_lowercase())
        .fetch_optional(pool)
        .await)?;
        row.map(TryInto::try_into).transpose()
    }

    /// Everybody, removed people too, by address.
    pub async fn users(&self, org: OrgId) -> Result<Vec<UserRow>, StoreError> {
        let rows: Vec<UserColumns> = on!(&self.db, pool => sqlx::query_as(
            "select id, org_id, email, role, created_at, removed_at from users where org_id = $1 order by email, id",
        )
        .bind(org.uuid())
        .fetch_all(pool)
        .await)?;
        rows.into_iter().map(TryInto::try_into).collect()
    }
}
