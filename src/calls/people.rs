//! Who somebody is in the caller's other systems, for tools and blocks that show people. Each look is a call of that
//! system's own search, with everything that belongs to one: the organization's rules, limits, and a record.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use serde_json::json;

use super::run::{Run, Subject, Wish};
use super::{Calls, Context, arguments};
use crate::audit::Kind;
use crate::caller::Caller;
use crate::integrations;
use crate::kit::integration::{ContactLookup, Integration};
use crate::kit::people::{Contact, People};
use crate::kit::tool::Effect;
use crate::policy::{self, Decision};
use crate::store::Status;

/// Longest that an answer waits to be told who its people are.
const PATIENCE: Duration = Duration::from_secs(5);
/// Accounts that are asked for one answer.
const ACCOUNTS: usize = 4;
/// Addresses that are looked up for one answer.
const ADDRESSES: usize = 50;

impl Calls {
    /// Asks this caller's systems.
    pub(super) fn people(&self, caller: &Caller, context: &Context) -> People {
        let (calls, caller, context) = (self.clone(), caller.clone(), context.clone());
        People::asking(move |emails| {
            let (calls, caller, context) = (calls.clone(), caller.clone(), context.clone());
            async move { calls.contacts(&caller, &context, emails).await }.boxed()
        })
    }

    async fn contacts(
        &self,
        caller: &Caller,
        context: &Context,
        mut emails: Vec<String>,
    ) -> Vec<Contact> {
        emails.truncate(ADDRESSES);
        let (Ok(rules), Ok(rows)) = (
            self.rules(caller.org).await,
            self.inner.connections.of(caller.user).await,
        ) else {
            return Vec::new();
        };
        let systems = integrations::ALL.iter().filter_map(|integration| {
            let lookup = integration.contacts.as_ref()?;
            let subject = policy::Subject::named(integration, lookup.tool)?;
            let allowed = policy::decide(caller, &subject, &rules) == Decision::Allow;
            allowed.then_some((*integration, lookup))
        });
        let asked = systems
            .flat_map(|(integration, lookup)| {
                let usable = rows.iter().filter(|row| {
                    row.integration == integration.id && row.status == Status::Connected
                });
                usable.map(move |row| (integration, lookup, crate::connect::handle(row)))
            })
            .take(ACCOUNTS)
            .map(|(integration, lookup, account)| {
                self.contacts_in(caller, context, integration, lookup, account, &emails)
            });
        let found = tokio::time::timeout(PATIENCE, join_all(asked)).await;
        found.unwrap_or_default().into_iter().flatten().collect()
    }

    /// Asks one account. A failure is in the log, and nobody found here.
    async fn contacts_in(
        &self,
        caller: &Caller,
        context: &Context,
        integration: &'static Integration,
        lookup: &ContactLookup,
        account: String,
        emails: &[String],
    ) -> Vec<Contact> {
        let subject = Subject {
            kind: Kind::Tool,
            name: lookup.tool,
            integration: integration.id,
            effect: Effect::Read,
        };
        let logged = json!({ "addresses": emails.len() });
        let mut run = Run::begin(self, caller, context, &subject, logged);
        let wish = Wish {
            account: Some(&account),
            needs: lookup.needs,
            effect: Effect::Read,
            dry_run: false,
            idempotency_key: None,
            ask: None,
            max_chars: arguments::DEFAULT_MAX_CHARS,
            outward: None,
        };
        let answered = match run.open(integration, wish).await {
            Ok(cx) => run.guarded((lookup.find)(&cx, emails)).await,
            Err(failure) => Err(failure),
        };
        let ended = run.end(answered, Vec::len).await;
        ended.map(|(_, _, found)| found).unwrap_or_default()
    }
}
