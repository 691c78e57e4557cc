//! Prompt injection: what others wrote may tell a model what to do. Where the organization asks for it, a conversation that
//! has read from a provider may no longer reach people outside on its own; a person then agrees to each such call.
//!
//! A conversation is the thread that the client names. What a client sends without a thread is one conversation per
//! person, since nothing tells them apart. What a person reads on our own pages went to no model, and is not counted.

use std::time::Duration;

use super::explain::Failure;
use super::run::Run;
use crate::ids::UserId;

/// How long a thread is believed to remember what it has read.
const THREAD: Duration = Duration::from_hours(30 * 24);
/// The same for calls without a thread.
const NO_THREAD: Duration = Duration::from_hours(24);
/// How often one that reads again and again is noted again.
const AGAIN: Duration = Duration::from_hours(1);
/// Conversations remembered as just noted.
const MOST: u64 = 10_000;

/// Conversations that were noted lately.
pub(super) type Noted = moka::sync::Cache<(UserId, String), ()>;

/// An empty memory.
pub(super) fn noted() -> Noted {
    moka::sync::Cache::builder()
        .max_capacity(MOST)
        .time_to_live(AGAIN)
        .build()
}

impl Run<'_> {
    /// Which conversation this is; `None` where no model reads along.
    fn conversation(&self) -> Option<&str> {
        let pages = self.context.client.transport == "web";
        (!pages).then(|| self.context.thread.as_deref().unwrap_or_default())
    }

    /// Whether the conversation has read what others wrote.
    pub(super) async fn is_led(&self) -> Result<bool, Failure> {
        let Some(thread) = self.conversation() else {
            return Ok(false);
        };
        let (user, store) = (self.caller.user, &self.calls.inner.store);
        Ok(store.has_read_untrusted(user, thread, self.now()).await?)
    }

    /// Notes that the conversation now reads what others wrote, before it does.
    pub(super) async fn reads_untrusted(&self) -> Result<(), Failure> {
        let Some(thread) = self.conversation() else {
            return Ok(());
        };
        if !self.calls.rules(self.caller.org).await?.ask_after_untrusted {
            return Ok(());
        }
        let inner = &self.calls.inner;
        let key = (self.caller.user, thread.to_owned());
        if inner.noted.contains_key(&key) {
            return Ok(());
        }
        let kept = if thread.is_empty() { NO_THREAD } else { THREAD };
        let until = self.now().plus(kept);
        inner
            .store
            .note_untrusted_read(key.0, thread, until)
            .await?;
        inner.noted.insert(key, ());
        Ok(())
    }
}
