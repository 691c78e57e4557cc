//! The switches: what tests and people tell the sandbox to do, in Rust or as JSON at `/_control`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Shared;
use super::faults::{Fault, Place, Planned};
use super::state::{Counters, ProviderState, Settings, Tokens};

/// A handle to the switches; cheap to clone.
#[derive(Clone)]
pub struct Control {
    pub(super) shared: Arc<Shared>,
}

/// One thing to do at one provider. As JSON it is named by `do`, e.g. `{"do": "revoke", "account": "bob-ops"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Command {
    /// End the life of every access token now; refresh tokens live on.
    ExpireAccessTokens,
    /// Take grants back, as a person does in the provider's settings.
    Revoke {
        /// This account's only.
        #[serde(default)]
        account: Option<String>,
    },
    /// Spoil the next answers.
    Misbehave {
        /// How.
        fault: Fault,
        /// Where.
        at: Place,
        /// How many.
        #[serde(default = "once")]
        times: u32,
    },
    /// Forget the faults that have not struck yet.
    Behave,
    /// Replace the settings.
    Set(Settings),
    /// From now on this client must give this secret.
    RegisterClient {
        /// Its id.
        client_id: String,
        /// Its secret.
        client_secret: String,
    },
    /// Consent without a browser.
    Mint {
        /// Whose.
        account: String,
        /// To which client.
        client_id: String,
        /// With which scopes.
        #[serde(default)]
        scopes: Vec<String>,
    },
    /// Look out for a text in every request: address, headers and body.
    Watch {
        /// The text.
        text: String,
    },
    /// Forget faults, settings, counts and watched texts; grants live on.
    Reset,
}

fn once() -> u32 {
    1
}

/// What a command brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// It is done.
    Done,
    /// It is done, and these are the tokens.
    Minted(Tokens),
}

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// No such provider.
    #[error("the sandbox has no provider `{0}`")]
    UnknownProvider(String),
    /// No such account.
    #[error("the provider has no account `{0}`")]
    UnknownAccount(String),
}

/// What a provider has seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Counts.
    #[serde(flatten)]
    pub counters: Counters,
    /// Every grant since the start, in order.
    pub grants: Vec<GrantReport>,
    /// Faults still to strike.
    pub faults: Vec<Planned>,
    /// Where behaviour departs from the provider's data.
    pub settings: Settings,
    /// The watched texts, and whether they came.
    pub canaries: BTreeMap<String, bool>,
    /// In strict mode: what was asked and not expected, and what was expected and not asked.
    pub complaints: Vec<String>,
}

/// One person's consent to one client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantReport {
    /// Whose.
    pub account: String,
    /// To which client.
    pub client_id: String,
    /// With which scopes.
    pub scopes: Vec<String>,
    /// Whether it was taken back.
    pub revoked: bool,
    /// Calls of the token endpoint with a refresh token of it, refused and spoilt ones included.
    pub refresh_calls: u64,
    /// Those that brought new tokens, whether or not the caller got to see them.
    pub refreshes: u64,
}

impl Control {
    /// Carries a command out.
    pub fn tell(&self, provider: &str, command: Command) -> Result<Reply, ControlError> {
        let now = self.shared.clock.now();
        let mut providers = self.shared.lock();
        let state = providers
            .get_mut(provider)
            .ok_or_else(|| ControlError::UnknownProvider(provider.to_owned()))?;
        let account = |state: &ProviderState, id: &str| {
            let found = state.provider.account(id);
            found.ok_or_else(|| ControlError::UnknownAccount(id.to_owned()))
        };
        match command {
            Command::ExpireAccessTokens => state.expire_access_tokens(now),
            Command::Revoke { account: whose } => {
                let whose = whose.map(|id| account(state, &id)).transpose()?;
                for grant in 0..state.grants.len() {
                    if whose.is_none_or(|whose| state.grants[grant].account.id == whose.id) {
                        state.revoke(grant, now);
                    }
                }
            }
            Command::Misbehave { fault, at, times } => {
                if let Fault::OtherAccount { account: id } = &fault {
                    account(state, id)?;
                }
                state.faults.push(Planned { fault, at, times });
            }
            Command::Behave => state.faults.clear(),
            Command::Set(settings) => state.settings = settings,
            Command::RegisterClient {
                client_id,
                client_secret,
            } => {
                state.clients.insert(client_id, client_secret);
            }
            Command::Mint {
                account: id,
                client_id,
                scopes,
            } => {
                let account = account(state, &id)?;
                let tokens = state.grant(account, &client_id, scopes, now);
                return Ok(Reply::Minted(tokens));
            }
            Command::Watch { text } => {
                state.canaries.entry(text).or_default();
            }
            Command::Reset => {
                state.faults.clear();
                state.canaries.clear();
                state.settings = Settings::default();
                state.counters = Counters::default();
                for grant in &mut state.grants {
                    grant.refresh_calls = 0;
                    grant.refreshes = 0;
                }
            }
        }
        Ok(Reply::Done)
    }

    /// Misbehaves at the next `times` requests at `at`.
    pub fn misbehave(
        &self,
        provider: &str,
        at: Place,
        times: u32,
        fault: Fault,
    ) -> Result<(), ControlError> {
        self.tell(provider, Command::Misbehave { fault, at, times })
            .map(|_| ())
    }

    /// Consents without a browser.
    pub fn mint(
        &self,
        provider: &str,
        account: &str,
        client_id: &str,
        scopes: &[&str],
    ) -> Result<Tokens, ControlError> {
        let now = self.shared.clock.now();
        let mut providers = self.shared.lock();
        let state = providers
            .get_mut(provider)
            .ok_or_else(|| ControlError::UnknownProvider(provider.to_owned()))?;
        let found = state
            .provider
            .account(account)
            .ok_or_else(|| ControlError::UnknownAccount(account.to_owned()))?;
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        Ok(state.grant(found, client_id, scopes, now))
    }

    /// What a provider has seen.
    pub fn report(&self, provider: &str) -> Result<Report, ControlError> {
        let providers = self.shared.lock();
        let state = providers.get(provider);
        state
            .map(report)
            .ok_or_else(|| ControlError::UnknownProvider(provider.to_owned()))
    }

    /// What all providers have seen, by id.
    pub fn reports(&self) -> BTreeMap<String, Report> {
        let providers = self.shared.lock();
        let reports = providers
            .iter()
            .map(|(id, state)| ((*id).to_owned(), report(state)));
        reports.collect()
    }
}

fn report(state: &ProviderState) -> Report {
    let grants = state.grants.iter().map(|grant| GrantReport {
        account: grant.account.id.to_owned(),
        client_id: grant.client_id.clone(),
        scopes: grant.scopes.clone(),
        revoked: grant.revoked_at.is_some(),
        refresh_calls: grant.refresh_calls,
        refreshes: grant.refreshes,
    });
    Report {
        counters: state.counters.clone(),
        grants: grants.collect(),
        faults: state.faults.clone(),
        settings: state.settings.clone(),
        canaries: state.canaries.clone(),
        complaints: state.book.complaints(),
    }
}
