//! Where a provider's API is, host by host, as this installation reaches it.

use std::sync::Arc;

use url::{ParseError, Url};

use crate::kit::integration::Api;

/// The base address of a provider's API and those of its further hosts.
#[derive(Clone, Debug)]
pub struct Bases {
    api: &'static Api,
    main: Arc<Url>,
    named: Arc<[(&'static str, Arc<Url>)]>,
}

impl Bases {
    /// The public addresses; with `moved` all of them begin there, the named hosts in a folder of their name, so that one
    /// address is enough to stand in for a provider with many hosts. `host` answers where a single host is instead.
    pub fn new(
        api: &'static Api,
        moved: Option<&Url>,
        host: impl Fn(&str) -> Option<Url>,
    ) -> Result<Self, ParseError> {
        let main = match moved {
            Some(url) => url.clone(),
            None => api.base_url.parse()?,
        };
        let mut named = Vec::with_capacity(api.hosts.len());
        for (id, public) in api.hosts {
            let base = match (host(id), moved) {
                (Some(url), _) => url,
                (None, Some(url)) => below(url, id),
                (None, None) => public.parse()?,
            };
            named.push((*id, Arc::new(base)));
        }
        Ok(Self {
            api,
            main: Arc::new(main),
            named: named.into(),
        })
    }

    /// The same with another main address: an account's own server.
    #[must_use]
    pub fn with_main(&self, main: Url) -> Self {
        Self {
            main: Arc::new(main),
            ..self.clone()
        }
    }

    /// Where paths begin that name no host.
    pub fn main(&self) -> &Arc<Url> {
        &self.main
    }

    /// Where the host of this name is.
    pub(super) fn named(&self, id: &str) -> Option<&(&'static str, Arc<Url>)> {
        self.named.iter().find(|(name, _)| *name == id)
    }

    /// An address that the provider gave, as this installation reaches it, with the host it belongs to and where that
    /// begins. `None` when it is on none of the provider's hosts.
    pub(super) fn reach(&self, link: &Url) -> Option<(&'static str, Arc<Url>, Url)> {
        let named = || self.named.iter().map(|(name, url)| (*name, url));
        let all = || std::iter::once(("", &self.main)).chain(named());
        if let Some((name, base)) = all().find(|(_, base)| base.origin() == link.origin()) {
            return Some((name, Arc::clone(base), link.clone()));
        }
        let publics = std::iter::once(self.api.base_url)
            .chain(self.api.hosts.iter().map(|(_, public)| *public));
        publics.zip(all()).find_map(|(public, (name, base))| {
            let public = Url::parse(public).ok()?;
            let rest = link
                .path()
                .strip_prefix(public.path().trim_end_matches('/'))?;
            if public.origin() != link.origin() || !(rest.is_empty() || rest.starts_with('/')) {
                return None;
            }
            let mut moved = Url::clone(base);
            moved.set_path(&format!("{}{rest}", base.path().trim_end_matches('/')));
            moved.set_query(link.query());
            Some((name, Arc::clone(base), moved))
        })
    }
}

fn below(base: &Url, folder: &str) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().push(folder);
    }
    url
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;
    use crate::kit::integration::{CredentialIn, Pace};

    static API: Api = Api {
        base_url: "https://www.example.test/api",
        hosts: &[("mail", "https://mail.example.test")],
        headers: &[],
        credential: CredentialIn::Bearer,
        download_hosts: &[],
        regions: &[],
        pace: Pace {
            per_second: 1,
            burst: 1,
        },
        classify: |_| None,
    };

    #[test]
    fn one_setting_moves_all_hosts() {
        let public = Bases::new(&API, None, |_| None).unwrap();
        assert_eq!(public.main().as_str(), "https://www.example.test/api");
        assert_eq!(
            public.named("mail").unwrap().1.as_str(),
            "https://mail.example.test/"
        );
        assert!(public.named("other").is_none());
        let base = Url::parse("http://127.0.0.1:1/p").unwrap();
        let moved = Bases::new(&API, Some(&base), |_| None).unwrap();
        assert_eq!(
            moved.named("mail").unwrap().1.as_str(),
            "http://127.0.0.1:1/p/mail"
        );
        let single = Bases::new(&API, None, |id| (id == "mail").then(|| base.clone())).unwrap();
        assert_eq!(single.named("mail").unwrap().1.as_str(), base.as_str());
    }

    #[test]
    fn addresses_of_the_provider_are_reached_where_it_is() {
        let base = Url::parse("http://127.0.0.1:1/p").unwrap();
        let moved = Bases::new(&API, Some(&base), |_| None).unwrap();
        let public = Bases::new(&API, None, |_| None).unwrap();
        for (link, here, there) in [
            (
                "https://www.example.test/api/a?b=c",
                Some("http://127.0.0.1:1/p/a?b=c"),
                Some("https://www.example.test/api/a?b=c"),
            ),
            (
                "https://mail.example.test/x",
                Some("http://127.0.0.1:1/p/mail/x"),
                Some("https://mail.example.test/x"),
            ),
            (
                "http://127.0.0.1:1/p/z",
                Some("http://127.0.0.1:1/p/z"),
                None,
            ),
            ("https://elsewhere.example/api/a", None, None),
            ("http://mail.example.test/x", None, None),
        ] {
            let link = Url::parse(link).unwrap();
            let found = |bases: &Bases| bases.reach(&link).map(|(_, _, url)| url.to_string());
            assert_eq!(found(&moved).as_deref(), here, "{link}");
            assert_eq!(found(&public).as_deref(), there, "{link}");
        }
    }
}
