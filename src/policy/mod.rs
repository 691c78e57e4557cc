//! What an organization and a credential allow, as one pure function. It is asked for every list and for every call, so
//! that what is hidden is also refused.
//!
//! # How a call is decided
//!
//! First the hard limits refuse ([`Limit`]): the integration is off, its toolset is off, the credential does not cover it,
//! or the organization is read-only. Then, of all [`Rule`]s that fit the caller and the call, the one that names it most
//! closely decides, and where no rule fits the call is allowed.
//!
//! Where the organization wants it, what would be allowed is still asked about when it reaches people outside and its
//! conversation has read what others wrote ([`Subject::led`]); no rule lifts that.
//!
//! "Most closely" is, in this order: a tool by its name, then by the beginning of its name (the longer the closer); a
//! toolset; an integration; an effect; a group, then a role. Among equals deny goes before asking
//! an admin, that before asking the person, and that before allow.
//!
//! [`trace`] is the whole of it; [`decide()`] asks it for the answer alone, and whoever explains a decision listens to its
//! steps. Nothing is allocated on the way to [`Decision::Allow`].
//!
//! Not here: where rules come from (`rulebook`), what happens when a person is asked, whether an account is connected.

mod decide;
mod rule;
mod rules;

use std::sync::Arc;

use crate::caller::Approver;
use crate::kit::block::BlockDef;
use crate::kit::integration::{Integration, Toolset};
use crate::kit::tool::{Effect, ToolDef};

pub use decide::{Limit, Step, decide, trace};
pub use rule::{EffectWord, Named, Rule, Target, Verdict, Who};
pub use rules::{Cap, Per, Rates, Rules, Weighed};

/// Whether a call may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may.
    Allow,
    /// Not before somebody agreed to exactly this call; the words say which rule wants that.
    Ask(Arc<str>, Approver),
    /// It may not.
    Deny(Denial),
}

/// Why a call may not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// An admin has switched the integration off.
    IntegrationDisabled,
    /// An admin has switched the toolset with this title off.
    ToolsetDisabled(&'static str),
    /// The credential is narrowed to other integrations.
    OtherIntegrations,
    /// The credential does not allow reading.
    NoReading,
    /// The credential only allows reading.
    ReadOnlyCredential,
    /// The client that the person signed in was allowed to read only.
    ReadOnlyClient,
    /// The organization allows no changes at all for the time being.
    ReadOnlyOrganization,
    /// A rule denies it; the words say which.
    Rule(Arc<str>),
    /// A rule asks first, and a context block has nowhere to wait for the answer.
    CannotWait(Arc<str>),
}

impl Denial {
    /// One sentence for the person and the model that says what to do.
    pub fn words(&self, integration: &Integration) -> String {
        match self {
            Self::IntegrationDisabled => format!(
                "an admin has switched {} off; ask them to enable it",
                integration.name
            ),
            Self::ToolsetDisabled(title) => format!(
                "an admin has switched off \"{title}\" of {}; ask them to enable it",
                integration.name
            ),
            Self::OtherIntegrations => format!(
                "this token is not for {}; use one that covers it",
                integration.name
            ),
            Self::NoReading => {
                "this token does not allow reading; use one that has tools:read".to_owned()
            }
            Self::ReadOnlyCredential => {
                "this token only allows reading; use one that allows changes".to_owned()
            }
            Self::ReadOnlyClient => {
                "this client was allowed to read only; sign it out and in again, and let it make changes"
                    .to_owned()
            }
            Self::ReadOnlyOrganization => {
                "the organization allows no changes at the moment; ask an admin when it will"
                    .to_owned()
            }
            Self::Rule(why) => {
                format!("the organization does not allow this ({why}); ask an admin")
            }
            Self::CannotWait(why) => format!(
                "the organization wants a person's approval for this, which a context block cannot wait for ({why}); use a tool, or ask an admin"
            ),
        }
    }
}

/// Which kind of thing is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A tool.
    Tool,
    /// A context block, or the completion of its address.
    Block,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// Where.
    pub integration: &'static Integration,
    /// The toolset it belongs to.
    pub toolset: &'static Toolset,
    /// Its name.
    pub name: &'static str,
    /// What it may change.
    pub effect: Effect,
    /// What it is.
    pub kind: Kind,
    /// Whether it reaches people outside, out of a conversation that has read what others wrote.
    pub led: bool,
}

impl Subject {
    /// A tool of this toolset.
    pub const fn tool(
        integration: &'static Integration,
        toolset: &'static Toolset,
        def: &'static ToolDef,
    ) -> Self {
        Self {
            integration,
            toolset,
            name: def.name,
            effect: def.effect,
            kind: Kind::Tool,
            led: false,
        }
    }

    /// A block of this toolset, or a completion for it.
    pub const fn block(
        integration: &'static Integration,
        toolset: &'static Toolset,
        def: &'static BlockDef,
    ) -> Self {
        Self {
            integration,
            toolset,
            name: def.name,
            effect: Effect::Read,
            kind: Kind::Block,
            led: false,
        }
    }

    /// The tool or block with this name.
    pub fn named(integration: &'static Integration, name: &str) -> Option<Self> {
        Self::all(integration).find(|subject| subject.name == name)
    }

    /// Everything there is in an integration, in listing order: tools, then blocks.
    pub fn all(integration: &'static Integration) -> impl Iterator<Item = Self> {
        let tools = integration.toolsets.iter().flat_map(move |set| {
            set.tools
                .iter()
                .map(move |def| Self::tool(integration, set, def))
        });
        let blocks = integration.toolsets.iter().flat_map(move |set| {
            set.blocks
                .iter()
                .map(move |def| Self::block(integration, set, def))
        });
        tools.chain(blocks)
    }
}
