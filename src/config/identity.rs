//! Settings of identity providers: signing in at one (`WORKBENCH_OIDC_…`), and access tokens of another server
//! (`WORKBENCH_ISSUER…`).

use url::Url;

use super::{ConfigError, SecretText, Settings, is_loopback, wrong};

/// Sign-in at an OpenID Connect provider.
#[derive(Clone, Debug)]
pub struct OidcSettings {
    /// `WORKBENCH_OIDC_ISSUER`, exactly as the provider writes it.
    pub issuer: String,
    /// `WORKBENCH_OIDC_CLIENT_ID`.
    pub client_id: String,
    /// `WORKBENCH_OIDC_CLIENT_SECRET`.
    pub client_secret: SecretText,
    /// `WORKBENCH_OIDC_GROUP_CLAIM`: the claim that lists a person's groups there.
    pub group_claim: String,
    /// `WORKBENCH_OIDC_ADMIN_GROUPS`: who is in one of them is an admin here.
    pub admin_groups: Vec<String>,
    /// `WORKBENCH_OIDC_AUDITOR_GROUPS`: who is in one of them and in none of the admins' is an auditor here.
    pub auditor_groups: Vec<String>,
    /// `WORKBENCH_OIDC_ALLOWED_DOMAINS`: whoever has a verified address in one of them becomes a member on first sign-in.
    pub allowed_domains: Vec<String>,
    /// `WORKBENCH_OIDC_ALLOWED_TENANTS`: only people of these Entra tenants sign in, and they become members on first
    /// sign-in.
    pub allowed_tenants: Vec<String>,
}

/// Access tokens of an authorization server that is not ours.
#[derive(Clone, Debug)]
pub struct IssuerSettings {
    /// `WORKBENCH_ISSUER`, exactly as the server writes it.
    pub issuer: String,
    /// `WORKBENCH_ISSUER_AUDIENCE`; the address of the MCP endpoint when empty.
    pub audiences: Vec<String>,
    /// `WORKBENCH_ISSUER_CLIENTS`: only tokens that one of these clients got; empty is every client.
    pub clients: Vec<String>,
    /// `WORKBENCH_ISSUER_TOKEN_TYPE`.
    pub token_type: TokenType,
}

/// How an issuer marks its access tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenType {
    /// `typ` is `at+jwt` (RFC 9068 §2.1).
    AccessToken,
    /// `typ` says nothing, as at Microsoft Entra; what marks an ID token is refused instead.
    Any,
}

impl Settings {
    pub(super) fn oidc(&mut self) -> Result<Option<OidcSettings>, ConfigError> {
        let issuer = self.issuer_address("WORKBENCH_OIDC_ISSUER")?;
        let client_id = self.take("WORKBENCH_OIDC_CLIENT_ID");
        let client_secret = self.secret("WORKBENCH_OIDC_CLIENT_SECRET")?;
        let lower = |list: Vec<String>| -> Vec<String> {
            list.iter().map(|word| word.to_ascii_lowercase()).collect()
        };
        let group_claim = self.take("WORKBENCH_OIDC_GROUP_CLAIM");
        let admin_groups = self.list("WORKBENCH_OIDC_ADMIN_GROUPS");
        let auditor_groups = self.list("WORKBENCH_OIDC_AUDITOR_GROUPS");
        let allowed_domains = lower(self.list("WORKBENCH_OIDC_ALLOWED_DOMAINS"));
        let allowed_tenants = lower(self.list("WORKBENCH_OIDC_ALLOWED_TENANTS"));
        let missing = |name: &str| Err(wrong(name, "is missing beside the other WORKBENCH_OIDC_…"));
        match (issuer, client_id, client_secret) {
            (None, None, None)
                if group_claim.is_none()
                    && admin_groups.is_empty()
                    && auditor_groups.is_empty()
                    && allowed_domains.is_empty()
                    && allowed_tenants.is_empty() =>
            {
                Ok(None)
            }
            (None, _, _) => missing("WORKBENCH_OIDC_ISSUER"),
            (_, None, _) => missing("WORKBENCH_OIDC_CLIENT_ID"),
            (_, _, None) => missing("WORKBENCH_OIDC_CLIENT_SECRET"),
            (Some(issuer), Some(client_id), Some(client_secret)) => Ok(Some(OidcSettings {
                issuer,
                client_id,
                client_secret,
                group_claim: group_claim.unwrap_or_else(|| "groups".to_owned()),
                admin_groups,
                auditor_groups,
                allowed_domains,
                allowed_tenants,
            })),
        }
    }

    pub(super) fn issuer(&mut self) -> Result<Option<IssuerSettings>, ConfigError> {
        let issuer = self.issuer_address("WORKBENCH_ISSUER")?;
        let audiences = self.list("WORKBENCH_ISSUER_AUDIENCE");
        let clients = self.list("WORKBENCH_ISSUER_CLIENTS");
        let token_type = match self.take("WORKBENCH_ISSUER_TOKEN_TYPE").as_deref() {
            None | Some("at+jwt") => TokenType::AccessToken,
            Some("jwt") => TokenType::Any,
            Some(_) => {
                return Err(wrong(
                    "WORKBENCH_ISSUER_TOKEN_TYPE",
                    "is neither `at+jwt` nor `jwt`",
                ));
            }
        };
        match issuer {
            Some(issuer) => Ok(Some(IssuerSettings {
                issuer,
                audiences,
                clients,
                token_type,
            })),
            None if audiences.is_empty() && clients.is_empty() => Ok(None),
            None => Err(wrong(
                "WORKBENCH_ISSUER",
                "is missing beside WORKBENCH_ISSUER_AUDIENCE or WORKBENCH_ISSUER_CLIENTS",
            )),
        }
    }

    /// An issuer's address, as it is written: a slash at its end matters (RFC 8414 §3.3).
    fn issuer_address(&mut self, name: &str) -> Result<Option<String>, ConfigError> {
        let Some(text) = self.take(name) else {
            return Ok(None);
        };
        let Ok(url) = Url::parse(&text) else {
            return Err(wrong(
                name,
                "is not an address such as https://id.example.com",
            ));
        };
        let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        let safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
        if plain && safe {
            Ok(Some(text))
        } else {
            Err(wrong(
                name,
                "must be a plain https address, or http on this machine only",
            ))
        }
    }
}
