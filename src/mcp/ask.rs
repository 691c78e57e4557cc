//! Asking the person for what only they can do in the middle of a request, by the means the client has: to connect an
//! account, or to say yes to a call that a rule asks about.
//!
//! | Client | Means |
//! |---|---|
//! | 2026-07-28 with URL elicitation | the request is answered with "input required"; the client shows the link, then repeats it |
//! | 2025-11-25 with URL elicitation | error -32042 with the link, and a notification once it is done |
//! | any other | the failure itself, with the link in it |
//!
//! Between two rounds the client carries a [`Pending`], signed and bound to the person, the request and its arguments. That
//! somebody accepted only means that they opened the link: it is done when `calls` says so, and until then the client is
//! asked to come back without a new question. The state carries no permission: what a repeated request may do, `calls`
//! finds in its own rows.

use std::fmt::Write as _;
use std::time::Duration;

use rmcp::ErrorData;
use rmcp::model::{
    CustomNotification, ElicitRequest, ElicitRequestParams, ErrorCode, InputRequest,
    InputRequiredResult, InputResponses, ProtocolVersion, RequestStateCodec, SealOptions,
    ServerNotification,
};
use rmcp::service::{Peer, RequestContext, RoleServer};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::Server;
use crate::caller::Caller;
use crate::calls::{Action, CallError, canonical};
use crate::ids::{ApprovalId, CallId};
use crate::kit::error::Code;

/// "URL elicitation required" of MCP 2025-11-25.
const URL_ELICITATION_REQUIRED: ErrorCode = ErrorCode(-32042);
/// How long a round stays answerable.
const STATE_LIFE: Duration = Duration::from_mins(10);
/// How long one round waits for the person.
const WAIT: Duration = Duration::from_secs(20);
/// Rounds of waiting before the failure is final; together with [`WAIT`] about as long as [`STATE_LIFE`].
const MAX_ROUNDS: u8 = 30;

/// What the client carries between two rounds.
#[derive(Debug, Serialize, Deserialize)]
struct Pending {
    /// The refused call that led to the question.
    call: CallId,
    code: String,
    about: About,
    accepted: bool,
    rounds: u8,
}

/// What the person is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Question {
    /// To connect an account.
    Connect,
    /// To look at a call and say yes or no.
    Approve,
}

impl Question {
    /// Its name in `inputRequests`.
    const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Approve => "approve",
        }
    }
}

/// A question and its object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct About {
    question: Question,
    /// The integration or the tool, for the sentence after a no.
    name: String,
}

/// A request that may be asked about, as its state is bound to it.
pub(super) struct Request<'a> {
    /// `tools/call` or `resources/read`.
    pub(super) method: &'static str,
    /// The tool or address.
    pub(super) name: &'a str,
    /// The arguments; null when there are none.
    pub(super) arguments: &'a Value,
    /// What came back with a repeated request.
    pub(super) state: Option<&'a str>,
    /// The answers that came back with it.
    pub(super) responses: Option<&'a InputResponses>,
}

/// How a request ended, or how it goes on.
pub(super) enum Outcome<T> {
    /// It worked.
    Done(T),
    /// It failed; the address is where the person does what the failure asks for.
    Failed(CallError, Option<String>),
    /// The client is to do something and then repeat the request.
    InputRequired(InputRequiredResult),
    /// The request itself is refused.
    Refused(ErrorData),
}

/// What a client can do with a link.
enum Means {
    InputRequired,
    UrlError,
    Text,
}

fn means(cx: &RequestContext<RoleServer>) -> Means {
    let shows_links = cx
        .client_capabilities()
        .and_then(|capabilities| capabilities.elicitation)
        .is_some_and(|elicitation| elicitation.url.is_some());
    let version = cx.protocol_version();
    match version {
        Some(version)
            if shows_links && version.as_str() >= ProtocolVersion::V_2026_07_28.as_str() =>
        {
            Means::InputRequired
        }
        Some(version) if shows_links && version == ProtocolVersion::V_2025_11_25 => Means::UrlError,
        _ => Means::Text,
    }
}

/// Runs `attempt`, and asks the person when that is what it lacks.
pub(super) async fn with_person<T, F>(
    server: &Server,
    cx: &RequestContext<RoleServer>,
    caller: &Caller,
    request: Request<'_>,
    attempt: impl Fn() -> F,
) -> Outcome<T>
where
    F: Future<Output = Result<T, CallError>>,
{
    let Some(sealed) = request.state else {
        // The usual way: nothing to be asked, so nothing is prepared for a question.
        return match attempt().await {
            Ok(done) => Outcome::Done(done),
            Err(error) => {
                let binding = binding(caller, &request);
                question(server, cx, caller, request, &binding, error).await
            }
        };
    };
    let binding = binding(caller, &request);
    let mut pending = match open(&server.0.states, &binding, sealed) {
        Ok(pending) => pending,
        Err(refused) => return Outcome::Refused(refused),
    };
    if !pending.accepted {
        match request
            .responses
            .and_then(|responses| responses.get(pending.about.question.name()))
            .and_then(|response| response.get("action"))
            .and_then(Value::as_str)
        {
            Some("accept") => pending.accepted = true,
            Some("decline" | "cancel") => return Outcome::Failed(pending.declined(), None),
            _ => {}
        }
    }
    // Before the attempt, so that what happens meanwhile is noticed.
    let mut events = server.0.calls.events_and_decisions(caller);
    let mut error = match attempt().await {
        Ok(done) => return Outcome::Done(done),
        Err(error) => error,
    };
    if pending.accepted {
        let deadline = Instant::now() + WAIT;
        while wanted(&error).is_some() {
            tokio::select! {
                more = events.changed() => {
                    if !more {
                        break;
                    }
                    match attempt().await {
                        Ok(done) => return Outcome::Done(done),
                        Err(again) => error = again,
                    }
                }
                () = tokio::time::sleep_until(deadline) => break,
                () = cx.ct.cancelled() => break,
            }
        }
        pending.rounds = pending.rounds.saturating_add(1);
        if wanted(&error).is_some() {
            if pending.rounds >= MAX_ROUNDS {
                let url = link(server, caller, &error).await;
                return Outcome::Failed(error, url);
            }
            return match seal(&server.0.states, &binding, &pending) {
                Ok(state) => Outcome::InputRequired(InputRequiredResult::from_request_state(state)),
                Err(refused) => Outcome::Refused(refused),
            };
        }
    }
    question(server, cx, caller, request, &binding, error).await
}

/// Asks, by the means the client has; what cannot be asked about is the failure itself.
async fn question<T>(
    server: &Server,
    cx: &RequestContext<RoleServer>,
    caller: &Caller,
    request: Request<'_>,
    binding: &str,
    error: CallError,
) -> Outcome<T> {
    let Some(action) = &error.action else {
        return Outcome::Failed(error, None);
    };
    let url = server.0.calls.link(caller, action).await;
    let Some(wanted) = wanted(&error) else {
        return Outcome::Failed(error, Some(url));
    };
    match means(cx) {
        Means::Text => Outcome::Failed(error, Some(url)),
        Means::UrlError => {
            let id = error.call.to_string();
            tell_when_done(
                server,
                caller,
                cx.peer.clone(),
                request.name,
                wanted,
                id.clone(),
            );
            Outcome::Refused(ErrorData::new(
                URL_ELICITATION_REQUIRED,
                error.message.clone(),
                Some(json!({ "elicitations": [
                    { "mode": "url", "elicitationId": id, "url": url, "message": error.message }
                ] })),
            ))
        }
        Means::InputRequired => {
            let pending = Pending {
                call: error.call,
                code: error.code.as_str().to_owned(),
                about: About {
                    question: wanted.question(),
                    name: match wanted {
                        Wanted::Account(integration) => integration.to_owned(),
                        Wanted::Approval(_) => request.name.to_owned(),
                    },
                },
                accepted: false,
                rounds: 0,
            };
            let state = match seal(&server.0.states, binding, &pending) {
                Ok(state) => state,
                Err(refused) => return Outcome::Refused(refused),
            };
            let question = ElicitRequest::new(ElicitRequestParams::UrlElicitationParams {
                meta: None,
                message: error.message,
                url,
                elicitation_id: error.call.to_string(),
            });
            let name = wanted.question().name().to_owned();
            let questions = [(name, InputRequest::Elicitation(question))];
            Outcome::InputRequired(InputRequiredResult::new(
                Some(questions.into_iter().collect()),
                Some(state),
            ))
        }
    }
}

/// Where the person does what the failure asks for.
pub(super) async fn link(server: &Server, caller: &Caller, error: &CallError) -> Option<String> {
    match &error.action {
        Some(action) => Some(server.0.calls.link(caller, action).await),
        None => None,
    }
}

impl Pending {
    /// The failure after the person said no.
    fn declined(&self) -> CallError {
        let code = [
            Code::ConnectionMissing,
            Code::ReauthRequired,
            Code::InsufficientScope,
            Code::ApprovalRequired,
        ]
        .into_iter()
        .find(|code| code.as_str() == self.code)
        .unwrap_or(Code::ConnectionMissing);
        CallError {
            call: self.call,
            code,
            message: match self.about.question {
                Question::Connect => format!(
                    "the person declined to connect {}; go on without it, or ask them first",
                    self.about.name
                ),
                Question::Approve => format!(
                    "the person did not want to approve {}; go on without it, or ask them first",
                    self.about.name
                ),
            },
            retry_after_s: None,
            missing_scopes: Vec::new(),
            choices: Vec::new(),
            action: None,
            provider_status: None,
        }
    }
}

/// What only the person can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// Connect an account of this integration.
    Account(&'static str),
    /// Say yes or no to this.
    Approval(ApprovalId),
}

impl Wanted {
    const fn question(self) -> Question {
        match self {
            Self::Account(_) => Question::Connect,
            Self::Approval(_) => Question::Approve,
        }
    }
}

/// What the call lacks that the person can give; `None` when it failed for another reason.
fn wanted(error: &CallError) -> Option<Wanted> {
    let of_account = matches!(
        error.code,
        Code::ConnectionMissing | Code::ReauthRequired | Code::InsufficientScope
    );
    match error.action.as_ref()? {
        Action::Connect(integration) | Action::Reconnect(integration, _) => {
            of_account.then_some(Wanted::Account(integration))
        }
        Action::Approve(id) => Some(Wanted::Approval(*id)),
        Action::Open(_) => None,
    }
}

/// Tells a 2025-11-25 client when it makes sense to repeat the request.
fn tell_when_done(
    server: &Server,
    caller: &Caller,
    peer: Peer<RoleServer>,
    name: &str,
    wanted: Wanted,
    elicitation: String,
) {
    let (server, caller, name) = (server.clone(), caller.clone(), name.to_owned());
    let mut events = server.0.calls.events_and_decisions(&caller);
    let wait = async move {
        loop {
            if !events.changed().await {
                return;
            }
            let is_done = match wanted {
                Wanted::Account(_) => is_usable(&server, &caller, &name).await,
                Wanted::Approval(id) => !server.0.calls.is_waiting(id).await,
            };
            if is_done {
                let told = CustomNotification::new(
                    "notifications/elicitation/complete",
                    Some(json!({ "elicitationId": elicitation })),
                );
                // A peer that is gone needs no telling.
                let _ = peer
                    .send_notification(ServerNotification::CustomNotification(told))
                    .await;
                return;
            }
        }
    };
    tokio::spawn(tokio::time::timeout(STATE_LIFE, wait));
}

/// Whether the tool or block is offered to this person now.
async fn is_usable(server: &Server, caller: &Caller, name: &str) -> bool {
    let Ok(catalogue) = server.0.calls.catalogue(caller).await else {
        return false;
    };
    catalogue.tools.iter().any(|(_, def)| def.name == name)
        || catalogue
            .blocks
            .iter()
            .any(|(_, def)| def.matches(name).is_some())
}

/// What a state is bound to: the same person repeating the same request.
fn binding(caller: &Caller, request: &Request<'_>) -> String {
    let digest = Sha256::digest(canonical(request.arguments).as_bytes());
    let mut text = format!(
        "{}|{}|{}|{}|",
        caller.org, caller.user, request.method, request.name
    );
    for byte in digest {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn seal(states: &RequestStateCodec, binding: &str, pending: &Pending) -> Result<String, ErrorData> {
    let options = SealOptions::new()
        .associated_data(binding.as_bytes())
        .ttl(STATE_LIFE);
    states.seal_json_with(pending, &options).map_err(|error| {
        tracing::error!(%error, "sealing request state");
        ErrorData::internal_error("the request could not be continued; send it again", None)
    })
}

/// One answer for everything that can be wrong with a state, so that it teaches a forger nothing.
fn open(states: &RequestStateCodec, binding: &str, sealed: &str) -> Result<Pending, ErrorData> {
    states
        .open_json_with(sealed, binding.as_bytes())
        .map_err(|_| {
            ErrorData::invalid_params(
                "`requestState` is not valid for this request; send the request again without it",
                None,
            )
        })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::caller::{Credential, Role, Scopes};
    use crate::clock::Timestamp;
    use crate::ids::{OrgId, UserId};

    fn caller(user: i64) -> Caller {
        Caller {
            user: UserId::new(Timestamp::from_micros(user * 1_000_000)),
            org: OrgId::from_uuid(uuid::Uuid::nil()),
            email: "somebody@example.test".into(),
            role: Role::Member,
            credential: Credential::Local,
            groups: std::sync::Arc::default(),
            scopes: Scopes::ALL,
        }
    }

    fn request<'a>(name: &'a str, arguments: &'a Value) -> Request<'a> {
        Request {
            method: "tools/call",
            name,
            arguments,
            state: None,
            responses: None,
        }
    }

    fn pending() -> Pending {
        Pending {
            call: CallId::new(Timestamp::from_micros(0)),
            code: "reauth_required".to_owned(),
            about: About {
                question: Question::Connect,
                name: "github".to_owned(),
            },
            accepted: true,
            rounds: 3,
        }
    }

    #[test]
    fn a_state_is_good_for_the_same_person_and_request_only() {
        let states =
            RequestStateCodec::new_with_keyring("k2", [("k2", [2; 32]), ("k1", [1; 32])]).unwrap();
        let old = RequestStateCodec::new_with_keyring("k1", [("k1", [1; 32])]).unwrap();
        let (alice, bob) = (caller(1), caller(2));
        let arguments = json!({ "a": 1, "b": { "c": [1, 2], "d": "x" } });
        let bound = binding(&alice, &request("github_get_issue", &arguments));
        let sealed = seal(&states, &bound, &pending()).unwrap();
        assert_eq!(open(&states, &bound, &sealed).unwrap().rounds, 3);
        let reordered = json!({ "b": { "d": "x", "c": [1, 2] }, "a": 1 });
        let same = binding(&alice, &request("github_get_issue", &reordered));
        assert!(open(&states, &same, &sealed).is_ok());
        assert!(open(&states, &bound, &seal(&old, &bound, &pending()).unwrap()).is_ok());

        let other_arguments = json!({ "a": 1, "b": { "c": [2, 1], "d": "x" } });
        for (what, other) in [
            (
                "another person",
                binding(&bob, &request("github_get_issue", &arguments)),
            ),
            (
                "another tool",
                binding(&alice, &request("github_list_issues", &arguments)),
            ),
            (
                "other arguments",
                binding(&alice, &request("github_get_issue", &other_arguments)),
            ),
            (
                "another method",
                binding(
                    &alice,
                    &Request {
                        method: "resources/read",
                        ..request("github_get_issue", &arguments)
                    },
                ),
            ),
        ] {
            let refused = open(&states, &other, &sealed).unwrap_err();
            assert_eq!(refused.code, ErrorCode::INVALID_PARAMS, "{what}");
        }
        let expired = SealOptions::new()
            .associated_data(bound.as_bytes())
            .ttl(Duration::ZERO);
        let expired = states.seal_json_with(&pending(), &expired).unwrap();
        // The state's clock has milliseconds, so it may take one until the state has expired.
        let patience = std::time::Instant::now() + Duration::from_secs(5);
        while open(&states, &bound, &expired).is_ok() {
            assert!(std::time::Instant::now() < patience, "it does not expire");
        }
        for place in 0..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            let flipped = String::from_utf8(bytes).unwrap();
            assert!(
                open(&states, &bound, &flipped).is_err(),
                "byte {place} of {sealed}"
            );
        }
    }

    #[test]
    fn only_what_the_person_can_give_is_asked_for() {
        let mut error = pending().declined();
        assert_eq!(error.code, Code::ReauthRequired);
        assert_eq!(wanted(&error), None);
        error.action = Some(Action::Connect("github"));
        assert_eq!(wanted(&error), Some(Wanted::Account("github")));
        error.code = Code::RateLimited;
        assert_eq!(wanted(&error), None);
        let id = ApprovalId::new(Timestamp::from_micros(0));
        error.code = Code::ApprovalRequired;
        error.action = Some(Action::Approve(id));
        assert_eq!(wanted(&error), Some(Wanted::Approval(id)));
        error.action = Some(Action::Open("https://x.test".to_owned()));
        assert_eq!(wanted(&error), None);
    }
}
