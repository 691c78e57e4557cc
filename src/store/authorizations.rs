//! Attempts to sign an MCP client in, and what people allowed for good.

use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use super::{Store, StoreError};
use crate::caller::Scopes;
use crate::clock::Timestamp;
use crate::ids::{AuthorizationId, FamilyId, OrgId, UserId};

/// One attempt. Everything up to `expires_at` comes with the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationRow {
    /// Its id.
    pub id: AuthorizationId,
    /// The organization.
    pub org_id: OrgId,
    /// The client.
    pub client_id: String,
    /// What the client calls itself; nobody has checked that.
    pub client_name: String,
    /// The host that vouches for the client with its metadata document; `None` for one that registered itself.
    pub client_host: Option<String>,
    /// Where the answer goes.
    pub redirect_uri: String,
    /// What the client wants back with the answer.
    pub state: Option<String>,
    /// The PKCE challenge.
    pub challenge: String,
    /// What the tokens are for (RFC 8707).
    pub resource: String,
    /// What the client asks for.
    pub scopes: Scopes,
    /// Whether the client wants the person to be asked even if they agreed before.
    pub ask_again: bool,
    /// When the client came.
    pub created_at: Timestamp,
    /// When the stage it is in ends: the decision, or the code.
    pub expires_at: Timestamp,
    /// SHA-256 of the secret of the browser that the question was shown in.
    pub browser_hash: Option<[u8; 32]>,
    /// Who decided.
    pub user_id: Option<UserId>,
    /// What they allowed; `None` when they declined.
    pub granted: Option<Scopes>,
    /// SHA-256 of the code.
    pub code_hash: Option<[u8; 32]>,
    /// When they decided.
    pub decided_at: Option<Timestamp>,
    /// When the code was exchanged.
    pub used_at: Option<Timestamp>,
    /// What came of it.
    pub family_id: Option<FamilyId>,
}

const COLUMNS: &str = "id, org_id, client_id, client_name, client_host, redirect_uri, state, challenge, resource, scopes, \
    ask_again, created_at, expires_at, browser_hash, user_id, granted, code_hash, decided_at, used_at, family_id";

#[derive(FromRow)]
struct AuthorizationColumns {
    id: Uuid,
    org_id: Uuid,
    client_id: String,
    client_name: String,
    client_host: Option<String>,
    redirect_uri: String,
    state: Option<String>,
    challenge: String,
    resource: String,
    scopes: String,
    ask_again: bool,
    created_at: i64,
    expires_at: i64,
    browser_hash: Option<Vec<u8>>,
    user_id: Option<Uuid>,
    granted: Option<String>,
    code_hash: Option<Vec<u8>>,
    decided_at: Option<i64>,
    used_at: Option<i64>,
    family_id: Option<Uuid>,
}

impl TryFrom<AuthorizationColumns> for AuthorizationRow {
    type Error = StoreError;

    fn try_from(row: AuthorizationColumns) -> Result<Self, StoreError> {
        let id = AuthorizationId::from_uuid(row.id);
        let corrupt = |column| StoreError::Corrupt {
            table: "authorizations",
            column,
            id: id.to_string(),
        };
        let hash = |bytes: Option<Vec<u8>>, column| {
            bytes
                .map(|bytes| bytes.try_into().map_err(|_| corrupt(column)))
                .transpose()
        };
        let granted = row.granted.as_deref().map(Scopes::parse).transpose();
        Ok(Self {
            id,
            org_id: OrgId::from_uuid(row.org_id),
            client_id: row.client_id,
            client_name: row.client_name,
            client_host: row.client_host,
            redirect_uri: row.redirect_uri,
            state: row.state,
            challenge: row.challenge,
            resource: row.resource,
            scopes: Scopes::parse(&row.scopes).map_err(|_| corrupt("scopes"))?,
            ask_again: row.ask_again,
            created_at: Timestamp::from_micros(row.created_at),
            expires_at: Timestamp::from_micros(row.expires_at),
            browser_hash: hash(row.browser_hash, "browser_hash")?,
            user_id: row.user_id.map(UserId::from_uuid),
            granted: granted.map_err(|_| corrupt("granted"))?,
            code_hash: hash(row.code_hash, "code_hash")?,
            decided_at: row.decided_at.map(Timestamp::from_micros),
            used_at: row.used_at.map(Timestamp::from_micros),
            family_id: row.family_id.map(FamilyId::from_uuid),
        })
    }
}

/// What a person allowed a client for this way back, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentRow {
    /// Who.
    pub user_id: UserId,
    /// The client.
    pub client_id: String,
    /// The host that codes are sent to.
    pub redirect_host: String,
    /// What the tokens are for.
    pub resource: String,
    /// What the client asked for, as written.
    pub asked: String,
    /// What they allowed.
    pub granted: Scopes,
    /// When.
    pub given_at: Timestamp,
}

impl Store {
    /// Adds an attempt as its request made it; nothing is decided yet.
    pub async fn insert_authorization(&self, row: &AuthorizationRow) -> Result<(), StoreError> {
        on!(&self.db, write pool => sqlx::query(
            "insert into authorizations (id, org_id, client_id, client_name, client_host, redirect_uri, state, \
             challenge, resource, scopes, ask_again, created_at, expires_at) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        )
        .bind(row.id.uuid())
        .bind(row.org_id.uuid())
        .bind(row.client_id.as_str())
        .bind(row.client_name.as_str())
        .bind(row.client_host.as_deref())
        .bind(row.redirect_uri.as_str())
        .bind(row.state.as_deref())
        .bind(row.challenge.as_str())
        .bind(row.resource.as_str())
        .bind(row.scopes.to_string())
        .bind(row.ask_again)
        .bind(row.created_at.micros())
        .bind(row.expires_at.micros())
        .execute(pool)
        .await
        .map(drop))?;
        Ok(())
    }

    /// One attempt, whatever became of it.
    pub async fn authorization(
        &self,
        id: AuthorizationId,
    ) -> Result<Option<AuthorizationRow>, StoreError> {
        let row: Option<AuthorizationColumns> = on!(&self.db, pool => sqlx::query_as(
            AssertSqlSafe(format!("select {COLUMNS} from authorizations where id = $1")),
        )
        .bind(id.uuid())
        .fetch_optional(pool)
        .await)?;
        row.map(TryInto::try_into).transpose()
    }

    /// The attempt with this code, whatever became of it.
    pub async fn authorization_by_code(
        &self,
        code_hash: &[u8; 32],
    ) -> Result<Option<AuthorizationRow>, StoreError> {
        let row: Option<AuthorizationColumns> = on!(&self.db, pool => sqlx::query_as(
            AssertSqlSafe(format!("select {COLUMNS} from authorizations where code_hash = $1")),
        )
        .bind(code_hash.as_slice())
        .fetch_optional(pool)
        .await)?;
        row.map(TryInto::try_into).transpose()
    }

    /// Binds an undecided attempt to the browser that shows it; false when it is bound to another one, decided or too old.
    pub async fn bind_authorization(
        &self,
        id: AuthorizationId,
        browser_hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let bound = on!(&self.db, write pool => sqlx::query(
            "update authorizations set browser_hash = $2 \
             where id = $1 and (browser_hash is null or browser_hash = $2) and decided_at is null and expires_at > $3",
        )
        .bind(id.uuid())
        .bind(browser_hash.as_slice())
        .bind(now.micros())
        .execute(pool)
        .await
        .map(|done| done.rows_affected()))?;
        Ok(bound == 1)
    }

    /// Writes down a person's decision in the browser that it was shown in: what they allow and the code for it, good
    /// until `until`, or `None`. `None` is answered when it was decided before, is too old, or belongs to another browser.
    pub async fn decide_authorization(
        &self,
        id: AuthorizationId,
        browser_hash: &[u8; 32],
        user: UserId,
        allowed: Option<(&Scopes, &[u8; 32], Timestamp)>,
        now: Timestamp,
    ) -> Result<Option<AuthorizationRow>, StoreError> {
        let row: Option<AuthorizationColumns> = on!(&self.db, write pool => sqlx::query_as(AssertSqlSafe(format!(
            "update authorizations set user_id = $3, granted = $4, code_hash = $5, decided_at = $6, \
             expires_at = coalesce($7, expires_at) \
             where id = $1 and browser_hash = $2 and decided_at is null and expires_at > $6 returning {COLUMNS}",
        )))
        .bind(id.uuid())
        .bind(browser_hash.as_slice())
        .bind(user.uuid())
        .bind(allowed.map(|(granted, _, _)| granted.to_string()))
        .bind(allowed.map(|(_, code_hash, _)| code_hash.as_slice()))
        .bind(now.micros())
        .bind(allowed.map(|(_, _, until)| until.micros()))
        .fetch_optional(pool)
        .await)?;
        row.map(TryInto::try_into).transpose()
    }

    /// Forgets the attempts that expired before `before`; answers how many.
    pub async fn delete_authorizations_before(&self, before: Timestamp) -> Result<u64, StoreError> {
        let deleted = on!(&self.db, write pool => sqlx::query(
            "delete from authorizations where expires_at < $1",
        )
        .bind(before.micros())
        .execute(pool)
        .await
        .map(|done| done.rows_affected()))?;
        Ok(deleted)
    }

    /// Remembers a consent in the place of an earlier one for the same request.
    pub async fn remember_consent(&self, consent: &ConsentRow) -> Result<(), StoreError> {
        on!(&self.db, write pool => sqlx::query(
            "insert into consents (user_id, client_id, redirect_host, resource, asked, granted, given_at) \
             values ($1, $2, $3, $4, $5, $6, $7) \
             on conflict (user_id, client_id, redirect_host, resource, asked) \
             do update set granted = excluded.granted, given_at = excluded.given_at",
        )
        .bind(consent.user_id.uuid())
        .bind(consent.client_id.as_str())
        .bind(consent.redirect_host.as_str())
        .bind(consent.resource.as_str())
        .bind(consent.asked.as_str())
        .bind(consent.granted.to_string())
        .bind(consent.given_at.micros())
        .execute(pool)
        .await
        .map(drop))?;
        Ok(())
    }

    /// What this person allowed this client for exactly this request before.
    pub async fn consent(
        &self,
        user: UserId,
        client: &str,
        redirect_host: &str,
        resource: &str,
        asked: &str,
    ) -> Result<Option<Scopes>, StoreError> {
        let granted: Option<String> = on!(&self.db, pool => sqlx::query_scalar(
            "select granted from consents where user_id = $1 and client_id = $2 and redirect_host = $3 \
             and resource = $4 and asked = $5",
        )
        .bind(user.uuid())
        .bind(client)
        .bind(redirect_host)
        .bind(resource)
        .bind(asked)
        .fetch_optional(pool)
        .await)?;
        // What cannot be read is asked again.
        Ok(granted.and_then(|text| Scopes::parse(&text).ok()))
    }

    /// Forgets what this person allowed this client.
    pub async fn forget_consents(&self, user: UserId, client: &str) -> Result<(), StoreError> {
        on!(&self.db, write pool => sqlx::query("delete from consents where user_id = $1 and client_id = $2")
            .bind(user.uuid())
            .bind(client)
            .execute(pool)
            .await
            .map(drop))?;
        Ok(())
    }
}
