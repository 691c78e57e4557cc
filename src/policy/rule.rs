//! One rule: for whom, about what, and what it says.

use std::fmt;

use super::Subject;
use crate::caller::{Caller, Role};
use crate::ids::{GroupId, RuleId};
use crate::kit::tool::Effect;

/// What a rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The call may go on.
    Allow,
    /// The person in whose name it happens has to agree first.
    Ask,
    /// An admin has to agree first.
    AskAdmin,
    /// The call may not go on.
    Deny,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Allow, Self::Ask, Self::AskAdmin, Self::Deny];

    /// The word in rows, on the command line and in forms.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::AskAdmin => "ask_admin",
            Self::Deny => "deny",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
}

/// What a call may change, as rules name it: whether it is idempotent does not matter to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EffectWord {
    /// Nothing.
    Read,
    /// Adds or changes.
    Write,
    /// May lose something.
    Destructive,
}

impl EffectWord {
    /// Whether a call with this effect is meant.
    pub const fn fits(self, effect: Effect) -> bool {
        matches!(
            (self, effect),
            (Self::Read, Effect::Read)
                | (Self::Write, Effect::Write { .. })
                | (Self::Destructive, Effect::Destructive { .. })
        )
    }
}

impl EffectWord {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Destructive];

    /// The word in rows, on the command line and in forms.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Destructive => "destructive",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
}

/// Whom a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Everybody in the organization.
    Everyone,
    /// Everybody with this role.
    Role(Role),
    /// The members of this group, with the name it has now.
    Group(GroupId, String),
}

impl Who {
    /// Whether the caller is one of them.
    pub fn fits(&self, caller: &Caller) -> bool {
        match self {
            Self::Everyone => true,
            Self::Role(role) => caller.role == *role,
            Self::Group(id, _) => caller.groups.contains(id),
        }
    }

    /// The text that rows keep: `everyone`, `role:member`, `group:grp_…`.
    pub fn stored(&self) -> String {
        match self {
            Self::Everyone => "everyone".to_owned(),
            Self::Role(role) => format!("role:{}", role.as_str()),
            Self::Group(id, _) => format!("group:{id}"),
        }
    }

    /// Reads what [`Who::stored`] wrote; a group is called by its id until somebody names it.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "everyone" {
            return Some(Self::Everyone);
        }
        match text.split_once(':')? {
            ("role", role) => Role::parse(role).map(Self::Role),
            ("group", id) => Some(Self::Group(id.parse().ok()?, id.to_owned())),
            _ => None,
        }
    }

    const fn closeness(&self) -> u8 {
        match self {
            Self::Everyone => 0,
            Self::Role(_) => 1,
            Self::Group(..) => 2,
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everyone => f.write_str("everyone"),
            Self::Role(role) => write!(f, "role {}", role.as_str()),
            Self::Group(_, name) => write!(f, "group {name}"),
        }
    }
}

/// Tools and blocks by their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// The one with this name.
    Exactly(String),
    /// Those whose names begin like this; written with a `*` at the end.
    Beginning(String),
}

impl Named {
    /// Reads a name or the beginning of names with its `*`; `None` when it can be neither.
    pub fn parse(text: &str) -> Option<Self> {
        let is_name = |name: &str| {
            name.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        };
        match text.strip_suffix('*') {
            Some(beginning) if is_name(beginning) => Some(Self::Beginning(beginning.to_owned())),
            None if is_name(text) && !text.is_empty() => Some(Self::Exactly(text.to_owned())),
            _ => None,
        }
    }

    /// Whether something with this name is meant.
    pub fn fits(&self, name: &str) -> bool {
        match self {
            Self::Exactly(exact) => exact == name,
            Self::Beginning(beginning) => name.starts_with(beginning.as_str()),
        }
    }

    fn closeness(&self) -> usize {
        match self {
            Self::Exactly(_) => usize::MAX,
            // An empty beginning is still closer than no name at all: it was written down.
            Self::Beginning(beginning) => beginning.len() + 1,
        }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(name) => f.write_str(name),
            Self::Beginning(beginning) => write!(f, "{beginning}*"),
        }
    }
}

/// What a rule is about: everything that fits all that is said here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The integration's id.
    pub integration: Option<String>,
    /// The toolset's id; an integration is named beside it.
    pub toolset: Option<String>,
    /// The tool or block.
    pub tool: Option<Named>,
    /// The effect.
    pub effect: Option<EffectWord>,
}

impl Target {
    /// Whether this call is meant.
    pub fn fits(&self, subject: &Subject) -> bool {
        let Self {
            integration,
            toolset,
            tool,
            effect,
        } = self;
        integration
            .as_ref()
            .is_none_or(|id| id == subject.integration.id)
            && toolset.as_ref().is_none_or(|id| id == subject.toolset.id)
            && tool.as_ref().is_none_or(|named| named.fits(subject.name))
            && effect.is_none_or(|effect| effect.fits(subject.effect))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let effect = self.effect.map_or("all", EffectWord::as_str);
        write!(f, "{effect} calls of ")?;
        match (&self.tool, &self.integration, &self.toolset) {
            (Some(tool), _, _) => write!(f, "{tool}")?,
            (None, None, _) => return f.write_str("everything"),
            (None, Some(_), _) => {}
        }
        if let Some(integration) = &self.integration {
            let gap = if self.tool.is_some() { " in " } else { "" };
            write!(f, "{gap}{integration}")?;
        }
        if let Some(toolset) = &self.toolset {
            write!(f, "/{toolset}")?;
        }
        Ok(())
    }
}

/// One rule of an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its id, by which it is removed.
    pub id: RuleId,
    /// For whom.
    pub who: Who,
    /// About what.
    pub target: Target,
    /// What it says.
    pub verdict: Verdict,
    /// Why there is this rule, for people.
    pub note: String,
}

/// How closely a rule names a call; the larger one decides.
pub(super) type Closeness = (usize, bool, bool, bool, u8, Verdict);

impl Rule {
    /// Whether it speaks of this call of this caller.
    pub fn fits(&self, caller: &Caller, subject: &Subject) -> bool {
        self.target.fits(subject) && self.who.fits(caller)
    }

    /// See the order in the documentation of [`super`].
    pub(super) fn closeness(&self) -> Closeness {
        let target = &self.target;
        (
            target.tool.as_ref().map_or(0, Named::closeness),
            target.toolset.is_some(),
            target.integration.is_some(),
            target.effect.is_some(),
            self.who.closeness(),
            self.verdict,
        )
    }

    /// The rule in words, as refusals and explanations quote it.
    pub fn words(&self) -> String {
        if self.note.is_empty() {
            format!("rule {self}")
        } else {
            format!("rule {self}: {}", self.note)
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verdict, who, target) = (self.verdict.as_str(), &self.who, &self.target);
        write!(f, "\"{verdict} {who}, {target}\"")
    }
}
