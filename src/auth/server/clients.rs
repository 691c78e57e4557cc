//! Who a client is: a metadata document at an address, or a registration of ours.

use secrecy::ExposeSecret as _;
use serde_json::json;
use url::Url;

use super::metadata::{self, BadClient, ClientMetadata};
use super::{AuthorizationServer, MOST_UNUSED, UNUSED_LIFE, redirect};
use crate::audit::Actor;
use crate::auth::AuthError;
use crate::config::Registration;
use crate::store::ClientRow;
use crate::vault;

/// What ids of registered clients begin with; they are no secrets.
const ID_PREFIX: &str = "client-";

/// A client as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownClient {
    /// Its id, as it comes in requests.
    pub id: String,
    /// A name that is safe to show; nobody has checked it.
    pub name: String,
    /// The host that vouches for it with its metadata document; `None` for one that registered itself.
    pub host: Option<String>,
    /// Where it may have codes sent.
    pub redirect_uris: Vec<String>,
}

impl KnownClient {
    /// Whether its codes may go to this redirect URI.
    pub(super) fn may_redirect_to(&self, uri: &str) -> bool {
        self.redirect_uris
            .iter()
            .any(|registered| redirect::matches(registered, uri))
    }
}

/// Why a client is not registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// Clients may not register themselves here.
    #[error(
        "registration is switched off here; use a client with a metadata document, or a personal access token"
    )]
    Off,
    /// What it says of itself cannot be used.
    #[error(transparent)]
    Bad(#[from] BadClient),
    /// Too many wait to be used.
    #[error("too many clients have registered and were not used; try again later")]
    Full,
    /// Our fault.
    #[error(transparent)]
    Failed(#[from] AuthError),
}

impl AuthorizationServer {
    /// The client with this id; the error is one sentence for whoever looks at the page.
    pub(super) async fn client(&self, id: &str) -> Result<Result<KnownClient, String>, AuthError> {
        if id.starts_with(ID_PREFIX) {
            return Ok(self.registered(id).await?.ok_or_else(|| {
                "This client is not registered here, or its registration has expired.".to_owned()
            }));
        }
        Ok(self.documented(id).await)
    }

    /// Whether a client with this id may come to the token endpoint at all. A document that was good when a person agreed
    /// need not be there now.
    pub(super) async fn is_client(&self, id: &str) -> Result<bool, AuthError> {
        if id.starts_with(ID_PREFIX) {
            return Ok(self.registered(id).await?.is_some());
        }
        Ok(Url::parse(id).is_ok())
    }

    async fn registered(&self, id: &str) -> Result<Option<KnownClient>, AuthError> {
        let parts = self.parts();
        let now = parts.clock.now();
        let row = parts.store.client(id).await?;
        Ok(row
            .filter(|row| row.expires_at.is_none_or(|at| at > now))
            .map(|row| KnownClient {
                id: row.id,
                name: row.name,
                host: None,
                redirect_uris: row.redirect_uris,
            }))
    }

    /// A client whose id is the address of its metadata document
    /// (<https://datatracker.ietf.org/doc/draft-ietf-oauth-client-id-metadata-document/>).
    async fn documented(&self, id: &str) -> Result<KnownClient, String> {
        let unusable = |problem: &dyn std::fmt::Display| {
            format!("The client's metadata document cannot be used: {problem}.")
        };
        let text = self.parts().fetcher.json(id).await;
        let text = text.map_err(|problem| unusable(&problem))?;
        let metadata: ClientMetadata = serde_json::from_str(&text)
            .map_err(|_| unusable(&"it is no JSON object with the fields of a client"))?;
        if metadata.client_id.as_deref() != Some(id) {
            return Err(unusable(&"its client_id is not the address that it is at"));
        }
        let described = metadata::check(&metadata).map_err(|problem| unusable(&problem))?;
        let host = Url::parse(id)
            .ok()
            .and_then(|url| url.host_str().map(ToOwned::to_owned));
        Ok(KnownClient {
            id: id.to_owned(),
            name: described.name,
            host,
            redirect_uris: described.redirect_uris,
        })
    }

    /// Registers a client (RFC 7591 §3).
    pub async fn register(&self, metadata: &ClientMetadata) -> Result<ClientRow, RegisterError> {
        let parts = self.parts();
        if parts.registration == Registration::Off {
            return Err(RegisterError::Off);
        }
        if metadata.client_id.is_some() {
            return Err(
                BadClient::Metadata("client_id is given out here and cannot be chosen").into(),
            );
        }
        let described = metadata::check(metadata)?;
        let now = parts.clock.now();
        let id = vault::random_secret(ID_PREFIX)
            .ok_or(AuthError::Vault(vault::VaultError::Randomness))?;
        let client = ClientRow {
            id: id.expose_secret().to_owned(),
            org_id: parts.org,
            name: described.name,
            redirect_uris: described.redirect_uris,
            created_at: now,
            expires_at: Some(now.plus(UNUSED_LIFE)),
        };
        let added = parts.store.insert_client(&client, MOST_UNUSED, now).await;
        if !added.map_err(AuthError::from)? {
            return Err(RegisterError::Full);
        }
        let detail = json!({ "name": client.name, "redirect_uris": client.redirect_uris });
        self.record(
            Actor::System,
            "auth.client_registered",
            &client.id,
            "",
            detail,
        )
        .await?;
        Ok(client)
    }
}
