//! What integrations keep between calls: small documents of one connection, in collections.

use sqlx::FromRow;

use super::{Store, StoreError};
use crate::clock::Clock;
use crate::ids::ConnectionId;

/// All that one connection may keep, in bytes of bodies.
const MAX_BYTES: i64 = 64 * 1024 * 1024;

/// Rows of one connection only; handed to tools and blocks instead of the store.
#[derive(Clone, Debug)]
pub struct Records(Option<Shelf>);

/// Where a connection's rows are.
#[derive(Clone, Debug)]
struct Shelf {
    store: Store,
    connection: ConnectionId,
    clock: Clock,
}

/// A document without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordHead {
    /// Its name in the collection, such as a path.
    pub key: String,
    /// The provider's version of it (sha, ETag).
    pub version: String,
    /// Length of the body in bytes.
    pub bytes: i64,
}

/// A document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its name in the collection.
    pub key: String,
    /// The provider's version of it.
    pub version: String,
    /// The text.
    pub body: String,
}

#[derive(FromRow)]
struct HeadColumns {
    key: String,
    version: String,
    bytes: i64,
}

#[derive(FromRow)]
struct RecordColumns {
    key: String,
    version: String,
    body: String,
}

/// Makes other writers of this connection wait, and reads how much it keeps.
const LOCK: &str = "insert into record_totals (connection_id, bytes) values ($1, 0) \
    on conflict (connection_id) do update set bytes = record_totals.bytes returning bytes";

/// The least text that is greater than every text with this prefix; empty when there is none.
fn after_prefix(prefix: &str) -> String {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            last => char::from_u32(u32::from(last) + 1),
        };
        if let Some(next) = next {
            chars.push(next);
            break;
        }
    }
    chars.into_iter().collect()
}

impl Records {
    /// The documents of `connection`.
    pub fn new(store: Store, connection: ConnectionId, clock: Clock) -> Self {
        Self(Some(Shelf {
            store,
            connection,
            clock,
        }))
    }

    /// Where there is no connection: nothing is kept, and what is to be kept is refused.
    pub const fn none() -> Self {
        Self(None)
    }

    /// How many documents there are, and how many bytes their bodies have together.
    pub async fn kept(&self) -> Result<(u64, u64), StoreError> {
        let Some(shelf) = &self.0 else {
            return Ok((0, 0));
        };
        let (documents, bytes): (i64, i64) = on!(&shelf.store.db, pool => sqlx::query_as(
            "select count(*), cast(coalesce(sum(bytes), 0) as bigint) from records where connection_id = $1",
        )
        .bind(shelf.connection.uuid())
        .fetch_one(pool)
        .await)?;
        Ok((documents.unsigned_abs(), bytes.unsigned_abs()))
    }

    /// One document.
    pub async fn get(&self, collection: &str, key: &str) -> Result<Option<Record>, StoreError> {
        let Some(shelf) = &self.0 else {
            return Ok(None);
        };
        let row: Option<RecordColumns> = on!(&shelf.store.db, pool => sqlx::query_as(
            "select key, version, body from records where connection_id = $1 and collection = $2 and key = $3",
        )
        .bind(shelf.connection.uuid())
        .bind(collection)
        .bind(key)
        .fetch_optional(pool)
        .await)?;
        Ok(row.map(|row| Record {
            key: row.key,
            version: row.version,
            body: row.body,
        }))
    }

    /// Stores a document, replacing what was there. A connection that keeps too much gets a conflict.
    pub async fn put(&self, collection: &str, record: &Record) -> Result<(), StoreError> {
        let Some(shelf) = &self.0 else {
            return Err(StoreError::Conflict(
                "nothing is kept without an account".to_owned(),
            ));
        };
        let bytes = i64::try_from(record.body.len()).unwrap_or(i64::MAX);
        let now = shelf.clock.now();
        on!(&shelf.store.db, begin tx => {
            let total: i64 = sqlx::query_scalar(LOCK)
                .bind(shelf.connection.uuid())
                .fetch_one(&mut *tx)
                .await?;
            let before: Option<i64> = sqlx::query_scalar(
                "select bytes from records where connection_id = $1 and collection = $2 and key = $3",
            )
            .bind(shelf.connection.uuid())
            .bind(collection)
            .bind(record.key.as_str())
            .fetch_optional(&mut *tx)
            .await?;
            let total = total - before.unwrap_or(0) + bytes;
            if total > MAX_BYTES {
                return Err(StoreError::Conflict("records are full".to_owned()));
            }
            sqlx::query(
                "insert into records (connection_id, collection, key, version, body, bytes, updated_at) \
                 values ($1, $2, $3, $4, $5, $6, $7) on conflict (connection_id, collection, key) do update set \
                 version = excluded.version, body = excluded.body, bytes = excluded.bytes, \
                 updated_at = excluded.updated_at",
            )
            .bind(shelf.connection.uuid())
            .bind(collection)
            .bind(record.key.as_str())
            .bind(record.version.as_str())
            .bind(record.body.as_str())
            .bind(bytes)
            .bind(now.micros())
            .execute(&mut *tx)
            .await?;
            sqlx::query("update record_totals set bytes = $2 where connection_id = $1")
                .bind(shelf.connection.uuid())
                .bind(total)
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
        });
        Ok(())
    }

    /// Removes a document; says whether there was one.
    pub async fn delete(&self, collection: &str, key: &str) -> Result<bool, StoreError> {
        let Some(shelf) = &self.0 else {
            return Ok(false);
        };
        on!(&shelf.store.db, begin tx => {
            let total: i64 = sqlx::query_scalar(LOCK)
                .bind(shelf.connection.uuid())
                .fetch_one(&mut *tx)
                .await?;
            let bytes: Option<i64> = sqlx::query_scalar(
                "delete from records where connection_id = $1 and collection = $2 and key = $3 returning bytes",
            )
            .bind(shelf.connection.uuid())
            .bind(collection)
            .bind(key)
            .fetch_optional(&mut *tx)
            .await?;
            sqlx::query("update record_totals set bytes = $2 where connection_id = $1")
                .bind(shelf.connection.uuid())
                .bind(total - bytes.unwrap_or(0))
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(bytes.is_some())
        })
    }

    /// The documents whose key begins with `prefix`, by key, after `after`, at most `limit`.
    pub async fn list(
        &self,
        collection: &str,
        prefix: &str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<RecordHead>, StoreError> {
        let Some(shelf) = &self.0 else {
            return Ok(Vec::new());
        };
        let rows: Vec<HeadColumns> = on!(&shelf.store.db, pool => sqlx::query_as(
            "select key, version, bytes from records where connection_id = $1 and collection = $2 \
             and key >= $3 and ($4 = '' or key < $4) and key > $5 order by key limit $6",
        )
        .bind(shelf.connection.uuid())
        .bind(collection)
        .bind(prefix)
        .bind(after_prefix(prefix))
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await)?;
        Ok(rows
            .into_iter()
            .map(|row| RecordHead {
                key: row.key,
                version: row.version,
                bytes: row.bytes,
            })
            .collect())
    }

    /// The collections that begin with `prefix`.
    pub async fn collections(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let Some(shelf) = &self.0 else {
            return Ok(Vec::new());
        };
        let names: Vec<String> = on!(&shelf.store.db, pool => sqlx::query_scalar(
            "select distinct collection from records where connection_id = $1 and collection >= $2 \
             and ($3 = '' or collection < $3) order by collection",
        )
        .bind(shelf.connection.uuid())
        .bind(prefix)
        .bind(after_prefix(prefix))
        .fetch_all(pool)
        .await)?;
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_next_text() {
        assert_eq!(after_prefix("docs/"), "docs0");
        assert_eq!(after_prefix(""), "");
        assert_eq!(after_prefix("a\u{10ffff}"), "b");
        assert_eq!(after_prefix("\u{d7ff}"), "\u{e000}");
    }
}
