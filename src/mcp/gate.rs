//! Which `Host` and `Origin` a request may carry: the wall against DNS rebinding and against pages of other origins
//! (MCP 2026-07-28, Streamable HTTP, "Security Warning").

use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, Uri};
use url::Url;

use crate::links::Links;

/// The names of a machine for itself.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// The admitted hosts and origins.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    hosts: Vec<String>,
    origins: Vec<String>,
}

impl Gate {
    /// Admits our own public address and what else is named. A server that is reached over loopback admits every name
    /// and port of loopback, because people type any of them.
    pub(super) fn new(links: &Links, hosts: &[String], origins: &[String]) -> Self {
        let public = links.public();
        let host = public.host_str().unwrap_or_default().to_ascii_lowercase();
        let mut gate = Self {
            hosts: hosts
                .iter()
                .map(|host| host.trim().to_ascii_lowercase())
                .filter(|host| !host.is_empty())
                .collect(),
            origins: origins
                .iter()
                .filter_map(|origin| tidy_origin(origin))
                .collect(),
        };
        if LOOPBACK.contains(&host.as_str()) {
            gate.hosts.extend(LOOPBACK.map(ToOwned::to_owned));
            gate.origins
                .extend(LOOPBACK.map(|name| format!("{}://{name}:*", public.scheme())));
        } else {
            gate.hosts.push(host);
            gate.origins.extend(tidy_origin(public.as_str()));
        }
        gate
    }

    /// As rmcp's own check wants the hosts.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &str> {
        self.hosts.iter().map(String::as_str)
    }

    /// As rmcp's own check wants the origins: always with a port.
    pub(super) fn origins(&self) -> impl Iterator<Item = &str> {
        self.origins.iter().map(String::as_str)
    }

    /// Says in one sentence why a request is not admitted.
    pub(super) fn admit(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), &'static str> {
        let mut hosts = headers.get_all(HOST).iter();
        let authority = match (hosts.next(), hosts.next()) {
            (Some(host), None) => host
                .to_str()
                .ok()
                .and_then(|text| Authority::try_from(text).ok())
                .ok_or("the Host header is malformed")?,
            (Some(_), Some(_)) => return Err("there is more than one Host header"),
            // HTTP/2 carries it in `:authority`.
            (None, _) => uri
                .authority()
                .cloned()
                .ok_or("the Host header is missing")?,
        };
        let host = authority.host().to_ascii_lowercase();
        let with_port = authority.port_u16().map(|port| format!("{host}:{port}"));
        if !self
            .hosts
            .iter()
            .any(|admitted| *admitted == host || Some(admitted) == with_port.as_ref())
        {
            return Err("this Host is not admitted");
        }
        let mut origins = headers.get_all(ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (None, _) => Ok(()),
            (Some(origin), None) => {
                let origin = origin
                    .to_str()
                    .ok()
                    .and_then(tidy_origin)
                    .ok_or("this Origin is not admitted")?;
                let any_port = origin
                    .rsplit_once(':')
                    .map(|(front, _)| format!("{front}:*"));
                if self
                    .origins
                    .iter()
                    .any(|admitted| *admitted == origin || Some(admitted) == any_port.as_ref())
                {
                    Ok(())
                } else {
                    Err("this Origin is not admitted")
                }
            }
            (Some(_), Some(_)) => Err("there is more than one Origin header"),
        }
    }
}

/// `scheme://host:port` in lower case with the port spelt out; `:*` stays. `None` for `null` and everything that is no
/// origin.
fn tidy_origin(text: &str) -> Option<String> {
    let (text, any_port) = match text.trim().strip_suffix(":*") {
        Some(front) => (front, true),
        None => (text.trim(), false),
    };
    let url = Url::parse(text).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    let host = url.host_str()?;
    if any_port {
        return Some(format!("{}://{host}:*", url.scheme()));
    }
    Some(format!(
        "{}://{host}:{}",
        url.scheme(),
        url.port_or_known_default()?
    ))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use http::HeaderValue;

    use super::*;

    fn gate(public: &str) -> Gate {
        Gate::new(
            &Links::new(public.parse().unwrap()),
            &["inside:8080".to_owned()],
            &[
                "https://client.example.test".to_owned(),
                "http://dev.example.test:*".to_owned(),
            ],
        )
    }

    fn admitted(gate: &Gate, host: &'static str, origin: Option<&'static str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static(host));
        if let Some(origin) = origin {
            headers.insert(ORIGIN, HeaderValue::from_static(origin));
        }
        gate.admit(&Uri::from_static("/mcp"), &headers).is_ok()
    }

    #[test]
    fn only_named_hosts_and_origins_are_admitted() {
        let gate = gate("https://tools.example.test/");
        for (host, origin, expected) in [
            ("tools.example.test", None, true),
            ("TOOLS.example.test:443", None, true),
            ("inside:8080", None, true),
            ("inside", None, false),
            ("inside:8081", None, false),
            ("tools.example.test.", None, false),
            ("localhost", None, false),
            ("evil.test", None, false),
            (
                "tools.example.test",
                Some("https://tools.example.test"),
                true,
            ),
            (
                "tools.example.test",
                Some("https://tools.example.test:443"),
                true,
            ),
            (
                "tools.example.test",
                Some("http://tools.example.test"),
                false,
            ),
            (
                "tools.example.test",
                Some("https://tools.example.test:8443"),
                false,
            ),
            (
                "tools.example.test",
                Some("https://client.example.test"),
                true,
            ),
            (
                "tools.example.test",
                Some("http://dev.example.test:5173"),
                true,
            ),
            (
                "tools.example.test",
                Some("https://dev.example.test:5173"),
                false,
            ),
            ("tools.example.test", Some("null"), false),
            ("tools.example.test", Some("file:///x"), false),
            (
                "tools.example.test",
                Some("https://tools.example.test.evil.test"),
                false,
            ),
        ] {
            assert_eq!(
                admitted(&gate, host, origin),
                expected,
                "{host} from {origin:?}"
            );
        }
    }

    #[test]
    fn a_loopback_server_admits_every_spelling_of_loopback() {
        let gate = gate("http://127.0.0.1:8321/");
        assert!(admitted(
            &gate,
            "localhost:9",
            Some("http://127.0.0.1:5173")
        ));
        assert!(admitted(&gate, "[::1]:8321", Some("http://[::1]:1")));
        assert!(!admitted(&gate, "evil.test", None));
        assert!(!admitted(
            &gate,
            "127.0.0.1:8321",
            Some("http://evil.test:8321")
        ));
        assert!(!admitted(
            &gate,
            "127.0.0.1:8321",
            Some("https://localhost:8321")
        ));
    }
}
