//! Toolset "Sheets": rows and cells, read by pages and written by headers or ranges.

mod a1;
mod block;
mod cells;
mod csv;
mod ops;
mod read;
mod write;

use crate::kit::block::BlockDef;
use crate::kit::integration::Toolset;
use crate::kit::tool::ToolDef;

pub(super) use csv::{Slice, csv};

pub(super) const TOOLSET: Toolset = Toolset {
    id: "sheets",
    title: "Sheets",
    tools: &[
        ToolDef::of::<read::ReadSheet>(),
        ToolDef::of::<write::WriteSheet>(),
    ],
    blocks: &[BlockDef::of::<block::SheetBlock>()],
};
