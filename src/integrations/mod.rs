//! The integrations: one folder each, listed twice below in the same order.
//!
//! A folder names nothing of this crate but `kit`: it cannot reach a token, a user, SQL or MCP.

mod github;
mod google;
mod health;
mod hubspot;
mod m365;
mod sentry;

use crate::kit::block::BlockDef;
use crate::kit::integration::{Integration, Provider};
use crate::kit::tool::ToolDef;

/// Every integration, by id.
pub static ALL: &[&Integration] = &[
    &github::INTEGRATION,
    &google::INTEGRATION,
    &health::INTEGRATION,
    &hubspot::INTEGRATION,
    &m365::INTEGRATION,
    &sentry::INTEGRATION,
];

/// The integration with this id.
pub fn integration(id: &str) -> Option<&'static Integration> {
    ALL.iter().copied().find(|integration| integration.id == id)
}

/// The provider with this id and its integration.
pub fn provider(id: &str) -> Option<(&'static Integration, &'static Provider)> {
    ALL.iter().find_map(|integration| {
        integration
            .providers
            .iter()
            .find(|provider| provider.id == id)
            .map(|provider| (*integration, provider))
    })
}

/// The tool with this name, or with this former name.
pub fn tool(name: &str) -> Option<(&'static Integration, &'static ToolDef)> {
    let by_name = |name: &str| {
        ALL.iter().find_map(|integration| {
            integration
                .tools()
                .find(|tool| tool.name == name)
                .map(|tool| (*integration, tool))
        })
    };
    by_name(name).or_else(|| {
        let alias = ALL
            .iter()
            .flat_map(|integration| integration.aliases)
            .find(|(old, _)| *old == name)?;
        by_name(alias.1)
    })
}

/// The block that `address` is one of, with the address's variables.
pub fn block(
    address: &str,
) -> Option<(
    &'static Integration,
    &'static BlockDef,
    serde_json::Map<String, serde_json::Value>,
)> {
    let integration = integration(address.split_once("://")?.0)?;
    integration.blocks().find_map(|block| {
        block
            .matches(address)
            .map(|variables| (integration, block, variables))
    })
}

/// The block with this template.
pub fn template(uri: &str) -> Option<(&'static Integration, &'static BlockDef)> {
    ALL.iter().find_map(|integration| {
        integration
            .blocks()
            .find(|block| block.uri == uri)
            .map(|block| (*integration, block))
    })
}
