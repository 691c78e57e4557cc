//! How many streams a person may hold open, and when they end.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hyper::body::{Frame, SizeHint};

use super::{Body, Server};
use crate::caller::Caller;
use crate::ids::UserId;

/// Open streams per person and replica: `subscriptions/listen`, the GET stream of a session, HTTP+SSE.
pub(super) const MAX_STREAMS: usize = 16;
/// How often an open stream asks whether its credential still holds.
const RECHECK: Duration = Duration::from_secs(4);

/// The open streams of everyone on this replica.
#[derive(Clone, Default)]
pub(super) struct Streams(Arc<Mutex<HashMap<UserId, usize>>>);

/// One open stream; dropping it makes room.
pub(super) struct Permit {
    streams: Streams,
    user: UserId,
}

impl Streams {
    /// Room for one more stream of this person; `None` when there is none.
    pub(super) fn take(&self, user: UserId) -> Option<Permit> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(user).or_default();
        if *count >= MAX_STREAMS {
            return None;
        }
        *count += 1;
        Some(Permit {
            streams: self.clone(),
            user,
        })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self
            .streams
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.user);
            }
        }
    }
}

/// A streamed answer that holds its permit and ends when the caller's credential does.
pub(super) struct Held {
    inner: Body,
    /// Behind a lock that is never waited for: bodies must be `Sync`, futures need not be.
    revoked: Mutex<BoxFuture<'static, ()>>,
    ended: bool,
    _permit: Permit,
}

impl Held {
    /// Wraps `inner`.
    pub(super) fn new(inner: Body, permit: Permit, server: &Server, caller: Caller) -> Self {
        let still_allowed = Arc::clone(&server.0.still_allowed);
        let revoked = async move {
            loop {
                tokio::time::sleep(RECHECK).await;
                if !still_allowed(caller.clone()).await {
                    return;
                }
            }
        };
        Self {
            inner,
            revoked: Mutex::new(revoked.boxed()),
            ended: false,
            _permit: permit,
        }
    }
}

impl hyper::body::Body for Held {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let held = &mut *self;
        let revoked = held
            .revoked
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if held.ended || revoked.as_mut().poll(cx).is_ready() {
            held.ended = true;
            return Poll::Ready(None);
        }
        Pin::new(&mut held.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
