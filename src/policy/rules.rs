//! All that an organization has set, put in the order in which it is looked at.

use std::cmp::Reverse;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::Subject;
use super::rule::{Named, Rule};
use crate::caller::Caller;

/// A rule with the words that a decision quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighed {
    /// The rule.
    pub rule: Rule,
    /// [`Rule::words`], made once.
    pub why: Arc<str>,
}

/// Calls a minute, within one process; `None` sets no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Of one person.
    pub person: Option<NonZeroU32>,
    /// Of everybody together at one integration.
    pub integration: Option<NonZeroU32>,
}

/// Whose calls a cap counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Per {
    /// Each person's own.
    Person,
    /// Everybody's together.
    Organization,
}

impl Per {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Person, Self::Organization];

    /// The word in rows, on the command line and in forms.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Organization => "organization",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
}

/// How many calls of outward-facing tools a day may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cap {
    /// Which tools; their calls are counted together.
    pub tools: Named,
    /// Whose calls.
    pub per: Per,
    /// How many, from midnight to midnight UTC.
    pub calls_a_day: NonZeroU32,
}

/// What an organization has set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Ids of integrations that are switched off. Connections stay stored, inactive.
    pub disabled: Vec<String>,
    /// Integrations' and toolsets' ids of toolsets that are switched off.
    pub disabled_toolsets: Vec<(String, String)>,
    /// Whether nothing may be changed at all.
    pub read_only: bool,
    /// Whether outward-facing calls ask first once their conversation has read what others wrote.
    pub ask_after_untrusted: bool,
    /// Whether people may have opens and clicks of the mail they send noticed.
    pub track_mail: bool,
    /// Calls a minute.
    pub rates: Rates,
    /// Daily caps of outward-facing calls.
    pub caps: Vec<Cap>,
    /// The closest first.
    rules: Vec<Weighed>,
}

impl Rules {
    /// With these rules, in whatever order they come.
    #[must_use]
    pub fn with_rules(mut self, rules: impl IntoIterator<Item = Rule>) -> Self {
        self.rules = rules
            .into_iter()
            .map(|rule| Weighed {
                why: rule.words().into(),
                rule,
            })
            .collect();
        self.rules
            .sort_by_key(|weighed| (Reverse(weighed.rule.closeness()), weighed.rule.id));
        self
    }

    /// Every rule, the closest first.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().map(|weighed| &weighed.rule)
    }

    /// The rules that speak of this call; the first one decides.
    pub fn fitting<'a, 'b>(
        &'a self,
        caller: &'b Caller,
        subject: &'b Subject,
    ) -> impl Iterator<Item = &'a Weighed> + use<'a, 'b> {
        self.rules
            .iter()
            .filter(move |weighed| weighed.rule.fits(caller, subject))
    }

    /// Whether this integration is switched off.
    pub fn is_off(&self, integration: &str) -> bool {
        self.disabled.iter().any(|id| id == integration)
    }

    /// Whether this toolset is switched off.
    pub fn is_toolset_off(&self, integration: &str, toolset: &str) -> bool {
        self.disabled_toolsets
            .iter()
            .any(|(of, id)| of == integration && id == toolset)
    }

    /// The caps that count calls of this tool.
    pub fn caps_of(&self, tool: &str) -> impl Iterator<Item = &Cap> {
        self.caps.iter().filter(move |cap| cap.tools.fits(tool))
    }
}
