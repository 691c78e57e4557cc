//! OAuth clients that registered themselves (RFC 7591).

use sqlx::FromRow;
use uuid::Uuid;

use super::connections::scopes_text;
use super::{Store, StoreError};
use crate::clock::Timestamp;
use crate::ids::OrgId;

/// A registered client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRow {
    /// What it calls itself in requests.
    pub id: String,
    /// The organization.
    pub org_id: OrgId,
    /// What it calls itself to people.
    pub name: String,
    /// Where it may have codes sent.
    pub redirect_uris: Vec<String>,
    /// When it registered.
    pub created_at: Timestamp,
    /// When it ends unless somebody signs in with it; `None` once somebody did.
    pub expires_at: Option<Timestamp>,
}

#[derive(FromRow)]
struct ClientColumns {
    id: String,
    org_id: Uuid,
    name: String,
    redirect_uris: String,
    created_at: i64,
    expires_at: Option<i64>,
}

impl TryFrom<ClientColumns> for ClientRow {
    type Error = StoreError;

    fn try_from(row: ClientColumns) -> Result<Self, StoreError> {
        Ok(Self {
            redirect_uris: serde_json::from_str(&row.redirect_uris).map_err(|_| {
                StoreError::Corrupt {
                    table: "clients",
                    column: "redirect_uris",
                    id: row.id.clone(),
                }
            })?,
            id: row.id,
            org_id: OrgId::from_uuid(row.org_id),
            name: row.name,
            created_at: Timestamp::from_micros(row.created_at),
            expires_at: row.expires_at.map(Timestamp::from_micros),
        })
    }
}

impl Store {
    /// Adds a client, unless `most` clients wait to be used already; says whether it did. Expired ones make room. Several
    /// processes that add at the same instant may go over by one each.
    pub async fn insert_client(
        &self,
        client: &ClientRow,
        most: u32,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.delete_unused_clients(now).await?;
        let added = on!(&self.db, write pool => sqlx::query(
            "insert into clients (id, org_id, name, redirect_uris, created_at, expires_at) \
             select $1, $2, $3, $4, $5, $6 \
             where (select count(*) from clients where expires_at is not null) < $7",
        )
        .bind(client.id.as_str())
        .bind(client.org_id.uuid())
        .bind(client.name.as_str())
        .bind(scopes_text(&client.redirect_uris))
        .bind(client.created_at.micros())
        .bind(client.expires_at.map(Timestamp::micros))
        .bind(i64::from(most))
        .execute(pool)
        .await
        .map(|done| done.rows_affected()))?;
        Ok(added == 1)
    }

    /// The client with this id, expired or not: the caller judges.
    pub async fn client(&self, id: &str) -> Result<Option<ClientRow>, StoreError> {
        let row: Option<ClientColumns> = on!(&self.db, pool => sqlx::query_as(
            "select id, org_id, name, redirect_uris, created_at, expires_at from clients where id = $1",
        )
        .bind(id)
        .fetch_optional(pool)
        .await)?;
        row.map(TryInto::try_into).transpose()
    }

    /// Forgets clients that nobody signed in with before they expired; answers how many.
    pub async fn delete_unused_clients(&self, now: Timestamp) -> Result<u64, StoreError> {
        let deleted = on!(&self.db, write pool => sqlx::query(
            "delete from clients where expires_at is not null and expires_at <= $1",
        )
        .bind(now.micros())
        .execute(pool)
        .await
        .map(|done| done.rows_affected()))?;
        Ok(deleted)
    }
}
