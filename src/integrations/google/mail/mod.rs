//! Toolset "Gmail".

mod attach;
mod blocks;
mod compose;
mod get;
mod labels;
pub(super) mod model;
pub(super) mod read;
mod search;
mod send;
mod tracked;
mod update;

use crate::kit::block::BlockDef;
use crate::kit::integration::Toolset;
use crate::kit::tool::ToolDef;

pub(super) use labels::{all_labels, find as find_label, label_item};

pub(super) const TOOLSET: Toolset = Toolset {
    id: "mail",
    title: "Gmail",
    tools: &[
        ToolDef::of::<search::SearchMail>(),
        ToolDef::of::<get::GetMail>(),
        ToolDef::of::<send::SendMail>(),
        ToolDef::of::<update::UpdateMail>(),
        ToolDef::of::<labels::SaveLabel>(),
    ],
    blocks: &[
        BlockDef::of::<blocks::ThreadBlock>(),
        BlockDef::of::<blocks::MessageBlock>(),
        BlockDef::of::<tracked::TrackedBlock>(),
        BlockDef::of::<blocks::LabelBlock>(),
    ],
};
