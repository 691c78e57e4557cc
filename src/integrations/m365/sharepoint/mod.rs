//! Toolset "SharePoint sites and lists".

mod block;
mod items;
mod model;
mod save;
mod sites;

use super::refs::SiteRef;
use crate::kit::block::BlockDef;
use crate::kit::error::ToolError;
use crate::kit::integration::Toolset;
use crate::kit::tool::{Cx, Needs, ToolDef};

pub(super) use model::{Site, not_a_site};

pub(super) const TOOLSET: Toolset = Toolset {
    id: "sharepoint",
    title: "SharePoint sites and lists",
    tools: &[
        ToolDef::of::<sites::ListSites>(),
        ToolDef::of::<items::QueryList>(),
        ToolDef::of::<save::SaveListItem>(),
    ],
    blocks: &[BlockDef::of::<block::ListBlock>()],
};

/// What reading sites takes; with `Sites.Selected` those that an administrator granted to this app.
const READ: Needs = Needs::Any(&["Sites.Read.All", "Sites.ReadWrite.All", "Sites.Selected"]);

/// What changing lists takes.
const WRITE: Needs = Needs::Any(&["Sites.ReadWrite.All", "Sites.Selected"]);

/// The site that `site` names.
pub(super) async fn site(cx: &Cx, site: &SiteRef) -> Result<Site, ToolError> {
    model::site(cx, site).await
}

/// The id of a site's default library.
pub(super) async fn drive_of(cx: &Cx, site: &SiteRef) -> Result<String, ToolError> {
    let site = model::site(cx, site).await?;
    model::default_drive(cx, &site).await
}
