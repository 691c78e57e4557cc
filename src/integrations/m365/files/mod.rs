//! Toolset "OneDrive and SharePoint files".

mod block;
mod folder;
mod model;
mod organize;
mod read;
mod search;
mod share;
mod upload;
mod write;

use crate::kit::block::BlockDef;
use crate::kit::integration::Toolset;
use crate::kit::tool::{Needs, ToolDef};

pub(super) use model::Identities;

pub(super) const TOOLSET: Toolset = Toolset {
    id: "files",
    title: "OneDrive and SharePoint files",
    tools: &[
        ToolDef::of::<search::SearchFiles>(),
        ToolDef::of::<folder::ListFolder>(),
        ToolDef::of::<read::ReadContent>(),
        ToolDef::of::<write::WriteFile>(),
        ToolDef::of::<organize::OrganizeFile>(),
        ToolDef::of::<share::ShareFile>(),
    ],
    blocks: &[BlockDef::of::<block::FileBlock>()],
};

/// What reading files takes; with `Sites.Selected` alone, those of the sites that an administrator chose.
const READ: Needs = Needs::Any(&[
    "Files.Read.All",
    "Files.ReadWrite.All",
    "Files.Read",
    "Files.ReadWrite",
    "Sites.Read.All",
    "Sites.ReadWrite.All",
    "Sites.Selected",
]);

/// What changing them takes.
const WRITE: Needs = Needs::Any(&[
    "Files.ReadWrite.All",
    "Files.ReadWrite",
    "Sites.ReadWrite.All",
    "Sites.Selected",
]);
