//! Our own public addresses, typed, so that nobody formats one.

use url::Url;

use crate::ids::{ApprovalId, AuthorizationId, ConnectionId};

/// Makes addresses below the public URL (`WORKBENCH_PUBLIC_URL`).
#[derive(Clone, Debug)]
pub struct Links {
    public: Url,
}

impl Links {
    /// Addresses below `public`, whose path ends with a slash or is empty.
    pub const fn new(public: Url) -> Self {
        Self { public }
    }

    /// The public URL itself.
    pub const fn public(&self) -> &Url {
        &self.public
    }

    /// `scheme://host[:port]`, as browsers send it in `Origin`.
    pub fn origin(&self) -> String {
        self.public.origin().ascii_serialization()
    }

    /// The MCP endpoint: the canonical URI of this resource server (RFC 8707).
    pub fn mcp(&self) -> String {
        self.at(&["mcp"]).into()
    }

    /// RFC 9728 metadata of [`Links::mcp`].
    pub fn resource_metadata(&self) -> String {
        self.at(&[".well-known", "oauth-protected-resource", "mcp"])
            .into()
    }

    /// What the embedded authorization server calls itself (RFC 8414 §2): the public URL without a slash at its end.
    pub fn issuer(&self) -> &str {
        self.public.as_str().trim_end_matches('/')
    }

    /// An endpoint of the embedded authorization server: `authorize`, `token`, `revoke` or `register`.
    pub fn oauth(&self, endpoint: &str) -> String {
        self.at(&["oauth", endpoint]).into()
    }

    /// The page that asks a person whether an MCP client may act for them.
    pub fn consent(&self, authorization: AuthorizationId) -> String {
        self.at(&["oauth", "consent", &authorization.to_string()])
            .into()
    }

    /// The page that lists the person's signed-in MCP clients.
    pub fn clients(&self) -> String {
        self.at(&["clients"]).into()
    }

    /// The page that lists the person's accounts.
    pub fn connections(&self) -> String {
        self.at(&["connections"]).into()
    }

    /// The page that begins connecting an account of `integration`.
    pub fn connect(&self, integration: &str) -> String {
        self.at(&["connect", integration]).into()
    }

    /// The page that begins connecting `integration` again in the place of this connection.
    pub fn reconnect(&self, integration: &str, connection: ConnectionId) -> String {
        let mut url = self.at(&["connect", integration]);
        url.query_pairs_mut()
            .append_pair("reconnect", &connection.to_string());
        url.into()
    }

    /// The picture in a sent message whose opening is noticed.
    pub fn opened(&self, signed: &str) -> String {
        self.at(&["t", "o", signed]).into()
    }

    /// A link in a sent message that leads on and is noticed.
    pub fn followed(&self, signed: &str) -> String {
        self.at(&["t", "l", signed]).into()
    }

    /// The page that lists what waits for the person's yes.
    pub fn approvals(&self) -> String {
        self.at(&["approvals"]).into()
    }

    /// The page that shows one call and asks whether it may happen.
    pub fn approval(&self, id: ApprovalId) -> String {
        self.at(&["approvals", &id.to_string()]).into()
    }

    /// The page at `link`, one of ours, for somebody who holds the one-time sign-in `ticket`.
    pub fn signed_in(&self, link: &str, ticket: &str) -> String {
        let base = self.public.as_str().trim_end_matches('/');
        let next = link.strip_prefix(base).unwrap_or_default();
        let mut url = self.at(&["login"]);
        url.query_pairs_mut()
            .append_pair("ticket", ticket)
            .append_pair("next", next);
        url.into()
    }

    /// Signs a browser in with the one-time `ticket` and shows the accounts.
    pub fn sign_in(&self, ticket: &str) -> String {
        let mut url = self.at(&["login"]);
        url.query_pairs_mut().append_pair("ticket", ticket);
        url.into()
    }

    /// The sign-in page.
    pub fn sign_in_page(&self) -> String {
        self.at(&["login"]).into()
    }

    /// The page of a person's own password and sign-in.
    pub fn account(&self) -> String {
        self.at(&["account"]).into()
    }

    /// The admin's page of people.
    pub fn admin_people(&self) -> String {
        self.at(&["admin", "people"]).into()
    }

    /// The admin's page of integrations.
    pub fn admin_integrations(&self) -> String {
        self.at(&["admin", "integrations"]).into()
    }

    /// Where somebody who holds the `code` of an invitation becomes a member.
    pub fn join(&self, code: &str) -> String {
        let mut url = self.at(&["join"]);
        url.query_pairs_mut().append_pair("code", code);
        url.into()
    }

    /// Where the identity provider sends the browser back to after a sign-in.
    pub fn login_callback(&self) -> String {
        self.at(&["login", "callback"]).into()
    }

    /// Where `provider` sends the browser back to (RFC 6749 §3.1.2); one per provider, against mix-up (RFC 9700 §4.4).
    pub fn callback(&self, provider: &str) -> String {
        self.at(&["oauth", "callback", provider]).into()
    }

    /// The drawing of `integration`.
    pub fn icon(&self, integration: &str) -> String {
        self.at(&["icons", &format!("{integration}.svg")]).into()
    }

    fn at(&self, path: &[&str]) -> Url {
        let mut url = self.public.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::expect_used, reason = "a test says what went wrong by failing")]

    use super::*;

    #[test]
    fn addresses_stand_below_the_public_url() {
        for (public, expected) in [
            (
                "https://tools.example.test",
                "https://tools.example.test/connect/github",
            ),
            (
                "https://example.test/mcp-tools/",
                "https://example.test/mcp-tools/connect/github",
            ),
        ] {
            let links = public.parse().map(Links::new);
            let links = links.expect("a fixed address");
            assert_eq!(links.connect("github"), expected);
            let signed_in = links.signed_in(&links.connect("github"), "t");
            assert!(
                signed_in.ends_with("/login?ticket=t&next=%2Fconnect%2Fgithub"),
                "{signed_in}"
            );
        }
    }
}
