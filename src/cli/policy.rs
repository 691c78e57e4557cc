//! What the organization allows: rules, switches of toolsets, limits, caps, and why a call would be allowed or not.

use std::num::NonZeroU32;
use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::{Json, output};
use crate::app::App;
use crate::audit::Actor;
use crate::caller::Role;
use crate::ids::RuleId;
use crate::integrations;
use crate::policy::{EffectWord, Per, Verdict};
use crate::rulebook::{self, Draft};

/// Switches of toolsets.
#[derive(Subcommand)]
pub(super) enum Toolsets {
    /// Lists toolsets and whether they are on.
    List(Json),
    /// Switches one on.
    Enable(ToolsetName),
    /// Switches one off: its tools and blocks are hidden and refused.
    Disable(ToolsetName),
}

/// Which toolset.
#[derive(Args)]
pub(super) struct ToolsetName {
    /// The integration.
    integration: String,
    /// The toolset, as the list has it.
    toolset: String,
}

impl Toolsets {
    pub(super) async fn run(self, app: &App) -> anyhow::Result<ExitCode> {
        let (name, on) = match self {
            Self::List(json) => return list_toolsets(app, json).await,
            Self::Enable(name) => (name, true),
            Self::Disable(name) => (name, false),
        };
        let (of, id) = (&name.integration, &name.toolset);
        app.rulebook
            .switch_toolset(Actor::System, app.org, of, id, on)
            .await?;
        let state = if on { "enabled" } else { "disabled" };
        output::line(&format!("{of}/{id} is {state}"))?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn list_toolsets(app: &App, Json { json }: Json) -> anyhow::Result<ExitCode> {
    let rules = app.rulebook.rules(app.org).await?;
    let mut rows = Vec::new();
    for integration in integrations::ALL {
        for set in integration.toolsets {
            let on = !rules.is_toolset_off(integration.id, set.id);
            if json {
                output::json(&json!({
                    "integration": integration.id, "id": set.id, "title": set.title, "enabled": on,
                    "tools": set.tools.len(), "blocks": set.blocks.len(),
                }))?;
            }
            rows.push(vec![
                integration.id.to_owned(),
                set.id.to_owned(),
                if on { "enabled" } else { "disabled" }.to_owned(),
                set.tools.len().to_string(),
                set.blocks.len().to_string(),
                set.title.to_owned(),
            ]);
        }
    }
    if !json {
        let heading = [
            "INTEGRATION",
            "TOOLSET",
            "STATE",
            "TOOLS",
            "BLOCKS",
            "TITLE",
        ];
        output::table(&heading, &rows)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What the organization allows.
#[derive(Subcommand)]
pub(super) enum Policy {
    /// Lists the rules, the closest first, which is the order in which they are looked at.
    List(Json),
    /// Adds a rule. Without options it is about every call of everybody.
    Add(Add),
    /// Removes a rule.
    Remove {
        /// The rule's id, from the list.
        id: RuleId,
    },
    /// Allows no changes at all, or allows them again.
    ReadOnly {
        /// Whether from now on everything is read-only.
        state: Switch,
    },
    /// Has calls that reach people outside ask first once their conversation has read what others wrote.
    AskAfterUntrusted {
        /// Whether they ask from now on.
        state: Switch,
    },
    /// Lets people have opens and clicks of the mail they send noticed; nobody can unless it is on.
    TrackMail {
        /// Whether they can from now on.
        state: Switch,
    },
    /// Daily caps of calls that reach people outside.
    #[command(subcommand)]
    Caps(Caps),
    /// Shows and sets how many calls a minute each process takes.
    Limits(Limits),
    /// Says step by step why a call would be allowed, asked about or denied.
    Explain(Explain),
}

/// On or off.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

/// A new rule.
#[derive(Args)]
pub(super) struct Add {
    /// What it says.
    #[arg(value_parser = Verdict::ALL.map(Verdict::as_str))]
    decision: String,
    /// Only people with this role.
    #[arg(long, value_parser = [Role::Member, Role::Admin, Role::Auditor].map(Role::as_str))]
    role: Option<String>,
    /// Only the members of this group.
    #[arg(long, value_name = "NAME", conflicts_with = "role")]
    group: Option<String>,
    /// Only this integration.
    #[arg(long, value_name = "ID")]
    integration: Option<String>,
    /// Only this toolset of the integration.
    #[arg(long, value_name = "ID")]
    toolset: Option<String>,
    /// Only this tool or block; with a `*` at the end all whose names begin so.
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,
    /// Only calls with this effect.
    #[arg(long, value_parser = EffectWord::ALL.map(EffectWord::as_str))]
    effect: Option<String>,
    /// Why there is this rule; people who are refused read it.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

/// Daily caps.
#[derive(Subcommand)]
pub(super) enum Caps {
    /// Lists caps and what was counted today.
    List(Json),
    /// Sets a cap.
    Set {
        /// A tool, or the beginning of names with a `*`; calls of all of them are counted together.
        tools: String,
        /// How many calls from midnight to midnight UTC.
        calls: NonZeroU32,
        /// Whose calls are counted together.
        #[arg(long, default_value = "person", value_parser = Per::ALL.map(Per::as_str))]
        per: String,
    },
    /// Removes a cap.
    Remove {
        /// As it was set.
        tools: String,
        /// As it was set.
        #[arg(long, default_value = "person", value_parser = Per::ALL.map(Per::as_str))]
        per: String,
    },
}

/// Calls a minute.
#[derive(Args)]
pub(super) struct Limits {
    /// Calls of one person; 0 sets no limit.
    #[arg(long, value_name = "CALLS")]
    person: Option<u32>,
    /// Calls of everybody together at one integration; 0 sets no limit.
    #[arg(long, value_name = "CALLS")]
    integration: Option<u32>,
    #[command(flatten)]
    json: Json,
}

/// Which call to explain.
#[derive(Args)]
pub(super) struct Explain {
    /// The tool or block.
    tool: String,
    /// Who calls it.
    #[arg(long, value_name = "EMAIL")]
    user: String,
    /// With a credential that allows only this; without, with one that allows everything.
    #[arg(long, num_args = 1.., value_name = "SCOPE")]
    scopes: Vec<String>,
    #[command(flatten)]
    json: Json,
}

impl Policy {
    pub(super) async fn run(self, app: &App) -> anyhow::Result<ExitCode> {
        match self {
            Self::List(json) => list_rules(app, json).await?,
            Self::Add(add) => {
                let rule = app
                    .rulebook
                    .add(Actor::System, app.org, add.draft())
                    .await?;
                output::line(&format!("{} {rule}", rule.id))?;
            }
            Self::Remove { id } => {
                let rule = app.rulebook.remove(Actor::System, app.org, id).await?;
                output::line(&format!("removed {rule}"))?;
            }
            Self::ReadOnly { state } => {
                let on = matches!(state, Switch::On);
                app.rulebook
                    .set_read_only(Actor::System, app.org, on)
                    .await?;
                output::line(if on {
                    "everything is read-only"
                } else {
                    "changes are allowed as the rules say"
                })?;
            }
            Self::AskAfterUntrusted { state } => {
                let on = matches!(state, Switch::On);
                app.rulebook
                    .set_ask_after_untrusted(Actor::System, app.org, on)
                    .await?;
                output::line(if on {
                    "calls that reach people outside ask first once their conversation has read what others wrote"
                } else {
                    "what a conversation has read changes nothing"
                })?;
            }
            Self::TrackMail { state } => {
                let on = matches!(state, Switch::On);
                app.rulebook
                    .set_track_mail(Actor::System, app.org, on)
                    .await?;
                output::line(if on {
                    "who sends mail may have its opens and clicks noticed"
                } else {
                    "opens and clicks of sent mail are not noticed"
                })?;
            }
            Self::Caps(caps) => caps.run(app).await?,
            Self::Limits(limits) => limits.run(app).await?,
            Self::Explain(explain) => explain.run(app).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Add {
    fn draft(self) -> Draft {
        let who = match (self.role, self.group) {
            (Some(role), _) => format!("role:{role}"),
            (None, Some(group)) => format!("group:{group}"),
            (None, None) => String::new(),
        };
        Draft {
            who,
            integration: self.integration.unwrap_or_default(),
            toolset: self.toolset.unwrap_or_default(),
            tool: self.tool.unwrap_or_default(),
            effect: self.effect.unwrap_or_default(),
            verdict: self.decision,
            note: self.note.unwrap_or_default(),
        }
    }
}

async fn list_rules(app: &App, Json { json }: Json) -> anyhow::Result<()> {
    let rules = app.rulebook.rules(app.org).await?;
    if json {
        return rules
            .iter()
            .try_for_each(|rule| output::json(&rulebook::told(rule)));
    }
    if rules.read_only {
        output::tell("everything is read-only at the moment, whatever the rules say");
    }
    if rules.ask_after_untrusted {
        output::tell(
            "calls that reach people outside ask first once their conversation has read what others wrote",
        );
    }
    let any = |text: Option<String>| text.unwrap_or_else(|| "any".to_owned());
    let rows: Vec<_> = rules
        .iter()
        .map(|rule| {
            let target = &rule.target;
            vec![
                rule.id.to_string(),
                rule.verdict.as_str().to_owned(),
                rule.who.to_string(),
                any(target.integration.clone()),
                any(target.toolset.clone()),
                any(target.tool.as_ref().map(ToString::to_string)),
                any(target.effect.map(|effect| effect.as_str().to_owned())),
                rule.note.clone(),
            ]
        })
        .collect();
    let heading = [
        "ID",
        "DECISION",
        "WHO",
        "INTEGRATION",
        "TOOLSET",
        "TOOL",
        "EFFECT",
        "NOTE",
    ];
    output::table(&heading, &rows)
}

impl Caps {
    async fn run(self, app: &App) -> anyhow::Result<()> {
        let (tools, per, calls) = match self {
            Self::List(json) => return list_caps(app, json).await,
            Self::Set { tools, calls, per } => (tools, per, Some(calls)),
            Self::Remove { tools, per } => (tools, per, None),
        };
        let Some(per) = Per::parse(&per) else {
            bail!("{per:?} is neither person nor organization");
        };
        let changed = app
            .rulebook
            .set_cap(Actor::System, app.org, &tools, per, calls)
            .await?;
        let per = per.as_str();
        match calls {
            Some(calls) => output::line(&format!(
                "{tools} may be called {calls} times a day per {per}"
            )),
            None if changed => output::line(&format!("{tools} has no cap per {per}")),
            None => bail!("there is no cap of {tools} per {per}; `policy caps list` shows them"),
        }
    }
}

async fn list_caps(app: &App, Json { json }: Json) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for (cap, used) in app.rulebook.caps_today(app.org).await? {
        let (tools, per) = (cap.tools.to_string(), cap.per.as_str());
        if json {
            output::json(&json!({
                "tools": tools, "per": per, "calls_a_day": cap.calls_a_day, "most_used_today": used,
            }))?;
        }
        rows.push(vec![
            tools,
            per.to_owned(),
            cap.calls_a_day.to_string(),
            used.to_string(),
        ]);
    }
    if json {
        return Ok(());
    }
    output::table(&["TOOLS", "PER", "CALLS A DAY", "MOST USED TODAY"], &rows)
}

impl Limits {
    async fn run(self, app: &App) -> anyhow::Result<()> {
        let (actor, org) = (Actor::System, app.org);
        if let Some(calls) = self.person {
            app.rulebook
                .set_person_rate(actor, org, NonZeroU32::new(calls))
                .await?;
        }
        if let Some(calls) = self.integration {
            app.rulebook
                .set_integration_rate(actor, org, NonZeroU32::new(calls))
                .await?;
        }
        let rates = app.rulebook.rules(org).await?.rates;
        if self.json.json {
            return output::json(&json!({
                "person_per_minute": rates.person, "integration_per_minute": rates.integration,
            }));
        }
        let said = |rate: Option<NonZeroU32>| {
            rate.map_or_else(|| "no limit".to_owned(), |rate| rate.to_string())
        };
        let rows = [
            vec!["each person".to_owned(), said(rates.person)],
            vec!["each integration".to_owned(), said(rates.integration)],
        ];
        output::table(&["CALLS OF", "A MINUTE"], &rows)
    }
}

impl Explain {
    async fn run(self, app: &App) -> anyhow::Result<()> {
        let person = app.auth.person(app.org, &self.user).await?;
        let mut caller = app.auth.local_caller(&person).await?;
        if !self.scopes.is_empty() {
            caller.scopes = super::people::read_scopes(&self.scopes.join(" "))?;
        }
        let Some(why) = app.calls.why(&caller, &self.tool).await? else {
            bail!(
                "no tool or block is called {:?}; `schemas` writes all of them",
                self.tool
            );
        };
        if self.json.json {
            return output::json(&why);
        }
        output::line(&format!(
            "{} ({}, toolset {}/{}) by {}: {}, {}",
            why.name,
            why.effect,
            why.integration,
            why.toolset,
            person.email,
            why.decision,
            if why.listed { "listed" } else { "not listed" },
        ))?;
        let rows: Vec<_> = why
            .steps
            .into_iter()
            .map(|step| vec![step.passes.to_owned(), step.words])
            .collect();
        output::table(&["PASSES", "WHY"], &rows)
    }
}
