//! Refreshing a connection's tokens exactly once, however many tasks and processes want to.
//!
//! The lease says who may ask the provider; `token_version` decides whose answer counts. Everything here runs on a pool
//! of its own, so a busy server cannot starve the commit of a token that the provider has already replaced.

use uuid::Uuid;

use super::connections::{ConnectionColumns, scopes_text, select};
use super::{ConnectionRow, Status, Store, StoreError};
use crate::clock::Timestamp;
use crate::ids::{ConnectionId, UserId};
use crate::vault::Sealed;

/// New tokens.
#[derive(Clone, Debug)]
pub struct Rotated {
    /// The tokens, sealed for `version + 1`.
    pub sealed: Sealed,
    /// When the access token ends.
    pub access_expires_at: Option<Timestamp>,
    /// When the refresh token ends.
    pub refresh_expires_at: Option<Timestamp>,
    /// When to refresh next.
    pub next_refresh_at: Option<Timestamp>,
    /// The scopes, when the answer said something about them: `Some(None)` makes them unknown.
    pub scopes: Option<Option<Vec<String>>>,
}

/// A refresh that brought no tokens.
#[derive(Clone, Debug)]
pub struct Failed {
    /// What a person sees from now on.
    pub status: Status,
    /// Why, in one word.
    pub reason: Option<String>,
    /// Failures in a row, this one included if it counts.
    pub failures: i64,
    /// When the first of them was.
    pub first_failure_at: Option<Timestamp>,
    /// When to try again.
    pub retry_at: Option<Timestamp>,
    /// Keeps others out until then, and the attempt open: an earlier holder may still commit.
    pub keep_lease_until: Option<Timestamp>,
}

impl Store {
    /// As [`Store::connection`], on the refresh pool.
    pub async fn connection_to_refresh(
        &self,
        id: ConnectionId,
    ) -> Result<Option<ConnectionRow>, StoreError> {
        let row: Option<ConnectionColumns> = on!(&self.refresh, pool => sqlx::query_as(select("where id = $1"))
            .bind(id.uuid())
            .fetch_optional(pool)
            .await)?;
        row.map(TryInto::try_into).transpose()
    }

    /// The connections to refresh at `now`, the longest due first: those whose retry time, or without one whose refresh
    /// time, has come, and that nobody is refreshing.
    pub async fn connections_due(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<ConnectionRow>, StoreError> {
        let rows: Vec<ConnectionColumns> = on!(&self.refresh, pool => sqlx::query_as(select(
            "where status in ('connected', 'error') and coalesce(retry_at, next_refresh_at) <= $1 \
             and (lease_until is null or lease_until < $1) \
             order by coalesce(retry_at, next_refresh_at), id limit $2",
        ))
        .bind(now.micros())
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await)?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Takes the lease until `until`; true for exactly one caller while it lasts, and only while the tokens are those of
    /// `version`. Marks that an attempt has begun.
    pub async fn claim_refresh(
        &self,
        id: ConnectionId,
        version: i64,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let claimed = on!(&self.refresh, write pool => sqlx::query(
            "update connections set lease_owner = $3, lease_until = $5, attempt_started_at = $4 \
             where id = $1 and token_version = $2 and status in ('connected', 'error') \
             and (lease_until is null or lease_until < $4)",
        )
        .bind(id.uuid())
        .bind(version)
        .bind(owner)
        .bind(now.micros())
        .bind(until.micros())
        .execute(pool)
        .await
        .map(|done| done.rows_affected()))?;
        Ok(claimed == 1)
    }

    /// Replaces the tokens of `version` by those of `version + 1`, whoever holds the lease: what the provider has already
    /// rotated must not be lost. That is why it also succeeds, late, on a connection that was given up as
    /// `lost_rotation`. False when other tokens came first or the connection was switched off or has expired.
    pub async fn rotate(
        &self,
        id: ConnectionId,
        version: i64,
        rotated: &Rotated,
    ) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let scopes = rotated.scopes.as_ref();
        on!(&self.refresh, begin tx => {
            // The compare, which locks the row; it tells whether people see a difference.
            let found: Option<(Uuid, Uuid, String)> = sqlx::query_as(
                "update connections set token_version = token_version where id = $1 and token_version = $2 \
                 and (status in ('connected', 'error') or reason = 'lost_rotation') \
                 returning org_id, user_id, status",
            )
            .bind(id.uuid())
            .bind(version)
            .fetch_optional(&mut *tx)
            .await?;
            let Some((org_id, user_id, status)) = found else { return Ok(false) };
            sqlx::query(
                "update connections set sealed = $3, token_version = $2 + 1, access_expires_at = $4, \
                 refresh_expires_at = $5, next_refresh_at = $6, \
                 scopes = case when $7 = 1 then $8 else scopes end, \
                 failures = 0, first_failure_at = null, retry_at = null, \
                 status_at = case when status = 'connected' then status_at else $9 end, \
                 status = 'connected', reason = null, \
                 lease_owner = null, lease_until = null, attempt_started_at = null \
                 where id = $1 and token_version = $2",
            )
            .bind(id.uuid())
            .bind(version)
            .bind(rotated.sealed.as_bytes())
            .bind(rotated.access_expires_at.map(Timestamp::micros))
            .bind(rotated.refresh_expires_at.map(Timestamp::micros))
            .bind(rotated.next_refresh_at.map(Timestamp::micros))
            .bind(i64::from(scopes.is_some()))
            .bind(scopes.and_then(|scopes| scopes.as_deref().map(scopes_text)))
            .bind(now.micros())
            .execute(&mut *tx)
            .await?;
            if status != Status::Connected.as_str() || scopes.is_some() {
                let seq: i64 = sqlx::query_scalar(super::changes::NEXT).fetch_one(&mut *tx).await?;
                sqlx::query(super::changes::INSERT)
                    .bind(seq)
                    .bind(org_id)
                    .bind(user_id)
                    .bind("connection")
                    .bind(now.micros())
                    .execute(&mut *tx)
                    .await?;
            }
            tx.commit().await?;
            Ok(true)
        })
    }

    /// Gives the lease back with nothing changed, when the provider was not asked; false when it was no longer held.
    pub async fn release_refresh(
        &self,
        id: ConnectionId,
        version: i64,
        owner: &str,
    ) -> Result<bool, StoreError> {
        let released = on!(&self.refresh, write pool => sqlx::query(
            "update connections set lease_owner = null, lease_until = null, attempt_started_at = null \
             where id = $1 and token_version = $2 and lease_owner = $3",
        )
        .bind(id.uuid())
        .bind(version)
        .bind(owner)
        .execute(pool)
        .await
        .map(|done| done.rows_affected()))?;
        Ok(released == 1)
    }

    /// Writes down that a refresh failed and, unless told otherwise, gives the lease back; false when it was no longer
    /// held or the connection was switched off meanwhile.
    pub async fn fail_refresh(
        &self,
        id: ConnectionId,
        version: i64,
        owner: &str,
        failed: &Failed,
    ) -> Result<bool, StoreError> {
        let now = self.clock.now();
        on!(&self.refresh, begin tx => {
            let found: Option<(Uuid, Uuid, String, Option<String>)> = sqlx::query_as(
                "update connections set token_version = token_version where id = $1 and token_version = $2 \
                 and lease_owner = $3 and status in ('connected', 'error') \
                 returning org_id, user_id, status, reason",
            )
            .bind(id.uuid())
            .bind(version)
            .bind(owner)
            .fetch_optional(&mut *tx)
            .await?;
            let Some((org_id, user_id, status, reason)) = found else { return Ok(false) };
            sqlx::query(
                "update connections set status_at = case when status = $3 then status_at else $9 end, \
                 status = $3, reason = $4, failures = $5, first_failure_at = $6, \
                 retry_at = $7, lease_until = $8, \
                 lease_owner = case when $8 is null then null else lease_owner end, \
                 attempt_started_at = case when $8 is null then null else attempt_started_at end \
                 where id = $1 and token_version = $2",
            )
            .bind(id.uuid())
            .bind(version)
            .bind(failed.status.as_str())
            .bind(failed.reason.as_deref())
            .bind(failed.failures)
            .bind(failed.first_failure_at.map(Timestamp::micros))
            .bind(failed.retry_at.map(Timestamp::micros))
            .bind(failed.keep_lease_until.map(Timestamp::micros))
            .bind(now.micros())
            .execute(&mut *tx)
            .await?;
            if status != failed.status.as_str() || reason != failed.reason {
                let seq: i64 = sqlx::query_scalar(super::changes::NEXT).fetch_one(&mut *tx).await?;
                sqlx::query(super::changes::INSERT)
                    .bind(seq)
                    .bind(org_id)
                    .bind(user_id)
                    .bind("connection")
                    .bind(now.micros())
                    .execute(&mut *tx)
                    .await?;
            }
            tx.commit().await?;
            Ok(true)
        })
    }

    /// Keeps what the next sign-in of a connection must prove.
    pub async fn set_claims(&self, id: ConnectionId, claims: &str) -> Result<(), StoreError> {
        on!(&self.refresh, write pool => sqlx::query("update connections set claims = $2 where id = $1")
            .bind(id.uuid())
            .bind(claims)
            .execute(pool)
            .await
            .map(drop))?;
        Ok(())
    }

    /// What the next sign-in of this person's connection must prove.
    pub async fn claims(
        &self,
        id: ConnectionId,
        user: UserId,
    ) -> Result<Option<String>, StoreError> {
        let row: Option<(Option<String>,)> = on!(&self.db, pool => sqlx::query_as(
            "select claims from connections where id = $1 and user_id = $2",
        )
        .bind(id.uuid())
        .bind(user.uuid())
        .fetch_optional(pool)
        .await)?;
        Ok(row.and_then(|(claims,)| claims))
    }

    /// Sets what a person sees, while the tokens are those of `version`; the tokens and the lease stay.
    pub async fn set_status(
        &self,
        id: ConnectionId,
        version: i64,
        status: Status,
        reason: Option<&str>,
    ) -> Result<bool, StoreError> {
        let now = self.clock.now();
        on!(&self.refresh, begin tx => {
            let found: Option<(Uuid, Uuid)> = sqlx::query_as(
                "update connections set status_at = case when status = $3 then status_at else $5 end, \
                 status = $3, reason = $4 where id = $1 and token_version = $2 \
                 returning org_id, user_id",
            )
            .bind(id.uuid())
            .bind(version)
            .bind(status.as_str())
            .bind(reason)
            .bind(now.micros())
            .fetch_optional(&mut *tx)
            .await?;
            let Some((org_id, user_id)) = found else { return Ok(false) };
            let seq: i64 = sqlx::query_scalar(super::changes::NEXT).fetch_one(&mut *tx).await?;
            sqlx::query(super::changes::INSERT)
                .bind(seq)
                .bind(org_id)
                .bind(user_id)
                .bind("connection")
                .bind(now.micros())
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(true)
        })
    }
}
