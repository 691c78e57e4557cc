//! The road to a provider: which client goes where, and with which credential.

use url::Url;

use super::error::ConnectError;
use super::secret::Tokens;
use super::{Connections, Site};
use crate::kit::client::{Credential, ProviderClient, Rejected};
use crate::kit::integration::Auth;
use crate::store::ConnectionRow;

impl Connections {
    /// The road to the account of `row`: the provider's own address, or the server that the person named, if it may still
    /// be asked.
    pub(super) fn road(
        &self,
        site: &Site,
        row: &ConnectionRow,
        tokens: &Tokens,
        rejected: Option<Rejected>,
    ) -> Result<ProviderClient, ConnectError> {
        let api = &site.provider.api;
        let credential = match site.provider.auth {
            Auth::Open(_) => None,
            Auth::ApiKey(_) | Auth::OAuth2(_) | Auth::Either(..) => {
                let made = tokens
                    .bearer()
                    .and_then(|bearer| Credential::new(api.credential, bearer, row.token_version));
                Some(made.ok_or(ConnectError::Secret)?)
            }
        };
        let (http, bases) = match &row.base_url {
            Some(url) => {
                let url = Url::parse(url).map_err(|_| ConnectError::Secret)?;
                (self.inner.servers.client(&url)?, site.api.with_main(url))
            }
            None => (self.inner.http.clone(), site.api.clone()),
        };
        Ok(ProviderClient::new(http, api, bases, credential, rejected))
    }
}
