//! The token, revocation and introspection endpoints (RFC 6749 §3.2, RFC 7009, RFC 7662).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, StatusCode, header};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::Asked;
use super::answer::Answer;
use super::dialect::{self, Denial, Issued, Refusal, WantsJson};
use super::providers::{ClientAuth, Provider, Revocation, RevokingClient};
use super::state::{ProviderState, Tokens};
use crate::clock::Timestamp;

/// A client's name and what it says its secret is.
struct Client {
    id: String,
    secret: String,
}

/// A decoded form, in which no parameter may stand twice (RFC 6749 §3.2).
struct Form(Vec<(String, String)>);

impl Form {
    fn read(asked: &Asked) -> Result<Self, Refusal> {
        let fields: Vec<(String, String)> = url::form_urlencoded::parse(&asked.body)
            .into_owned()
            .collect();
        let mut names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        let twice = names.windows(2).any(|pair| pair[0] == pair[1]);
        if twice || !asked.is_form() {
            return Err(Refusal::Malformed);
        }
        Ok(Self(fields))
    }

    /// A parameter; one without a value counts as left out (RFC 6749 §3.2).
    fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(found, _)| found == name)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }
}

/// Counts a call of the token endpoint, before any fault can keep it from being carried out.
pub(super) fn count(state: &mut ProviderState, asked: &Asked) {
    let form = Form::read(asked).ok();
    let field = |name| form.as_ref().and_then(|form| form.get(name));
    let grant_type = field("grant_type").unwrap_or("none").to_owned();
    *state.counters.token_calls.entry(grant_type).or_default() += 1;
    if let Some(grant) = field("refresh_token").and_then(|token| state.grant_of(token)) {
        state.grants[grant].refresh_calls += 1;
    }
}

/// Answers the token endpoint; `other` is the account whose tokens a fault hands out instead of the right ones.
pub(super) fn answer(
    state: &mut ProviderState,
    asked: &Asked,
    other: Option<&str>,
    now: Timestamp,
) -> Answer {
    let wants_json = asked.wants_json();
    match tokens(state, asked, other, now) {
        Ok(tokens) => issued(state, &tokens, wants_json),
        Err(refusal) => dialect::refused(state.provider, refusal, wants_json),
    }
}

fn tokens(
    state: &mut ProviderState,
    asked: &Asked,
    other: Option<&str>,
    now: Timestamp,
) -> Result<Tokens, Refusal> {
    let form = Form::read(asked)?;
    let client = proven_client(state, &asked.headers, &form)?;
    let wrong_account = other.and_then(|id| state.provider.account(id));
    match form.get("grant_type") {
        Some("authorization_code") => {
            let code = form.get("code").ok_or(Refusal::Malformed)?;
            let tokens = state.redeem(
                code,
                &client.id,
                form.get("redirect_uri"),
                form.get("code_verifier"),
                now,
            )?;
            Ok(match wrong_account {
                Some(account) => {
                    let scopes = state.grants[tokens.grant].scopes.clone();
                    state.grant(account, &client.id, scopes, now)
                }
                None => tokens,
            })
        }
        Some("refresh_token") => {
            let token = form.get("refresh_token").ok_or(Refusal::Malformed)?;
            match (wrong_account, state.grant_of(token)) {
                (Some(account), Some(grant)) => {
                    let scopes = state.grants[grant].scopes.clone();
                    Ok(state.grant(account, &client.id, scopes, now))
                }
                _ => state.refresh(token, &client.id, now),
            }
        }
        Some(_) => Err(Refusal::GrantType),
        None => Err(Refusal::Malformed),
    }
}

fn issued(state: &ProviderState, tokens: &Tokens, wants_json: WantsJson) -> Answer {
    let grant = &state.grants[tokens.grant];
    let issued = Issued {
        access_token: &tokens.access_token,
        refresh_token: &tokens.refresh_token,
        access_s: tokens.expires_in,
        refresh_s: state.provider.refresh_s,
        scopes: &grant.scopes,
        facts: facts(grant.account.token_facts),
    };
    dialect::issued(state.provider, issued, wants_json)
}

fn facts(text: &str) -> Map<String, Value> {
    // A unit test parses every one of them.
    serde_json::from_str(text).unwrap_or_default()
}

/// The client, when it gave its secret in a way the provider takes.
fn proven_client(
    state: &ProviderState,
    headers: &HeaderMap,
    form: &Form,
) -> Result<Client, Refusal> {
    let in_body = form.get("client_secret").map(|secret| Client {
        id: form.get("client_id").unwrap_or_default().to_owned(),
        secret: secret.to_owned(),
    });
    let client = match (basic_of_oauth(headers), in_body) {
        // RFC 6749 §2.3: not more than one method in each request.
        (Some(_), Some(_)) => return Err(Refusal::Malformed),
        (Some(client), None) if state.provider.client_auth == ClientAuth::Either => client,
        (None, Some(client)) => client,
        (_, None) => return Err(Refusal::Client),
    };
    if state.client_is(&client.id, &client.secret) {
        Ok(client)
    } else {
        Err(Refusal::Client)
    }
}

/// HTTP basic authentication (RFC 7617).
fn basic(headers: &HeaderMap) -> Option<Client> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some(Client {
        id: id.to_owned(),
        secret: secret.to_owned(),
    })
}

/// The same as OAuth uses it: both halves encoded like a form first (RFC 6749 §2.3.1).
fn basic_of_oauth(headers: &HeaderMap) -> Option<Client> {
    let client = basic(headers)?;
    let decode = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    Some(Client {
        id: decode(&client.id),
        secret: decode(&client.secret),
    })
}

/// RFC 7009: 200 whether or not there was such a token.
pub(super) fn revoke_form(state: &mut ProviderState, asked: &Asked, now: Timestamp) -> Answer {
    let wants_json = asked.wants_json();
    let refused = |provider: &Provider, refusal| dialect::refused(provider, refusal, wants_json);
    let form = match Form::read(asked) {
        Ok(form) => form,
        Err(refusal) => return refused(state.provider, refusal),
    };
    let proven = matches!(
        state.provider.revocation,
        Revocation::Form {
            client: RevokingClient::Proven,
            ..
        }
    );
    let client = proven_client(state, &asked.headers, &form);
    if let (true, Err(refusal)) = (proven, &client) {
        return refused(state.provider, *refusal);
    }
    let Some(token) = form.get("token") else {
        return refused(state.provider, Refusal::Malformed);
    };
    let owner = state
        .grant_of(token)
        .map(|grant| state.grants[grant].client_id.clone());
    let own = client.is_ok_and(|client| Some(client.id) == owner) || !proven;
    if own && state.revoke_token(token, now) {
        state.counters.revocations += 1;
    }
    Answer::empty(StatusCode::OK)
}

/// What GitHub's `DELETE /applications/{client_id}/…` takes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// Every grant of this person to this client.
    Grant,
    /// The one access token.
    Token,
}

/// `DELETE /applications/{client_id}/grant` and `/token`: 204, or 404 when the token is not the client's.
pub(super) fn revoke_by_client(
    state: &mut ProviderState,
    asked: &Asked,
    client_id: &str,
    extent: Extent,
    now: Timestamp,
) -> Answer {
    let client_id = percent_decode_str(client_id).decode_utf8_lossy();
    let proven = basic(&asked.headers)
        .filter(|client| client.id == client_id && state.client_is(&client.id, &client.secret));
    if proven.is_none() {
        return dialect::denied(state.provider, Denial::NoToken);
    }
    let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    let token = body["access_token"].as_str().unwrap_or_default();
    let Ok(grant) = state.bearer(token, now) else {
        return dialect::denied(state.provider, Denial::NotFound);
    };
    if grant.client_id != client_id {
        return dialect::denied(state.provider, Denial::NotFound);
    }
    let account = grant.account.id;
    match extent {
        Extent::Token => {
            state.revoke_token(token, now);
        }
        Extent::Grant => {
            for index in 0..state.grants.len() {
                let grant = &state.grants[index];
                if grant.account.id == account && grant.client_id == client_id {
                    state.revoke(index, now);
                }
            }
        }
    }
    state.counters.revocations += 1;
    Answer::empty(StatusCode::NO_CONTENT)
}

/// RFC 7662, with what the provider knows about the account.
pub(super) fn introspect(state: &mut ProviderState, asked: &Asked, now: Timestamp) -> Answer {
    let wants_json = asked.wants_json();
    let form = Form::read(asked);
    let client = form.and_then(|form| {
        let client = proven_client(state, &asked.headers, &form)?;
        let token = form.get("token").ok_or(Refusal::Malformed)?.to_owned();
        Ok((client, token))
    });
    let (client, token) = match client {
        Ok(found) => found,
        Err(refusal) => return dialect::refused(state.provider, refusal, wants_json),
    };
    let found = state.grant_of(&token).map(|grant| &state.grants[grant]);
    let (Some(grant), Some(left_s)) = (found, state.seconds_left(&token, now)) else {
        return Answer::json(StatusCode::OK, &json!({ "active": false })).no_store();
    };
    if grant.client_id != client.id {
        return Answer::json(StatusCode::OK, &json!({ "active": false })).no_store();
    }
    let mut body = json!({
        "active": true,
        "client_id": grant.client_id,
        "scopes": grant.scopes,
        "expires_in": left_s,
    });
    if let Some(body) = body.as_object_mut() {
        body.extend(facts(grant.account.token_facts));
    }
    Answer::json(StatusCode::OK, &body).no_store()
}
