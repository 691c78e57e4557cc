//! What a caller may use now: the same rules that a call is held to, applied to lists.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::sync::broadcast;

use super::explain::Failure;
use super::{Action, Calls, Catalogue};
use crate::audit::{Actor, AdminEvent};
use crate::caller::{Caller, Credential, Scopes};
use crate::calls::CallError;
use crate::changes::Heard;
use crate::connect::handle;
use crate::ids::{CallId, GrantId, OrgId, UserId};
use crate::integrations;
use crate::kit::integration::Integration;
use crate::kit::tool::{Granted, Needs};
use crate::policy::{self, Decision, Rules, Subject};
use crate::store::{ConnectionRow, GrantKind, GrantRow, Status, StoreError};
use crate::vault;

/// How long a sign-in ticket of `stdio` is good for.
const TICKET_LIFE: Duration = Duration::from_mins(10);

/// Whether an integration is to work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// It is.
    On,
    /// It is not.
    Off,
}

/// Changes that concern one caller.
pub struct Events {
    calls: Calls,
    heard: broadcast::Receiver<Heard>,
    org: OrgId,
    user: UserId,
    /// Whether decisions about approvals, which change no list, are changes too.
    decisions: bool,
}

impl Events {
    /// Waits for the next change, and takes those that come along with it as one. False when there will be no more.
    pub async fn changed(&mut self) -> bool {
        use broadcast::error::{RecvError, TryRecvError};
        loop {
            match self.heard.recv().await {
                Ok(heard) if !heard.concerns(self.org, self.user) => {}
                Ok(Heard::Change(change)) if change.topic == "approval" && !self.decisions => {}
                Ok(_) | Err(RecvError::Lagged(_)) => break,
                Err(RecvError::Closed) => return false,
            }
        }
        while matches!(self.heard.try_recv(), Ok(_) | Err(TryRecvError::Lagged(_))) {}
        // Whoever follows changes to forget what is old may hear of this one later than we do, and whoever waits here looks
        // again at once: it must not find what was remembered before the change.
        self.calls.inner.connections.forget(self.user);
        self.calls.inner.rulebook.forget();
        true
    }
}

/// The caller that a list is made for. A signed-in client sees what it may ask its person for: the call itself is answered
/// with the scopes that it lacks. What the person has narrowed it to stays as it is.
fn listing(caller: &Caller) -> Caller {
    let mut caller = caller.clone();
    if matches!(caller.credential, Credential::Access(_)) {
        caller.scopes.read = true;
        caller.scopes.write = true;
    }
    caller
}

impl Calls {
    /// What the caller may use now.
    pub async fn catalogue(&self, caller: &Caller) -> Result<Catalogue, CallError> {
        let gathered = self.gather(caller).await;
        gathered.map_err(|error| {
            Failure::from(error).explain(CallId::new(self.inner.clock.now()), None)
        })
    }

    pub(super) async fn gather(&self, caller: &Caller) -> Result<Catalogue, StoreError> {
        let caller = &listing(caller);
        let rules = self.rules(caller.org).await?;
        let rows = self.inner.connections.of(caller.user).await?;
        let mut catalogue = Catalogue::default();
        for integration in integrations::ALL.iter().copied() {
            let grants: Vec<Granted> = match integration.open() {
                Some(_) => vec![Granted::Unknown],
                None => rows
                    .iter()
                    .filter(|row| row.integration == integration.id && usable(row))
                    .map(|row| self.inner.connections.granted(row))
                    .collect(),
            };
            if grants.is_empty() {
                continue;
            }
            let offered = |subject: &Subject, needs: Needs| {
                !matches!(policy::decide(caller, subject, &rules), Decision::Deny(_))
                    && grants
                        .iter()
                        .any(|granted| granted.missing(needs).is_empty())
            };
            for set in integration.toolsets {
                let tools = set
                    .tools
                    .iter()
                    .filter(|tool| offered(&Subject::tool(integration, set, tool), tool.scopes));
                catalogue
                    .tools
                    .extend(tools.map(|tool| (integration, tool)));
                let blocks = set.blocks.iter().filter(|block| {
                    offered(&Subject::block(integration, set, block), block.scopes)
                });
                catalogue
                    .blocks
                    .extend(blocks.map(|block| (integration, block)));
            }
        }
        Ok(catalogue)
    }

    /// The organization's rules.
    pub(super) async fn rules(&self, org: OrgId) -> Result<Arc<Rules>, StoreError> {
        self.inner.rulebook.rules(org).await
    }

    /// Forgets rules that a change made old, and what ended connections read. Runs until the future is dropped.
    pub async fn follow(&self, heard: broadcast::Receiver<Heard>) {
        let also = heard.resubscribe();
        tokio::join!(self.inner.rulebook.follow(heard), self.forget_ended(also));
    }

    /// Ids of the integrations that are switched off for this caller.
    pub async fn disabled(&self, caller: &Caller) -> Result<Vec<String>, StoreError> {
        Ok(self.rules(caller.org).await?.disabled.clone())
    }

    /// Switches an integration on or off for the organization. Off, its tools are hidden and refused; its connections
    /// stay, and come back with it.
    pub async fn switch(
        &self,
        by: Actor,
        org: OrgId,
        integration: &'static Integration,
        switch: Switch,
    ) -> Result<(), CallError> {
        let switched = self.try_switch(by, org, integration, switch).await;
        switched.map_err(|failure| failure.explain(CallId::new(self.inner.clock.now()), None))
    }

    async fn try_switch(
        &self,
        by: Actor,
        org: OrgId,
        integration: &'static Integration,
        switch: Switch,
    ) -> Result<(), Failure> {
        let (kind, disabled_at) = match switch {
            Switch::On => ("admin.integration_enabled", None),
            Switch::Off => ("admin.integration_disabled", Some(self.inner.clock.now())),
        };
        let event = AdminEvent {
            kind,
            target: integration.id.into(),
            integration: Some(integration.id),
            ..AdminEvent::default()
        };
        self.inner.audit.record(by, org, event).await?;
        let store = &self.inner.store;
        store
            .set_integration(org, integration.id, disabled_at)
            .await?;
        self.inner.rulebook.forget();
        self.inner.changes.nudge();
        Ok(())
    }

    /// Handles of the caller's accounts of `integration` that begin with `prefix`.
    pub(super) async fn account_names(
        &self,
        caller: &Caller,
        integration: &'static Integration,
        prefix: &str,
    ) -> Vec<String> {
        let Ok(rows) = self.inner.connections.of(caller.user).await else {
            return Vec::new();
        };
        let prefix = prefix.to_lowercase();
        rows.iter()
            .filter(|row| row.integration == integration.id)
            .map(|row| handle(row))
            .filter(|name| name.to_lowercase().starts_with(&prefix))
            .take(100)
            .collect()
    }

    /// Tells when something changes for this caller, on this replica or another.
    pub fn events(&self, caller: &Caller) -> Events {
        Events {
            calls: self.clone(),
            heard: self.inner.changes.subscribe(),
            org: caller.org,
            user: caller.user,
            decisions: false,
        }
    }

    /// As [`Calls::events`], and what was decided about this caller's calls besides.
    pub fn events_and_decisions(&self, caller: &Caller) -> Events {
        Events {
            decisions: true,
            ..self.events(caller)
        }
    }

    /// The address at which the person does what a failure asks for. For somebody at `stdio`, who holds the database
    /// anyway, it also signs the browser in, once.
    pub async fn link(&self, caller: &Caller, action: &Action) -> String {
        let links = &self.inner.links;
        let link = match action {
            Action::Connect(integration) => links.connect(integration),
            Action::Reconnect(integration, connection) => links.reconnect(integration, *connection),
            Action::Approve(id) => links.approval(*id),
            Action::Open(url) => return url.clone(),
        };
        if caller.credential == Credential::Local
            && let Some(ticket) = self.ticket(caller).await
        {
            return links.signed_in(&link, &ticket);
        }
        link
    }

    async fn ticket(&self, caller: &Caller) -> Option<String> {
        let now = self.inner.clock.now();
        let secret = vault::random_secret("")?;
        let grant = GrantRow {
            id: GrantId::new(now),
            org_id: caller.org,
            user_id: caller.user,
            kind: GrantKind::Ticket,
            secret_hash: vault::hash(secret.expose_secret()),
            name: "stdio".to_owned(),
            scopes: Scopes::ALL,
            created_at: now,
            expires_at: Some(now.plus(TICKET_LIFE)),
            revoked_at: None,
            last_used_at: None,
        };
        self.inner.store.insert_grant(&grant).await.ok()?;
        Some(secret.expose_secret().to_owned())
    }
}

/// Whether a connection's tools are offered. One in Error is: it is tried again, and a call may mend it.
const fn usable(row: &ConnectionRow) -> bool {
    matches!(row.status, Status::Connected | Status::Error)
}
