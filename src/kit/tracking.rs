//! Opens and clicks of sent mail, where the organization has switched that on.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::Serialize;

use super::Timestamp;
use super::error::ToolError;

/// A message that is about to be sent.
#[derive(Clone, Debug)]
pub struct Leaving {
    /// Its subject, for the person's own list.
    pub subject: String,
    /// Whom it goes to.
    pub to: Vec<String>,
    /// Its body as `html_of_markdown` wrote it.
    pub html: String,
}

/// A message whose links and opening are noticed.
#[derive(Clone, Debug)]
pub struct Marked {
    /// Names it in [`Tracking::results`].
    pub id: String,
    /// The body to send instead.
    pub html: String,
}

/// Why nothing can be tracked.
pub fn switched_off() -> ToolError {
    ToolError::Invalid(
        "`track` cannot be used: noticing opens and clicks of sent mail is switched off here; an admin can allow it"
            .to_owned(),
    )
}

/// What was noticed of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Noticed {
    /// Names it.
    pub id: String,
    /// Its subject.
    pub subject: String,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// How often its picture was fetched; mail programs fetch it without a reader too, and hide readers.
    pub opens: u32,
    /// The last of these fetches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_opened_at: Option<Timestamp>,
    /// The links that were followed, and how often.
    pub clicks: Vec<(String, u32)>,
}

/// Does the noticing.
pub trait Notices: Send + Sync {
    /// Takes the message down and rewrites its body.
    fn mark(&self, leaving: Leaving) -> BoxFuture<'_, Result<Marked, ToolError>>;
    /// What was noticed of these messages of the same connection, newest first; with no ids the latest fifty.
    fn results(&self, ids: Vec<String>) -> BoxFuture<'_, Result<Vec<Noticed>, ToolError>>;
}

/// Tracking of one connection's sent mail. Switched off it marks nothing and has noticed nothing.
#[derive(Clone, Default)]
pub struct Tracking(Option<Arc<dyn Notices>>);

impl Tracking {
    /// Tracking by `notices`.
    pub fn by(notices: Arc<dyn Notices>) -> Self {
        Self(Some(notices))
    }

    /// Marks a message, or says that an admin must switch this on first.
    pub async fn mark(&self, leaving: Leaving) -> Result<Marked, ToolError> {
        match &self.0 {
            Some(notices) => notices.mark(leaving).await,
            None => Err(switched_off()),
        }
    }

    /// What was noticed of these messages; with no ids, of the latest fifty.
    pub async fn results(&self, ids: Vec<String>) -> Result<Vec<Noticed>, ToolError> {
        match &self.0 {
            Some(notices) => notices.results(ids).await,
            None => Ok(Vec::new()),
        }
    }
}
