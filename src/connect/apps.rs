//! The organization's OAuth apps as an admin looks at them: where they are set, whether the provider knows them, and who
//! has come through them.

use secrecy::SecretString;

use super::oauth::{TokenFailure, Trade, trade};
use super::{ConnectError, Connections};
use crate::clock::Timestamp;
use crate::ids::{OrgId, UserId};
use crate::store::{ConnectionRow, Status, StoreError};
use crate::vault;

/// Where an app is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppSource {
    /// In the settings of the process, which win.
    Environment {
        /// The public id.
        client_id: String,
    },
    /// By an admin.
    Stored {
        /// The public id.
        client_id: String,
    },
    /// Nowhere.
    Missing,
}

/// What the provider makes of an app's credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// It knows them: it refused the code that was made up, and not the app.
    Good,
    /// It refuses the app, with this word.
    Wrong(String),
    /// There is no app to check.
    NotSet,
    /// It said neither.
    Unclear(String),
}

/// How somebody's account is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whose it is.
    pub user: UserId,
    /// The integration's id.
    pub integration: String,
    /// How it is.
    pub status: Status,
    /// Why, in one word.
    pub reason: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// When a tool last used it.
    pub last_used_at: Option<Timestamp>,
}

impl Connections {
    /// Where the app at this provider is set.
    pub async fn app_source(&self, org: OrgId, provider: &str) -> Result<AppSource, ConnectError> {
        let (_, site) = self.site(provider)?;
        if let Some(app) = &site.app {
            return Ok(AppSource::Environment {
                client_id: app.client_id.clone(),
            });
        }
        let row = self.inner.store.app(org, provider).await?;
        Ok(row.map_or(AppSource::Missing, |row| AppSource::Stored {
            client_id: row.client_id,
        }))
    }

    /// Asks the provider's token endpoint with a code that nobody got: it says whether it is the app or the code that it
    /// does not like (RFC 6749 §5.2).
    pub async fn check_app(&self, org: OrgId, provider: &str) -> Result<Checked, ConnectError> {
        let (provider, site) = self.site(provider)?;
        let Some(oauth) = provider.auth.oauth2() else {
            return Ok(Checked::NotSet);
        };
        let Some(app) = self.app(site, org).await else {
            return Ok(Checked::NotSet);
        };
        let (Some(endpoints), Some(code), Some(verifier)) = (
            self.endpoints(site, oauth, org).await,
            vault::random_secret("no-"),
            vault::random_secret(""),
        ) else {
            return Ok(Checked::Unclear("its address is wrong".to_owned()));
        };
        let made_up = Trade::Code {
            code: secrecy::ExposeSecret::expose_secret(&code),
            verifier: &verifier,
            redirect: self.inner.links.callback(provider.id),
        };
        let answer = trade(&self.inner.http, oauth, &endpoints, &app, made_up).await;
        Ok(match answer {
            Err(TokenFailure::Gone(_) | TokenFailure::Challenged(_)) => Checked::Good,
            Err(TokenFailure::App(word)) => Checked::Wrong(word),
            // Some providers have a word of their own for a wrong code.
            Err(TokenFailure::Transient(word)) if is_about_the_code(&word) => Checked::Good,
            Err(TokenFailure::Transient(said) | TokenFailure::Unknown(said)) => {
                Checked::Unclear(said)
            }
            Err(TokenFailure::Throttled { retry_after_s }) => {
                Checked::Unclear(format!("it asks to come back in {retry_after_s} s"))
            }
            Ok(_) => Checked::Unclear("it took a code that nobody got".to_owned()),
        })
    }

    /// Whose accounts of which integration are connected, and how they are; not which accounts.
    pub async fn everybody(&self, org: OrgId) -> Result<Vec<Health>, StoreError> {
        let rows = self.inner.store.connections(org).await?;
        let facts = |row: ConnectionRow| Health {
            user: row.user_id,
            since: row.status_at.unwrap_or(row.connected_at),
            integration: row.integration,
            status: row.status,
            reason: row.reason,
            last_used_at: row.last_used_at,
        };
        Ok(rows.into_iter().map(facts).collect())
    }
}

/// Whether an error word, such as GitHub's `bad_verification_code` or HubSpot's `BAD_AUTH_CODE`, is about the code.
fn is_about_the_code(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    !word.contains(' ') && word.ends_with("_code")
}

/// A secret as somebody pasted it.
pub fn pasted(text: &str) -> Option<SecretString> {
    let text = text.trim();
    let whole = !text.is_empty() && text.len() <= 4_096 && !text.contains(char::is_whitespace);
    whole.then(|| SecretString::from(text.to_owned()))
}
