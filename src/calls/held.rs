//! Context blocks that were read already: kept for a while with their version, so that reading an unchanged one again
//! costs one cheap request, and told about when a look finds them changed.
//!
//! Nothing here is answered without asking the provider: a kept text is used only when the block itself says, in the same
//! call, that its version is still the newest.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::broadcast;

use super::{Calls, shape};
use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::ids::{ConnectionId, UserId};
use crate::kit::block::Content;
use crate::kit::error::{ProviderError, ToolError};

/// Text that is kept of all blocks together, in bytes.
const MOST_BYTES: u64 = 32 * 1024 * 1024;
/// How long an unused one is kept.
const IDLE: Duration = Duration::from_mins(30);
/// Changes that a slow listener may lag behind.
const BACKLOG: usize = 256;

/// The blocks that are kept.
pub(super) struct Held {
    blocks: Cache<(ConnectionId, Arc<str>), Arc<Kept>>,
    changed: broadcast::Sender<(UserId, Arc<str>)>,
}

/// One of them, as it was answered.
pub(super) struct Kept {
    content: Content,
    version: String,
    fetched_at: Timestamp,
}

impl Held {
    pub(super) fn new() -> Self {
        let weight = |(_, uri): &(ConnectionId, Arc<str>), kept: &Arc<Kept>| {
            let bytes = uri.len() + kept.content.text.len() + kept.version.len() + 256;
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        Self {
            blocks: Cache::builder()
                .weigher(weight)
                .max_capacity(MOST_BYTES)
                .time_to_idle(IDLE)
                .build(),
            changed: broadcast::Sender::new(BACKLOG),
        }
    }

    /// What is kept of the block at `uri` of this connection.
    pub(super) fn get(&self, connection: ConnectionId, uri: &str) -> Option<Arc<Kept>> {
        self.blocks.get(&(connection, Arc::from(uri)))
    }

    /// What to answer after the block was asked with `kept` in hand, and when that was fetched.
    pub(super) fn settle(
        &self,
        at: (UserId, ConnectionId, &str),
        read: Content,
        usual_mime: &str,
        kept: Option<&Kept>,
        now: Timestamp,
    ) -> Result<(Content, Timestamp), ToolError> {
        if read.unchanged {
            return match kept {
                Some(kept) => Ok((kept.content.clone(), kept.fetched_at)),
                None => Err(ProviderError::Unavailable {
                    reason: "said that nothing changed since a version that nobody holds"
                        .to_owned(),
                }
                .into()),
            };
        }
        let content = shape::content(read, usual_mime, super::arguments::MOST_MAX_CHARS);
        let (user, connection, uri) = at;
        if let Some(version) = content.version.clone() {
            let uri: Arc<str> = Arc::from(uri);
            if kept.is_some_and(|kept| kept.version != version) {
                // Nobody listening is no failure.
                let _ = self.changed.send((user, Arc::clone(&uri)));
            }
            let kept = Kept {
                content: content.clone(),
                version,
                fetched_at: now,
            };
            self.blocks.insert((connection, uri), Arc::new(kept));
        }
        Ok((content, now))
    }
}

impl Kept {
    pub(super) fn version(&self) -> &str {
        &self.version
    }
}

/// Blocks of one person that were found changed, on this replica.
pub struct Updates {
    heard: broadcast::Receiver<(UserId, Arc<str>)>,
    user: UserId,
}

impl Updates {
    /// The address of the next one. `None` when there will be no more.
    pub async fn next(&mut self) -> Option<Arc<str>> {
        use broadcast::error::RecvError;
        loop {
            match self.heard.recv().await {
                Ok((user, uri)) if user == self.user => return Some(uri),
                // Who lags is told of the next change; what was missed is found again at the next look.
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

impl Calls {
    /// Tells when a look at one of the caller's blocks finds it changed.
    pub fn updates(&self, caller: &Caller) -> Updates {
        Updates {
            heard: self.inner.held.changed.subscribe(),
            user: caller.user,
        }
    }
}
