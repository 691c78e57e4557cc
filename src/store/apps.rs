//! The OAuth apps an organization brings, and the integrations it has switched off.

use sqlx::FromRow;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::clock::Timestamp;
use crate::ids::OrgId;
use crate::vault::Sealed;

/// An OAuth app at a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppRow {
    /// The organization.
    pub org_id: OrgId,
    /// The provider's id.
    pub provider: String,
    /// The client id, which is no secret.
    pub client_id: String,
    /// The client secret.
    pub secret: Sealed,
    /// Goes up by one with every new secret; the seal is bound to it.
    pub version: i64,
    /// When it was set.
    pub updated_at: Timestamp,
}

#[derive(FromRow)]
struct AppColumns {
    org_id: Uuid,
    provider: String,
    client_id: String,
    secret: Vec<u8>,
    version: i64,
    updated_at: i64,
}

impl From<AppColumns> for AppRow {
    fn from(row: AppColumns) -> Self {
        Self {
            org_id: OrgId::from_uuid(row.org_id),
            provider: row.provider,
            client_id: row.client_id,
            secret: Sealed::from_bytes(row.secret),
            version: row.version,
            updated_at: Timestamp::from_micros(row.updated_at),
        }
    }
}

impl Store {
    /// Sets an app, or replaces version `app.version - 1` of it. When somebody else replaced that first, this is a
    /// conflict with `apps_version`, and the caller reads again.
    pub async fn upsert_app(&self, app: &AppRow) -> Result<(), StoreError> {
        on!(&self.db, begin tx => {
            let written = sqlx::query(
                "insert into apps (org_id, provider, client_id, secret, version, updated_at) \
                 values ($1, $2, $3, $4, $5, $6) on conflict (org_id, provider) do update set \
                 client_id = excluded.client_id, secret = excluded.secret, version = excluded.version, \
                 updated_at = excluded.updated_at where apps.version = excluded.version - 1",
            )
            .bind(app.org_id.uuid())
            .bind(app.provider.as_str())
            .bind(app.client_id.as_str())
            .bind(app.secret.as_bytes())
            .bind(app.version)
            .bind(app.updated_at.micros())
            .execute(&mut *tx)
            .await?
            .rows_affected();
            if written == 0 {
                return Err(StoreError::Conflict("apps_version".to_owned()));
            }
            let seq: i64 = sqlx::query_scalar(super::changes::NEXT).fetch_one(&mut *tx).await?;
            sqlx::query(super::changes::INSERT)
                .bind(seq)
                .bind(app.org_id.uuid())
                .bind(None::<Uuid>)
                .bind("integration")
                .bind(app.updated_at.micros())
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
        });
        Ok(())
    }

    /// One app.
    pub async fn app(&self, org: OrgId, provider: &str) -> Result<Option<AppRow>, StoreError> {
        let row: Option<AppColumns> = on!(&self.db, pool => sqlx::query_as(
            "select org_id, provider, client_id, secret, version, updated_at from apps \
             where org_id = $1 and provider = $2",
        )
        .bind(org.uuid())
        .bind(provider)
        .fetch_optional(pool)
        .await)?;
        Ok(row.map(Into::into))
    }

    /// The directory that an app is for, when one was chosen.
    pub async fn app_tenant(
        &self,
        org: OrgId,
        provider: &str,
    ) -> Result<Option<String>, StoreError> {
        let row: Option<(Option<String>,)> = on!(&self.db, pool => sqlx::query_as(
            "select tenant from apps where org_id = $1 and provider = $2",
        )
        .bind(org.uuid())
        .bind(provider)
        .fetch_optional(pool)
        .await)?;
        Ok(row.and_then(|(tenant,)| tenant))
    }

    /// Chooses the directory that an app is for; false when there is no app.
    pub async fn set_app_tenant(
        &self,
        org: OrgId,
        provider: &str,
        tenant: &str,
    ) -> Result<bool, StoreError> {
        let set = on!(&self.db, write pool => sqlx::query(
            "update apps set tenant = $3 where org_id = $1 and provider = $2",
        )
        .bind(org.uuid())
        .bind(provider)
        .bind(tenant)
        .execute(pool)
        .await
        .map(|done| done.rows_affected()))?;
        Ok(set == 1)
    }

    /// Every app, by provider.
    pub async fn apps(&self, org: OrgId) -> Result<Vec<AppRow>, StoreError> {
        let rows: Vec<AppColumns> = on!(&self.db, pool => sqlx::query_as(
            "select org_id, provider, client_id, secret, version, updated_at from apps \
             where org_id = $1 order by provider",
        )
        .bind(org.uuid())
        .fetch_all(pool)
        .await)?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Seals an app's secret anew under another data key; false when it was replaced meanwhile.
    pub async fn reseal_app(
        &self,
        org: OrgId,
        provider: &str,
        version: i64,
        old: &Sealed,
        new: &Sealed,
    ) -> Result<bool, StoreError> {
        let resealed = on!(&self.db, write pool => sqlx::query(
            "update apps set secret = $5 where org_id = $1 and provider = $2 and version = $3 and secret = $4",
        )
        .bind(org.uuid())
        .bind(provider)
        .bind(version)
        .bind(old.as_bytes())
        .bind(new.as_bytes())
        .execute(pool)
        .await
        .map(|done| done.rows_affected()))?;
        Ok(resealed == 1)
    }

    /// The integrations that are switched off, and since when, by id.
    pub async fn disabled_integrations(
        &self,
        org: OrgId,
    ) -> Result<Vec<(String, Timestamp)>, StoreError> {
        let rows: Vec<(String, i64)> = on!(&self.db, pool => sqlx::query_as(
            "select integration, disabled_at from disabled_integrations where org_id = $1 order by integration",
        )
        .bind(org.uuid())
        .fetch_all(pool)
        .await)?;
        Ok(rows
            .into_iter()
            .map(|(integration, at)| (integration, Timestamp::from_micros(at)))
            .collect())
    }

    /// Switches an integration off (since `disabled_at`) or, with `None`, on.
    pub async fn set_integration(
        &self,
        org: OrgId,
        integration: &str,
        disabled_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let now = disabled_at.unwrap_or_else(|| self.clock.now());
        on!(&self.db, begin tx => {
            let changed = match disabled_at {
                Some(at) => sqlx::query(
                    "insert into disabled_integrations (org_id, integration, disabled_at) values ($1, $2, $3) \
                     on conflict (org_id, integration) do nothing",
                )
                .bind(org.uuid())
                .bind(integration)
                .bind(at.micros())
                .execute(&mut *tx)
                .await?
                .rows_affected(),
                None => sqlx::query("delete from disabled_integrations where org_id = $1 and integration = $2")
                    .bind(org.uuid())
                    .bind(integration)
                    .execute(&mut *tx)
                    .await?
                    .rows_affected(),
            };
            if changed > 0 {
                let seq: i64 = sqlx::query_scalar(super::changes::NEXT).fetch_one(&mut *tx).await?;
                sqlx::query(super::changes::INSERT)
                    .bind(seq)
                    .bind(org.uuid())
                    .bind(None::<Uuid>)
                    .bind("integration")
                    .bind(now.micros())
                    .execute(&mut *tx)
                    .await?;
            }
            tx.commit().await?;
        });
        Ok(())
    }
}
