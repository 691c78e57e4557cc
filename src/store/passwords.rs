//! Passwords, as the strings their hash function made.

use sqlx::FromRow;

use super::users::UserColumns;
use super::{Store, StoreError, UserRow};
use crate::clock::Timestamp;
use crate::ids::{OrgId, UserId};

#[derive(FromRow)]
struct UserAndHash {
    #[sqlx(flatten)]
    user: UserColumns,
    hash: Option<String>,
}

impl Store {
    /// The person with this address, and the hash of their password if they have one.
    pub async fn user_and_password(
        &self,
        org: OrgId,
        email: &str,
    ) -> Result<Option<(UserRow, Option<String>)>, StoreError> {
        let row: Option<UserAndHash> = on!(&self.db, pool => sqlx::query_as(
            "select u.id, u.org_id, u.email, u.role, u.created_at, u.removed_at, p.hash \
             from users u left join passwords p on p.user_id = u.id where u.org_id = $1 and u.email = $2",
        )
        .bind(org.uuid())
        .bind(email.to_lowercase())
        .fetch_optional(pool)
        .await)?;
        row.map(|row| Ok((row.user.try_into()?, row.hash)))
            .transpose()
    }

    /// Sets a person's password and signs out all their browsers; false when they were removed.
    pub async fn set_password(
        &self,
        user: UserId,
        hash: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        on!(&self.db, begin tx => {
            let set = sqlx::query(
                "insert into passwords (user_id, hash, set_at) \
                 select id, $2, $3 from users where id = $1 and removed_at is null \
                 on conflict (user_id) do update set hash = excluded.hash, set_at = excluded.set_at",
            )
            .bind(user.uuid())
            .bind(hash)
            .bind(now.micros())
            .execute(&mut *tx)
            .await?
            .rows_affected();
            if set == 0 {
                return Ok(false);
            }
            let org: Option<uuid::Uuid> = sqlx::query_scalar("select org_id from users where id = $1")
                .bind(user.uuid())
                .fetch_optional(&mut *tx)
                .await?;
            sqlx::query(
                "update grants set revoked_at = $2 where user_id = $1 and kind = 'session' and revoked_at is null",
            )
            .bind(user.uuid())
            .bind(now.micros())
            .execute(&mut *tx)
            .await?;
            note!(tx, org, user.uuid(), "grant", now.micros());
            tx.commit().await?;
            Ok(true)
        })
    }
}
