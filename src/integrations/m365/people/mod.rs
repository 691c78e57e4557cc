//! Toolset "People": contacts, the people one works with, the directory.

mod blocks;
mod contact;
mod model;
mod search;
mod sync;

use crate::kit::block::BlockDef;
use crate::kit::integration::Toolset;
use crate::kit::output::Item;
use crate::kit::tool::{Cx, ToolDef};
use crate::kit::uri::encode;

pub(super) use sync::stale;

pub(super) const TOOLSET: Toolset = Toolset {
    id: "people",
    title: "People",
    tools: &[
        ToolDef::of::<search::SearchPeople>(),
        ToolDef::of::<contact::SaveContact>(),
    ],
    blocks: &[BlockDef::of::<blocks::PersonBlock>()],
};

/// A contact as a row.
fn item(cx: &Cx, contact: &model::Contact) -> Item {
    Item::new(&contact.id)
        .uri(cx.uri(&format!("people/{}", encode(&contact.id))))
        .field("name", contact.display_name.as_str())
        .field("emails", contact.emails())
        .field("phones", contact.phones())
        .field("company", contact.company_name.as_str())
        .field("job_title", contact.job_title.as_str())
        .field("source", "contacts")
}
