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
/// Longest sleep between looks into the set, which may change meanwhile.
const IDLE: Duration = Duration::from_secs(30);

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
    /// How long that is after the look before.
    wait: Duration,
}

impl Look {
    /// The first one, or the first after a change.
    fn soon(now: Instant) -> Self {
        Self {
            due: now + SOONEST,
            wait: SOONEST,
        }
    }
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
        all.insert(uri, Look::soon(Instant::now()));
        true
    }

    /// Takes one away.
    pub(super) fn remove(&self, uri: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(uri);
    }

    /// Whether the client wants to hear of this one, which has just been found changed. What changed may change again soon.
    pub(super) fn wants(&self, uri: &str) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(uri) {
            Some(look) => {
                *look = Look::soon(Instant::now());
                true
            }
            None => false,
        }
    }

    /// The block whose turn it is now, else how long to wait before asking again. It is put at the end of the line.
    fn next(&self, now: Instant) -> Result<String, Duration> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = all
            .iter_mut()
            .filter(|(uri, _)| *uri != ACCOUNTS_URI)
            .min_by_key(|(_, look)| look.due);
        let Some((uri, look)) = first else {
            return Err(IDLE);
        };
        if look.due > now {
            return Err(IDLE.min(look.due - now));
        }
        look.wait = LATEST.min(look.wait * 2);
        look.due = now + look.wait;
        Ok(uri.clone())
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
    loop {
        let uri = match all.next(Instant::now()) {
            Ok(uri) => uri,
            Err(wait) => {
                tokio::time::sleep(wait).await;
                continue;
            }
        };
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
    fn subscriptions_are_bounded() {
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
    }

    /// The minutes after `from` at which the only block is looked at, `rounds` times.
    fn looks(all: &Subscriptions, from: Instant, rounds: usize) -> Vec<u64> {
        // A subscription takes the time of the machine, which is a moment after `from`.
        let moment = Duration::from_secs(5);
        let minutes = (0..60).filter(|minute| {
            let now = from + Duration::from_mins(*minute) + moment;
            all.next(now).is_ok()
        });
        minutes.take(rounds).collect()
    }

    #[test]
    fn waits_grow_until_something_changes() {
        let uri = "github://a/o/r";
        let begun = Instant::now();
        let all = Subscriptions::of([uri.to_owned(), ACCOUNTS_URI.to_owned()]);
        assert_eq!(looks(&all, begun, 4), [2, 6, 14, 30]);
        // It was due later, and is now due soon.
        assert!(all.wants(uri));
        assert_eq!(looks(&all, begun, 3), [2, 6, 14]);
    }

    #[test]
    fn what_comes_and_goes_is_noticed_between_looks() {
        let minutes = |count| Instant::now() + Duration::from_mins(count) + IDLE;
        let all = Subscriptions::of(["github://a/o/old".to_owned()]);
        for minute in [2, 10, 30] {
            assert_eq!(all.next(minutes(minute)).unwrap(), "github://a/o/old");
        }
        // The old one is not due for long; nobody sleeps longer than a new one may take.
        assert_eq!(all.next(minutes(31)), Err(IDLE));
        assert!(all.add("github://a/o/new".to_owned()));
        assert_eq!(all.next(minutes(3)).unwrap(), "github://a/o/new");
        all.remove("github://a/o/old");
        all.remove("github://a/o/new");
        assert_eq!(all.next(minutes(60)), Err(IDLE));
    }
}
