//! Where a call waits for a person's yes, and what the page that asks for it needs: the call as it would be, its dry run,
//! and the decision.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::explain::{Failure, Unapproved};
use super::idempotency::may_have_changed;
use super::run::Run;
use super::{Answer, CallError, Calls, Context, arguments};
use crate::approvals::{self, ApprovalRow, Approvals, Approver, Question, Refused};
use crate::caller::{Caller, Client, Scopes};
use crate::ids::{ApprovalId, ConnectionId};
use crate::integrations;
use crate::kit::integration::Integration;
use crate::kit::tool::ToolDef;
use crate::policy::{self, Decision};
use crate::store::StoreError;

/// How long the page that asks waits for the tool's dry run.
const PREVIEW: Duration = Duration::from_secs(10);

/// A rule that wants a yes: its words, and whose.
pub(super) type Wanted = (Arc<str>, Approver);

/// A rule that wants a yes, and what it is about.
pub(super) struct Ask<'a> {
    pub(super) wanted: Wanted,
    pub(super) tool: &'static str,
    pub(super) arguments: &'a Map<String, Value>,
}

impl Run<'_> {
    /// Uses the yes to exactly this call, or fails with where to ask for one.
    pub(super) async fn consent(
        &mut self,
        ask: &Ask<'_>,
        integration: &'static Integration,
        connection: Option<ConnectionId>,
        account: &str,
    ) -> Result<(), Failure> {
        let inner = &self.calls.inner;
        let (why, approver) = &ask.wanted;
        let exact = Value::Object(ask.arguments.clone());
        let question = Question {
            call: self.call,
            tool: ask.tool,
            integration: integration.id,
            connection,
            account,
            arguments: ask.arguments,
            exact: &arguments::canonical(&exact),
            why,
            approver: *approver,
            client: &self.context.client.name,
            thread: self.context.thread.as_deref(),
        };
        let unapproved = match inner.approvals.answer(self.caller, &question).await? {
            approvals::Answer::Yes(id) => {
                self.approval = Some(id);
                return Ok(());
            }
            approvals::Answer::Waiting(id) => Unapproved::Waiting {
                id,
                why: Arc::clone(why),
                approver: *approver,
            },
            approvals::Answer::No => Unapproved::No,
            approvals::Answer::TooMany => Unapproved::TooMany(inner.links.approvals()),
        };
        Err(Failure::Unapproved(unapproved))
    }

    /// What becomes of the yes that a failed call took: a call that changed nothing gives it back. Either way the caller
    /// is told.
    pub(super) async fn after_consent(&mut self, failure: Failure) -> Failure {
        let Some(id) = self.approval else {
            return failure;
        };
        let mut kept = false;
        if !may_have_changed(self.client.as_ref()) {
            let approvals = &self.calls.inner.approvals;
            match approvals.give_back(self.caller, id, self.call).await {
                Ok(given) => kept = given,
                Err(error) => {
                    tracing::warn!(call.id = %self.call, %error, "an approval is used up by a call that did nothing");
                }
            }
        }
        Failure::Approved {
            failure: Box::new(failure),
            kept,
        }
    }
}

/// A call that waits, as the page shows it.
pub struct Waiting {
    /// The question.
    pub row: ApprovalRow,
    /// Who asks, by e-mail address.
    pub asked_by: String,
    /// The integration; `None` when this release has it no more.
    pub tool: Option<(&'static Integration, &'static ToolDef)>,
    /// The arguments; `None` once they are erased.
    pub arguments: Option<Map<String, Value>>,
    /// Whether the person who looks is the one who decides.
    pub may_decide: bool,
}

impl Waiting {
    /// Whether a dry run can tell what the call would change.
    pub fn has_dry_run(&self) -> bool {
        let writes = self.tool.is_some_and(|(_, def)| !def.effect.is_read());
        writes && self.arguments.is_some()
    }
}

impl Calls {
    /// The questions and their answers.
    pub fn approvals(&self) -> &Approvals {
        &self.inner.approvals
    }

    /// Whether a question still waits. One that cannot be looked up does.
    pub async fn is_waiting(&self, id: ApprovalId) -> bool {
        self.inner.approvals.is_waiting(id).await.unwrap_or(true)
    }

    /// One question as `viewer` may see it.
    pub async fn waiting(&self, viewer: &Caller, id: ApprovalId) -> Result<Waiting, Refused> {
        let row = self.inner.approvals.look(viewer, id).await?;
        let arguments = self.inner.approvals.arguments(&row)?;
        let asked_by = self.asker(viewer, &row).await?;
        Ok(Waiting {
            asked_by: asked_by.map_or_else(
                || "somebody who left".to_owned(),
                |asker| asker.email.to_string(),
            ),
            tool: integrations::tool(&row.tool),
            arguments,
            may_decide: approvals::may_decide(viewer, &row),
            row,
        })
    }

    /// What the call would do, by the tool's own dry run as the person who asks. `None` when the tool only reads or its
    /// question is over; a failure is what the call itself would fail with.
    pub async fn preview(
        &self,
        viewer: &Caller,
        waiting: &Waiting,
    ) -> Result<Option<Result<Answer, CallError>>, StoreError> {
        let (Some((_, def)), Some(arguments)) = (waiting.tool, &waiting.arguments) else {
            return Ok(None);
        };
        if def.effect.is_read() {
            return Ok(None);
        }
        let Some(asker) = self.asker(viewer, &waiting.row).await? else {
            return Ok(None);
        };
        let mut arguments = arguments.clone();
        if let Some(connection) = waiting.row.connection_id {
            let connection = Value::String(connection.to_string());
            arguments.insert("account".to_owned(), connection);
        }
        arguments.insert("dry_run".to_owned(), Value::Bool(true));
        let context = Context {
            client: Client {
                name: "approval page".to_owned(),
                protocol: String::new(),
                transport: "web",
            },
            thread: waiting.row.thread.clone(),
            ..Context::default()
        };
        let cancel = context.cancel.clone();
        let call = self.call(&asker, def.name, arguments, context);
        tokio::pin!(call);
        let answered = tokio::select! {
            biased;
            answered = &mut call => answered,
            () = tokio::time::sleep(PREVIEW) => {
                cancel.cancel();
                call.await
            }
        };
        Ok(Some(answered))
    }

    /// Says yes or no to a question. A yes counts only while policy still lets the call happen.
    pub async fn decide(
        &self,
        viewer: &Caller,
        id: ApprovalId,
        yes: bool,
    ) -> Result<ApprovalRow, Refused> {
        if yes {
            let row = self.inner.approvals.look(viewer, id).await?;
            if let Some(refusal) = self.no_longer_allowed(viewer, &row).await? {
                self.inner.approvals.not_allowed(viewer, &row).await?;
                return Err(Refused::NoLongerAllowed(refusal));
            }
        }
        self.inner.approvals.decide(viewer, id, yes).await
    }

    async fn no_longer_allowed(
        &self,
        viewer: &Caller,
        row: &ApprovalRow,
    ) -> Result<Option<String>, StoreError> {
        let gone = |what: &str| Ok(Some(what.to_owned()));
        let Some((integration, def)) = integrations::tool(&row.tool) else {
            return gone("the tool does not exist any more");
        };
        let Some(asker) = self.asker(viewer, row).await? else {
            return gone("the person who asked is no member any more");
        };
        let rules = self.rules(row.org_id).await?;
        let Some(subject) = policy::Subject::named(integration, def.name) else {
            return gone("the tool does not exist any more");
        };
        match policy::decide(&asker, &subject, &rules) {
            Decision::Allow | Decision::Ask(..) => Ok(None),
            Decision::Deny(denial) => Ok(Some(denial.words(integration))),
        }
    }

    /// The person who asked, with no more rights than the credential that asked; `None` when they were removed.
    async fn asker(
        &self,
        viewer: &Caller,
        row: &ApprovalRow,
    ) -> Result<Option<Caller>, StoreError> {
        let scopes = Scopes::parse(&row.scopes).map_err(|_| StoreError::Corrupt {
            table: "approvals",
            column: "scopes",
            id: row.id.to_string(),
        })?;
        if row.user_id == viewer.user {
            return Ok(Some(Caller {
                scopes,
                ..viewer.clone()
            }));
        }
        let user = self.inner.store.user(row.user_id).await?;
        let groups = self.inner.store.groups_of(row.user_id).await?;
        Ok(user
            .filter(|user| user.org_id == row.org_id && user.removed_at.is_none())
            .map(|user| Caller {
                user: user.id,
                org: user.org_id,
                email: user.email.into(),
                role: user.role,
                // What it does is done by whoever looks, and recorded with their session.
                credential: viewer.credential,
                groups: groups.into(),
                scopes,
            }))
    }
}
