//! Toolset "Docs": documents as Markdown, and edits of them.

mod block;
mod edit;
mod find;
mod markdown;
mod model;
mod page;
#[cfg(test)]
mod paper;
mod parse;
mod plan;
#[cfg(test)]
mod plan_tests;
mod read;
mod step;

use crate::kit::block::BlockDef;
use crate::kit::integration::Toolset;
use crate::kit::tool::ToolDef;

pub(super) use read::{Part, read};

pub(super) const TOOLSET: Toolset = Toolset {
    id: "docs",
    title: "Docs",
    tools: &[ToolDef::of::<edit::EditDoc>()],
    blocks: &[BlockDef::of::<block::DocBlock>()],
};
