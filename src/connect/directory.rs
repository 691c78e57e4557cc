//! Providers whose accounts live in directories of organizations: which directory an app is for, what of a provider a
//! person takes, an administrator's consent for all, and sign-ins of which a provider wants more than the last one proved.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::error::ConnectError;
use super::flow::flow_place;
use super::flow_error::FlowError;
use super::oauth::Endpoints;
use super::sites::Site;
use super::{Callback, Connections};
use crate::audit::{Actor, AdminEvent};
use crate::caller::Caller;
use crate::ids::{FlowId, OrgId};
use crate::kit::integration::{Directory, Integration, OAuth2, Product, Provider};
use crate::kit::text;
use crate::store::{ConnectionRow, FlowRow};
use crate::vault::{self, VaultError};

/// Where a directory's name goes in an address.
const TENANT: &str = "{tenant}";
/// How long an administrator has for a link.
const CONSENT_LIFE: Duration = Duration::from_hours(7 * 24);
/// How the `state` of an administrator's link begins, so that the callback needs no session to tell it from a person's.
const CONSENT_STATE: &str = "consent-";
/// Longest claims challenge, in bytes of JSON.
const CLAIMS: usize = 4_096;

/// What a person wants of a provider with several products.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The products' ids; `None` is what is chosen for those who say nothing.
    pub products: Option<Vec<String>>,
    /// Whether it is an account of nobody's organization.
    pub personal: bool,
}

/// Why a directory's name cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is neither a word for several directories nor a directory's id or domain")]
pub struct NoTenant;

/// A directory as an admin names it: one of the provider's words, an id, or a domain.
pub fn tenant(directory: &Directory, said: &str) -> Result<String, NoTenant> {
    let said = said.trim().to_ascii_lowercase();
    let word = directory.tenants.iter().any(|(word, _)| *word == said);
    let is_id = uuid::Uuid::try_parse(&said).is_ok() && said.len() == 36;
    let label = |label: &str| {
        let inner = label
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || c == b'-');
        (1..=63).contains(&label.len()) && inner && !label.starts_with('-') && !label.ends_with('-')
    };
    let is_domain = said.len() <= 253 && said.contains('.') && said.split('.').all(label);
    if word || is_id || is_domain {
        Ok(said)
    } else {
        Err(NoTenant)
    }
}

/// The scopes to ask for, in the provider's order.
pub(super) fn scopes(oauth: &OAuth2, wanted: &Wanted) -> Vec<&'static str> {
    let takes = |product: &Product| match &wanted.products {
        Some(products) => products.iter().any(|id| id == product.id),
        None => product.chosen,
    };
    let personal = oauth.directory.as_ref().and_then(|found| found.personal);
    let excluded = personal
        .filter(|_| wanted.personal)
        .map_or(&[][..], |(_, scopes)| scopes);
    let asked = |name: &'static str| {
        let mut naming = oauth
            .products
            .iter()
            .filter(|product| product.scopes.contains(&name))
            .peekable();
        !excluded.contains(&name) && (naming.peek().is_none() || naming.any(&takes))
    };
    let names = oauth.scopes.iter().map(|scope| scope.name);
    names.filter(|name| asked(name)).collect()
}

/// Whether a refusal asks for an administrator's consent.
pub(super) fn wants_admin(oauth: &OAuth2, error: &str, description: Option<&str>) -> bool {
    const USUAL: [&str; 2] = ["admin_consent_required", "consent_required"];
    let words = oauth
        .directory
        .as_ref()
        .map_or(&USUAL[..], |directory| directory.admin_refusals);
    let code = code(description.unwrap_or_default());
    words.iter().any(|word| *word == error || *word == code)
}

/// The code that begins an error's description (`AADSTS65001: …`); empty when there is none.
pub(super) fn code(description: &str) -> &str {
    let code = description.split(':').next().unwrap_or_default().trim();
    let plain = code.len() <= 40 && code.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
    if plain { code } else { "" }
}

/// A claims challenge as the authorization request takes it: a JSON object. It comes so from a token endpoint, and in
/// base64 in a header.
pub(super) fn claims(challenge: &str) -> Option<String> {
    let object = |text: &str| {
        let value: Value = serde_json::from_str(text).ok()?;
        value.is_object().then(|| value.to_string())
    };
    let decoded = || {
        let text = challenge.trim();
        let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('='));
        let bytes = bytes.or_else(|_| STANDARD.decode(text)).ok()?;
        object(std::str::from_utf8(&bytes).ok()?)
    };
    if challenge.len() > CLAIMS * 2 {
        return None;
    }
    object(challenge)
        .or_else(decoded)
        .filter(|claims| claims.len() <= CLAIMS)
}

/// An administrator's answer, for whoever brought it.
#[derive(Debug)]
pub struct Consented {
    /// For which integration.
    pub integration: &'static Integration,
    /// What the provider said when it was a no.
    pub refused: Option<String>,
}

/// Whether this callback is an administrator's.
pub fn is_admins(callback: &Callback) -> bool {
    let state = callback.state.as_deref().unwrap_or_default();
    state.starts_with(CONSENT_STATE)
}

impl Connections {
    /// The directory that the organization's app is for; `None` where the provider has none.
    pub async fn tenant(&self, org: OrgId, provider: &str) -> Result<Option<String>, ConnectError> {
        let (provider, site) = self.site(provider)?;
        let Some(directory) = provider
            .auth
            .oauth2()
            .and_then(|oauth| oauth.directory.as_ref())
        else {
            return Ok(None);
        };
        let chosen = match &site.tenant {
            Some(tenant) => Some(tenant.clone()),
            None => self.inner.store.app_tenant(org, provider.id).await?,
        };
        let usual = || {
            directory
                .tenants
                .first()
                .map(|(word, _)| (*word).to_owned())
        };
        Ok(chosen.or_else(usual))
    }

    /// Chooses the directory; false when no app is stored that it could belong to.
    pub async fn set_tenant(
        &self,
        by: Actor,
        org: OrgId,
        provider: &'static Provider,
        tenant: &str,
    ) -> Result<bool, ConnectError> {
        let event = AdminEvent {
            kind: "admin.app_set",
            target: provider.id.into(),
            detail: json!({ "tenant": tenant }),
            ..AdminEvent::default()
        };
        self.inner.audit.record(by, org, event).await?;
        Ok(self
            .inner
            .store
            .set_app_tenant(org, provider.id, tenant)
            .await?)
    }

    /// The provider's addresses in the organization's directory.
    pub(super) async fn endpoints(
        &self,
        site: &Site,
        oauth: &OAuth2,
        org: OrgId,
    ) -> Option<Endpoints> {
        let tenant = self.tenant(org, site.provider.id).await.ok()?;
        site.endpoints(oauth, tenant.as_deref().unwrap_or_default())
    }

    /// Keeps a way to ask an administrator for this consent; it is shown as long as the link is good.
    pub(super) async fn ask_admin(&self, flow: &FlowRow) -> Result<FlowId, ConnectError> {
        let state = vault::random_secret(CONSENT_STATE)
            .ok_or(ConnectError::Vault(VaultError::Randomness))?;
        let now = self.inner.clock.now();
        let mut asking = FlowRow {
            id: FlowId::new(now),
            state_hash: Some(vault::hash(state.expose_secret())),
            // Whoever it is forwarded to brings the answer, in a browser that we do not know.
            browser_hash: None,
            reconnect: None,
            created_at: now,
            expires_at: now.plus(CONSENT_LIFE),
            used_at: None,
            outcome: None,
            ..flow.clone()
        };
        asking.sealed = Some(self.inner.vault.seal(&flow_place(&asking), &state)?);
        self.inner.store.insert_flow(&asking).await?;
        Ok(asking.id)
    }

    /// The link on which an administrator consents for everybody; `None` when it was used, is too old, is somebody
    /// else's, or the provider has no such page.
    pub async fn admin_link(
        &self,
        caller: &Caller,
        flow: FlowId,
    ) -> Result<Option<url::Url>, ConnectError> {
        let Some(asking) = self.inner.store.flow(flow).await? else {
            return Ok(None);
        };
        let open = asking.used_at.is_none() && asking.expires_at > self.inner.clock.now();
        let (provider, site) = self.site(&asking.provider)?;
        let page = provider
            .auth
            .oauth2()
            .and_then(|oauth| oauth.directory.as_ref())
            .and_then(|directory| Some((directory, directory.admin_consent_url?)));
        let (Some((directory, page)), Some(sealed), Some(app)) =
            (page, &asking.sealed, self.app(site, asking.org_id).await)
        else {
            return Ok(None);
        };
        if asking.user_id != caller.user || asking.browser_hash.is_some() || !open {
            return Ok(None);
        }
        let state = self.inner.vault.open(&flow_place(&asking), sealed)?;
        let tenant = self.tenant(asking.org_id, provider.id).await?;
        let single = |tenant: &String| directory.tenants.iter().all(|(word, _)| word != tenant);
        let tenant = tenant.filter(single);
        let tenant = tenant.as_deref().unwrap_or(directory.admin_consent_tenant);
        let url = site.address(&in_tenant(page, tenant)).map(|mut url| {
            url.query_pairs_mut()
                .append_pair("client_id", &app.client_id)
                .append_pair("scope", &asking.scopes.join(" "))
                .append_pair("redirect_uri", &self.inner.links.callback(provider.id))
                .append_pair("state", state.expose_secret());
            url
        });
        Ok(url)
    }

    /// Takes an administrator's answer. It says nothing of who they are, and the directory that it names is not believed:
    /// what was consented to shows when people connect. `None` when nobody asked, or somebody answered already.
    pub async fn admin_answered(
        &self,
        provider: &str,
        callback: &Callback,
    ) -> Result<Option<Consented>, ConnectError> {
        let now = self.inner.clock.now();
        let state = callback.state.as_deref().unwrap_or_default();
        let Some(flow) = self.inner.store.take_flow(&vault::hash(state), now).await? else {
            return Ok(None);
        };
        if flow.browser_hash.is_some() || flow.provider != provider {
            return Ok(None);
        }
        let (_, site) = self.site(&flow.provider)?;
        let given = callback.admin_consent && callback.error.is_none();
        let refused = (!given).then(|| {
            let said = callback
                .description
                .as_deref()
                .or(callback.error.as_deref());
            let said = said.unwrap_or("it sent no consent");
            text::clip(&text::visible(text::scrub(said)), 200)
        });
        let outcome = if given { "ok" } else { "refused" };
        let event = AdminEvent {
            kind: "connection.admin_consent",
            target: flow.provider.as_str().into(),
            integration: Some(site.integration.id),
            outcome,
            detail: json!({ "flow": flow.id, "asked_by": flow.user_id }),
            ..AdminEvent::default()
        };
        self.inner
            .audit
            .record(Actor::System, flow.org_id, event)
            .await?;
        self.inner.store.finish_flow(flow.id, outcome, now).await?;
        Ok(Some(Consented {
            integration: site.integration,
            refused,
        }))
    }

    /// Keeps what the next sign-in of a connection must prove.
    pub(super) async fn owe(&self, row: &ConnectionRow, claims: &str) {
        if let Err(error) = self.inner.store.set_claims(row.id, claims).await {
            tracing::error!(connection.id = %row.id, error = %error, "what a sign-in must prove cannot be kept");
        }
    }

    /// Whether a challenge wants more than a renewed token can prove; then it is kept.
    pub(super) async fn is_owed(
        &self,
        row: &ConnectionRow,
        provider: &Provider,
        challenge: Option<String>,
    ) -> Result<bool, ConnectError> {
        let oauth = provider.auth.oauth2();
        let wanted = challenge.filter(|_| oauth.is_some_and(|oauth| oauth.directory.is_some()));
        let Some(claims) = wanted.as_deref().and_then(claims) else {
            return Ok(false);
        };
        self.owe(row, &claims).await;
        Ok(true)
    }

    /// What the next sign-in of this connection must prove.
    pub(super) async fn owed_claims(
        &self,
        caller: &Caller,
        reconnect: Option<crate::ids::ConnectionId>,
    ) -> Result<Option<String>, FlowError> {
        match reconnect {
            Some(id) => Ok(self.inner.store.claims(id, caller.user).await?),
            None => Ok(None),
        }
    }
}

/// A public address in this directory.
pub(super) fn in_tenant(public: &str, tenant: &str) -> String {
    public.replace(TENANT, tenant)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;

    static DIRECTORY: Directory = Directory {
        tenants: &[("common", "everybody"), ("organizations", "work")],
        admin_consent_url: None,
        admin_consent_tenant: "organizations",
        admin_refusals: &["X65001"],
        personal: None,
        personal_tenant: None,
    };

    #[test]
    fn directories_are_words_ids_or_domains() {
        let id = "72f988bf-86f1-41af-91ab-2d7cd011db47";
        for good in [
            "common",
            " Organizations ",
            id,
            "acme.example",
            "a-b.onmicrosoft.com",
        ] {
            let said = good.trim().to_ascii_lowercase();
            assert_eq!(tenant(&DIRECTORY, good), Ok(said), "{good}");
        }
        for bad in [
            "",
            "acme",
            "../common",
            "common/x",
            "acme.example/oauth2",
            "a b.example",
            "-a.example",
            "acme..example",
            "acme.example?x=y",
            "72f988bf86f141af91ab2d7cd011db47",
            "{tenant}",
        ] {
            assert_eq!(tenant(&DIRECTORY, bad), Err(NoTenant), "{bad}");
        }
    }

    #[test]
    fn challenges_are_json_objects_of_bounded_size() {
        let json = r#"{"access_token":{"nbf":{"essential":true,"value":"1"}}}"#;
        assert_eq!(claims(json).as_deref(), Some(json));
        let encoded = STANDARD.encode(json);
        assert_eq!(claims(&encoded).as_deref(), Some(json));
        assert_eq!(claims(encoded.trim_end_matches('=')).as_deref(), Some(json));
        for bad in ["", "[]", "x", "\"text\"", &STANDARD.encode("[1]")] {
            assert_eq!(claims(bad), None, "{bad}");
        }
        assert_eq!(
            claims(&format!("{{\"a\":\"{}\"}}", "x".repeat(5_000))),
            None
        );
    }

    #[test]
    fn codes_begin_descriptions() {
        assert_eq!(
            code("AADSTS65001: The user or administrator has not consented"),
            "AADSTS65001"
        );
        assert_eq!(code("The user said no"), "");
        assert_eq!(code(""), "");
    }

    #[test]
    fn products_choose_scopes() {
        let provider = &crate::integrations::provider("m365").unwrap().1;
        let oauth = provider.auth.oauth2().unwrap();
        let wanted = |products: &[&str], personal| Wanted {
            products: Some(products.iter().map(|&id| id.to_owned()).collect()),
            personal,
        };
        assert_eq!(
            scopes(oauth, &wanted(&[], false)),
            ["offline_access", "User.Read"]
        );
        let people = scopes(oauth, &wanted(&["people"], true));
        assert!(people.contains(&"People.Read") && !people.contains(&"User.ReadBasic.All"));
        let usual = scopes(oauth, &Wanted::default());
        assert!(usual.contains(&"Mail.Send") && !usual.contains(&"ChannelMessage.Read.All"));
        let github = crate::integrations::provider("github").unwrap().1;
        let github = github.auth.oauth2().unwrap();
        assert_eq!(
            scopes(github, &Wanted::default()).len(),
            github.scopes.len()
        );
    }
}
