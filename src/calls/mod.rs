//! The one path of a tool call or a block read (design 3.5). Nothing else calls [`crate::kit::tool::ToolDef::call`].
//!
//! This module does not know MCP, HTTP or SQL.

mod accounts;
mod arguments;
mod blocks;
mod caps;
mod catalogue;
mod consent;
mod error;
mod explain;
mod held;
mod idempotency;
mod limits;
mod people;
mod run;
mod search;
mod shape;
mod untrusted;
mod why;

use std::sync::Arc;

use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::approvals::Approvals;
use crate::audit::{AuditLog, Kind};
use crate::caller::{Caller, Client};
use crate::changes::Changes;
use crate::clock::{Clock, Timestamp};
use crate::connect::Connections;
use crate::ids::CallId;
use crate::integrations;
use crate::kit::block::{BlockDef, Content};
use crate::kit::integration::Integration;
use crate::kit::output::Output;
use crate::kit::progress::Progress;
use crate::kit::tool::{Effect, ToolDef};
use crate::links::Links;
use crate::rulebook::Rulebook;
use crate::store::Store;
use crate::tracking::MailTracking;
use crate::vault::{Mac, Vault};

pub use accounts::{AccountDetail, AccountStatus, Permission, reason};
pub use arguments::canonical;
pub use catalogue::{Events, Switch};
pub use consent::Waiting;
pub use error::{Action, CallError};
pub use held::Updates;
pub use search::SEARCH;
pub use why::{Explanation, Reason};

use explain::Failure;
use run::{Run, Subject};

/// The address of the caller's own accounts.
pub const ACCOUNTS_URI: &str = "workbench://accounts";

/// What surrounds a request: who transports it, in which conversation, and how to follow and stop it.
#[derive(Clone, Default)]
pub struct Context {
    /// The client, for the audit log.
    pub client: Client,
    /// The conversation the caller acts in (`_meta["workbench-mcp/thread"]`).
    pub thread: Option<String>,
    /// What the face found wrong with the request. It is recorded as any other, and refused with this sentence.
    pub wrong: Option<String>,
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
    /// The integration that answered; `None` for our own search for tools.
    pub integration: Option<&'static Integration>,
    /// The account it came from, as the `account` argument names it.
    pub account: String,
    /// The earlier call whose answer this is, when `idempotency_key` named one.
    pub replayed: Option<CallId>,
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
    /// When its text was read from the provider.
    pub fetched_at: Timestamp,
    /// When the provider last said that this is the newest: now, or when the oldest shared answer was given.
    pub checked_at: Timestamp,
}

/// What one caller may use now, in stable order.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// Tools of integrations that are open to everyone or connected, granted, enabled and allowed to the credential.
    pub tools: Vec<(&'static Integration, &'static ToolDef)>,
    /// Blocks, by the same rule.
    pub blocks: Vec<(&'static Integration, &'static BlockDef)>,
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
    digests: Mac,
    vault: Vault,
    approvals: Approvals,
    limits: limits::Limits,
    noted: untrusted::Noted,
    held: held::Held,
    rulebook: Rulebook,
    tracking: MailTracking,
}

/// What [`Calls::new`] is made of.
pub struct Parts {
    /// One-time tickets, and what caps have counted.
    pub store: Store,
    /// Time.
    pub clock: Clock,
    /// The log.
    pub audit: AuditLog,
    /// Accounts.
    pub connections: Connections,
    /// What calls are held to.
    pub rulebook: Rulebook,
    /// Opens and clicks of sent mail.
    pub tracking: MailTracking,
    /// News of other processes.
    pub changes: Changes,
    /// Our own addresses.
    pub links: Links,
    /// Seals cursors.
    pub cursors: Mac,
    /// Makes the digests of arguments that calls are recognised by.
    pub digests: Mac,
    /// Seals answers that are kept for a repetition.
    pub vault: Vault,
    /// What people said yes to.
    pub approvals: Approvals,
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
                digests: parts.digests,
                vault: parts.vault,
                approvals: parts.approvals,
                limits: limits::Limits::new(providers),
                noted: untrusted::noted(),
                held: held::Held::new(),
                rulebook: parts.rulebook,
                tracking: parts.tracking,
            }),
        }
    }

    /// Calls a tool. `arguments` are as the client sent them, cross-cutting ones (`account`, `dry_run`,
    /// `idempotency_key`, `max_chars`) included. The tool is refused when the caller could not see it.
    pub async fn call(
        &self,
        caller: &Caller,
        name: &str,
        arguments: Map<String, Value>,
        context: Context,
    ) -> Result<Answer, CallError> {
        let too_large = arguments::small_enough(&arguments).err();
        let found = integrations::tool(name);
        let logged = match (found, &too_large) {
            (Some((_, def)), None) => arguments::redacted(def, &arguments, |text| {
                self.inner.audit.digest(caller.org, text)
            }),
            _ => arguments::unknown(&arguments),
        };
        let subject = match found {
            Some((integration, def)) => Subject {
                kind: Kind::Tool,
                name: def.name,
                integration: integration.id,
                effect: def.effect,
            },
            None => Subject {
                kind: Kind::Tool,
                name,
                integration: "",
                effect: Effect::Read,
            },
        };
        let mut run = Run::begin(self, caller, &context, &subject, logged);
        let answered = match (found, context.wrong.clone().or(too_large)) {
            (Some((integration, def)), None) => run
                .tool(integration, def, arguments)
                .await
                .map(|output| (integration, output)),
            (None, _) if context.wrong.is_none() => Err(Failure::Unknown(name.to_owned())),
            (_, problem) => Err(Failure::Arguments(problem.unwrap_or_default())),
        };
        let answered = match answered {
            Ok(answer) => run.reads_untrusted().await.map(|()| answer),
            Err(failure) => Err(failure),
        };
        let replayed = run.replayed;
        let (call, account, (integration, output)) =
            run.end(answered, |(_, output)| output.items.len()).await?;
        Ok(Answer {
            call,
            integration: Some(integration),
            account,
            replayed,
            output,
        })
    }

    /// The present instant, for faces that show how long something lasts.
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
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
