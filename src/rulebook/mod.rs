//! The organization's rulebook: what admins set, checked, recorded and told to every process, and what calls are held to,
//! compiled once and remembered.
//!
//! Every change is recorded before it is made (`admin.policy_changed`, with what was before and what is after); one that
//! then cannot be made is recorded a second time with the reason.
//!
//! Not here: deciding ([`crate::policy`] does), and the switches of whole integrations, which are older than rules.

mod draft;

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::{Value, json};
use tokio::sync::broadcast;

use crate::audit::{Actor, AdminEvent, AuditError, AuditLog};
use crate::changes::{Changes, Heard, REMEMBERED};
use crate::clock::{Clock, Timestamp};
use crate::ids::{GroupId, OrgId, RuleId};
use crate::integrations;
use crate::policy::{Cap, EffectWord, Named, Per, Rates, Rule, Rules, Target, Verdict, Who};
use crate::store::{CapRow, CountRow, PolicyChange, RuleRow, Store, StoreError};
use crate::turns::Turns;

pub use draft::{Draft, Invalid, cap_tools, toolset};

/// The kind of every event here.
const CHANGED: &str = "admin.policy_changed";

/// Why a rulebook was not changed.
#[derive(Debug, thiserror::Error)]
pub enum RulebookError {
    /// What was asked for makes no sense; the sentence says what would.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// There is no such thing, or somebody changed it in the meantime.
    #[error("{0}")]
    Missing(String),
    /// The change could not be recorded, so it was not made.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The rules of organizations. Cheap to clone.
#[derive(Clone)]
pub struct Rulebook {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    clock: Clock,
    audit: AuditLog,
    changes: Changes,
    remembered: RwLock<HashMap<OrgId, (Arc<Rules>, Timestamp)>>,
    /// Goes up whenever something may have changed, so that what was read before is not remembered after.
    generation: AtomicU64,
    turns: Turns,
}

impl Rulebook {
    /// The rulebook in this store.
    pub fn new(store: Store, clock: Clock, audit: AuditLog, changes: Changes) -> Self {
        Self {
            inner: Arc::new(Inner {
                store,
                clock,
                audit,
                changes,
                remembered: RwLock::default(),
                generation: AtomicU64::new(0),
                turns: Turns::default(),
            }),
        }
    }

    /// What the organization's calls are held to.
    pub async fn rules(&self, org: OrgId) -> Result<Arc<Rules>, StoreError> {
        if let Some(rules) = self.remembered(org) {
            return Ok(rules);
        }
        let _turn = self.inner.turns.of(&org).await;
        if let Some(rules) = self.remembered(org) {
            return Ok(rules);
        }
        let generation = self.inner.generation.load(Ordering::Acquire);
        let now = self.inner.clock.now();
        let rules = Arc::new(self.read(org).await?);
        let mut remembered = self
            .inner
            .remembered
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if self.inner.generation.load(Ordering::Acquire) == generation {
            remembered.insert(org, (Arc::clone(&rules), now));
        }
        Ok(rules)
    }

    fn remembered(&self, org: OrgId) -> Option<Arc<Rules>> {
        let remembered = self
            .inner
            .remembered
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let (rules, at) = remembered.get(&org)?;
        (self.inner.clock.now().since(*at) < REMEMBERED).then(|| Arc::clone(rules))
    }

    async fn read(&self, org: OrgId) -> Result<Rules, StoreError> {
        let disabled = self.inner.store.disabled_integrations(org).await?;
        let rows = self.inner.store.policy(org).await?;
        let mut rules: Vec<Rule> = rows.rules.into_iter().map(rule).collect::<Result<_, _>>()?;
        if rules.iter().any(|rule| matches!(rule.who, Who::Group(..))) {
            name_groups(&mut rules, &self.groups(org).await?);
        }
        let caps = rows.caps.iter().map(cap).collect::<Result<_, _>>()?;
        let mut compiled = Rules::default().with_rules(rules);
        compiled.disabled = disabled.into_iter().map(|(id, _)| id).collect();
        compiled.disabled_toolsets = rows.disabled_toolsets;
        compiled.read_only = rows.read_only;
        compiled.ask_after_untrusted = rows.ask_after_untrusted;
        compiled.track_mail = rows.track_mail;
        compiled.caps = caps;
        compiled.rates = Rates {
            person: rate(rows.person_per_minute),
            integration: rate(rows.integration_per_minute),
        };
        Ok(compiled)
    }

    /// The organization's groups with their names.
    async fn groups(&self, org: OrgId) -> Result<Vec<(GroupId, String)>, StoreError> {
        let groups = self.inner.store.groups(org).await?;
        Ok(groups
            .into_iter()
            .map(|group| (group.id, group.name))
            .collect())
    }

    /// Forgets what is remembered, because something may have changed.
    pub fn forget(&self) {
        let mut remembered = self
            .inner
            .remembered
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        self.inner.generation.fetch_add(1, Ordering::AcqRel);
        remembered.clear();
    }

    /// Forgets what a change made old. Runs until the future is dropped.
    pub async fn follow(&self, mut heard: broadcast::Receiver<Heard>) {
        use broadcast::error::RecvError;
        loop {
            match heard.recv().await {
                Ok(Heard::Change(change))
                    if matches!(change.topic.as_str(), "connection" | "approval") => {}
                Ok(_) | Err(RecvError::Lagged(_)) => self.forget(),
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// Adds a rule.
    pub async fn add(&self, actor: Actor, org: OrgId, draft: Draft) -> Result<Rule, RulebookError> {
        let now = self.inner.clock.now();
        let rule = draft.check(RuleId::new(now), &self.groups(org).await?)?;
        let row = row(&rule, now);
        let known = self.read(org).await?;
        if let Some(other) = known
            .iter()
            .find(|other| other.who.stored() == rule.who.stored() && other.target == rule.target)
        {
            return Err(taken(other).into());
        }
        let change = PolicyChange::AddRule(&row);
        let target = format!("rule {rule}");
        if !self
            .change(actor, org, target, (Value::Null, told(&rule)), &change)
            .await?
        {
            return Err(taken(&rule).into());
        }
        Ok(rule)
    }

    /// Removes a rule; answers what it was.
    pub async fn remove(
        &self,
        actor: Actor,
        org: OrgId,
        id: RuleId,
    ) -> Result<Rule, RulebookError> {
        let known = self.read(org).await?;
        let missing =
            || RulebookError::Missing(format!("there is no rule {id}; `policy list` shows them"));
        let rule = known.iter().find(|rule| rule.id == id);
        let rule = rule.ok_or_else(missing)?.clone();
        let change = PolicyChange::RemoveRule(id);
        let target = format!("rule {rule}");
        let removed = self.change(actor, org, target, (told(&rule), Value::Null), &change);
        if removed.await? {
            Ok(rule)
        } else {
            Err(missing())
        }
    }

    /// Switches a toolset; false when it stood so already.
    pub async fn switch_toolset(
        &self,
        actor: Actor,
        org: OrgId,
        of: &str,
        id: &str,
        on: bool,
    ) -> Result<bool, RulebookError> {
        let (integration, set) = toolset(of, id)?;
        let was = !self.read(org).await?.is_toolset_off(integration.id, set.id);
        let change = PolicyChange::Toolset {
            integration: integration.id,
            toolset: set.id,
            on,
        };
        let target = format!("toolset {}/{}", integration.id, set.id);
        let values = (json!({ "on": was }), json!({ "on": on }));
        self.set(actor, org, target, values, &change).await
    }

    /// Allows changes, or allows none; false when it stood so already.
    pub async fn set_read_only(
        &self,
        actor: Actor,
        org: OrgId,
        read_only: bool,
    ) -> Result<bool, RulebookError> {
        let was = self.read(org).await?.read_only;
        let values = (
            json!({ "read_only": was }),
            json!({ "read_only": read_only }),
        );
        let change = PolicyChange::ReadOnly(read_only);
        self.set(actor, org, "read-only".to_owned(), values, &change)
            .await
    }

    /// Has outward-facing calls ask first once their conversation has read what others wrote, or not; false when it stood
    /// so already.
    pub async fn set_ask_after_untrusted(
        &self,
        actor: Actor,
        org: OrgId,
        ask: bool,
    ) -> Result<bool, RulebookError> {
        let was = self.read(org).await?.ask_after_untrusted;
        let values = (
            json!({ "ask_after_untrusted": was }),
            json!({ "ask_after_untrusted": ask }),
        );
        let change = PolicyChange::AskAfterUntrusted(ask);
        self.set(
            actor,
            org,
            "ask-after-untrusted".to_owned(),
            values,
            &change,
        )
        .await
    }

    /// Lets people have opens and clicks of the mail they send noticed, or not; false when it stood so already.
    pub async fn set_track_mail(
        &self,
        actor: Actor,
        org: OrgId,
        track: bool,
    ) -> Result<bool, RulebookError> {
        let was = self.read(org).await?.track_mail;
        let values = (json!({ "track_mail": was }), json!({ "track_mail": track }));
        let change = PolicyChange::TrackMail(track);
        self.set(actor, org, "track-mail".to_owned(), values, &change)
            .await
    }

    /// Sets how many calls a minute one person may make; false when it stood so already.
    pub async fn set_person_rate(
        &self,
        actor: Actor,
        org: OrgId,
        rate: Option<NonZeroU32>,
    ) -> Result<bool, RulebookError> {
        let was = self.read(org).await?.rates.person;
        let values = (json!({ "per_minute": was }), json!({ "per_minute": rate }));
        let change = PolicyChange::PersonRate(rate.map(NonZeroU32::get));
        self.set(actor, org, "limit per person".to_owned(), values, &change)
            .await
    }

    /// Sets how many calls a minute everybody together may make at one integration; false when it stood so already.
    pub async fn set_integration_rate(
        &self,
        actor: Actor,
        org: OrgId,
        rate: Option<NonZeroU32>,
    ) -> Result<bool, RulebookError> {
        let was = self.read(org).await?.rates.integration;
        let values = (json!({ "per_minute": was }), json!({ "per_minute": rate }));
        let change = PolicyChange::IntegrationRate(rate.map(NonZeroU32::get));
        let target = "limit per integration".to_owned();
        self.set(actor, org, target, values, &change).await
    }

    /// Sets a daily cap, or with `None` removes it; false when it stood so already.
    pub async fn set_cap(
        &self,
        actor: Actor,
        org: OrgId,
        tools: &str,
        per: Per,
        calls_a_day: Option<NonZeroU32>,
    ) -> Result<bool, RulebookError> {
        let tools = cap_tools(tools)?;
        let known = self.read(org).await?;
        let was = known
            .caps
            .iter()
            .find(|cap| cap.tools == tools && cap.per == per)
            .map(|cap| cap.calls_a_day);
        let tools = tools.to_string();
        let row;
        let change = match calls_a_day {
            Some(calls) => {
                row = CapRow {
                    tools: tools.clone(),
                    per: per.as_str().to_owned(),
                    calls_a_day: i64::from(calls.get()),
                };
                PolicyChange::SetCap(&row)
            }
            None => PolicyChange::RemoveCap {
                tools: &tools,
                per: per.as_str(),
            },
        };
        let target = format!("cap of {tools} per {}", per.as_str());
        let values = (json!({ "a_day": was }), json!({ "a_day": calls_a_day }));
        self.set(actor, org, target, values, &change).await
    }

    /// What caps have counted today: tools, whose, calls.
    pub async fn counted_today(&self, org: OrgId) -> Result<Vec<CountRow>, StoreError> {
        let day = self.inner.clock.now().day();
        self.inner.store.cap_counts(org, day).await
    }

    /// Every cap with what was counted under it today; of a cap per person, by the one who has called most.
    pub async fn caps_today(&self, org: OrgId) -> Result<Vec<(Cap, i64)>, StoreError> {
        let counts = self.counted_today(org).await?;
        let rules = self.rules(org).await?;
        let counted = rules.caps.iter().map(|cap| {
            let (tools, per) = (cap.tools.to_string(), cap.per.as_str());
            let of_cap = counts.iter().filter(|count| {
                count.tools == tools && (count.whose == per) == (cap.per == Per::Organization)
            });
            let most = of_cap.map(|count| count.calls).max();
            (cap.clone(), most.unwrap_or(0))
        });
        Ok(counted.collect())
    }

    /// Makes a change unless everything stands so already.
    async fn set(
        &self,
        actor: Actor,
        org: OrgId,
        target: String,
        (before, after): (Value, Value),
        change: &PolicyChange<'_>,
    ) -> Result<bool, RulebookError> {
        if before == after {
            return Ok(false);
        }
        self.change(actor, org, target, (before, after), change)
            .await
    }

    /// Records a change and makes it; false when another one was faster.
    async fn change(
        &self,
        actor: Actor,
        org: OrgId,
        target: String,
        (before, after): (Value, Value),
        change: &PolicyChange<'_>,
    ) -> Result<bool, RulebookError> {
        let event = |outcome| AdminEvent {
            kind: CHANGED,
            target: target.as_str().into(),
            outcome,
            detail: json!({ "before": before, "after": after }),
            ..AdminEvent::default()
        };
        let inner = &self.inner;
        inner.audit.record(actor, org, event("")).await?;
        let made = inner
            .store
            .change_policy(org, change, inner.clock.now())
            .await;
        // Also after a failure: it may have been made before the answer was lost.
        self.forget();
        inner.changes.nudge();
        match &made {
            Ok(true) => {}
            Ok(false) => inner.audit.record(actor, org, event("conflict")).await?,
            Err(_) => inner.audit.record(actor, org, event("internal")).await?,
        }
        Ok(made?)
    }
}

impl std::fmt::Debug for Rulebook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rulebook").finish_non_exhaustive()
    }
}

fn taken(other: &Rule) -> Invalid {
    Invalid(format!(
        "there is already the rule {other} ({}) about the same calls; remove it first",
        other.id
    ))
}

/// A rule as the audit log and `--json` have it.
pub fn told(rule: &Rule) -> Value {
    let target = &rule.target;
    json!({
        "id": rule.id,
        "who": rule.who.stored(),
        "decision": rule.verdict.as_str(),
        "integration": target.integration,
        "toolset": target.toolset,
        "tool": target.tool.as_ref().map(ToString::to_string),
        "effect": target.effect.map(EffectWord::as_str),
        "note": rule.note,
    })
}

fn row(rule: &Rule, now: Timestamp) -> RuleRow {
    let target = &rule.target;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    RuleRow {
        id: rule.id,
        who: rule.who.stored(),
        integration: text(&target.integration),
        toolset: text(&target.toolset),
        tool: text(&target.tool.as_ref().map(ToString::to_string)),
        effect: target.effect.map_or("", EffectWord::as_str).to_owned(),
        verdict: rule.verdict.as_str().to_owned(),
        note: rule.note.clone(),
        created_at: now,
    }
}

/// Reads a row. One that cannot be read stops every call: a rule that is not understood may be one that denies.
fn rule(row: RuleRow) -> Result<Rule, StoreError> {
    let corrupt = |column| StoreError::Corrupt {
        table: "policy_rules",
        column,
        id: row.id.to_string(),
    };
    let said = |text: &String| (!text.is_empty()).then(|| text.clone());
    let tool = match row.tool.as_str() {
        "" => None,
        tool => Some(current(Named::parse(tool).ok_or_else(|| corrupt("tool"))?)),
    };
    let effect = match row.effect.as_str() {
        "" => None,
        word => Some(EffectWord::parse(word).ok_or_else(|| corrupt("effect"))?),
    };
    Ok(Rule {
        id: row.id,
        who: Who::parse(&row.who).ok_or_else(|| corrupt("who"))?,
        target: Target {
            integration: said(&row.integration),
            toolset: said(&row.toolset),
            tool,
            effect,
        },
        verdict: Verdict::parse(&row.verdict).ok_or_else(|| corrupt("verdict"))?,
        note: row.note,
    })
}

/// Calls groups by their names. A rule about a group that is gone is about nobody, and goes on by the group's id.
fn name_groups(rules: &mut [Rule], groups: &[(GroupId, String)]) {
    for rule in rules {
        if let Who::Group(id, name) = &mut rule.who
            && let Some((_, known)) = groups.iter().find(|(group, _)| group == id)
        {
            name.clone_from(known);
        }
    }
}

/// A tool's present name: a rule outlives the renaming of what it is about.
fn current(named: Named) -> Named {
    match named {
        Named::Exactly(name) => {
            Named::Exactly(integrations::tool(&name).map_or(name, |(_, def)| def.name.to_owned()))
        }
        beginning @ Named::Beginning(_) => beginning,
    }
}

fn cap(row: &CapRow) -> Result<Cap, StoreError> {
    let corrupt = |column| StoreError::Corrupt {
        table: "policy_caps",
        column,
        id: row.tools.clone(),
    };
    Ok(Cap {
        tools: current(Named::parse(&row.tools).ok_or_else(|| corrupt("tools"))?),
        per: Per::parse(&row.per).ok_or_else(|| corrupt("per"))?,
        calls_a_day: rate(Some(row.calls_a_day)).ok_or_else(|| corrupt("calls_a_day"))?,
    })
}

fn rate(number: Option<i64>) -> Option<NonZeroU32> {
    number.and_then(|number| NonZeroU32::new(u32::try_from(number).unwrap_or(u32::MAX)))
}
