//! Signed-in MCP clients and their tokens: one family per consent, one live refresh token per family.
//!
//! A refresh begins with an update of the family's row, which locks it until the transaction ends; what follows in the
//! transaction is therefore decided for one refresh after the other, on however many processes.

use sqlx::FromRow;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::caller::Scopes;
use crate::clock::Timestamp;
use crate::ids::{FamilyId, GrantId, OrgId, UserId};

/// A signed-in client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FamilyRow {
    /// Its id.
    pub id: FamilyId,
    /// The organization.
    pub org_id: OrgId,
    /// Whose it is.
    pub user_id: UserId,
    /// The client.
    pub client_id: String,
    /// What the client calls itself.
    pub client_name: String,
    /// The host that vouches for the client; `None` for one that registered itself.
    pub client_host: Option<String>,
    /// The host that its code was sent to.
    pub redirect_host: String,
    /// What the tokens are for.
    pub resource: String,
    /// What they allow.
    pub scopes: Scopes,
    /// When the person agreed.
    pub created_at: Timestamp,
    /// When it last got tokens.
    pub refreshed_at: Timestamp,
    /// When it ends however often it is refreshed.
    pub expires_at: Timestamp,
    /// When one of its access tokens was last shown.
    pub last_used_at: Option<Timestamp>,
}

/// A pair of tokens to hand out.
#[derive(Clone, Copy, Debug)]
pub struct Issue<'a> {
    /// The access token's id.
    pub access_id: GrantId,
    /// SHA-256 that the access token is looked up by.
    pub access_hash: &'a [u8; 32],
    /// When the access token ends.
    pub access_until: Timestamp,
    /// SHA-256 of the refresh token.
    pub refresh_hash: &'a [u8; 32],
    /// When the refresh token ends unless it is used.
    pub refresh_until: Timestamp,
    /// When.
    pub now: Timestamp,
}

/// A code as a client shows it, with everything that must be as it was.
#[derive(Clone, Copy, Debug)]
pub struct CodeUse<'a> {
    /// SHA-256 of the code.
    pub code_hash: &'a [u8; 32],
    /// Who shows it.
    pub client_id: &'a str,
    /// Where it was sent.
    pub redirect_uri: &'a str,
    /// The challenge that the client's verifier answers.
    pub challenge: &'a str,
    /// What the tokens are for.
    pub resource: &'a str,
    /// The id of the family that comes of it.
    pub family: FamilyId,
    /// The host of the redirect.
    pub redirect_host: &'a str,
    /// When the family ends.
    pub until: Timestamp,
}

/// What became of a refresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// The tokens are issued, with these scopes.
    Issued(FamilyId, UserId, Scopes),
    /// The token is none of this client's that could be used: unknown, expired, of a family that has ended.
    Refused,
    /// More is asked for than the family has.
    TooMuch,
    /// The token was used before and what came of it is in use: somebody has a copy.
    Reused(FamilyId),
}

#[derive(FromRow)]
struct FamilyColumns {
    id: Uuid,
    org_id: Uuid,
    user_id: Uuid,
    client_id: String,
    client_name: String,
    client_host: Option<String>,
    redirect_host: String,
    resource: String,
    scopes: String,
    created_at: i64,
    refreshed_at: i64,
    expires_at: i64,
    last_used_at: Option<i64>,
}

impl TryFrom<FamilyColumns> for FamilyRow {
    type Error = StoreError;

    fn try_from(row: FamilyColumns) -> Result<Self, StoreError> {
        let id = FamilyId::from_uuid(row.id);
        Ok(Self {
            id,
            org_id: OrgId::from_uuid(row.org_id),
            user_id: UserId::from_uuid(row.user_id),
            client_id: row.client_id,
            client_name: row.client_name,
            client_host: row.client_host,
            redirect_host: row.redirect_host,
            resource: row.resource,
            scopes: scopes(id, &row.scopes)?,
            created_at: Timestamp::from_micros(row.created_at),
            refreshed_at: Timestamp::from_micros(row.refreshed_at),
            expires_at: Timestamp::from_micros(row.expires_at),
            last_used_at: row.last_used_at.map(Timestamp::from_micros),
        })
    }
}

fn scopes(family: FamilyId, text: &str) -> Result<Scopes, StoreError> {
    Scopes::parse(text).map_err(|_| StoreError::Corrupt {
        table: "families",
        column: "scopes",
        id: family.to_string(),
    })
}

/// What the exchange of a code learns of its attempt.
#[derive(FromRow)]
struct Taken {
    org_id: Uuid,
    user_id: Uuid,
    client_name: String,
    client_host: Option<String>,
    granted: String,
}

/// What a refresh learns of its family.
#[derive(FromRow)]
struct Locked {
    id: Uuid,
    org_id: Uuid,
    user_id: Uuid,
    client_name: String,
    scopes: String,
    current: Vec<u8>,
}

const INSERT_ACCESS: &str = "insert into grants (id, org_id, user_id, kind, secret_hash, name, scopes, created_at, \
    expires_at) values ($1, $2, $3, 'access', $4, $5, $6, $7, $8)";

const INSERT_REFRESH: &str = "insert into refresh_tokens (secret_hash, family_id, parent, access_id, created_at, \
    expires_at) values ($1, $2, $3, $4, $5, $6)";

impl Store {
    /// Exchanges a code for a family and its first tokens: for exactly one caller, who shows all that belongs to it.
    pub async fn exchange_code(
        &self,
        code: &CodeUse<'_>,
        issue: &Issue<'_>,
    ) -> Result<Option<(UserId, Scopes)>, StoreError> {
        on!(&self.db, begin tx => {
            let taken: Option<Taken> = sqlx::query_as(
                "update authorizations set used_at = $2, family_id = $3 \
                 where code_hash = $1 and used_at is null and expires_at > $2 and client_id = $4 \
                 and redirect_uri = $5 and challenge = $6 and resource = $7 \
                 and user_id in (select id from users where removed_at is null) \
                 returning org_id, user_id, client_name, client_host, granted",
            )
            .bind(code.code_hash.as_slice())
            .bind(issue.now.micros())
            .bind(code.family.uuid())
            .bind(code.client_id)
            .bind(code.redirect_uri)
            .bind(code.challenge)
            .bind(code.resource)
            .fetch_optional(&mut *tx)
            .await?;
            let Some(taken) = taken else { return Ok(None) };
            sqlx::query(INSERT_ACCESS)
                .bind(issue.access_id.uuid())
                .bind(taken.org_id)
                .bind(taken.user_id)
                .bind(issue.access_hash.as_slice())
                .bind(taken.client_name.as_str())
                .bind(taken.granted.as_str())
                .bind(issue.now.micros())
                .bind(issue.access_until.micros())
                .execute(&mut *tx)
                .await?;
            sqlx::query(
                "insert into families (id, org_id, user_id, client_id, client_name, client_host, redirect_host, \
                 resource, scopes, current, created_at, refreshed_at, expires_at) \
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11, $12)",
            )
            .bind(code.family.uuid())
            .bind(taken.org_id)
            .bind(taken.user_id)
            .bind(code.client_id)
            .bind(taken.client_name.as_str())
            .bind(taken.client_host.as_deref())
            .bind(code.redirect_host)
            .bind(code.resource)
            .bind(taken.granted.as_str())
            .bind(issue.refresh_hash.as_slice())
            .bind(issue.now.micros())
            .bind(code.until.micros())
            .execute(&mut *tx)
            .await?;
            sqlx::query(INSERT_REFRESH)
                .bind(issue.refresh_hash.as_slice())
                .bind(code.family.uuid())
                .bind(None::<Vec<u8>>)
                .bind(issue.access_id.uuid())
                .bind(issue.now.micros())
                .bind(issue.refresh_until.micros())
                .execute(&mut *tx)
                .await?;
            // Somebody uses this client now, so it stays.
            sqlx::query("update clients set expires_at = null where id = $1 and expires_at is not null")
                .bind(code.client_id)
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(Some((UserId::from_uuid(taken.user_id), scopes(code.family, &taken.granted)?)))
        })
    }

    /// Hands out new tokens for a refresh token, which is then used up. Shown again it works as long as neither of the
    /// tokens that came of it was used: the answer may have been lost. They end then, so that one branch lives.
    ///
    /// `narrower` is what the access token is to allow; `None` is everything.
    pub async fn refresh_family(
        &self,
        shown: &[u8; 32],
        client_id: &str,
        resource: &str,
        narrower: Option<&Scopes>,
        issue: &Issue<'_>,
    ) -> Result<Refreshed, StoreError> {
        on!(&self.db, begin tx => {
            let locked: Option<Locked> = sqlx::query_as(
                "update families set refreshed_at = $2 \
                 where id = (select family_id from refresh_tokens where secret_hash = $1 and expires_at > $2) \
                 and client_id = $3 and resource = $4 and revoked_at is null and expires_at > $2 \
                 and user_id in (select id from users where removed_at is null) \
                 returning id, org_id, user_id, client_name, scopes, current",
            )
            .bind(shown.as_slice())
            .bind(issue.now.micros())
            .bind(client_id)
            .bind(resource)
            .fetch_optional(&mut *tx)
            .await?;
            let Some(family) = locked else { return Ok(Refreshed::Refused) };
            let id = FamilyId::from_uuid(family.id);
            if family.current != shown {
                let undone = sqlx::query(
                    "update grants set revoked_at = $3 where revoked_at is null and last_used_at is null \
                     and id = (select access_id from refresh_tokens where secret_hash = $1 and parent = $2)",
                )
                .bind(family.current.as_slice())
                .bind(shown.as_slice())
                .bind(issue.now.micros())
                .execute(&mut *tx)
                .await?;
                if undone.rows_affected() != 1 {
                    return Ok(Refreshed::Reused(id));
                }
            }
            let all = scopes(id, &family.scopes)?;
            let granted = match narrower {
                Some(narrower) if !all.contain(narrower) => return Ok(Refreshed::TooMuch),
                Some(narrower) => narrower.clone(),
                None => all,
            };
            sqlx::query(INSERT_ACCESS)
                .bind(issue.access_id.uuid())
                .bind(family.org_id)
                .bind(family.user_id)
                .bind(issue.access_hash.as_slice())
                .bind(family.client_name.as_str())
                .bind(granted.to_string())
                .bind(issue.now.micros())
                .bind(issue.access_until.micros())
                .execute(&mut *tx)
                .await?;
            sqlx::query(INSERT_REFRESH)
                .bind(issue.refresh_hash.as_slice())
                .bind(family.id)
                .bind(Some(shown.as_slice()))
                .bind(issue.access_id.uuid())
                .bind(issue.now.micros())
                .bind(issue.refresh_until.micros())
                .execute(&mut *tx)
                .await?;
            sqlx::query("update families set current = $2 where id = $1")
                .bind(family.id)
                .bind(issue.refresh_hash.as_slice())
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(Refreshed::Issued(id, UserId::from_uuid(family.user_id), granted))
        })
    }

    /// Ends a family with all its tokens; `None` when it had ended before.
    pub async fn revoke_family(
        &self,
        id: FamilyId,
        reason: &str,
        now: Timestamp,
    ) -> Result<Option<UserId>, StoreError> {
        on!(&self.db, begin tx => {
            let revoked: Option<(Uuid, Uuid)> = sqlx::query_as(
                "update families set revoked_at = $2, reason = $3 where id = $1 and revoked_at is null \
                 returning org_id, user_id",
            )
            .bind(id.uuid())
            .bind(now.micros())
            .bind(reason)
            .fetch_optional(&mut *tx)
            .await?;
            if let Some((org_id, user_id)) = revoked {
                sqlx::query(
                    "update grants set revoked_at = $2 where revoked_at is null \
                     and id in (select access_id from refresh_tokens where family_id = $1)",
                )
                .bind(id.uuid())
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
            Ok(revoked.map(|(_, user_id)| UserId::from_uuid(user_id)))
        })
    }

    /// The family of a token of either kind, by the hash it is looked up by, if it is this client's.
    pub async fn family_of_token(
        &self,
        hash: &[u8; 32],
        client_id: &str,
    ) -> Result<Option<FamilyId>, StoreError> {
        let id: Option<Uuid> = on!(&self.db, pool => sqlx::query_scalar(
            "select f.id from families f join refresh_tokens t on t.family_id = f.id \
             left join grants g on g.id = t.access_id \
             where (t.secret_hash = $1 or g.secret_hash = $1) and f.client_id = $2 limit 1",
        )
        .bind(hash.as_slice())
        .bind(client_id)
        .fetch_optional(pool)
        .await)?;
        Ok(id.map(FamilyId::from_uuid))
    }

    /// A person's signed-in clients, newest first; those that nobody can refresh any more are left out.
    pub async fn families_of(
        &self,
        user: UserId,
        now: Timestamp,
    ) -> Result<Vec<FamilyRow>, StoreError> {
        let rows: Vec<FamilyColumns> = on!(&self.db, pool => sqlx::query_as(
            "select f.id, f.org_id, f.user_id, f.client_id, f.client_name, f.client_host, f.redirect_host, f.resource, \
             f.scopes, f.created_at, f.refreshed_at, f.expires_at, \
             (select max(g.last_used_at) from refresh_tokens t join grants g on g.id = t.access_id \
              where t.family_id = f.id) as last_used_at \
             from families f join refresh_tokens c on c.secret_hash = f.current \
             where f.user_id = $1 and f.revoked_at is null and f.expires_at > $2 and c.expires_at > $2 \
             order by f.created_at desc, f.id desc",
        )
        .bind(user.uuid())
        .bind(now.micros())
        .fetch_all(pool)
        .await)?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Forgets refresh tokens that expired before `before` with their access tokens, and families that have none left.
    pub async fn delete_tokens_before(&self, before: Timestamp) -> Result<(), StoreError> {
        on!(&self.db, begin tx => {
            // The refresh tokens go with their access tokens.
            sqlx::query(
                "delete from grants where kind = 'access' \
                 and id in (select access_id from refresh_tokens where expires_at < $1)",
            )
            .bind(before.micros())
            .execute(&mut *tx)
            .await?;
            sqlx::query(
                "delete from families where refreshed_at < $1 \
                 and id not in (select family_id from refresh_tokens)",
            )
            .bind(before.micros())
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
            Ok(())
        })
    }
}
