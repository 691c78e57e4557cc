//! Writes that do not happen twice: the same person, tool, `idempotency_key` and arguments get the first call's answer,
//! for a day. Every state is a row, so it holds across replicas and restarts.
//!
//! | The first call | What the same key gets |
//! |---|---|
//! | is under way | the first one's answer, when it comes |
//! | worked | its answer, marked as replayed |
//! | failed before anything was changed | the key is free: it runs |
//! | had other arguments | `conflict` |
//! | failed after something may have changed, or its process died | `conflict`: look before trying again. Never run again by itself |
//!
//! Whether something may have changed is what [`ProviderClient`] saw, not what the tool says.
//!
//! The answer has to be kept to be given again, and it may hold personal data: it is sealed under the organization's data
//! key, bound to its row and person, and deleted after a day. Of key and arguments only digests are kept.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::Calls;
use super::explain::Failure;
use super::run::Run;
use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::ids::{CallId, ConnectionId};
use crate::kit::client::ProviderClient;
use crate::kit::output::Output;
use crate::store::{OnceKey, OnceRow, OnceState, StoreError};
use crate::vault::{self, Place};

/// How long a key stands for its first call.
const LIFE: Duration = Duration::from_hours(24);
/// How long a call counts as under way after its last sign.
const LEASE: Duration = Duration::from_secs(15);
/// Between two signs.
const BEAT: Duration = Duration::from_secs(5);
/// The first pause between two looks at a call that is under way; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long the first call is waited for; a little less than the longest a call may take.
const PATIENCE: Duration = Duration::from_secs(85);

/// Why a key does not lead to an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeated {
    /// The first call had other arguments.
    OtherArguments,
    /// The first call goes on for longer than this one may wait.
    UnderWay,
    /// Nobody knows whether the first call did it.
    Unknown,
}

/// Who does the work.
pub(super) enum Claim {
    /// This call.
    Ours(Held),
    /// An earlier call did.
    Before(Box<First>),
}

/// The answer of an earlier call.
pub(super) struct First {
    pub(super) call: CallId,
    pub(super) connection: Option<ConnectionId>,
    pub(super) account: String,
    pub(super) output: Output,
}

/// What is sealed.
#[derive(Serialize, Deserialize)]
struct Kept {
    account: String,
    output: Output,
}

/// A key that this call holds. Dropped unfinished, as when the caller hangs up, it is freed or lost as the work stood.
pub(super) struct Held {
    calls: Calls,
    key: OnceKey,
    call: CallId,
    /// What the work is done with, once it is known.
    pub(super) client: Option<ProviderClient>,
    ended: bool,
}

/// Takes the key for this call, or waits for the call that has it. `arguments` are canonical.
pub(super) async fn claim(
    run: &Run<'_>,
    tool: &str,
    key: &str,
    arguments: &str,
) -> Result<Claim, Failure> {
    let (inner, caller) = (&run.calls.inner, run.caller);
    let key = OnceKey {
        org: caller.org,
        user: caller.user,
        tool: tool.to_owned(),
        hash: vault::hash(key),
    };
    let context: [&[u8]; 5] = [
        b"idempotency",
        caller.org.bytes(),
        caller.user.bytes(),
        tool.as_bytes(),
        arguments.as_bytes(),
    ];
    let started = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        let now = inner.clock.now();
        let row = inner.store.once(&key).await?;
        match row.filter(|row| row.expires_at > now) {
            None => {
                let row = OnceRow {
                    call: run.call,
                    arguments: inner.digests.sign(&context, ""),
                    state: OnceState::Running,
                    connection: None,
                    sealed: None,
                    lease_until: now.plus(LEASE),
                    expires_at: now.plus(LIFE),
                };
                if inner.store.claim_once(&key, &row, now).await? {
                    return Ok(Claim::Ours(Held {
                        calls: run.calls.clone(),
                        key,
                        call: run.call,
                        client: None,
                        ended: false,
                    }));
                }
            }
            // Any of the keys may have made the digest, so that a new one does not make known arguments other ones.
            Some(row) if inner.digests.open(&context, &row.arguments).is_none() => {
                return Err(Failure::Repeated(Repeated::OtherArguments));
            }
            Some(row) => match row.state {
                OnceState::Done => {
                    return first(run.calls, &key, &row)
                        .map(|first| Claim::Before(Box::new(first)));
                }
                OnceState::Running if row.lease_until >= now => {}
                OnceState::Running | OnceState::Unknown => {
                    return Err(Failure::Repeated(Repeated::Unknown));
                }
            },
        }
        if started.elapsed() + pause > PATIENCE {
            return Err(Failure::Repeated(Repeated::UnderWay));
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = run.context.cancel.cancelled() => return Err(Failure::Cancelled),
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Opens what is kept of an earlier call.
fn first(calls: &Calls, key: &OnceKey, row: &OnceRow) -> Result<First, Failure> {
    let corrupt = || StoreError::Corrupt {
        table: "idempotency",
        column: "sealed",
        id: row.call.to_string(),
    };
    let sealed = row.sealed.as_ref().ok_or_else(corrupt)?;
    let text = calls.inner.vault.open(&place(key, &row.call), sealed)?;
    let kept: Kept = serde_json::from_str(text.expose_secret()).map_err(|_| corrupt())?;
    Ok(First {
        call: row.call,
        connection: row.connection,
        account: kept.account,
        output: kept.output,
    })
}

fn place<'a>(key: &'a OnceKey, call: &'a CallId) -> Place<'a> {
    Place {
        table: "idempotency",
        column: "sealed",
        org: key.org,
        user: Some(key.user),
        row: call.bytes(),
        // Not a provider's secret, but a tool's answer.
        provider: &key.tool,
        version: 1,
    }
}

impl Held {
    /// Says every few seconds that the call goes on. Never ends by itself.
    pub(super) fn beat(&self) -> impl Future<Output = Infallible> + Send + 'static {
        let (calls, key, call) = (self.calls.clone(), self.key.clone(), self.call);
        async move {
            loop {
                tokio::time::sleep(BEAT).await;
                let until: Timestamp = calls.inner.clock.now().plus(LEASE);
                if let Err(error) = calls.inner.store.extend_once(&key, call, until).await {
                    tracing::warn!(call.id = %call, %error, "a call cannot say that it goes on");
                }
            }
        }
    }

    /// Keeps the answer. The work is done, so a failure to keep it is no failure of the call: the key leads to "unknown".
    pub(super) async fn worked(
        mut self,
        connection: Option<ConnectionId>,
        account: &str,
        output: &Output,
    ) {
        self.ended = true;
        let kept = Kept {
            account: account.to_owned(),
            output: output.clone(),
        };
        let sealed = serde_json::to_string(&kept).ok().and_then(|text| {
            let place = place(&self.key, &self.call);
            let vault = &self.calls.inner.vault;
            vault.seal(&place, &SecretString::from(text)).ok()
        });
        let store = &self.calls.inner.store;
        let ended = match &sealed {
            Some(sealed) => {
                store
                    .finish_once(&self.key, self.call, connection, sealed)
                    .await
            }
            None => store.lose_once(&self.key, self.call).await,
        };
        if let Err(error) = ended {
            tracing::warn!(call.id = %self.call, %error, "an answer is not kept under its idempotency key");
        }
    }

    /// Frees the key when nothing was changed, and gives it up for lost otherwise.
    pub(super) async fn failed(mut self) {
        self.ended = true;
        let (calls, key, call) = (self.calls.clone(), self.key.clone(), self.call);
        give_up(calls, key, call, may_have_changed(self.client.as_ref())).await;
    }
}

/// The key as the provider may see it: the same for every repetition by this person, another one for everybody else, also
/// where two people share an account there.
pub(super) fn native(caller: &Caller, tool: &str, key: &str) -> String {
    let whose = format!("{}/{}/{tool}/{key}", caller.org, caller.user);
    let mut text = String::with_capacity(64);
    for byte in vault::hash(&whose) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Whether the work changed something, as far as the requests it sent tell.
pub(super) fn may_have_changed(client: Option<&ProviderClient>) -> bool {
    client.is_some_and(|client| client.usage().may_have_changed())
}

async fn give_up(calls: Calls, key: OnceKey, call: CallId, may_have_changed: bool) {
    let store = &calls.inner.store;
    let given = if may_have_changed {
        store.lose_once(&key, call).await
    } else {
        store.free_once(&key, call).await
    };
    if let Err(error) = given {
        // Its lease runs out, and then it is lost.
        tracing::warn!(call.id = %call, %error, "an idempotency key is not given up yet");
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let (calls, key, call) = (self.calls.clone(), self.key.clone(), self.call);
        let changed = may_have_changed(self.client.as_ref());
        runtime.spawn(give_up(calls, key, call, changed));
    }
}
