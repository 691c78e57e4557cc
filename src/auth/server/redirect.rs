//! Where a code may be sent: the rules for redirect URIs, pure (RFC 9700 §2.1, RFC 8252 §7 and §8.3).

use url::{Host, Url};

/// Longest redirect URI, in bytes.
const MAX_BYTES: usize = 2_048;
/// Schemes of known applications on the person's own machine (RFC 8252 §7.1). Any other application could claim a scheme,
/// so the list is closed; consent is asked every time.
const APPS: [&str; 8] = [
    "claude",
    "cursor",
    "raycast",
    "vscode",
    "vscode-insiders",
    "vscodium",
    "windsurf",
    "zed",
];

/// Why an address is no redirect URI. Each is one sentence for the developer of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRedirect {
    /// Not an absolute URI, or one that programs read differently.
    #[error("a redirect URI must be an absolute URI in its normal form, in printable ASCII")]
    Form,
    /// It has a fragment.
    #[error("a redirect URI must not have a fragment")]
    Fragment,
    /// It has a user or a password.
    #[error("a redirect URI must not have a user or a password")]
    User,
    /// The scheme is none of the allowed ones, or `http` leaves the machine.
    #[error(
        "a redirect URI must be https, http on localhost, 127.0.0.1 or [::1], or the scheme of a known application"
    )]
    Scheme,
    /// The host ends with a dot or is missing.
    #[error("a redirect URI must name its host without a dot at the end")]
    Host,
}

/// Where a code goes, as a person is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A site.
    Site(String),
    /// A program on the person's own machine: whoever listens on a port there.
    Loopback(String),
    /// An application on the person's own machine that opens this scheme.
    App(String),
}

impl Destination {
    /// The host, or the scheme of an application with its colon.
    pub fn host(&self) -> &str {
        match self {
            Self::Site(host) | Self::Loopback(host) | Self::App(host) => host,
        }
    }

    /// Whether only one party can be there, so that a consent may be remembered.
    pub const fn is_certain(&self) -> bool {
        matches!(self, Self::Site(_))
    }
}

/// Reads a redirect URI, registered or asked for.
pub fn read(uri: &str) -> Result<(Url, Destination), BadRedirect> {
    let printable = uri.bytes().all(|byte| (0x21..0x7f).contains(&byte)) && !uri.contains('\\');
    if uri.len() > MAX_BYTES || !printable {
        return Err(BadRedirect::Form);
    }
    let url = Url::parse(uri).map_err(|_| BadRedirect::Form)?;
    if uri.contains('#') {
        return Err(BadRedirect::Fragment);
    }
    if !url.username().is_empty() || url.password().is_some() || uri.contains('@') {
        return Err(BadRedirect::User);
    }
    // Whatever the parser had to put right is something that another parser may have read differently: letter case, a
    // spelt-out default port, dot segments, a number for an address. A bare origin may lack its slash.
    let as_written = url.as_str() == uri || url.as_str().strip_suffix('/') == Some(uri);
    if !as_written {
        return Err(BadRedirect::Form);
    }
    let host = url.host_str().unwrap_or_default();
    if host.is_empty() || host.ends_with('.') {
        return Err(BadRedirect::Host);
    }
    let destination = match url.scheme() {
        "https" => Destination::Site(host.to_owned()),
        "http" if is_loopback(&url) => Destination::Loopback(host.to_owned()),
        scheme if APPS.contains(&scheme) => Destination::App(format!("{scheme}:")),
        _ => return Err(BadRedirect::Scheme),
    };
    Ok((url, destination))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address == std::net::Ipv4Addr::LOCALHOST,
        Some(Host::Ipv6(address)) => address == std::net::Ipv6Addr::LOCALHOST,
        None => false,
    }
}

/// Whether a client that registered `registered` may have its code sent to `asked`: the same text, except for the port on
/// loopback, which native applications get from the system (RFC 8252 §7.3). Both must have passed [`read`].
pub fn matches(registered: &str, asked: &str) -> bool {
    if registered == asked {
        return true;
    }
    let (Ok((mut registered, Destination::Loopback(_))), Ok((mut asked, Destination::Loopback(_)))) =
        (read(registered), read(asked))
    else {
        return false;
    };
    let same = registered.set_port(None).is_ok() && asked.set_port(None).is_ok();
    same && registered == asked
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

    use super::*;

    /// What clients in use register today.
    const REAL: [&str; 13] = [
        "https://claude.ai/api/mcp/auth_callback",
        "https://claude.com/api/mcp/auth_callback",
        "http://localhost:51234/callback",
        "cursor://anysphere.cursor-mcp/oauth/callback",
        "https://www.cursor.com/agents/mcp/oauth/callback",
        "http://localhost:8787/callback",
        "https://vscode.dev/redirect",
        "https://insiders.vscode.dev/redirect",
        "http://127.0.0.1/",
        "http://127.0.0.1:33418/",
        "http://127.0.0.1:33418",
        "http://[::1]:9000/cb",
        "https://app.example.test/cb?tenant=7",
    ];

    #[test]
    fn real_clients_are_understood() {
        for uri in REAL {
            read(uri).unwrap_or_else(|problem| panic!("{uri}: {problem}"));
        }
        let host = |uri| read(uri).unwrap().1;
        assert_eq!(host(REAL[0]), Destination::Site("claude.ai".to_owned()));
        assert_eq!(host(REAL[2]), Destination::Loopback("localhost".to_owned()));
        assert_eq!(host(REAL[3]), Destination::App("cursor:".to_owned()));
        assert!(host(REAL[0]).is_certain());
        assert!(!host(REAL[2]).is_certain() && !host(REAL[3]).is_certain());
    }

    #[test]
    fn tricks_are_refused() {
        use BadRedirect::{Form, Fragment, Host, Scheme, User};
        for (uri, expected) in [
            ("", Form),
            ("/callback", Form),
            ("//evil.test/cb", Form),
            ("callback", Form),
            ("https:", Form),
            ("https://", Form),
            ("https:/app.example.test/cb", Form),
            ("https:app.example.test/cb", Form),
            ("https:///app.example.test/cb", Form),
            ("HTTPS://app.example.test/cb", Form),
            ("https://APP.example.test/cb", Form),
            ("https://app.example.test:443/cb", Form),
            ("http://127.0.0.1:80/cb", Form),
            ("https://app.example.test:0443/cb", Form),
            ("https://app.example.test/a/../cb", Form),
            ("https://app.example.test/./cb", Form),
            ("https://app.example.test/%2e%2e/cb", Form),
            ("https://app.example.test/%2E/cb", Form),
            ("https://app.example.test\\cb", Form),
            ("https:\\\\app.example.test/cb", Form),
            ("https://app.example.test/c b", Form),
            ("https://app.example.test/cb ", Form),
            (" https://app.example.test/cb", Form),
            ("https://app.example.test/cb\t", Form),
            ("https://app.exa\tmple.test/cb", Form),
            ("https://app.example.test/cb\n", Form),
            ("https://app.example.test/cb\r\nX: y", Form),
            ("https://app.example.test/cb\0", Form),
            ("https://app.example.test/cb\u{7f}", Form),
            ("https://b\u{fc}cher.test/cb", Form),
            ("https://app.example.test/\u{202e}bc", Form),
            ("https://app\u{ff0e}example.test/cb", Form),
            ("https://%61pp.example.test/cb", Form),
            ("https://app.example.test/cb?a='b'", Form),
            ("https://0x7f.1/cb", Form),
            ("https://2130706433/cb", Form),
            ("https://0177.0.0.1/cb", Form),
            ("https://127.1/cb", Form),
            ("http://0x7f000001/cb", Form),
            ("http://127.1/cb", Form),
            ("http://2130706433/cb", Form),
            ("http://[0:0:0:0:0:0:0:1]/cb", Form),
            ("http://[::0001]/cb", Form),
            ("http://LOCALHOST/cb", Form),
            ("JaVaScRiPt:alert(1)", Form),
            ("https://app.example.test:99999/cb", Form),
            ("https://[::1/cb", Form),
            ("https://a..b.test:x/cb", Form),
            ("https://app.example.test/cb#", Fragment),
            ("https://app.example.test/cb#code", Fragment),
            ("http://localhost/cb#x", Fragment),
            ("https://user@app.example.test/cb", User),
            ("https://user:pass@app.example.test/cb", User),
            ("https://@app.example.test/cb", User),
            ("https://:@app.example.test/cb", User),
            ("https://app.example.test@evil.test/cb", User),
            ("https://app.example.test/@evil", User),
            ("http://localhost:1@evil.test/cb", User),
            ("http://app.example.test/cb", Scheme),
            ("http://localhost.evil.test/cb", Scheme),
            ("http://localhost.evil/cb", Scheme),
            ("http://127.0.0.1.nip.io/cb", Scheme),
            ("http://127.0.0.2/cb", Scheme),
            ("http://0.0.0.0/cb", Scheme),
            ("http://10.0.0.1/cb", Scheme),
            ("http://169.254.169.254/latest", Scheme),
            ("http://[::]/cb", Scheme),
            ("http://[::ffff:7f00:1]/cb", Scheme),
            ("http://[fe80::1]/cb", Scheme),
            ("http://evil.test/127.0.0.1", Scheme),
            ("ftp://app.example.test/cb", Scheme),
            ("ws://localhost/cb", Scheme),
            ("evil://app/cb", Scheme),
            ("intent://scan/", Scheme),
            ("chrome-extension://abc/cb", Scheme),
            ("vscode-evil://x/cb", Scheme),
            ("javascript:alert(1)", Host),
            ("javascript://app.example.test/%0aalert(1)", Scheme),
            ("data:text/html,x", Host),
            ("blob:https://app.example.test/x", Host),
            ("file:///etc/passwd", Host),
            ("about:blank", Host),
            ("urn:ietf:wg:oauth:2.0:oob", Host),
            ("mailto:a%40b.test", Host),
            ("cursor:callback", Host),
            ("cursor:///callback", Host),
            ("https://app.example.test./cb", Host),
            ("http://localhost./cb", Host),
        ] {
            assert_eq!(read(uri).map(|_| ()), Err(expected), "{uri:?}");
        }
        let long = format!("https://app.example.test/{}", "a".repeat(MAX_BYTES));
        assert_eq!(read(&long).map(|_| ()), Err(Form));
    }

    #[test]
    fn only_the_port_on_loopback_may_differ() {
        for (registered, asked, expected) in [
            ("https://a.test/cb", "https://a.test/cb", true),
            ("https://a.test/cb", "https://a.test/cb/", false),
            ("https://a.test/cb", "https://a.test/CB", false),
            ("https://a.test/cb", "https://a.test:8443/cb", false),
            ("https://a.test/cb", "https://b.a.test/cb", false),
            ("https://a.test/cb", "https://a.test/cb?x=1", false),
            ("https://a.test/cb", "https://a.test/cb2", false),
            ("https://a.test/cb", "http://localhost/cb", false),
            ("http://localhost/cb", "http://localhost:1234/cb", true),
            ("http://localhost:1/cb", "http://localhost:2/cb", true),
            ("http://localhost:1/cb", "http://localhost/cb", true),
            ("http://127.0.0.1:33418/", "http://127.0.0.1:50000/", true),
            ("http://127.0.0.1:33418", "http://127.0.0.1:50000/", true),
            ("http://[::1]/cb", "http://[::1]:7/cb", true),
            ("http://localhost/cb", "http://127.0.0.1/cb", false),
            ("http://127.0.0.1/cb", "http://[::1]/cb", false),
            ("http://localhost/cb", "http://localhost:1/other", false),
            ("http://localhost/cb", "http://localhost:1/cb?x=1", false),
            ("http://localhost/cb", "https://localhost/cb", false),
            ("cursor://a/cb", "cursor://a/cb", true),
            ("cursor://a/cb", "cursor://a:1/cb", false),
            ("cursor://a/cb", "cursor://b/cb", false),
        ] {
            assert_eq!(matches(registered, asked), expected, "{registered} {asked}");
        }
    }
}
