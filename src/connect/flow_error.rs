//! Why an attempt to connect an account did not end in a connection, in the two voices of design 3.6.

use super::error::ConnectError;
use crate::ids::FlowId;
use crate::kit::error::ToolError;
use crate::kit::integration::Integration;

/// Why an attempt to connect did not end in a connection.
#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    /// No integration or provider has this id.
    #[error("no integration is called {0}")]
    UnknownIntegration(String),
    /// An admin must set the OAuth app first.
    #[error("the OAuth app of {} is not set up", .0.id)]
    NotSetUp(&'static Integration),
    /// It is not connected through a consent page.
    #[error("{} is not connected through a consent page", .0.id)]
    NoConsentPage(&'static Integration),
    /// The state is unknown, used or too old.
    #[error("the attempt to connect is unknown, used or too old")]
    Stale,
    /// The person begins too often.
    #[error("too many attempts to connect; the next one may be in {0} s")]
    TooOften(u64),
    /// Another person, browser or provider began it.
    #[error("the attempt to connect was begun elsewhere")]
    Foreign,
    /// The person said no.
    #[error("the person did not approve")]
    Denied,
    /// The provider wants an administrator's consent first.
    #[error("an administrator of the provider must consent first")]
    AdminConsent(Option<FlowId>),
    /// The provider sent an error.
    #[error("the provider answered: {0}")]
    Refused(String),
    /// A reconnect ended in another account than the one it was for.
    #[error("another account was chosen: {found} instead of {expected}")]
    WrongAccount {
        /// The account to reconnect.
        expected: String,
        /// The one that was chosen.
        found: String,
    },
    /// The provider did not tell whose account it is.
    #[error("the account cannot be identified: {0}")]
    Identify(#[source] ToolError),
    /// A pasted key cannot be kept; says what the person has to change.
    #[error("{0}")]
    Key(String),
    /// The connection could not be stored.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

impl From<crate::store::StoreError> for FlowError {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Connect(error.into())
    }
}

impl FlowError {
    /// What the person is told: what happened and what to do.
    pub fn told(&self) -> String {
        match self {
            Self::UnknownIntegration(id) => format!("Nothing here is called {id}."),
            Self::NotSetUp(integration) => format!(
                "An admin has to set up the OAuth app for {} first, with `workbench-mcp apps set {}`.",
                integration.name, integration.id
            ),
            Self::NoConsentPage(integration) => format!("{} is not connected through a page.", integration.name),
            Self::Stale => {
                "This attempt to connect was used already or is older than ten minutes. Start again.".to_owned()
            }
            Self::TooOften(seconds) => {
                format!("These were many attempts in a short time. Nothing was tried now; try again in {seconds} s.")
            }
            Self::Foreign => {
                "This attempt to connect was begun by somebody else or in another browser. Start again here.".to_owned()
            }
            Self::Denied => "You did not approve, so nothing was connected. Start again when you want to.".to_owned(),
            Self::AdminConsent(_) => {
                "Your organization wants an administrator of the provider to approve this app first. Ask them, then start again.".to_owned()
            }
            Self::Refused(said) => format!("The provider did not connect the account: {said}. Try again in a minute."),
            Self::WrongAccount { expected, found } => format!(
                "You chose {found}, but this was to reconnect {expected}. Sign in to {expected} at the provider and start again, or connect {found} as another account."
            ),
            Self::Identify(error) => format!(
                "The provider approved, but did not say whose account it is ({error}). Nothing was stored. Try again."
            ),
            Self::Key(said) => said.clone(),
            Self::Connect(_) => "Something failed on our side. Nothing was stored. Try again in a moment.".to_owned(),
        }
    }
}
