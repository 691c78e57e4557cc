//! Toolset "Teams".

mod blocks;
mod conversations;
mod model;
mod read;
mod send;
mod text;

use crate::kit::block::BlockDef;
use crate::kit::integration::Toolset;
use crate::kit::tool::{Needs, ToolDef};

pub(super) const TOOLSET: Toolset = Toolset {
    id: "teams",
    title: "Teams",
    tools: &[
        ToolDef::of::<conversations::ListConversations>(),
        ToolDef::of::<read::ReadMessages>(),
        ToolDef::of::<send::SendMessage>(),
    ],
    blocks: &[
        BlockDef::of::<blocks::ChannelBlock>(),
        BlockDef::of::<blocks::ChatBlock>(),
    ],
};

/// Any of these lists chats.
const CHATS: &[&str] = &["Chat.ReadBasic", "Chat.Read", "Chat.ReadWrite"];
/// Any of these reads what is said in chats.
const CHAT_MESSAGES: &[&str] = &["Chat.Read", "Chat.ReadWrite"];
/// This reads what is said in channels; an administrator must allow it.
const CHANNEL_MESSAGES: &[&str] = &["ChannelMessage.Read.All"];
/// This lists teams.
const TEAMS: &[&str] = &["Team.ReadBasic.All"];
/// This lists channels.
const CHANNELS: &[&str] = &["Channel.ReadBasic.All"];

const LIST: Needs = Needs::Any(&[
    "Chat.ReadBasic",
    "Chat.Read",
    "Chat.ReadWrite",
    "Team.ReadBasic.All",
]);
const READ: Needs = Needs::Any(&["Chat.Read", "Chat.ReadWrite", "ChannelMessage.Read.All"]);
const SEND: Needs = Needs::Any(&["ChatMessage.Send", "Chat.ReadWrite", "ChannelMessage.Send"]);
