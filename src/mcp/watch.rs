//! Subscriptions to context blocks. Providers tell nobody that a record changed, so a subscribed block is looked at again
//! now and then, as any read of it is: allowed by the rules, recorded, and cheap where the provider has versions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rmcp::service::{SubscriptionContext, SubscriptionSendError};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::Server;
use crate::caller::{Caller, Client};
use crate::calls::{ACCOUNTS_URI, Context};
use crate::integrations;

/// Addresses that one stream or session may subscribe to.
pub(super) const MOST: usize = 20;
/// How long after a change, or after subscribing, the next look is.
const SOONEST: Duration = Duration::from_mins(2);
/// How long it is at most; the wait doubles while nothing changes.
const LATEST: Duration = Duration::from_mins(16);

/// Whether an address is one whose changes can be told.
pub(super) fn is_known(uri: &str) -> bool {
    uri == ACCOUNTS_URI || integrations::block(uri).is_some()
}

/// The addresses that one client subscribed to. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Subscriptions(Arc<Mutex<BTreeMap<String, Look>>>);

/// When a block is looked at again.
struct Look {
    due: Instant,
    wait: Duration,
    changed: bool,
}

impl Subscriptions {
    /// Those of a stream that names them once.
    pub(super) fn of(uris: impl IntoIterator<Item = String>) -> Self {
        let all = Self::default();
        for uri in uris {
            all.add(uri);
        }
        all
    }

    /// Adds one; false when there are as many as there may be.
    pub(super) fn add(&self, uri: String) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.contains_key(&uri) {
            return true;
        }
        if all.len() >= MOST {
            return false;
        }
        let look = Look {
            due: Instant::now() + SOONEST,
            wait: SOONEST,
            changed: false,
        };
        all.insert(uri, look);
        true
    }

    /// Takes one away.
    pub(super) fn remove(&self, uri: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(uri);
    }

    /// Whether the client wants to hear of this one, which has just been found changed.
    pub(super) fn wants(&self, uri: &str) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(uri) {
            Some(look) => {
                look.changed = true;
                true
            }
            None => false,
        }
    }

    /// The block whose turn is next, and when. It is put at the end of the line.
    fn next(&self) -> Option<(String, Instant)> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (uri, look) = all
            .iter_mut()
            .filter(|(uri, _)| *uri != ACCOUNTS_URI)
            .min_by_key(|(_, look)| look.due)?;
        let due = look.due;
        look.wait = if std::mem::take(&mut look.changed) {
            SOONEST
        } else {
            LATEST.min(look.wait * 2)
        };
        look.due = due.max(Instant::now()) + look.wait;
        Some((uri.clone(), due))
    }
}

/// Tells a client of the stateless revision what it asked to hear, until its stream ends.
pub(super) async fn listen(
    server: &Server,
    caller: Caller,
    client: Client,
    cx: &SubscriptionContext,
) {
    let calls = &server.0.calls;
    let mut events = calls.events(&caller);
    let mut updates = calls.updates(&caller);
    let accepted = cx.accepted().clone();
    let subscribed = Subscriptions::of(accepted.resource_subscriptions.into_iter().flatten());
    let looking = look(server.clone(), caller, client, subscribed.clone());
    let _looking = AbortOnDropHandle::new(tokio::spawn(looking));
    let sink = cx.sink();
    loop {
        let updated = tokio::select! {
            () = cx.cancelled() => return,
            () = server.0.closing.cancelled() => return,
            more = events.changed() => if more { None } else { return },
            uri = updates.next() => match uri {
                Some(uri) if subscribed.wants(&uri) => Some(uri),
                Some(_) => continue,
                None => return,
            },
        };
        let told = async {
            if let Some(uri) = updated {
                return sink.notify_resource_updated(&*uri).await;
            }
            if accepted.tools_list_changed == Some(true) {
                sink.notify_tool_list_changed().await?;
            }
            if accepted.resources_list_changed == Some(true) {
                sink.notify_resource_list_changed().await?;
            }
            if subscribed.wants(ACCOUNTS_URI) {
                sink.notify_resource_updated(ACCOUNTS_URI).await?;
            }
            Ok::<(), SubscriptionSendError>(())
        };
        if told.await.is_err() {
            return;
        }
    }
}

/// Looks at the subscribed blocks again and again, until the caller's credential no longer holds. What a look finds is
/// told by [`crate::calls::Updates`]; one that fails is in the log, and the next one may go better.
pub(super) async fn look(server: Server, caller: Caller, client: Client, all: Subscriptions) {
    /// How often an empty set is looked into.
    const IDLE: Duration = Duration::from_secs(30);
    loop {
        let Some((uri, due)) = all.next() else {
            tokio::time::sleep(IDLE).await;
            continue;
        };
        tokio::time::sleep_until(due).await;
        if !(server.0.still_allowed)(caller.clone()).await {
            return;
        }
        let context = Context {
            client: client.clone(),
            ..Context::default()
        };
        let _recorded = server.0.calls.read(&caller, &uri, context).await;
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn subscriptions_are_bounded_and_waits_grow() {
        let all = Subscriptions::default();
        for number in 0..MOST {
            assert!(all.add(format!("github://a/o/r{number}")));
        }
        assert!(!all.add("github://a/o/more".to_owned()));
        assert!(
            all.add("github://a/o/r0".to_owned()),
            "again is no other one"
        );
        assert!(all.wants("github://a/o/r0") && !all.wants("github://a/o/more"));

        let one = Subscriptions::of(["github://a/o/r".to_owned(), ACCOUNTS_URI.to_owned()]);
        let waits = |rounds: usize| -> Vec<u64> {
            (0..rounds)
                .map(|_| {
                    let (uri, _) = one.next().unwrap();
                    assert_eq!(uri, "github://a/o/r");
                    let all = one.0.lock().unwrap_or_else(PoisonError::into_inner);
                    all["github://a/o/r"].wait.as_secs() / 60
                })
                .collect()
        };
        assert_eq!(waits(4), [4, 8, 16, 16]);
        assert!(one.wants("github://a/o/r"));
        assert_eq!(waits(2), [2, 4]);
        one.remove("github://a/o/r");
        assert!(one.next().is_none());
    }
}
