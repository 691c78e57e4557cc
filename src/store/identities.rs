//! Who an identity provider says somebody is: an issuer and a subject there, never an e-mail address.

use sqlx::FromRow;
use uuid::Uuid;

use super::users::UserColumns;
use super::{Store, StoreError, UserRow};
use crate::clock::Timestamp;
use crate::ids::{GroupId, UserId};

/// A person's name at an identity provider.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Which provider, and which tenant of it.
    pub issuer: String,
    /// Who they are there; the provider never gives it to anybody else.
    pub subject: String,
}

#[derive(FromRow)]
struct UserAndGroup {
    #[sqlx(flatten)]
    user: UserColumns,
    group_id: Option<Uuid>,
}

impl Store {
    /// The person with this identity and their groups; removed people too.
    pub async fn user_by_identity(
        &self,
        identity: &Identity,
    ) -> Result<Option<(UserRow, Vec<GroupId>)>, StoreError> {
        let rows: Vec<UserAndGroup> = on!(&self.db, pool => sqlx::query_as(
            "select u.id, u.org_id, u.email, u.role, u.created_at, u.removed_at, m.group_id \
             from identities i join users u on u.id = i.user_id left join group_members m on m.user_id = u.id \
             where i.issuer = $1 and i.subject = $2 order by m.group_id",
        )
        .bind(identity.issuer.as_str())
        .bind(identity.subject.as_str())
        .fetch_all(pool)
        .await)?;
        let groups = rows.iter().filter_map(|row| row.group_id);
        let groups = groups.map(GroupId::from_uuid).collect();
        let Some(first) = rows.into_iter().next() else {
            return Ok(None);
        };
        Ok(Some((first.user.try_into()?, groups)))
    }

    /// Binds an identity to a person; false when it is bound already, to whomever.
    pub async fn insert_identity(
        &self,
        identity: &Identity,
        user: UserId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let inserted = on!(&self.db, write pool => sqlx::query(
            "insert into identities (issuer, subject, user_id, created_at) \
             select $1, $2, id, $4 from users where id = $3 and removed_at is null \
             on conflict (issuer, subject) do nothing",
        )
        .bind(identity.issuer.as_str())
        .bind(identity.subject.as_str())
        .bind(user.uuid())
        .bind(now.micros())
        .execute(pool)
        .await
        .map(|done| done.rows_affected()))?;
        Ok(inserted == 1)
    }

    /// Adds a person whom an identity provider brought. A conflict when the address or the identity is taken.
    pub async fn insert_user_with_identity(
        &self,
        user: &UserRow,
        identity: &Identity,
    ) -> Result<(), StoreError> {
        on!(&self.db, begin tx => {
            sqlx::query(
                "insert into users (id, org_id, email, role, created_at, removed_at) \
                 values ($1, $2, $3, $4, $5, null)",
            )
            .bind(user.id.uuid())
            .bind(user.org_id.uuid())
            .bind(user.email.to_lowercase())
            .bind(user.role.as_str())
            .bind(user.created_at.micros())
            .execute(&mut *tx)
            .await?;
            sqlx::query("insert into identities (issuer, subject, user_id, created_at) values ($1, $2, $3, $4)")
                .bind(identity.issuer.as_str())
                .bind(identity.subject.as_str())
                .bind(user.id.uuid())
                .bind(user.created_at.micros())
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
        });
        Ok(())
    }
}
