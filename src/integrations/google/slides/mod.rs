//! Toolset "Slides": presentations as outlines, and edits of them.

mod block;
mod edit;
mod model;
mod ops;
mod outline;
mod read;

use crate::kit::block::BlockDef;
use crate::kit::integration::Toolset;
use crate::kit::tool::ToolDef;

pub(super) use outline::deck;

pub(super) const TOOLSET: Toolset = Toolset {
    id: "slides",
    title: "Slides",
    tools: &[
        ToolDef::of::<read::ReadSlides>(),
        ToolDef::of::<edit::EditSlides>(),
    ],
    blocks: &[BlockDef::of::<block::SlidesBlock>()],
};
