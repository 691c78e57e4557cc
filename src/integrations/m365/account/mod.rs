//! Toolset "Account": who this is, and deleting what the other toolsets make.

mod delete;
mod profile;

use crate::kit::integration::Toolset;
use crate::kit::tool::ToolDef;

pub(super) const TOOLSET: Toolset = Toolset {
    id: "account",
    title: "Account and deleting",
    tools: &[
        ToolDef::of::<profile::GetProfile>(),
        ToolDef::of::<delete::DeleteItem>(),
    ],
    blocks: &[],
};
