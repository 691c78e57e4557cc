//! Context blocks: reading them, and completing their addresses.

use serde_json::{Map, Value, json};

use super::arguments::{DEFAULT_MAX_CHARS, MOST_MAX_CHARS};
use super::explain::Failure;
use super::run::{Run, Subject, Wish};
use super::{ACCOUNTS_URI, BlockAnswer, CallError, Calls, Context, shape};
use crate::audit::Kind;
use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::integrations;
use crate::kit::block::{BlockDef, Content};
use crate::kit::client::{ProviderClient, Usage};
use crate::kit::integration::Integration;
use crate::kit::text;
use crate::kit::tool::{Cx, Effect};
use crate::policy::Denial;

/// A block as it was read.
struct Read {
    content: Content,
    fetched_at: Timestamp,
    checked_at: Timestamp,
}

impl Read {
    /// One that was fetched then, and not checked later.
    const fn at(content: Content, when: Timestamp) -> Self {
        Self {
            content,
            fetched_at: when,
            checked_at: when,
        }
    }
}

impl Calls {
    /// Reads the context block at `uri`, or `workbench://accounts`.
    pub async fn read(
        &self,
        caller: &Caller,
        uri: &str,
        context: Context,
    ) -> Result<BlockAnswer, CallError> {
        let found = integrations::block(uri);
        let (name, owner) = match &found {
            Some((integration, def, _)) => (def.name, integration.id),
            None if uri == ACCOUNTS_URI => ("workbench_accounts", ""),
            None => ("unknown", ""),
        };
        let subject = Subject {
            kind: Kind::Block,
            name,
            integration: owner,
            effect: Effect::Read,
        };
        let logged = json!({ "uri": text::clip(&text::scrub(uri), 256) });
        let mut run = Run::begin(self, caller, &context, &subject, logged);
        let now = run.now();
        let integration = found.as_ref().map(|(integration, _, _)| *integration);
        let answered = match found {
            Some((integration, def, variables)) => {
                self.asked(&mut run, integration, def, variables, uri).await
            }
            None if uri == ACCOUNTS_URI => self
                .accounts_block(caller)
                .await
                .map(|content| Read::at(content, now)),
            None => Err(Failure::Unknown(uri.to_owned())),
        };
        let (call, account, read) = run.end(answered, |_| 1).await?;
        Ok(BlockAnswer {
            call,
            integration,
            account,
            content: read.content,
            fetched_at: read.fetched_at,
            checked_at: read.checked_at,
        })
    }

    /// Asks the provider, with the version in hand that is held of it.
    async fn asked(
        &self,
        run: &mut Run<'_>,
        integration: &'static Integration,
        def: &BlockDef,
        mut variables: Map<String, Value>,
        uri: &str,
    ) -> Result<Read, Failure> {
        let account = variables.remove("account");
        let account = account.as_ref().and_then(Value::as_str);
        let mut cx = self
            .open_block(run, integration, def, account, MOST_MAX_CHARS)
            .await?;
        let held = &self.inner.held;
        let connection = run.connection();
        let kept = connection.and_then(|connection| held.get(connection, uri));
        cx.held = kept.as_ref().map(|kept| kept.version().to_owned());
        let read = run.guarded((def.read)(&cx, variables)).await?;
        run.reads_untrusted().await?;
        if let Some(connection) = connection {
            let at = (run.caller.user, connection, uri);
            let (content, fetched_at) =
                held.settle(at, read, def.mime, kept.as_deref(), run.now())?;
            Ok(Read {
                fetched_at,
                ..Read::at(content, run.now())
            })
        } else {
            // What everybody shares may have been asked some days ago: the block is as old as its oldest part.
            let used = run.client.as_ref().map(ProviderClient::usage);
            let asked = used.and_then(Usage::oldest_kept).unwrap_or(run.now());
            let content = shape::content(read, def.mime, MOST_MAX_CHARS);
            Ok(Read::at(content, asked))
        }
    }

    async fn open_block(
        &self,
        run: &mut Run<'_>,
        integration: &'static Integration,
        def: &BlockDef,
        account: Option<&str>,
        max_chars: usize,
    ) -> Result<Cx, Failure> {
        // Policy refuses where it would ask: a client pulls a block in on its own, with nobody there to answer.
        if let Some((why, _)) = run.allow(integration, def.name).await? {
            return Err(Failure::Denied(integration, Denial::CannotWait(why)));
        }
        let wish = Wish {
            account,
            needs: def.scopes,
            effect: Effect::Read,
            dry_run: false,
            idempotency_key: None,
            ask: None,
            max_chars,
            outward: None,
        };
        run.open(integration, wish).await
    }

    async fn accounts_block(&self, caller: &Caller) -> Result<Content, Failure> {
        let accounts = self.accounts(caller).await?;
        let open = self.open_to_all(caller).await?;
        let body = json!({ "accounts": accounts, "open": open, "connect": self.inner.links.connections() });
        let mut content = Content::text(body.to_string());
        content.mime = Some("application/json".to_owned());
        Ok(content)
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
        let subject = Subject {
            kind: Kind::Completion,
            name: def.name,
            integration: integration.id,
            effect: Effect::Read,
        };
        let mut run = Run::begin(
            self,
            caller,
            &context,
            &subject,
            json!({ "field": text::clip(field, 64) }),
        );
        let account = chosen.get("account").and_then(Value::as_str);
        let answered = match self
            .open_block(&mut run, integration, def, account, DEFAULT_MAX_CHARS)
            .await
        {
            Ok(cx) => {
                run.guarded((def.complete)(&cx, field, prefix, chosen))
                    .await
            }
            Err(failure) => Err(failure),
        };
        match run.end(answered, Vec::len).await {
            Ok((_, _, values)) => values.into_iter().take(100).map(text::visible).collect(),
            Err(_recorded) => Vec::new(),
        }
    }
}
