//! One call from its first record to its last: the steps that tools, blocks and completions share.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::arguments::Lifted;
use super::caps::{self, Counted};
use super::consent::{Ask, Wanted};
use super::explain::{About, Failure};
use super::idempotency::{self, Claim, First, Held};
use super::{CallError, Calls, Context, arguments, shape};
use crate::audit::{Event, Kind, Outcome, Pending, Redacted};
use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::ids::{ApprovalId, CallId, ConnectionId};
use crate::integrations;
use crate::kit::client::{ProviderClient, Usage};
use crate::kit::error::ToolError;
use crate::kit::integration::Integration;
use crate::kit::output::Output;
use crate::kit::tool::{Cx, Effect, Needs, ToolDef};
use crate::policy::{self, Decision};

/// Longest a call may take, retries and waits included.
const TIMEOUT: Duration = Duration::from_secs(90);

/// What is called.
pub(super) struct Subject<'a> {
    pub(super) kind: Kind,
    pub(super) name: &'a str,
    pub(super) integration: &'static str,
    pub(super) effect: Effect,
}

/// What a call wants of a connection.
pub(super) struct Wish<'a> {
    pub(super) account: Option<&'a str>,
    pub(super) needs: Needs,
    pub(super) effect: Effect,
    pub(super) dry_run: bool,
    pub(super) idempotency_key: Option<String>,
    /// Whether a person must have agreed.
    pub(super) ask: Option<Ask<'a>>,
    pub(super) max_chars: usize,
    /// The tool's name, when its calls reach people and are capped.
    pub(super) outward: Option<&'static str>,
}

/// A call under way. It is in the log from its beginning, and dropping it unfinished is recorded too.
pub(super) struct Run<'a> {
    pub(super) calls: &'a Calls,
    pub(super) caller: &'a Caller,
    pub(super) context: &'a Context,
    pub(super) call: CallId,
    /// The earlier call whose answer this one gives.
    pub(super) replayed: Option<CallId>,
    /// The idempotency key that this call holds.
    held: Option<Held>,
    started: Instant,
    now: Timestamp,
    pending: Pending,
    about: Option<About>,
    pub(super) client: Option<ProviderClient>,
    /// The yes that this call took.
    pub(super) approval: Option<ApprovalId>,
    counted: Option<Counted>,
}

impl<'a> Run<'a> {
    /// Queues the record of the intent and goes on.
    pub(super) fn begin(
        calls: &'a Calls,
        caller: &'a Caller,
        context: &'a Context,
        subject: &Subject<'_>,
        arguments: Value,
    ) -> Self {
        let now = calls.inner.clock.now();
        let call = CallId::new(now);
        let event = Event {
            call,
            kind: subject.kind,
            tool: subject.name.into(),
            integration: subject.integration.into(),
            provider: None,
            effect: subject.effect.as_str(),
            thread: context.thread.as_deref(),
            connection: None,
            account: None,
            arguments: Redacted(arguments),
            arguments_digest: None,
            catalogue_digest: None,
        };
        let pending = calls.inner.audit.begin(caller, &context.client, event);
        Self {
            calls,
            caller,
            context,
            call,
            replayed: None,
            held: None,
            started: Instant::now(),
            now,
            pending,
            about: None,
            client: None,
            approval: None,
            counted: None,
        }
    }

    /// When it began.
    pub(super) const fn now(&self) -> Timestamp {
        self.now
    }

    /// The connection that it uses, once it is open.
    pub(super) fn connection(&self) -> Option<ConnectionId> {
        self.about.as_ref()?.connection
    }

    /// Policy, account, scopes, token, pace; for a write also the log. Afterwards the provider may be called.
    pub(super) async fn open(
        &mut self,
        integration: &'static Integration,
        wish: Wish<'_>,
    ) -> Result<Cx, Failure> {
        let calls = &self.calls.inner;
        let rules = self.calls.rules(self.caller.org).await?;
        calls.limits.pace(self.caller, integration, rules.rates)?;
        let opened = calls
            .connections
            .open(self.caller, integration, wish.account, wish.needs)
            .await?;
        let account = opened.account.handle.clone();
        self.pending.connection(opened.id, &account);
        self.about = Some(About {
            integration,
            connection: opened.id,
            account: account.clone(),
        });
        // Where there is no account, the client itself keeps the pace of every host.
        if let Some(id) = opened.id {
            let entered = calls.limits.enter(opened.provider.id, id).await;
            entered.map_err(Failure::Limited)?;
        }
        if !wish.effect.is_read() || wish.ask.is_some() {
            self.pending.durable().await?;
        }
        if let Some(tool) = wish.outward {
            self.counted = caps::count(self.calls, self.caller, &rules, tool, self.now).await?;
        }
        // Last, so that neither a log that cannot be written nor a full cap uses up a yes.
        if let Some(ask) = &wish.ask {
            self.consent(ask, integration, opened.id, &account).await?;
        }
        let tracking = opened.id.filter(|_| rules.track_mail);
        let tracking = tracking.map(|id| calls.tracking.of(id)).unwrap_or_default();
        self.client = Some(opened.client.clone());
        if let Some(held) = &mut self.held {
            held.client = Some(opened.client.clone());
        }
        Ok(Cx {
            provider: opened.provider,
            api: opened.client,
            account: opened.account,
            granted: opened.granted,
            records: opened.records,
            now: self.now,
            idempotency_key: wish.idempotency_key,
            dry_run: wish.dry_run,
            max_chars: wish.max_chars,
            progress: self.context.progress.clone(),
            people: self.calls.people(self.caller, self.context),
            tracking,
            held: None,
        })
    }

    /// Fails when the organization or the credential does not allow this. A rule that asks first is answered.
    pub(super) async fn allow(
        &self,
        integration: &'static Integration,
        name: &str,
    ) -> Result<Option<Wanted>, Failure> {
        let mut subject = policy::Subject::named(integration, name)
            .ok_or_else(|| Failure::Unknown(name.to_owned()))?;
        let rules = self.calls.rules(self.caller.org).await?;
        if rules.ask_after_untrusted && integrations::tool(name).is_some_and(|(_, def)| def.outward)
        {
            subject.led = self.is_led().await?;
        }
        match policy::decide(self.caller, &subject, &rules) {
            Decision::Allow => Ok(None),
            Decision::Ask(why, approver) => Ok(Some((why, approver))),
            Decision::Deny(denial) => Err(Failure::Denied(integration, denial)),
        }
    }

    /// Runs a tool.
    pub(super) async fn tool(
        &mut self,
        integration: &'static Integration,
        def: &'static ToolDef,
        mut arguments: Map<String, Value>,
    ) -> Result<Output, Failure> {
        let wanted = self.allow(integration, def.name).await?;
        let lifted = arguments::lift(def, &mut arguments).map_err(Failure::Arguments)?;
        let sealed_for: [&[u8]; 2] = [self.caller.user.bytes(), def.name.as_bytes()];
        let place = shape::unseal(
            &self.calls.inner.cursors,
            &sealed_for,
            lifted.cursor.as_deref(),
        )
        .map_err(Failure::Arguments)?;
        if let Some(inner) = &place.inner {
            arguments.insert("cursor".to_owned(), Value::String(inner.clone()));
        }
        // A dry run does nothing that could happen twice.
        let key = lifted
            .idempotency_key
            .as_deref()
            .filter(|_| !lifted.dry_run);
        // Nor anything that a person would have to agree to.
        let wanted = wanted.filter(|_| !lifted.dry_run);
        let Some(key) = key else {
            let output = self
                .execute(integration, def, arguments, &lifted, None, wanted)
                .await?;
            return Ok(self.shaped(def, output, place, &lifted));
        };
        let exact = json!([lifted.account, arguments]);
        let exact = arguments::canonical(&exact);
        match idempotency::claim(self, def.name, key, &exact).await? {
            Claim::Before(first) => Ok(self.replay(integration, *first)),
            Claim::Ours(held) => {
                let native = idempotency::native(self.caller, def.name, key);
                let beat = held.beat();
                self.held = Some(held);
                let answered = tokio::select! {
                    biased;
                    answered = self.execute(integration, def, arguments, &lifted, Some(native), wanted) => answered,
                    never = beat => match never {},
                };
                self.release(def, answered, place, &lifted).await
            }
        }
    }

    /// The tool's own work.
    async fn execute(
        &mut self,
        integration: &'static Integration,
        def: &'static ToolDef,
        arguments: Map<String, Value>,
        lifted: &Lifted,
        idempotency_key: Option<String>,
        wanted: Option<Wanted>,
    ) -> Result<Output, Failure> {
        let ask = wanted.map(|wanted| Ask {
            wanted,
            tool: def.name,
            arguments: &arguments,
        });
        let wish = Wish {
            account: lifted.account.as_deref(),
            needs: def.scopes,
            effect: def.effect,
            dry_run: lifted.dry_run,
            idempotency_key,
            ask,
            max_chars: lifted.max_chars,
            outward: (def.outward && !lifted.dry_run).then_some(def.name),
        };
        let cx = self.open(integration, wish).await?;
        let answered = self
            .guarded((def.call)(&cx, Value::Object(arguments)))
            .await;
        match answered {
            Ok(output) => Ok(output),
            Err(failure) => Err(self.after_consent(failure).await),
        }
    }

    fn shaped(
        &self,
        def: &ToolDef,
        output: Output,
        place: shape::Place,
        lifted: &Lifted,
    ) -> Output {
        shape::output(
            output,
            place,
            lifted.max_chars,
            arguments::pages(def),
            &self.calls.inner.cursors,
            &[self.caller.user.bytes(), def.name.as_bytes()],
        )
    }

    /// Ends the hold on the idempotency key as the work ended.
    async fn release(
        &mut self,
        def: &ToolDef,
        answered: Result<Output, Failure>,
        place: shape::Place,
        lifted: &Lifted,
    ) -> Result<Output, Failure> {
        let held = self.held.take();
        match answered {
            Ok(output) => {
                let output = self.shaped(def, output, place, lifted);
                if let (Some(held), Some(about)) = (held, &self.about) {
                    held.worked(about.connection, &about.account, &output).await;
                }
                Ok(output)
            }
            Err(failure) => {
                if let Some(held) = held {
                    held.failed().await;
                }
                Err(failure)
            }
        }
    }

    /// Answers what an earlier call answered.
    fn replay(&mut self, integration: &'static Integration, first: First) -> Output {
        self.replayed = Some(first.call);
        self.pending.connection(first.connection, &first.account);
        self.about = Some(About {
            integration,
            connection: first.connection,
            account: first.account,
        });
        first.output
    }

    /// Runs integration code so that it can neither hang, nor outlive its caller, nor take the process down.
    pub(super) async fn guarded<T>(
        &self,
        work: impl Future<Output = Result<T, ToolError>>,
    ) -> Result<T, Failure> {
        let cancel: &CancellationToken = &self.context.cancel;
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

    /// Records how it ended, and only then lets anybody see it. `items` counts what is answered.
    pub(super) async fn end<T>(
        self,
        answered: Result<T, Failure>,
        items: impl FnOnce(&T) -> usize,
    ) -> Result<(CallId, String, T), CallError> {
        let Self {
            calls,
            call,
            started,
            pending,
            about,
            client,
            replayed,
            approval,
            counted,
            ..
        } = self;
        let usage = client.as_ref().map(ProviderClient::usage);
        if let (Err(_), Some(counted)) = (&answered, counted)
            && usage.map_or(0, Usage::requests) == 0
        {
            counted.take_back(calls).await;
        }
        let status = usage.and_then(Usage::status);
        let told = answered.map_err(|failure| {
            let error = failure.explain(call, about.as_ref());
            CallError {
                provider_status: status,
                ..error
            }
        });
        let (code, items) = match &told {
            Ok(answer) => ("ok", items(answer)),
            Err(error) => (error.code.as_str(), 0),
        };
        let mut detail = json!({ "items": items });
        if let Some(first) = replayed {
            detail["replayed"] = json!(first);
        }
        if let Some(approval) = approval {
            detail["approval"] = json!(approval);
        }
        let outcome = Outcome {
            code,
            duration_us: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
            upstream_requests: usage.map_or(0, Usage::requests),
            upstream_status: status,
            bytes_in: usage.map_or(0, Usage::bytes),
            detail: Some(detail),
            ..Outcome::default()
        };
        if let Err(unwritten) = calls.inner.audit.finish(pending, outcome).await {
            return Err(Failure::from(unwritten).explain(call, about.as_ref()));
        }
        let account = about.map(|about| about.account).unwrap_or_default();
        told.map(|answer| (call, account, answer))
    }
}
