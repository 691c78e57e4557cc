//! `get` and `post` for our routes, over handlers whose types end here.
//!
//! axum wraps every handler in half a dozen generic services. With some ninety handlers, whose futures the compiler follows
//! down to the database for each of those services, that was a third of every build.

use std::sync::Arc;

use axum::extract::Request;
use axum::handler::Handler;
use axum::response::Response;
use axum::routing::{self, MethodRouter};
use futures_util::future::BoxFuture;

use super::Web;

type Answer = BoxFuture<'static, Response>;

#[derive(Clone)]
struct Erased(Arc<dyn Fn(Request, Web) -> Answer + Send + Sync>);

impl Handler<(), Web> for Erased {
    type Future = Answer;

    fn call(self, request: Request, web: Web) -> Self::Future {
        (self.0)(request, web)
    }
}

fn erased<T: 'static>(handler: impl Handler<T, Web, Future = Answer>) -> Erased {
    Erased(Arc::new(move |request, web| {
        handler.clone().call(request, web)
    }))
}

/// Answers GET and HEAD.
pub(super) fn get<T: 'static>(handler: impl Handler<T, Web, Future = Answer>) -> MethodRouter<Web> {
    routing::get(erased(handler))
}

/// Answers POST.
pub(super) fn post<T: 'static>(
    handler: impl Handler<T, Web, Future = Answer>,
) -> MethodRouter<Web> {
    routing::post(erased(handler))
}

/// Shows a page on GET, and takes what is sent from it on POST.
pub(super) fn get_post<S: 'static, T: 'static>(
    show: impl Handler<S, Web, Future = Answer>,
    act: impl Handler<T, Web, Future = Answer>,
) -> MethodRouter<Web> {
    get(show).post(erased(act))
}
