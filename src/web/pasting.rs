//! The form of a key: it is tried, sealed and never shown again.

use axum::Form;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use secrecy::SecretString;
use serde::Deserialize;

use super::Web;
use super::connecting::{Again, known, shown, switched_off, way};
use super::error::Error;
use super::pages::Page;
use super::session::SignedIn;
use crate::connect::Pasted;
use crate::ids::ConnectionId;

#[derive(Deserialize)]
pub(super) struct KeyFields {
    #[serde(default)]
    csrf: String,
    provider: Option<String>,
    reconnect: Option<ConnectionId>,
    #[serde(default)]
    key: String,
    #[serde(default)]
    server: String,
}

/// Connects the account that a key is of, or says in the form what is wrong.
pub(super) async fn connect(
    State(web): State<Web>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
    Form(form): Form<KeyFields>,
) -> Result<Response, Error> {
    if !web.auth.is_form_token(&caller, &form.csrf) {
        return Err(Error::Foreign);
    }
    let integration = known(&id)?;
    let provider = way(integration, form.provider.as_deref())?;
    if provider.auth.key().is_none() {
        return Err(Error::NotFound);
    }
    if let Some(off) = switched_off(&web, &caller, integration).await? {
        return Ok(off);
    }
    let pasted = Pasted {
        key: SecretString::from(form.key),
        server: form.server.clone(),
        reconnect: form.reconnect,
    };
    let connected = web.connections.connect_key(&caller, provider, pasted);
    Ok(match connected.await? {
        Ok(flow) => {
            Redirect::to(&format!("{}connected/{flow}", Page::of(&web, None).base)).into_response()
        }
        Err(wrong) => {
            let again = Again {
                provider,
                server: form.server,
                wrong,
            };
            shown(
                &web,
                &caller,
                integration,
                form.reconnect,
                None,
                Some(again),
            )
            .await?
        }
    })
}
