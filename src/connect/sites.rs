//! Where each provider is for this installation, and the OAuth app with which we come.

use std::collections::HashMap;

use secrecy::SecretString;
use url::Url;

use super::directory::in_tenant;
use super::oauth::{App, Endpoints};
use crate::kit::client::Bases;
use crate::kit::integration::{Integration, OAuth2, Provider};

/// One provider as configured.
pub struct Site {
    /// The integration it belongs to.
    pub integration: &'static Integration,
    /// Its facts.
    pub provider: &'static Provider,
    /// Where its API is.
    pub api: Bases,
    /// Replaces the origin of its authorization addresses.
    pub auth: Option<Url>,
    /// The app set in the environment; it wins over the stored one.
    pub app: Option<App>,
    /// The directory set in the environment; it wins over the stored one.
    pub tenant: Option<String>,
    /// The installation's keys at hosts of an open provider, by host.
    pub keys: Vec<(&'static str, SecretString)>,
}

/// Every provider, by id.
pub struct Sites(HashMap<&'static str, Site>);

impl Sites {
    /// These providers.
    pub fn new(sites: impl IntoIterator<Item = Site>) -> Self {
        Self(
            sites
                .into_iter()
                .map(|site| (site.provider.id, site))
                .collect(),
        )
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Site> {
        self.0.values()
    }

    /// The provider with this id.
    pub fn get(&self, id: &str) -> Option<&Site> {
        self.0.get(id)
    }
}

impl Site {
    /// The addresses in this directory, which only some providers have.
    pub(super) fn endpoints(&self, oauth: &OAuth2, tenant: &str) -> Option<Endpoints> {
        Some(Endpoints {
            authorize: self.address(&in_tenant(oauth.authorize_url, tenant))?,
            token: self.address(&in_tenant(oauth.token_url, tenant))?,
        })
    }

    /// A public address of the provider as this installation reaches it: what stands on the API's own host moves with
    /// the API's base, everything else with the authorization base.
    pub(super) fn address(&self, public: &str) -> Option<Url> {
        let url = Url::parse(public).ok()?;
        let api = Url::parse(self.provider.api.base_url).ok()?;
        let base = if url.origin() == api.origin() {
            (**self.api.main() != api).then(|| &**self.api.main())
        } else {
            self.auth.as_ref()
        };
        let Some(base) = base else { return Some(url) };
        let mut moved = base.clone();
        moved
            .path_segments_mut()
            .ok()?
            .pop_if_empty()
            .extend(url.path_segments()?);
        moved.set_query(url.query());
        Some(moved)
    }
}
