//! Servers of a provider that a person names: a customer's own instance, at an address that we did not choose.
//!
//! The same two gates as for documents ([`crate::fetch`]), at every request and not only when the address is typed: the
//! address must be `https` on port 443 with a host name, and that name is dialled at public addresses alone, so one that
//! moves into the network after the form was sent leads nowhere. An admin lists hosts for which neither holds, because
//! servers of one's own are often on a network of one's own (`WORKBENCH_PRIVATE_PROVIDER_HOSTS`).

use std::sync::{Arc, OnceLock};

use url::Url;

use super::error::ConnectError;
use crate::fetch::{self, Lookup, Resolver};
use crate::kit::error::ProviderError;

/// Longest address, in bytes.
const MAX_ADDRESS: usize = 1_024;

/// Why a server is not asked. Each says what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// It is no address of a server.
    #[error(
        "this is no address of a server; write it like https://name.example.com, without user, query or anchor"
    )]
    Unreadable,
    /// It would be asked in the clear.
    #[error(
        "the address must begin with https; an admin can allow plain http for this host with WORKBENCH_PRIVATE_PROVIDER_HOSTS"
    )]
    Plain,
    /// It is inside a network, or may be.
    #[error(
        "only servers on the public internet are asked, by name and on port 443; an admin can allow this host with WORKBENCH_PRIVATE_PROVIDER_HOSTS"
    )]
    Private,
}

impl From<ServerError> for ConnectError {
    fn from(error: ServerError) -> Self {
        ProviderError::Unavailable {
            reason: error.to_string(),
        }
        .into()
    }
}

/// Which servers may be asked, and the clients that ask them.
pub struct Servers {
    /// `name` or `name:port`.
    listed: Arc<[String]>,
    /// Those of them that may be asked in the clear.
    plain: Vec<String>,
    lookup: Lookup,
    /// Asks the listed ones. Who dials sees no port, so the others have a client for which no name is listed. Both are made
    /// with the first use: certificates cost as much as all the rest of a start.
    inside: OnceLock<reqwest::Client>,
    outside: OnceLock<reqwest::Client>,
}

impl Servers {
    /// Any server on the public internet, and these: `https` hosts that may be anywhere, `http` hosts that may also be
    /// asked in the clear.
    pub fn new(private: &[Url]) -> Self {
        Self::with_lookup(private, fetch::system_lookup())
    }

    /// As [`Servers::new`], with another way from names to addresses.
    pub fn with_lookup(private: &[Url], lookup: Lookup) -> Self {
        let name = |url: &Url| {
            let host = url.host_str().unwrap_or_default();
            url.port()
                .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
        };
        let plain = private.iter().filter(|url| url.scheme() == "http");
        Self {
            plain: plain.map(name).collect(),
            listed: private.iter().map(name).collect(),
            lookup,
            inside: OnceLock::new(),
            outside: OnceLock::new(),
        }
    }

    /// The base address that a person means, if it may be asked.
    pub fn read(&self, typed: &str) -> Result<Url, ServerError> {
        let typed = typed.trim();
        if typed.is_empty() || typed.len() > MAX_ADDRESS || typed.contains(['@', '\\']) {
            return Err(ServerError::Unreadable);
        }
        let parse = |text: &str| Url::parse(text).map_err(|_| ServerError::Unreadable);
        let mut url = if typed.contains("://") {
            parse(typed)?
        } else {
            let clear = parse(&format!("http://{typed}"))?;
            if fetch::is_private(&clear, &self.plain) {
                clear
            } else {
                parse(&format!("https://{typed}"))?
            }
        };
        if url.query().is_some() || url.fragment().is_some() {
            return Err(ServerError::Unreadable);
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        self.check(&url)?;
        Ok(url)
    }

    /// Whether the server at this address may be asked.
    pub fn check(&self, url: &Url) -> Result<(), ServerError> {
        let no_user = url.username().is_empty() && url.password().is_none();
        match url.scheme() {
            _ if !no_user || url.host().is_none() => Err(ServerError::Unreadable),
            "http" if fetch::is_private(url, &self.plain) => Ok(()),
            "http" => Err(ServerError::Plain),
            "https" if fetch::is_public(url) || fetch::is_private(url, &self.listed) => Ok(()),
            "https" => Err(ServerError::Private),
            _ => Err(ServerError::Unreadable),
        }
    }

    /// The client that asks the server at this address, if it may be asked. It dials what it has checked.
    pub fn client(&self, url: &Url) -> Result<reqwest::Client, ConnectError> {
        self.check(url)?;
        let (client, anywhere) = if fetch::is_private(url, &self.listed) {
            (&self.inside, Arc::clone(&self.listed))
        } else {
            (&self.outside, Arc::default())
        };
        if let Some(client) = client.get() {
            return Ok(client.clone());
        }
        let resolver = Resolver::new(Arc::clone(&self.lookup), anywhere);
        let made = super::http_client(Some(Arc::new(resolver)))?;
        Ok(client.get_or_init(|| made).clone())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

    use std::net::IpAddr;

    use futures_util::FutureExt;

    use super::*;

    fn servers() -> Servers {
        let listed = [
            "https://sentry.lan",
            "https://10.0.0.5:9000",
            "http://plain.lan:8000",
        ];
        Servers::new(&listed.map(|url| url.parse().unwrap()))
    }

    #[test]
    fn what_people_type_is_read() {
        for (typed, read) in [
            ("sentry.acme.example", "https://sentry.acme.example/"),
            (
                " https://sentry.acme.example/base/ ",
                "https://sentry.acme.example/base",
            ),
            ("SENTRY.LAN", "https://sentry.lan/"),
            ("https://10.0.0.5:9000/", "https://10.0.0.5:9000/"),
            // The admin says how this one is asked.
            ("plain.lan:8000", "http://plain.lan:8000/"),
            ("https://plain.lan:8000", "https://plain.lan:8000/"),
        ] {
            let found = servers().read(typed).map(String::from);
            assert_eq!(found.as_deref(), Ok(read), "{typed}");
        }
    }

    #[tokio::test]
    async fn a_listed_port_opens_no_other_port_of_its_host() {
        let inside: IpAddr = "10.0.0.1".parse().unwrap();
        let lookup: Lookup = Arc::new(move |_: String| async move { Ok(vec![inside]) }.boxed());
        let listed = "https://sentry.acme.example:9000".parse().unwrap();
        let servers = Servers::with_lookup(&[listed], lookup);
        let url = servers.read("sentry.acme.example").unwrap();
        // After the listed one was asked as well.
        let listed = servers.read("sentry.acme.example:9000").unwrap();
        servers.client(&listed).unwrap();
        let sent = servers.client(&url).unwrap().get(url).send().await;
        let refused = format!("{:?}", sent.unwrap_err());
        assert!(refused.contains("no public address"), "{refused}");
    }

    /// The table of security.md 1.6 F1.
    #[test]
    fn servers_inside_are_refused_in_every_spelling() {
        for typed in [
            "127.0.0.1",
            "https://127.0.0.1",
            "https://127.1",
            "https://0x7f.1",
            "https://0177.0.0.1",
            "https://2130706433",
            "https://0x7f000001",
            "https://%31%32%37.0.0.1",
            "https://１２７.０.０.１",
            "https://[::1]",
            "https://[::]",
            "https://[::ffff:127.0.0.1]",
            "https://[64:ff9b::7f00:1]",
            "https://[2002:7f00:1::]",
            "https://0.0.0.0",
            "https://10.0.0.1",
            "https://10.0.0.5",
            "https://10.0.0.5:9001",
            "https://172.16.0.1",
            "https://192.168.1.1",
            "https://169.254.169.254/latest/meta-data",
            "https://metadata.google.internal",
            "https://localhost",
            "https://localhost.",
            "https://a.localhost",
            "https://printer.local",
            "https://router.home.arpa",
            "https://intranet",
            "https://sentry.acme.example.",
            "https://sentry.acme.example:8443",
            "https://sentry.lan:8443",
            "https://other.lan:9000",
            "https://1.1.1.1",
        ] {
            assert_eq!(servers().read(typed), Err(ServerError::Private), "{typed}");
        }
        for typed in [
            "http://sentry.acme.example",
            "http://sentry.lan",
            "http://127.0.0.1",
            "http://plain.lan",
            "http://plain.lan:8001",
        ] {
            assert_eq!(servers().read(typed), Err(ServerError::Plain), "{typed}");
        }
        for typed in [
            "",
            " ",
            "https://",
            "https://user@sentry.acme.example",
            "https://sentry.acme.example@evil.test",
            "https://sentry.acme.example\\@evil.test",
            "https://sentry.acme.example?x=1",
            "https://sentry.acme.example#x",
            "file:///etc/passwd",
            "ftp://sentry.acme.example",
            "gopher://sentry.acme.example",
            "javascript:alert(1)",
            &"x".repeat(1_025),
        ] {
            assert_eq!(
                servers().read(typed),
                Err(ServerError::Unreadable),
                "{typed}"
            );
        }
    }
}
