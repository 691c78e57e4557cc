//! Why a call would be allowed, asked about or refused, in words: the steps that the decision itself takes, and what
//! besides it stands in the way.

use std::sync::Arc;

use serde::Serialize;

use super::{Calls, caps};
use crate::caller::Caller;
use crate::connect::handle;
use crate::integrations;
use crate::policy::{self, Decision, Kind, Rules, Step, Subject};
use crate::store::{ConnectionRow, Status, StoreError};

/// One step on the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// `yes` lets the call pass, `no` stops it, `ask` stops it until a person agrees, `note` does neither.
    pub passes: &'static str,
    /// Why, in words.
    pub words: String,
}

/// Why a call would be allowed or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The tool or block.
    pub name: &'static str,
    /// Whose integration's.
    pub integration: &'static str,
    /// Of which toolset.
    pub toolset: &'static str,
    /// `read`, `write` or `destructive`.
    pub effect: &'static str,
    /// What policy says: `allow`, `ask` or `deny`.
    pub decision: &'static str,
    /// Whether the caller's lists show it.
    pub listed: bool,
    /// The steps, in order.
    pub steps: Vec<Reason>,
}

impl Calls {
    /// Explains what would become of a call of this tool, or a reading of this block; `None` when nothing is called so.
    pub async fn why(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<Option<Explanation>, StoreError> {
        let Some(subject) = subject(name) else {
            return Ok(None);
        };
        let rules = self.rules(caller.org).await?;
        let (decision, mut steps) = decided(caller, &subject, &rules);
        let rows = self.inner.connections.of(caller.user).await?;
        let (connected, reason) = self.connected(&subject, &rows);
        steps.push(reason);
        steps.extend(self.limited(caller, &subject, &rules).await?);
        Ok(Some(Explanation {
            name: subject.name,
            integration: subject.integration.id,
            toolset: subject.toolset.id,
            effect: subject.effect.as_str(),
            listed: connected && !matches!(decision, Decision::Deny(_)),
            decision: match decision {
                Decision::Allow => "allow",
                Decision::Ask(..) => "ask",
                Decision::Deny(_) => "deny",
            },
            steps,
        }))
    }

    /// Whether one of these connections could serve it.
    fn connected(&self, subject: &Subject, rows: &[Arc<ConnectionRow>]) -> (bool, Reason) {
        let name = subject.integration.name;
        if subject.integration.open().is_some() {
            let reason = pass(format!(
                "{name} is open to everyone, with nothing to connect"
            ));
            return (true, reason);
        }
        let own: Vec<&Arc<ConnectionRow>> = rows
            .iter()
            .filter(|row| row.integration == subject.integration.id)
            .collect();
        let needs = match subject.kind {
            Kind::Tool => integrations::tool(subject.name).map(|(_, def)| def.scopes),
            Kind::Block => subject
                .integration
                .blocks()
                .find(|block| block.name == subject.name)
                .map(|block| block.scopes),
        };
        let (mut able, mut unable) = (Vec::new(), Vec::new());
        for row in own {
            let account = handle(row);
            let missing = needs.map_or_else(Vec::new, |needs| {
                self.inner.connections.granted(row).missing(needs)
            });
            if !matches!(row.status, Status::Connected | Status::Error) {
                unable.push(format!("{account} has to be reconnected"));
            } else if missing.is_empty() {
                able.push(account);
            } else {
                unable.push(format!("{account} lacks {}", missing.join(", ")));
            }
        }
        let reason = match (able.is_empty(), unable.is_empty()) {
            (false, _) => pass(format!("connected at {name}: {}", able.join(", "))),
            (true, true) => stop(format!("no {name} account is connected")),
            (true, false) => stop(format!(
                "no {name} account can serve it: {}",
                unable.join("; ")
            )),
        };
        (!able.is_empty(), reason)
    }

    /// What limits how often.
    async fn limited(
        &self,
        caller: &Caller,
        subject: &Subject,
        rules: &Rules,
    ) -> Result<Vec<Reason>, StoreError> {
        let mut reasons = Vec::new();
        if let Some(rate) = rules.rates.person {
            reasons.push(note(format!("a person may make {rate} calls a minute")));
        }
        if let Some(rate) = rules.rates.integration {
            reasons.push(note(format!(
                "the organization may make {rate} calls a minute at {}",
                subject.integration.name
            )));
        }
        let outward = subject.kind == Kind::Tool
            && integrations::tool(subject.name).is_some_and(|(_, def)| def.outward);
        if !outward {
            return Ok(reasons);
        }
        if rules.ask_after_untrusted {
            reasons.push(note(
                "it reaches people outside, so it asks first in a conversation that has read what others wrote"
                    .to_owned(),
            ));
        }
        let counts = self.inner.rulebook.counted_today(caller.org).await?;
        for cap in rules.caps_of(subject.name) {
            let (tools, whose) = (cap.tools.to_string(), caps::whose(cap, caller.user));
            let used = counts
                .iter()
                .find(|count| count.tools == tools && count.whose == whose)
                .map_or(0, |count| count.calls);
            let words = format!("daily cap of {}: {used} used today", caps::words(cap));
            reasons.push(if used < i64::from(cap.calls_a_day.get()) {
                pass(words)
            } else {
                let resets = caps::resets(self.inner.clock.now());
                stop(format!("{words}, it resets at {resets}"))
            });
        }
        Ok(reasons)
    }
}

/// The tool or block with this name.
fn subject(name: &str) -> Option<Subject> {
    if let Some((integration, def)) = integrations::tool(name) {
        return Subject::named(integration, def.name);
    }
    integrations::ALL
        .iter()
        .find_map(|integration| Subject::named(integration, name))
}

/// The decision with every step that led to it.
fn decided(caller: &Caller, subject: &Subject, rules: &Rules) -> (Decision, Vec<Reason>) {
    let mut steps = Vec::new();
    let mut by_rule = false;
    let decision = policy::trace(caller, subject, rules, |step| match step {
        Step::Limit(limit, None) => steps.push(pass(limit.passed().to_owned())),
        Step::Limit(_, Some(denial)) => steps.push(stop(denial.words(subject.integration))),
        Step::Led => by_rule = false,
        Step::NoRule => steps.push(pass("no rule is about it, so it is allowed".to_owned())),
        Step::Rule(weighed) => {
            by_rule = true;
            steps.push(note(format!("{} is the closest", weighed.why)));
        }
    });
    if by_rule {
        if let Some(closest) = steps.last_mut() {
            closest.passes = match decision {
                Decision::Allow => "yes",
                Decision::Ask(..) => "ask",
                Decision::Deny(_) => "no",
            };
        }
        let overruled = rules.fitting(caller, subject).skip(1);
        steps.extend(overruled.map(|weighed| note(format!("{} is overruled", weighed.why))));
        if let Decision::Deny(policy::Denial::CannotWait(_)) = decision {
            steps.push(stop(
                "a context block cannot wait for an approval, so asking refuses it".to_owned(),
            ));
        }
    }
    (decision, steps)
}

const fn pass(words: String) -> Reason {
    Reason {
        passes: "yes",
        words,
    }
}

const fn stop(words: String) -> Reason {
    Reason {
        passes: "no",
        words,
    }
}

const fn note(words: String) -> Reason {
    Reason {
        passes: "note",
        words,
    }
}
