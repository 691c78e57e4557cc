//! Context blocks that were read already: kept for a while with their version, so that reading an unchanged one again
//! costs one cheap request, and told about when a look finds them changed.
//!
//! Nothing here is answered without asking the provider: a kept text is used only when the block itself says, in the same
//! call, that its version is still the newest.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::broadcast;

use super::{Calls, shape};
use crate::caller::Caller;
use crate::changes::Heard;
use crate::clock::Timestamp;
use crate::ids::{ConnectionId, UserId};
use crate::kit::block::Content;
use crate::kit::error::{ProviderError, ToolError};
use crate::store::Status;

/// Text that is kept of all blocks together, in bytes.
const MOST_BYTES: u64 = 32 * 1024 * 1024;
/// How long an unused one is kept.
const IDLE: Duration = Duration::from_mins(30);
/// Changes that a slow listener may lag behind.
const BACKLOG: usize = 256;

/// All that are kept.
type Blocks = Cache<(ConnectionId, Arc<str>), Arc<Kept>>;

/// The blocks that are kept.
pub(super) struct Held {
    blocks: Blocks,
    changed: broadcast::Sender<(UserId, Arc<str>)>,
}

/// One of them, as it was answered.
pub(super) struct Kept {
    user: UserId,
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
            // Not all that a block shows moves its version.
            if kept.is_some_and(|kept| kept.version != version || kept.content.text != content.text)
            {
                // Nobody listening is no failure.
                let _ = self.changed.send((user, Arc::clone(&uri)));
            }
            let kept = Kept {
                user,
                content: content.clone(),
                version,
                fetched_at: now,
            };
            self.blocks.insert((connection, uri), Arc::new(kept));
        }
        Ok((content, now))
    }

    fn has_any(&self, user: UserId) -> bool {
        self.blocks.iter().any(|(_, kept)| kept.user == user)
    }

    /// Forgets what was read with other connections of this person than these.
    fn forget_but(&self, user: UserId, usable: &[ConnectionId]) {
        let is_over = |connection: &ConnectionId, kept: &Kept| {
            kept.user == user && !usable.contains(connection)
        };
        for (key, kept) in &self.blocks {
            if is_over(&key.0, &kept) {
                self.blocks.invalidate(&*key);
            }
        }
    }

    fn updates(&self, user: UserId) -> Updates {
        Updates {
            heard: self.changed.subscribe(),
            blocks: self.blocks.clone(),
            missed: BTreeSet::new(),
            user,
        }
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
    blocks: Blocks,
    /// Addresses of which some may have changed unheard.
    missed: BTreeSet<Arc<str>>,
    user: UserId,
}

impl Updates {
    /// The address of the next one. `None` when there will be no more. After it was heard too late, every address that is
    /// kept: a look already made what was missed the newest, so no later one finds it.
    pub async fn next(&mut self) -> Option<Arc<str>> {
        use broadcast::error::RecvError;
        loop {
            if let Some(uri) = self.missed.pop_first() {
                return Some(uri);
            }
            match self.heard.recv().await {
                Ok((user, uri)) if user == self.user => return Some(uri),
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => {
                    let kept = self.blocks.iter();
                    let own = kept.filter(|(_, kept)| kept.user == self.user);
                    self.missed = own.map(|(key, _)| Arc::clone(&key.1)).collect();
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

impl Calls {
    /// Tells when a look at one of the caller's blocks finds it changed.
    pub fn updates(&self, caller: &Caller) -> Updates {
        self.inner.held.updates(caller.user)
    }

    /// Forgets the texts that were read with a connection that has ended. Runs until the future is dropped.
    pub(super) async fn forget_ended(&self, mut heard: broadcast::Receiver<Heard>) {
        use broadcast::error::RecvError;
        loop {
            let user = match heard.recv().await {
                Ok(Heard::Change(change)) if change.topic == "connection" => change.user_id,
                Ok(Heard::Change(_)) => continue,
                Ok(Heard::Everything) | Err(RecvError::Lagged(_)) => None,
                Err(RecvError::Closed) => return,
            };
            let held = &self.inner.held;
            match user {
                Some(user) if held.has_any(user) => {
                    let rows = self.inner.store.connections_of(user).await;
                    let rows = rows.unwrap_or_default();
                    let usable = rows
                        .iter()
                        .filter(|row| matches!(row.status, Status::Connected | Status::Error));
                    let usable: Vec<ConnectionId> = usable.map(|row| row.id).collect();
                    held.forget_but(user, &usable);
                }
                Some(_) => {}
                None => held.blocks.invalidate_all(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

    use futures_util::FutureExt;

    use super::*;

    const URI: &str = "github://a/o/r";

    fn place() -> (UserId, ConnectionId, &'static str) {
        let then = Timestamp::from_micros(1);
        (UserId::new(then), ConnectionId::new(then), URI)
    }

    /// Reads what now has this version and text.
    fn read(held: &Held, place: (UserId, ConnectionId, &str), version: &str, text: &str) {
        let mut content = Content::text(text);
        content.version = Some(version.to_owned());
        let kept = held.get(place.1, place.2);
        let now = Timestamp::from_micros(2);
        held.settle(place, content, "text/plain", kept.as_deref(), now)
            .unwrap();
    }

    #[test]
    fn a_changed_version_or_text_is_told() {
        let held = Held::new();
        let place = place();
        let mut updates = held.updates(place.0);
        for (version, text, told) in [
            ("1", "a", false),
            ("1", "a", false),
            ("1", "b", true),
            ("2", "b", true),
            ("2", "b", false),
        ] {
            read(&held, place, version, text);
            let heard = updates.next().now_or_never().flatten();
            assert_eq!(heard.is_some(), told, "{version} {text}");
        }
    }

    #[test]
    fn what_an_ended_connection_read_is_forgotten() {
        let held = Held::new();
        let (ended, other, somebody) = (place(), place(), place());
        let other = (ended.0, other.1, URI);
        for place in [ended, other, somebody] {
            read(&held, place, "1", "a");
        }
        held.forget_but(ended.0, &[other.1]);
        let kept = |place: (UserId, ConnectionId, &str)| held.get(place.1, place.2).is_some();
        assert_eq!(
            [kept(ended), kept(other), kept(somebody)],
            [false, true, true]
        );
    }

    #[test]
    fn who_lags_is_told_of_all_that_is_kept_for_them() {
        let held = Held::new();
        let place = place();
        let other = (place.0, place.1, "github://a/o/other");
        let somebody = self::place();
        read(&held, (somebody.0, somebody.1, "github://b/o/r"), "1", "a");
        let mut updates = held.updates(place.0);
        read(&held, other, "1", "a");
        read(&held, other, "2", "a");
        for version in 0..=BACKLOG {
            read(&held, place, "1", &version.to_string());
        }
        let mut next = || updates.next().now_or_never().flatten();
        assert_eq!(next().as_deref(), Some(other.2));
        assert_eq!(next().as_deref(), Some(URI));
        // What somebody else reads is not theirs; what follows was heard in time.
        assert_eq!(next().as_deref(), Some(URI));
    }
}
