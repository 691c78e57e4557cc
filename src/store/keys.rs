//! The vault's keys: which key-encryption keys were seen, and the data keys wrapped under them.

use sqlx::FromRow;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::clock::Timestamp;
use crate::ids::{DataKeyId, OrgId};
use crate::vault::WrappedDataKey;

/// A key-encryption key; the key itself is never stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// Its name in the settings.
    pub kek_id: String,
    /// What the key computes over a fixed text, so that other material under the same name is noticed.
    pub check_value: Vec<u8>,
    /// When it was first seen.
    pub first_seen_at: Timestamp,
}

/// A data key, wrapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataKeyRow {
    /// Its id.
    pub id: DataKeyId,
    /// The organization it belongs to.
    pub org_id: OrgId,
    /// What it is wrapped under.
    pub kek_id: String,
    /// The wrapped key.
    pub wrapped: Vec<u8>,
    /// Whether it seals, besides opening.
    pub active: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

impl DataKeyRow {
    /// The key as the vault takes it.
    pub fn wrapped_key(&self) -> WrappedDataKey {
        WrappedDataKey {
            id: self.id,
            org: self.org_id,
            kek: self.kek_id.clone(),
            wrapped: self.wrapped.clone(),
        }
    }
}

#[derive(FromRow)]
struct KeyColumns {
    kek_id: String,
    check_value: Vec<u8>,
    first_seen_at: i64,
}

#[derive(FromRow)]
struct DataKeyColumns {
    id: Uuid,
    org_id: Uuid,
    kek_id: String,
    wrapped: Vec<u8>,
    created_at: i64,
    retired_at: Option<i64>,
}

impl Store {
    /// The key-encryption keys that were ever used here, by name.
    pub async fn keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        let rows: Vec<KeyColumns> = on!(&self.db, pool => sqlx::query_as(
            "select kek_id, check_value, first_seen_at from vault_keys order by kek_id",
        )
        .fetch_all(pool)
        .await)?;
        Ok(rows
            .into_iter()
            .map(|row| KeyRow {
                kek_id: row.kek_id,
                check_value: row.check_value,
                first_seen_at: Timestamp::from_micros(row.first_seen_at),
            })
            .collect())
    }

    /// Notes a key-encryption key. One of the same name is a conflict, also when another process noted it just now: the
    /// caller reads again and compares.
    pub async fn insert_key(&self, key: &KeyRow) -> Result<(), StoreError> {
        on!(&self.db, write pool => sqlx::query(
            "insert into vault_keys (kek_id, check_value, first_seen_at) values ($1, $2, $3)",
        )
        .bind(key.kek_id.as_str())
        .bind(key.check_value.as_slice())
        .bind(key.first_seen_at.micros())
        .execute(pool)
        .await
        .map(drop))?;
        Ok(())
    }

    /// Every data key, oldest first. Two processes may each have made one at the same time; both open, and the newest
    /// active one seals.
    pub async fn data_keys(&self) -> Result<Vec<DataKeyRow>, StoreError> {
        let rows: Vec<DataKeyColumns> = on!(&self.db, pool => sqlx::query_as(
            "select id, org_id, kek_id, wrapped, created_at, retired_at from data_keys order by created_at, id",
        )
        .fetch_all(pool)
        .await)?;
        Ok(rows
            .into_iter()
            .map(|row| DataKeyRow {
                id: DataKeyId::from_uuid(row.id),
                org_id: OrgId::from_uuid(row.org_id),
                kek_id: row.kek_id,
                wrapped: row.wrapped,
                active: row.retired_at.is_none(),
                created_at: Timestamp::from_micros(row.created_at),
            })
            .collect())
    }

    /// Adds a data key.
    pub async fn insert_data_key(&self, key: &DataKeyRow) -> Result<(), StoreError> {
        let retired_at = if key.active {
            None
        } else {
            Some(key.created_at)
        };
        on!(&self.db, write pool => sqlx::query(
            "insert into data_keys (id, org_id, kek_id, wrapped, created_at, retired_at) \
             values ($1, $2, $3, $4, $5, $6)",
        )
        .bind(key.id.uuid())
        .bind(key.org_id.uuid())
        .bind(key.kek_id.as_str())
        .bind(key.wrapped.as_slice())
        .bind(key.created_at.micros())
        .bind(retired_at.map(Timestamp::micros))
        .execute(pool)
        .await
        .map(drop))?;
        Ok(())
    }

    /// Replaces the wrapping; false when it is no longer under `old_kek`.
    pub async fn rewrap_data_key(
        &self,
        id: DataKeyId,
        old_kek: &str,
        new_kek: &str,
        wrapped: &[u8],
    ) -> Result<bool, StoreError> {
        let rewrapped = on!(&self.db, write pool => sqlx::query(
            "update data_keys set kek_id = $3, wrapped = $4 where id = $1 and kek_id = $2",
        )
        .bind(id.uuid())
        .bind(old_kek)
        .bind(new_kek)
        .bind(wrapped)
        .execute(pool)
        .await
        .map(|done| done.rows_affected()))?;
        Ok(rewrapped == 1)
    }

    /// Stops a data key from sealing; it still opens. False when it was retired before.
    pub async fn retire_data_key(&self, id: DataKeyId, now: Timestamp) -> Result<bool, StoreError> {
        let retired = on!(&self.db, write pool => sqlx::query(
            "update data_keys set retired_at = $2 where id = $1 and retired_at is null",
        )
        .bind(id.uuid())
        .bind(now.micros())
        .execute(pool)
        .await
        .map(|done| done.rows_affected()))?;
        Ok(retired == 1)
    }

    /// Removes a retired data key for good; the caller has made sure that nothing is sealed under it. False when there
    /// is none or it is active.
    pub async fn delete_data_key(&self, id: DataKeyId) -> Result<bool, StoreError> {
        let deleted = on!(&self.db, write pool => sqlx::query(
            "delete from data_keys where id = $1 and retired_at is not null",
        )
        .bind(id.uuid())
        .execute(pool)
        .await
        .map(|done| done.rows_affected()))?;
        Ok(deleted == 1)
    }
}
