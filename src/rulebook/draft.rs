//! A rule as somebody writes it, in a command or a form, and what is wrong with it.

use crate::caller::Role;
use crate::ids::{GroupId, RuleId};
use crate::integrations;
use crate::kit::integration::{Integration, Toolset};
use crate::kit::text;
use crate::policy::{EffectWord, Named, Rule, Subject, Target, Verdict, Who};

/// Longest note, in characters.
const NOTE: usize = 200;

/// What was asked for makes no sense; the sentence says what would.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

/// A rule in words. Empty text says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// `everyone` (also when empty), `role:<role>` or `group:<name>`.
    pub who: String,
    /// The integration's id.
    pub integration: String,
    /// The toolset's id.
    pub toolset: String,
    /// A tool's or block's name, or the beginning of names with a `*`.
    pub tool: String,
    /// `read`, `write` or `destructive`.
    pub effect: String,
    /// `allow`, `ask` or `deny`.
    pub verdict: String,
    /// Why there is this rule.
    pub note: String,
}

impl Draft {
    /// The rule it means. Every name in it must mean something, and all of them together some tool or block.
    pub fn check(self, id: RuleId, groups: &[(GroupId, String)]) -> Result<Rule, Invalid> {
        let verdict = Verdict::parse(&self.verdict).ok_or_else(|| {
            none_such(&self.verdict, "decision", Verdict::ALL.map(Verdict::as_str))
        })?;
        let who = who(&self.who, groups)?;
        let integration = match self.integration.as_str() {
            "" => None,
            id => Some(integration(id)?.id.to_owned()),
        };
        let toolset = match (self.toolset.as_str(), &integration) {
            ("", _) => None,
            (_, None) => {
                return Err(Invalid(
                    "a toolset belongs to an integration; name the integration too".to_owned(),
                ));
            }
            (id, Some(of)) => Some(toolset(of, id)?.1.id.to_owned()),
        };
        let effect = match self.effect.as_str() {
            "" => None,
            word => Some(EffectWord::parse(word).ok_or_else(|| {
                none_such(word, "effect", EffectWord::ALL.map(EffectWord::as_str))
            })?),
        };
        let tool = match self.tool.as_str() {
            "" => None,
            tool => Some(named(tool)?),
        };
        let target = Target {
            integration,
            toolset,
            tool,
            effect,
        };
        if !everything().any(|subject| target.fits(&subject)) {
            return Err(Invalid(format!(
                "there is nothing that \"{target}\" could mean; say less, or look at `schemas` and `toolsets list`"
            )));
        }
        let note = text::printable(self.note.trim());
        if note.chars().count() > NOTE {
            return Err(Invalid(format!(
                "the note is longer than {NOTE} characters; shorten it"
            )));
        }
        Ok(Rule {
            id,
            who,
            target,
            verdict,
            note,
        })
    }
}

fn none_such<const N: usize>(word: &str, what: &str, known: [&str; N]) -> Invalid {
    let word = text::clip(&text::printable(word), 60);
    Invalid(format!(
        "{word:?} is no {what}; there are {}",
        known.join(", ")
    ))
}

fn who(text: &str, groups: &[(GroupId, String)]) -> Result<Who, Invalid> {
    if text.is_empty() {
        return Ok(Who::Everyone);
    }
    if let Some(written) = text.strip_prefix("group:") {
        let found = groups
            .iter()
            .find(|(id, name)| name == written || id.to_string() == written);
        return match found {
            Some((id, name)) => Ok(Who::Group(*id, name.clone())),
            None => Err(Invalid(format!(
                "there is no group {:?}; `groups list` shows them",
                text::clip(&text::printable(written), 60)
            ))),
        };
    }
    Who::parse(text).ok_or_else(|| match text.split_once(':') {
        Some(("role", role)) => none_such(
            role,
            "role",
            [Role::Member, Role::Admin, Role::Auditor].map(Role::as_str),
        ),
        _ => none_such(
            text,
            "kind of people",
            ["everyone", "role:<role>", "group:<name>"],
        ),
    })
}

fn integration(id: &str) -> Result<&'static Integration, Invalid> {
    integrations::integration(id).ok_or_else(|| {
        Invalid(format!(
            "nothing here is called {:?}; `integrations list` shows what there is",
            text::clip(&text::printable(id), 60)
        ))
    })
}

/// The toolset with this id of the integration with that one.
pub fn toolset(of: &str, id: &str) -> Result<(&'static Integration, &'static Toolset), Invalid> {
    let integration = integration(of)?;
    let found = integration.toolsets.iter().find(|set| set.id == id);
    let toolset = found.ok_or_else(|| {
        let known: Vec<_> = integration.toolsets.iter().map(|set| set.id).collect();
        Invalid(format!(
            "{} has no toolset {:?}; it has {}",
            integration.id,
            text::clip(&text::printable(id), 60),
            known.join(", ")
        ))
    })?;
    Ok((integration, toolset))
}

/// A name that somebody has, or a beginning that some have; former names become present ones.
fn named(written: &str) -> Result<Named, Invalid> {
    let unknown = || {
        Invalid(format!(
            "no tool or block is called {:?}; `policy explain` and `schemas` use their names",
            text::clip(&text::printable(written), 80)
        ))
    };
    let named = super::current(Named::parse(written).ok_or_else(unknown)?);
    if everything().any(|subject| named.fits(subject.name)) {
        Ok(named)
    } else {
        Err(unknown())
    }
}

/// The tools that a cap may count: those that reach people, of which there must be at least one.
pub fn cap_tools(written: &str) -> Result<Named, Invalid> {
    let named = named(written)?;
    let outward: Vec<&str> = integrations::ALL
        .iter()
        .flat_map(|integration| integration.tools())
        .filter(|tool| tool.outward)
        .map(|tool| tool.name)
        .collect();
    if outward.iter().any(|name| named.fits(name)) {
        return Ok(named);
    }
    Err(Invalid(format!(
        "caps count calls that reach people outside, and {named} does not; those tools are {}",
        outward.join(", ")
    )))
}

fn everything() -> impl Iterator<Item = Subject> {
    integrations::ALL
        .iter()
        .flat_map(|integration| Subject::all(integration))
}
