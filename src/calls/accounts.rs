//! A person's own accounts, as pages and `workbench://accounts` show them.

use serde_json::{Value, json};

use super::Calls;
use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::connect::handle;
use crate::ids::ConnectionId;
use crate::integrations;
use crate::kit::integration::{Integration, OAuth2, Product};
use crate::kit::tool::{Granted, Needs};
use crate::policy::Rules;
use crate::store::{ConnectionRow, Status, StoreError};

/// One account of the caller.
#[derive(Clone, Debug, serde::Serialize)]
pub struct AccountStatus {
    /// The connection.
    pub id: ConnectionId,
    /// The integration's id.
    pub integration: String,
    /// The integration's name.
    pub service: String,
    /// What people recognise it by.
    pub account: String,
    /// The alias the person gave it.
    pub alias: Option<String>,
    /// Whether it is meant when a call names no account.
    pub default: bool,
    /// `Connected`, `Expired`, `Error` or `Disabled`.
    pub status: &'static str,
    /// Why it is not connected, in words.
    pub reason: Option<String>,
    /// RFC 3339.
    pub connected_on: String,
    /// RFC 3339; `None` before the first call.
    pub last_used: Option<String>,
    /// Whether something that was asked for was not granted.
    #[serde(skip)]
    pub partial: bool,
    /// When the provider ends the consent by itself, if that is within two weeks; RFC 3339.
    #[serde(skip)]
    pub ends_soon: Option<String>,
}

/// Everything that a person can know about one of their accounts.
#[derive(Clone, Debug)]
pub struct AccountDetail {
    /// What lists show.
    pub account: AccountStatus,
    /// Its integration.
    pub integration: &'static Integration,
    /// What `account` arguments and addresses of blocks call it.
    pub handle: String,
    /// Every permission that connecting asks for.
    pub permissions: Vec<Permission>,
    /// Titles of the tools and blocks that the granted permissions are enough for.
    pub able: Vec<&'static str>,
    /// Titles of those they are not enough for, with what each lacks.
    pub unable: Vec<(&'static str, String)>,
    /// Those of them that lack what was asked for and not granted.
    pub refused: Vec<(&'static str, String)>,
    /// Products that can still be connected: id and title.
    pub addable: Vec<(&'static str, &'static str)>,
    /// When the provider ends the consent by itself, whatever we do; RFC 3339.
    pub consent_ends: Option<String>,
    /// How many accounts of the integration the person has.
    pub siblings: usize,
    /// Documents that are kept for it, and their bytes.
    pub kept: (u64, u64),
}

/// A permission, and whether it was granted.
#[derive(Clone, Debug)]
pub struct Permission {
    /// The provider's name of it.
    pub name: &'static str,
    /// What it enables.
    pub why: &'static str,
    /// `granted`, `not granted`, or `unknown` where the provider does not say.
    pub state: &'static str,
}

/// How long before the end of a consent people are told.
const SOON: std::time::Duration = std::time::Duration::from_hours(14 * 24);

impl Calls {
    /// The caller's accounts with what a person sees of them.
    pub async fn accounts(&self, caller: &Caller) -> Result<Vec<AccountStatus>, StoreError> {
        let rules = self.rules(caller.org).await?;
        let rows = self.inner.connections.of(caller.user).await?;
        Ok(rows.iter().map(|row| self.status(row, &rules)).collect())
    }

    /// Integrations that are open to everyone, with nothing to connect, and not switched off.
    pub(super) async fn open_to_all(&self, caller: &Caller) -> Result<Vec<Value>, StoreError> {
        let rules = self.rules(caller.org).await?;
        let all = integrations::ALL.iter();
        Ok(all
            .filter(|one| one.open().is_some() && !rules.is_off(one.id))
            .map(|one| json!({ "integration": one.id, "service": one.name }))
            .collect())
    }

    /// One of the caller's accounts; `None` when they have no such connection.
    pub async fn account(
        &self,
        caller: &Caller,
        id: ConnectionId,
    ) -> Result<Option<AccountDetail>, StoreError> {
        let rows = self.inner.connections.of(caller.user).await?;
        let Some(row) = rows.iter().find(|row| row.id == id) else {
            return Ok(None);
        };
        let Some(integration) = integrations::integration(&row.integration) else {
            return Ok(None);
        };
        let rules = self.rules(caller.org).await?;
        let granted = self.inner.connections.granted(row);
        let mut able = Vec::new();
        let (mut unable, mut refused) = (Vec::new(), Vec::new());
        let not_granted = not_granted(row, &granted);
        let tools = integration.tools().map(|tool| (tool.title, tool.scopes));
        let blocks = integration
            .blocks()
            .map(|block| (block.title, block.scopes));
        for (title, needs) in tools.chain(blocks) {
            let missing = granted.missing(needs);
            if missing.is_empty() {
                able.push(title);
            } else {
                let between = if matches!(needs, Needs::Any(_)) {
                    " or "
                } else {
                    ", "
                };
                if missing.iter().any(|scope| not_granted.contains(scope)) {
                    refused.push((title, missing.join(between)));
                }
                unable.push((title, missing.join(between)));
            }
        }
        let known = row.scopes.is_some();
        let provider = integration
            .providers
            .iter()
            .find(|one| one.id == row.provider);
        let scopes = provider
            .and_then(|one| one.auth.oauth2())
            .map_or(&[][..], |oauth| oauth.scopes);
        let oauth = provider.and_then(|one| one.auth.oauth2());
        let addable = oauth.map(|oauth| addable(oauth, row, &rules, &granted));
        let permissions = scopes.iter().map(|scope| Permission {
            name: scope.name,
            why: scope.why,
            state: match (known, granted.has(scope.name)) {
                (false, _) => "unknown",
                (true, true) => "granted",
                (true, false) => "not granted",
            },
        });
        let same = |other: &&std::sync::Arc<ConnectionRow>| other.integration == row.integration;
        Ok(Some(AccountDetail {
            account: self.status(row, &rules),
            integration,
            handle: handle(row),
            permissions: permissions.collect(),
            able,
            unable,
            refused,
            addable: addable.unwrap_or_default(),
            consent_ends: row.refresh_expires_at.map(Timestamp::rfc3339),
            siblings: rows.iter().filter(same).count(),
            kept: self.inner.connections.kept(id).await?,
        }))
    }

    fn status(&self, row: &ConnectionRow, rules: &Rules) -> AccountStatus {
        let name = integrations::integration(&row.integration)
            .map_or(row.integration.as_str(), |known| known.name);
        let disabled = rules.is_off(&row.integration);
        let (status, reason) = match row.status {
            _ if disabled => ("Disabled", Some("switched off by an admin".to_owned())),
            Status::Connected => ("Connected", None),
            Status::Expired => ("Expired", Some(reason(row.reason.as_deref()))),
            Status::Error | Status::Disabled => ("Error", Some(reason(row.reason.as_deref()))),
        };
        let soon = self.inner.clock.now().plus(SOON);
        let ends = row.refresh_expires_at.filter(|end| *end < soon);
        let granted = self.inner.connections.granted(row);
        AccountStatus {
            id: row.id,
            integration: row.integration.clone(),
            service: name.to_owned(),
            account: row.label.clone(),
            alias: row.alias.clone(),
            default: row.is_default,
            status,
            reason,
            connected_on: row.connected_at.rfc3339(),
            last_used: row.last_used_at.map(Timestamp::rfc3339),
            partial: !not_granted(row, &granted).is_empty(),
            ends_soon: ends.map(Timestamp::rfc3339),
        }
    }
}

/// The scopes that were asked for and not granted.
fn not_granted(row: &ConnectionRow, granted: &Granted) -> Vec<&'static str> {
    let provider = integrations::provider(&row.provider);
    let oauth = provider.and_then(|(_, provider)| provider.auth.oauth2());
    let asked = oauth.map_or(&[][..], |oauth| oauth.scopes).iter();
    asked
        .map(|scope| scope.name)
        .filter(|name| row.requested_scopes.iter().any(|asked| asked == name))
        .filter(|name| !granted.has(name))
        .collect()
}

/// The products of which this account has not everything that it can have.
fn addable(
    oauth: &'static OAuth2,
    row: &ConnectionRow,
    rules: &Rules,
    granted: &Granted,
) -> Vec<(&'static str, &'static str)> {
    let personal = oauth.directory.as_ref().and_then(|found| found.personal);
    let unfit = personal.filter(|_| row.details["kind"] == "personal");
    let unfit = unfit.map_or(&[][..], |(_, scopes)| scopes);
    let lacks = |product: &&Product| {
        let fit = product
            .scopes
            .iter()
            .filter(|scope| !unfit.contains(*scope));
        let on = !rules.is_toolset_off(&row.integration, product.toolset);
        on && fit.into_iter().any(|scope| !granted.has(scope))
    };
    let products = oauth.products.iter().filter(lacks);
    products
        .map(|product| (product.id, product.title))
        .collect()
}

/// The stored reason in words that say what to do.
pub fn reason(word: Option<&str>) -> String {
    match word {
        Some("disconnected") => {
            "you disconnected it and kept what was synced; reconnect to use it".to_owned()
        }
        Some("revoked") => "the provider took the access back; reconnect".to_owned(),
        Some("app_unpublished") => {
            "the provider ended the access after a few days, as it does while this organization's app is in testing there; reconnect, and ask an admin to publish the app's consent screen".to_owned()
        }
        Some("rejected") => "the provider no longer accepts the access; reconnect".to_owned(),
        Some("claims") => {
            "the provider wants you to sign in again, with more than the last time; reconnect"
                .to_owned()
        }
        Some("lost_rotation") => {
            "a renewed access was lost before it was saved; reconnect".to_owned()
        }
        Some("no_refresh_token") => {
            "the access ended and cannot renew itself; reconnect".to_owned()
        }
        Some("integrity") => {
            "the stored access was altered; reconnect, and tell an admin".to_owned()
        }
        Some("failed_ten_times") => "renewing failed ten times; reconnect".to_owned(),
        Some(other) => format!("renewing fails and is tried again ({other})"),
        None => "reconnect".to_owned(),
    }
}
