//! What a client is told beside the answers to its requests.

use rmcp::model::{ProgressNotificationParam, ResourceUpdatedNotificationParam};
use rmcp::service::{Peer, RequestContext, RoleServer};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::Server;
use super::watch::{self, Subscriptions};
use crate::caller::{Caller, Client};
use crate::calls::ACCOUNTS_URI;
use crate::kit::progress::{Progress, Step};

/// Whom a session of the older revisions belongs to, and what it wants to hear of.
pub(super) struct Told {
    pub(super) server: Server,
    pub(super) caller: Caller,
    pub(super) transport: &'static str,
    pub(super) subscriptions: Subscriptions,
}

/// Tells a peer of the older revisions about changes for as long as its session lasts.
pub(super) async fn tell_changes(peer: Peer<RoleServer>, told: Told) {
    /// How often a silent session is checked for being over.
    const CHECK: std::time::Duration = std::time::Duration::from_secs(30);
    let Told {
        server,
        caller,
        transport,
        subscriptions,
    } = told;
    let mut events = server.0.calls.events(&caller);
    let mut updates = server.0.calls.updates(&caller);
    let closing = server.0.closing.clone();
    let client = Client {
        transport,
        ..Client::default()
    };
    let looking = watch::look(server, caller, client, subscriptions.clone());
    let _looking = AbortOnDropHandle::new(tokio::spawn(looking));
    loop {
        let updated = tokio::select! {
            () = closing.cancelled() => return,
            more = events.changed() => if more { None } else { return },
            uri = updates.next() => match uri {
                Some(uri) if subscriptions.wants(&uri) => Some(uri),
                Some(_) => continue,
                None => return,
            },
            () = tokio::time::sleep(CHECK) => {
                if peer.is_transport_closed() {
                    return;
                }
                continue;
            }
        };
        let updated_uri = |uri: &str| ResourceUpdatedNotificationParam::new(uri);
        let told = async {
            if let Some(uri) = updated {
                return peer.notify_resource_updated(updated_uri(&uri)).await;
            }
            peer.notify_tool_list_changed().await?;
            peer.notify_resource_list_changed().await?;
            peer.notify_resource_updated(updated_uri(ACCOUNTS_URI))
                .await
        };
        if told.await.is_err() {
            return;
        }
    }
}

/// Runs `work` with a progress that reaches the client in order and is silent once the work is done. Without a token it
/// costs nothing. Reporting never waits for the client; only the answer does, for the reports before it.
pub(super) async fn with_progress<T>(
    cx: &RequestContext<RoleServer>,
    work: impl AsyncFnOnce(Progress) -> T,
) -> T {
    let Some(token) = cx.meta.get_progress_token() else {
        return work(Progress::default()).await;
    };
    let (steps, mut told) = mpsc::unbounded_channel::<Step>();
    let progress = Progress::to(move |step| {
        // The receiver is gone once the work is done: late reports vanish here.
        let _ = steps.send(step);
    });
    let done = CancellationToken::new();
    let tell = async {
        loop {
            let step = tokio::select! {
                biased;
                step = told.recv() => step,
                () = done.cancelled() => None,
            };
            let Some(step) = step else { return };
            let mut report =
                ProgressNotificationParam::new(token.clone(), step.done).with_message(step.message);
            if let Some(total) = step.total {
                report = report.with_total(total);
            }
            if cx.peer.notify_progress(report).await.is_err() {
                return;
            }
        }
    };
    let work = async {
        let result = work(progress).await;
        done.cancel();
        result
    };
    tokio::join!(work, tell).0
}
