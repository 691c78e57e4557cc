#![doc = include_str!("README.md")]

mod activity;
mod auth;
mod blocks;
mod describe;
mod filters;
mod kinds;
mod links;
mod lists;
mod log;
mod model;
mod moments;
mod names;
mod pages;
mod people;
mod pipeline;
mod records;
mod remove;
mod save;
mod search;

use crate::kit::block::BlockDef;
use crate::kit::integration::{Api, Auth, CredentialIn, Integration, Pace, Provider, Toolset};
use crate::kit::tool::ToolDef;

/// What the integration is, as data.
pub(super) static INTEGRATION: Integration = Integration {
    id: "hubspot",
    name: "HubSpot",
    summary: "Find, read and change contacts, companies, deals, tickets and custom objects, follow and log activities, \
              and see pipelines and lists.",
    icon: ICON,
    providers: &[Provider {
        id: "hubspot",
        name: "HubSpot",
        scheme: "hubspot",
        auth: Auth::OAuth2(auth::OAUTH),
        api: Api {
            base_url: "https://api.hubapi.com",
            hosts: &[],
            headers: &[],
            credential: CredentialIn::Bearer,
            download_hosts: &[],
            regions: &[],
            // HubSpot takes 100 requests in ten seconds of one app and portal, searches included.
            pace: Pace {
                per_second: 8,
                burst: 40,
            },
            classify: auth::classify,
        },
        identify: auth::identify,
    }],
    toolsets: &[
        Toolset {
            id: "crm",
            title: "Records",
            tools: &[
                ToolDef::of::<describe::GetAccount>(),
                ToolDef::of::<describe::DescribeObject>(),
                ToolDef::of::<search::SearchRecords>(),
                ToolDef::of::<search::GetRecords>(),
                ToolDef::of::<save::SaveRecords>(),
                ToolDef::of::<remove::ArchiveRecords>(),
                ToolDef::of::<remove::MergeRecords>(),
                ToolDef::of::<links::LinkRecords>(),
                ToolDef::of::<links::UnlinkRecords>(),
                ToolDef::of::<pipeline::SummarizePipeline>(),
                ToolDef::of::<lists::ListOwners>(),
            ],
            blocks: &[
                BlockDef::of::<blocks::Contact>(),
                BlockDef::of::<blocks::Company>(),
                BlockDef::of::<blocks::Deal>(),
                BlockDef::of::<blocks::Ticket>(),
                BlockDef::of::<blocks::Object>(),
                BlockDef::of::<blocks::Schema>(),
                BlockDef::of::<blocks::PipelineTable>(),
            ],
        },
        Toolset {
            id: "activity",
            title: "Activities",
            tools: &[
                ToolDef::of::<activity::ListActivities>(),
                ToolDef::of::<log::LogActivity>(),
            ],
            blocks: &[],
        },
        Toolset {
            id: "lists",
            title: "Lists",
            tools: &[ToolDef::of::<lists::GetLists>()],
            blocks: &[BlockDef::of::<blocks::ListMembers>()],
        },
    ],
    aliases: &[],
    contacts: Some(people::LOOKUP),
};

/// Our own drawing: a hub with three spokes.
const ICON: &str = concat!(
    r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="#c2410c" stroke-width="2">"##,
    r##"<path d="M12 12 6 5m6 7 7-4m-7 4 1 8"/><circle cx="12" cy="12" r="3.5" fill="#c2410c"/>"##,
    r##"<circle cx="5.5" cy="4.5" r="1.5"/><circle cx="19.5" cy="7.5" r="1.5"/><circle cx="13" cy="20.5" r="1.5"/></svg>"##
);
