//! One provider in several places: the same client and credential at another of its own hosts.

use std::sync::Arc;

use url::Url;

use super::ProviderClient;
use crate::kit::error::ProviderError;

impl ProviderClient {
    /// The same client at the provider's region at `url`, of which the host counts; an address that is none of the
    /// provider's own is refused. Where this installation reaches the provider elsewhere, or the account has a server of
    /// its own, there are no regions, and it is this client.
    pub fn region(&self, url: &str) -> Result<Self, ProviderError> {
        let api = self.inner.api;
        let main = self.inner.bases.main();
        let is_own =
            |url: &Url| is_plain(url) && url.host_str().is_some_and(|host| api.is_region(host));
        if Url::parse(api.base_url).as_ref() != Ok(&**main) && !is_own(main) {
            return Ok(self.clone());
        }
        let region = Url::parse(url).ok().filter(is_own);
        let mut base = Url::clone(main);
        let host = region.as_ref().and_then(Url::host_str);
        if host.is_none() || base.set_host(host).is_err() {
            return Err(ProviderError::Unavailable {
                reason: "it named a region that is none of its own".to_owned(),
            });
        }
        Ok(Self {
            inner: Arc::clone(&self.inner),
            host: "",
            base: Some(Arc::new(base)),
        })
    }
}

fn is_plain(url: &Url) -> bool {
    url.scheme() == "https" && url.port().is_none() && url.username().is_empty()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

    use super::*;
    use crate::kit::client::Bases;
    use crate::kit::integration::{Api, CredentialIn, Pace};

    static API: Api = Api {
        base_url: "https://example.test",
        hosts: &[],
        headers: &[],
        credential: CredentialIn::Bearer,
        download_hosts: &[],
        regions: &["example.test", ".example.test"],
        pace: Pace {
            per_second: 1,
            burst: 1,
        },
        classify: |_| None,
    };

    fn at(base: &str, region: &str) -> Result<String, ProviderError> {
        let bases = Bases::new(&API, None, |_| None).unwrap();
        let bases = bases.with_main(Url::parse(base).unwrap());
        let client = ProviderClient::new(reqwest::Client::new(), &API, bases, None, None);
        let there = client.region(region)?;
        assert!(
            Arc::ptr_eq(&there.inner, &client.inner),
            "one count for all"
        );
        Ok(there.base.unwrap().to_string())
    }

    #[test]
    fn regions_are_the_providers_own_hosts() {
        let public = "https://example.test";
        for region in ["https://de.example.test", "https://de.example.test/api/0/"] {
            assert_eq!(at(public, region).unwrap(), "https://de.example.test/");
        }
        // From one region to another, and back.
        let there = at("https://de.example.test", "https://us.example.test");
        assert_eq!(there.unwrap(), "https://us.example.test/");
        let home = at("https://de.example.test", public);
        assert_eq!(home.unwrap(), "https://example.test/");
        for foreign in [
            "https://evil.test",
            "https://example.test.evil.test",
            "https://evilexample.test",
            "https://de.example.test@evil.test",
            "https://evil@de.example.test",
            "https://de.example.test:8443",
            "http://de.example.test",
            "https://127.0.0.1",
            "de.example.test",
            "",
        ] {
            assert!(at(public, foreign).is_err(), "{foreign}");
        }
    }

    #[test]
    fn elsewhere_there_are_no_regions() {
        for base in ["http://127.0.0.1:9000/example", "https://own.acme.test/"] {
            assert_eq!(at(base, "https://de.example.test").unwrap(), base);
            assert_eq!(at(base, "https://evil.test").unwrap(), base);
        }
    }
}
