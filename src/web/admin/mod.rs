//! Pages of admins. For everybody else they do not exist.

mod health;
mod integrations;
mod people;
mod system;

use axum::Router;
use axum::extract::FromRequest;
use axum::extract::{Form, Request};
use axum::response::{IntoResponse, Response};

use super::Web;
use super::error::Error;
use super::routing::{get, get_post, post};
use crate::caller::Caller;

/// The routes below `/admin`.
pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/admin/people", get(people::list))
        .route("/admin/people/invite", post(people::invite))
        .route("/admin/people/{id}", get(people::one))
        .route("/admin/people/{id}/role", post(people::set_role))
        .route("/admin/people/{id}/groups", post(people::set_groups))
        .route(
            "/admin/people/{id}/remove",
            get_post(people::confirm_removal, people::remove),
        )
        .route(
            "/admin/invitations/{id}/revoke",
            post(people::revoke_invitation),
        )
        .route("/admin/groups", post(people::add_group))
        .route("/admin/groups/{id}/remove", post(people::remove_group))
        .route("/admin/connections", get(health::page))
        .route("/admin/system", get(system::page))
        .route("/admin/system/rotate", post(system::rotate))
        .route("/admin/integrations", get(integrations::list))
        .route(
            "/admin/integrations/{id}/switch",
            post(integrations::switch),
        )
        .route(
            "/admin/integrations/{id}/toolsets/{toolset}",
            post(integrations::switch_toolset),
        )
        .route("/admin/integrations/{id}/app", post(integrations::set_app))
        .route(
            "/admin/integrations/{id}/tenant",
            post(integrations::set_tenant),
        )
        .route(
            "/admin/integrations/{id}/test",
            post(integrations::test_app),
        )
}

/// The fields of a form; a name may stand several times, as check boxes do.
struct Fields(Vec<(String, String)>);

impl FromRequest<Web> for Fields {
    type Rejection = Response;

    async fn from_request(request: Request, web: &Web) -> Result<Self, Response> {
        let form = Form::from_request(request, web).await;
        form.map(|Form(fields)| Self(fields))
            .map_err(IntoResponse::into_response)
    }
}

impl Fields {
    fn get(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let fields = self.0.iter();
        fields
            .filter(move |(field, _)| field == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether the form was shown to this person.
    fn check(&self, web: &Web, caller: &Caller) -> Result<(), Error> {
        if web.auth.is_form_token(caller, self.get("csrf")) {
            Ok(())
        } else {
            Err(Error::Foreign)
        }
    }
}
