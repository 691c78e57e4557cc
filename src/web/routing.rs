//! `get` and `post` for our routes, over handlers whose types end here.
//!
//! axum wraps every handler in half a dozen generic services. With some ninety handlers, whose futures the compiler follows
//! down to the database for each of those services, that was a third of every build.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::Request;
use axum::handler::Handler;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{self, MethodRouter};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tracing::Instrument as _;

use super::Web;
use super::error::Error;

type Answer = BoxFuture<'static, Response>;

#[derive(Clone)]
struct Erased(Arc<dyn Fn(Request, Web) -> Answer + Send + Sync>);

impl Handler<(), Web> for Erased {
    type Future = Answer;

    fn call(self, request: Request, web: Web) -> Self::Future {
        (self.0)(request, web)
    }
}

/// The handler, with a page of its own for a fault in it.
fn erased<T: 'static>(handler: impl Handler<T, Web, Future = Answer>) -> Erased {
    Erased(Arc::new(move |request, web| {
        let answer = AssertUnwindSafe(handler.clone().call(request, web)).catch_unwind();
        Box::pin(answer.map(|answer| answer.unwrap_or_else(|_| broken("it panicked"))))
    }))
}

/// The handler, which goes on to its end when the browser goes away: what is half done at a provider, and not written down
/// here, nobody could find again.
fn unbroken<T: 'static>(handler: impl Handler<T, Web, Future = Answer>) -> Erased {
    let whole = erased(handler);
    Erased(Arc::new(move |request, web| {
        let task = tokio::spawn((whole.0)(request, web).in_current_span());
        Box::pin(task.map(|answer| answer.unwrap_or_else(|_| broken("it was ended"))))
    }))
}

fn broken(how: &'static str) -> Response {
    Error::Internal(how.into()).into_response()
}

/// Answers GET and HEAD.
pub(super) fn get<T: 'static>(handler: impl Handler<T, Web, Future = Answer>) -> MethodRouter<Web> {
    routing::get(erased(handler))
}

/// As [`get`], for what changes something: it is done whole, even if nobody waits for the answer.
pub(super) fn get_whole<T: 'static>(
    handler: impl Handler<T, Web, Future = Answer>,
) -> MethodRouter<Web> {
    routing::get(unbroken(handler))
}

/// Answers POST; what was begun is done whole.
pub(super) fn post<T: 'static>(
    handler: impl Handler<T, Web, Future = Answer>,
) -> MethodRouter<Web> {
    routing::post(unbroken(handler))
}

/// As [`post`], but ends with the request: whoever goes away wants it no more.
pub(super) fn post_while_asked<T: 'static>(
    handler: impl Handler<T, Web, Future = Answer>,
) -> MethodRouter<Web> {
    routing::post(erased(handler))
}

/// Shows a page on GET, and takes what is sent from it on POST, as [`post`].
pub(super) fn get_post<S: 'static, T: 'static>(
    show: impl Handler<S, Web, Future = Answer>,
    act: impl Handler<T, Web, Future = Answer>,
) -> MethodRouter<Web> {
    get(show).post(unbroken(act))
}

/// Shows a page on GET, and takes what is sent from it on POST, as [`post_while_asked`].
pub(super) fn get_post_while_asked<S: 'static, T: 'static>(
    show: impl Handler<S, Web, Future = Answer>,
    act: impl Handler<T, Web, Future = Answer>,
) -> MethodRouter<Web> {
    get(show).post(erased(act))
}
