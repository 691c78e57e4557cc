//! Sent mail whose opens and clicks are noticed.

use sqlx::FromRow;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::clock::Timestamp;
use crate::ids::{ConnectionId, TrackedMailId};

/// A message and what was noticed of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackedMail {
    /// Its id.
    pub id: TrackedMailId,
    /// Its subject.
    pub subject: String,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// How often its picture was fetched.
    pub opens: u32,
    /// When last.
    pub last_opened_at: Option<Timestamp>,
    /// Its links, and how often each was followed.
    pub clicks: Vec<(String, u32)>,
}

#[derive(FromRow)]
struct Columns {
    id: Uuid,
    subject: String,
    sent_at: i64,
    opens: i64,
    last_opened_at: Option<i64>,
}

fn count(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl Store {
    /// Adds a message of this connection, with its links.
    pub async fn insert_tracked_mail(
        &self,
        connection: ConnectionId,
        mail: &TrackedMail,
    ) -> Result<(), StoreError> {
        on!(&self.db, begin tx => {
            sqlx::query("insert into tracked_mail (id, connection_id, subject, sent_at) values ($1, $2, $3, $4)")
                .bind(mail.id.uuid())
                .bind(connection.uuid())
                .bind(&mail.subject)
                .bind(mail.sent_at.micros())
                .execute(&mut *tx)
                .await?;
            for (url, _) in &mail.clicks {
                sqlx::query("insert into tracked_links (mail_id, url) values ($1, $2)")
                    .bind(mail.id.uuid())
                    .bind(url)
                    .execute(&mut *tx)
                    .await?;
            }
            tx.commit().await?;
            Ok(())
        })
    }

    /// Counts that the picture of a message was fetched; one that is gone counts nothing.
    pub async fn count_open(&self, id: TrackedMailId, now: Timestamp) -> Result<(), StoreError> {
        on!(&self.db, write pool => sqlx::query(
            "update tracked_mail set opens = opens + 1, last_opened_at = $2 where id = $1",
        )
        .bind(id.uuid())
        .bind(now.micros())
        .execute(pool)
        .await
        .map(|_| ()))?;
        Ok(())
    }

    /// Counts that a link of a message was followed; one that is gone counts nothing.
    pub async fn count_click(&self, id: TrackedMailId, url: &str) -> Result<(), StoreError> {
        on!(&self.db, write pool => sqlx::query(
            "update tracked_links set clicks = clicks + 1 where mail_id = $1 and url = $2",
        )
        .bind(id.uuid())
        .bind(url)
        .execute(pool)
        .await
        .map(|_| ()))?;
        Ok(())
    }

    /// A message of this connection.
    pub async fn tracked_mail(
        &self,
        connection: ConnectionId,
        id: TrackedMailId,
    ) -> Result<Option<TrackedMail>, StoreError> {
        let found: Option<Columns> = on!(&self.db, pool => sqlx::query_as(
            "select id, subject, sent_at, opens, last_opened_at from tracked_mail where connection_id = $1 and id = $2",
        )
        .bind(connection.uuid())
        .bind(id.uuid())
        .fetch_optional(pool)
        .await)?;
        match found {
            Some(columns) => self.with_clicks(columns).await.map(Some),
            None => Ok(None),
        }
    }

    /// The latest messages of this connection, the newest first.
    pub async fn latest_tracked_mail(
        &self,
        connection: ConnectionId,
        limit: i64,
    ) -> Result<Vec<TrackedMail>, StoreError> {
        let found: Vec<Columns> = on!(&self.db, pool => sqlx::query_as(
            "select id, subject, sent_at, opens, last_opened_at from tracked_mail where connection_id = $1 \
             order by id desc limit $2",
        )
        .bind(connection.uuid())
        .bind(limit)
        .fetch_all(pool)
        .await)?;
        let mut mails = Vec::with_capacity(found.len());
        for columns in found {
            mails.push(self.with_clicks(columns).await?);
        }
        Ok(mails)
    }

    async fn with_clicks(&self, columns: Columns) -> Result<TrackedMail, StoreError> {
        let clicks: Vec<(String, i64)> = on!(&self.db, pool => sqlx::query_as(
            "select url, clicks from tracked_links where mail_id = $1 order by url",
        )
        .bind(columns.id)
        .fetch_all(pool)
        .await)?;
        Ok(TrackedMail {
            id: TrackedMailId::from_uuid(columns.id),
            subject: columns.subject,
            sent_at: Timestamp::from_micros(columns.sent_at),
            opens: count(columns.opens),
            last_opened_at: columns.last_opened_at.map(Timestamp::from_micros),
            clicks: clicks
                .into_iter()
                .map(|(url, clicks)| (url, count(clicks)))
                .collect(),
        })
    }
}
