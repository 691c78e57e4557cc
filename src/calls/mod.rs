//! The one path of a tool call or a block read (design 3.5). Nothing else calls [`crate::kit::tool::ToolDef::call`].
//!
//! This module does not know MCP, HTTP or SQL.

mod arguments;
mod catalogue;
mod error;
mod explain;
mod limits;
mod shape;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::audit::{AuditLog, Event as Record, Kind, Outcome, Pending};
use crate::caller::{Caller, Client};
use crate::changes::Changes;
use crate::clock::{Clock, Timestamp};
use crate::connect::{Connections, Opened};
use crate::ids::{CallId, ConnectionId};
use crate::integrations;
use crate::kit::block::{BlockDef, Content};
use crate::kit::integration::Integration;
use crate::kit::output::Output;
use crate::kit::progress::Progress;
use crate::kit::tool::{Cx, Effect, ToolDef};
use crate::links::Links;
use crate::policy::{self, Decision};
use crate::store::Store;
use crate::vault::Mac;

pub use catalogue::Events;
pub use error::{Action, CallError};

use explain::{About, Failure};

/// Longest a call may take, retries and waits included.
const TIMEOUT: Duration = Duration::from_secs(90);
/// The address of the caller's own accounts.
pub const ACCOUNTS_URI: &str = "workbench://accounts";

/// What surrounds a request: who transports it, in which conversation, and how to follow and stop it.
#[derive(Clone, Default)]
pub struct Context {
    /// The client, for the audit log.
    pub client: Client,
    /// The conversation the caller acts in (`_meta["workbench-mcp/thread"]`).
    pub thread: Option<String>,
    /// Where progress goes.
    pub progress: Progress,
    /// Cancelled when the caller takes the request back; upstream work stops then.
    pub cancel: CancellationToken,
}

/// A tool's answer, capped, cleaned, with its cursor sealed.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The audit record.
    pub call: CallId,
    /// The integration that answered.
    pub integration: &'static Integration,
    /// The account it came from, as the `account` argument names it.
    pub account: String,
    /// The data.
    pub output: Output,
}

/// A context block's answer.
#[derive(Clone, Debug)]
pub struct BlockAnswer {
    /// The audit record.
    pub call: CallId,
    /// The integration that answered; `None` for our own `workbench://accounts`.
    pub integration: Option<&'static Integration>,
    /// The account it came from; empty for our own.
    pub account: String,
    /// The text, capped and cleaned; `mime` is always filled in.
    pub content: Content,
    /// When it was read from the provider.
    pub fetched_at: Timestamp,
}

/// What one caller may use now, in stable order.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// Tools of connected, granted, enabled integrations that the credential allows.
    pub tools: Vec<(&'static Integration, &'static ToolDef)>,
    /// Blocks, by the same rule.
    pub blocks: Vec<(&'static Integration, &'static BlockDef)>,
}

/// One account of the caller.
#[derive(Clone, Debug, serde::Serialize)]
pub struct AccountStatus {
    /// The connection.
    pub id: ConnectionId,
    /// The integration's id.
    pub integration: String,
    /// The integration's name.
    pub service: String,
    /// What people recognise it by.
    pub account: String,
    /// The alias the person gave it.
    pub alias: Option<String>,
    /// `Connected`, `Expired`, `Error` or `Disabled`.
    pub status: &'static str,
    /// Why it is not connected, in words.
    pub reason: Option<String>,
    /// RFC 3339.
    pub connected_on: String,
    /// RFC 3339; `None` before the first call.
    pub last_used: Option<String>,
}

/// Something that changes what a caller may use or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// An account of the person was connected, disconnected, expired or renamed, or an integration was switched.
    CatalogueChanged,
}

/// The calls of everyone. Cheap to clone.
#[derive(Clone)]
pub struct Calls {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    clock: Clock,
    audit: AuditLog,
    connections: Connections,
    changes: Changes,
    links: Links,
    cursors: Mac,
    limits: limits::Limits,
    rules: catalogue::RulesOf,
}

/// What [`Calls::new`] is made of.
pub struct Parts {
    /// Rules of organizations and one-time tickets.
    pub store: Store,
    /// Time.
    pub clock: Clock,
    /// The log.
    pub audit: AuditLog,
    /// Accounts.
    pub connections: Connections,
    /// News of other processes.
    pub changes: Changes,
    /// Our own addresses.
    pub links: Links,
    /// Seals cursors.
    pub cursors: Mac,
}

impl Calls {
    /// The call path over these parts.
    pub fn new(parts: Parts) -> Self {
        let providers = integrations::ALL
            .iter()
            .flat_map(|integration| integration.providers);
        Self {
            inner: Arc::new(Inner {
                store: parts.store,
                clock: parts.clock,
                audit: parts.audit,
                connections: parts.connections,
                changes: parts.changes,
                links: parts.links,
                cursors: parts.cursors,
                limits: limits::Limits::new(providers),
                rules: catalogue::RulesOf::default(),
            }),
        }
    }

    /// Calls a tool. `arguments` are as the client sent them, cross-cutting ones (`account`, `dry_run`, `max_chars`)
    /// included. The tool is refused when the caller could not see it.
    pub async fn call(
        &self,
        caller: &Caller,
        name: &str,
        mut arguments: Map<String, Value>,
        context: Context,
    ) -> Result<Answer, CallError> {
        let started = Instant::now();
        let now = self.inner.clock.now();
        let call = CallId::new(now);
        let too_large = arguments::small_enough(&arguments).err();
        let found = integrations::tool(name);
        let logged = match (found, &too_large) {
            (Some((_, def)), None) => arguments::redacted(def, &arguments, |text| {
                self.inner.audit.digest(caller.org, text)
            }),
            _ => arguments::unknown(&arguments),
        };
        let (integration, def) = match found {
            Some(found) => found,
            None => {
                let record = record(
                    call,
                    Kind::Tool,
                    name,
                    "",
                    Effect::Read,
                    &context,
                    &arguments,
                    logged,
                );
                let pending = self.inner.audit.begin(caller, &context.client, record);
                let failure = Failure::Unknown(name.to_owned());
                return Err(self.refuse(pending, call, failure, None, started).await);
            }
        };
        let event = record(
            call,
            Kind::Tool,
            def.name,
            integration.id,
            def.effect,
            &context,
            &arguments,
            logged,
        );
        let mut pending = self.inner.audit.begin(caller, &context.client, event);
        let mut about = None;
        let mut used = None;
        let answered = async {
            if let Some(problem) = too_large {
                return Err(Failure::Arguments(problem));
            }
            self.allow(caller, integration, def.effect).await?;
            let lifted = arguments::lift(def, &mut arguments).map_err(Failure::Arguments)?;
            let context_bytes: [&[u8]; 2] = [caller.user.bytes(), def.name.as_bytes()];
            let place = shape::unseal(
                &self.inner.cursors,
                &context_bytes,
                lifted.cursor.as_deref(),
            )
            .map_err(Failure::Arguments)?;
            if let Some(inner) = &place.inner {
                arguments.insert("cursor".to_owned(), Value::String(inner.clone()));
            }
            let opened = self
                .inner
                .connections
                .open(caller, integration, lifted.account.as_deref(), def.scopes)
                .await?;
            let provider = self.chosen(&opened, integration, &mut pending, &mut about);
            self.inner
                .limits
                .enter(provider, opened.id)
                .await
                .map_err(Failure::Limited)?;
            if !def.effect.is_read() {
                pending.durable().await?;
            }
            let cx = context_of(opened, now, lifted.dry_run, lifted.max_chars, &context);
            let cx = used.insert(cx);
            let output = guarded((def.call)(cx, Value::Object(arguments)), &context.cancel).await?;
            let pages = arguments::pages(def);
            Ok(shape::output(
                output,
                place,
                lifted.max_chars,
                pages,
                &self.inner.cursors,
                &context_bytes,
            ))
        }
        .await;
        let usage = used.as_ref();
        match answered {
            Ok(output) => {
                let outcome = outcome("ok", started, usage, output.items.len());
                if let Err(error) = self.inner.audit.finish(pending, outcome).await {
                    return Err(Failure::from(error).explain(call, about.as_ref()));
                }
                let account = about.map(|about| about.account).unwrap_or_default();
                Ok(Answer {
                    call,
                    integration,
                    account,
                    output,
                })
            }
            Err(failure) => {
                let mut error = self
                    .refuse_used(pending, call, failure, about.as_ref(), started, usage)
                    .await;
                error.provider_status = usage.and_then(|cx| cx.api.usage().status());
                Err(error)
            }
        }
    }

    /// Reads the context block at `uri`, or `workbench://accounts`.
    pub async fn read(
        &self,
        caller: &Caller,
        uri: &str,
        context: Context,
    ) -> Result<BlockAnswer, CallError> {
        let started = Instant::now();
        let now = self.inner.clock.now();
        let call = CallId::new(now);
        let found = integrations::block(uri);
        let name = match &found {
            Some((_, def, _)) => def.name,
            None if uri == ACCOUNTS_URI => "workbench_accounts",
            None => "unknown",
        };
        let integration_id = found
            .as_ref()
            .map_or("", |(integration, _, _)| integration.id);
        let logged = serde_json::json!({ "uri": crate::kit::text::clip(&crate::kit::text::scrub(uri), 256) });
        let event = record(
            call,
            Kind::Block,
            name,
            integration_id,
            Effect::Read,
            &context,
            &Map::new(),
            logged,
        );
        let mut pending = self.inner.audit.begin(caller, &context.client, event);
        let Some((integration, def, mut variables)) = found else {
            if uri == ACCOUNTS_URI {
                return self
                    .read_accounts(caller, pending, call, started, now)
                    .await;
            }
            let failure = Failure::Unknown(uri.to_owned());
            return Err(self.refuse(pending, call, failure, None, started).await);
        };
        let mut about = None;
        let mut used = None;
        let answered = async {
            self.allow(caller, integration, Effect::Read).await?;
            let account = variables.remove("account");
            let account = account.as_ref().and_then(Value::as_str);
            let opened = self
                .inner
                .connections
                .open(caller, integration, account, def.scopes)
                .await?;
            let provider = self.chosen(&opened, integration, &mut pending, &mut about);
            self.inner
                .limits
                .enter(provider, opened.id)
                .await
                .map_err(Failure::Limited)?;
            let cx = used.insert(context_of(
                opened,
                now,
                false,
                arguments::MOST_MAX_CHARS,
                &context,
            ));
            let text = guarded((def.read)(cx, variables), &context.cancel).await?;
            Ok(shape::content(text, def.mime, arguments::MOST_MAX_CHARS))
        }
        .await;
        match answered {
            Ok(text) => {
                let outcome = outcome("ok", started, used.as_ref(), 1);
                if let Err(error) = self.inner.audit.finish(pending, outcome).await {
                    return Err(Failure::from(error).explain(call, about.as_ref()));
                }
                let account = about.map(|about| about.account).unwrap_or_default();
                Ok(BlockAnswer {
                    call,
                    integration: Some(integration),
                    account,
                    content: text,
                    fetched_at: now,
                })
            }
            Err(failure) => Err(self
                .refuse_used(
                    pending,
                    call,
                    failure,
                    about.as_ref(),
                    started,
                    used.as_ref(),
                )
                .await),
        }
    }

    async fn read_accounts(
        &self,
        caller: &Caller,
        pending: Pending,
        call: CallId,
        started: Instant,
        now: Timestamp,
    ) -> Result<BlockAnswer, CallError> {
        match self.accounts(caller).await {
            Ok(accounts) => {
                let count = accounts.len();
                let outcome = outcome("ok", started, None, count);
                if let Err(error) = self.inner.audit.finish(pending, outcome).await {
                    return Err(Failure::from(error).explain(call, None));
                }
                let text = serde_json::json!({ "accounts": accounts, "connect": self.inner.links.connections() });
                let mut content = Content::text(text.to_string());
                content.mime = Some("application/json".to_owned());
                Ok(BlockAnswer {
                    call,
                    integration: None,
                    account: String::new(),
                    content,
                    fetched_at: now,
                })
            }
            Err(error) => Err(self
                .refuse(pending, call, error.into(), None, started)
                .await),
        }
    }

    /// Values for `field` of the block with this template, at most 100, best first. An unknown template or field, a
    /// missing account or a failing provider is an empty list: completion never disturbs typing. Recorded like a read.
    pub async fn complete(
        &self,
        caller: &Caller,
        template: &str,
        field: &str,
        prefix: &str,
        chosen: &Map<String, Value>,
        context: Context,
    ) -> Vec<String> {
        let Some((integration, def)) = integrations::template(template) else {
            return Vec::new();
        };
        if field == "account" {
            return self.account_names(caller, integration, prefix).await;
        }
        let started = Instant::now();
        let now = self.inner.clock.now();
        let call = CallId::new(now);
        let logged = serde_json::json!({ "field": crate::kit::text::clip(field, 64) });
        let event = record(
            call,
            Kind::Completion,
            def.name,
            integration.id,
            Effect::Read,
            &context,
            &Map::new(),
            logged,
        );
        let mut pending = self.inner.audit.begin(caller, &context.client, event);
        let mut about = None;
        let mut used = None;
        let answered = async {
            self.allow(caller, integration, Effect::Read).await?;
            let account = chosen.get("account").and_then(Value::as_str);
            let opened = self
                .inner
                .connections
                .open(caller, integration, account, def.scopes)
                .await?;
            let provider = self.chosen(&opened, integration, &mut pending, &mut about);
            self.inner
                .limits
                .enter(provider, opened.id)
                .await
                .map_err(Failure::Limited)?;
            let cx = used.insert(context_of(
                opened,
                now,
                false,
                arguments::DEFAULT_MAX_CHARS,
                &context,
            ));
            guarded((def.complete)(cx, field, prefix, chosen), &context.cancel).await
        }
        .await;
        match answered {
            Ok(mut values) => {
                values.truncate(100);
                let outcome = outcome("ok", started, used.as_ref(), values.len());
                match self.inner.audit.finish(pending, outcome).await {
                    Ok(()) => values.into_iter().map(crate::kit::text::visible).collect(),
                    Err(_) => Vec::new(),
                }
            }
            Err(failure) => {
                self.refuse_used(
                    pending,
                    call,
                    failure,
                    about.as_ref(),
                    started,
                    used.as_ref(),
                )
                .await;
                Vec::new()
            }
        }
    }

    /// Notes which account a call is about, in the log and for its errors; names the provider.
    fn chosen(
        &self,
        opened: &Opened,
        integration: &'static Integration,
        pending: &mut Pending,
        about: &mut Option<About>,
    ) -> &'static str {
        pending.connection(opened.id, &opened.account.handle);
        *about = Some(About {
            integration,
            connection: opened.id,
            account: opened.account.handle.clone(),
        });
        opened.provider.id
    }

    async fn allow(
        &self,
        caller: &Caller,
        integration: &'static Integration,
        effect: Effect,
    ) -> Result<(), Failure> {
        let rules = self.rules(caller.org).await?;
        match policy::decide(caller, integration, effect, &rules) {
            Decision::Allow => Ok(()),
            Decision::Deny(denial) => Err(Failure::Denied(integration, denial)),
        }
    }

    async fn refuse(
        &self,
        pending: Pending,
        call: CallId,
        failure: Failure,
        about: Option<&About>,
        started: Instant,
    ) -> CallError {
        self.refuse_used(pending, call, failure, about, started, None)
            .await
    }

    /// Records a refusal, then tells it.
    async fn refuse_used(
        &self,
        pending: Pending,
        call: CallId,
        failure: Failure,
        about: Option<&About>,
        started: Instant,
        used: Option<&Cx>,
    ) -> CallError {
        let error = failure.explain(call, about);
        let outcome = outcome(error.code.as_str(), started, used, 0);
        match self.inner.audit.finish(pending, outcome).await {
            Ok(()) => error,
            Err(unwritten) => Failure::from(unwritten).explain(call, about),
        }
    }

    /// Forgets what has not been needed lately. A job calls it now and then.
    pub fn sweep(&self) {
        self.inner.limits.sweep();
    }
}

impl std::fmt::Debug for Calls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Calls").finish_non_exhaustive()
    }
}

#[expect(clippy::too_many_arguments, reason = "the columns of one record")]
fn record<'a>(
    call: CallId,
    kind: Kind,
    tool: &'a str,
    integration: &'static str,
    effect: Effect,
    context: &'a Context,
    arguments: &Map<String, Value>,
    redacted: Value,
) -> Record<'a> {
    Record {
        call,
        kind,
        tool,
        integration,
        effect: effect.as_str(),
        durable: !effect.is_read(),
        thread: context.thread.as_deref(),
        arguments: redacted,
        argument_count: arguments.len(),
    }
}

fn context_of(
    opened: Opened,
    now: Timestamp,
    dry_run: bool,
    max_chars: usize,
    context: &Context,
) -> Cx {
    Cx {
        provider: opened.provider,
        api: opened.client,
        account: opened.account,
        granted: opened.granted,
        records: opened.records,
        now,
        dry_run,
        max_chars,
        progress: context.progress.clone(),
    }
}

/// Runs integration code so that it can neither hang, nor outlive its caller, nor take the process down.
async fn guarded<T>(
    work: impl Future<Output = Result<T, crate::kit::error::ToolError>>,
    cancel: &CancellationToken,
) -> Result<T, Failure> {
    let work = AssertUnwindSafe(work).catch_unwind();
    tokio::select! {
        biased;
        done = tokio::time::timeout(TIMEOUT, work) => match done {
            Ok(Ok(answer)) => Ok(answer?),
            Ok(Err(_panic)) => Err(Failure::Panicked),
            Err(_) => Err(Failure::Timeout(TIMEOUT.as_secs())),
        },
        () = cancel.cancelled() => Err(Failure::Cancelled),
    }
}

fn outcome(code: &'static str, started: Instant, used: Option<&Cx>, items: usize) -> Outcome {
    let usage = used.map(|cx| cx.api.usage());
    Outcome {
        code,
        duration_us: i64::try_from(started.elapsed().as_micros()).unwrap_or(i64::MAX),
        upstream_requests: usage.map_or(0, |usage| i64::from(usage.requests())),
        upstream_status: usage.and_then(|usage| usage.status()).map(i64::from),
        bytes_in: usage.map_or(0, |usage| i64::try_from(usage.bytes()).unwrap_or(i64::MAX)),
        items: i64::try_from(items).unwrap_or(i64::MAX),
    }
}
