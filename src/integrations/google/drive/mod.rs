//! Toolset "Drive": finding, reading, writing, filing and sharing files of any kind.

mod block;
mod comments;
mod editor;
mod model;
mod organize;
mod query;
mod read;
mod rows;
mod search;
mod share;
mod upload;
mod write;

use crate::kit::block::BlockDef;
use crate::kit::integration::Toolset;
use crate::kit::tool::ToolDef;

pub(super) use block::{Newest, complete_files, newest};
pub(super) use model::{DOCUMENT, PRESENTATION, SPREADSHEET};

pub(super) const TOOLSET: Toolset = Toolset {
    id: "drive",
    title: "Drive",
    tools: &[
        ToolDef::of::<search::SearchFiles>(),
        ToolDef::of::<read::ReadFile>(),
        ToolDef::of::<write::WriteFile>(),
        ToolDef::of::<organize::OrganizeFile>(),
        ToolDef::of::<share::ShareFile>(),
    ],
    blocks: &[BlockDef::of::<block::FileBlock>()],
};
