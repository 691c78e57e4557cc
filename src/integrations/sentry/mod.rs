#![doc = include_str!("README.md")]

mod auth;
mod blocks;
mod event;
mod help;
mod issue;
mod issues;
mod model;
mod monitors;
mod names;
mod org;
mod overview;
mod performance;
mod query;
mod releases;
mod spans;
mod trace;
mod update;
mod usage;

use crate::kit::block::BlockDef;
use crate::kit::integration::{Api, Auth, CredentialIn, Integration, Pace, Provider, Toolset};
use crate::kit::tool::ToolDef;

/// A watchtower on a hill: our own drawing.
const ICON: &str = concat!(
    r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="#5b3f8c" stroke-width="2">"##,
    r#"<path d="M3 20c4-4 14-4 18 0M9 17l1-8h4l1 8M8 9h8M9 9V6l3-3 3 3v3"/></svg>"#
);

pub(super) static INTEGRATION: Integration = Integration {
    id: "sentry",
    name: "Sentry",
    summary: "Search and read issues, events, traces, releases and monitors, query performance, and resolve or assign issues.",
    icon: ICON,
    providers: &[Provider {
        id: "sentry",
        name: "Sentry",
        scheme: "sentry",
        auth: Auth::Either(auth::OAUTH, auth::TOKEN),
        api: Api {
            base_url: "https://sentry.io",
            hosts: &[],
            headers: &[],
            credential: CredentialIn::Bearer,
            download_hosts: &[],
            // Organizations are kept at us.sentry.io, de.sentry.io and so on, and shown at acme.sentry.io.
            regions: &["sentry.io", ".sentry.io"],
            // Sentry limits each endpoint by itself, mostly to 5 to 40 calls a second.
            pace: Pace {
                per_second: 5,
                burst: 20,
            },
            classify: auth::classify,
        },
        identify: auth::identify,
    }],
    toolsets: &[ISSUES, EXPLORE, HEALTH],
    aliases: &[],
    contacts: None,
};

const ISSUES: Toolset = Toolset {
    id: "issues",
    title: "Organization, issues and events",
    tools: &[
        ToolDef::of::<overview::GetOrganization>(),
        ToolDef::of::<issues::SearchIssues>(),
        ToolDef::of::<issue::GetIssue>(),
        ToolDef::of::<issues::ListEvents>(),
        ToolDef::of::<update::UpdateIssue>(),
    ],
    blocks: &[
        BlockDef::of::<blocks::IssueBlock>(),
        BlockDef::of::<blocks::EventBlock>(),
    ],
};

const EXPLORE: Toolset = Toolset {
    id: "explore",
    title: "Queries, performance and traces",
    tools: &[
        ToolDef::of::<query::QueryEvents>(),
        ToolDef::of::<performance::GetPerformance>(),
        ToolDef::of::<trace::GetTrace>(),
    ],
    blocks: &[BlockDef::of::<blocks::TraceBlock>()],
};

const HEALTH: Toolset = Toolset {
    id: "health",
    title: "Releases, usage and monitors",
    tools: &[
        ToolDef::of::<releases::GetReleaseHealth>(),
        ToolDef::of::<usage::GetUsage>(),
        ToolDef::of::<monitors::ListMonitors>(),
    ],
    blocks: &[
        BlockDef::of::<blocks::HealthBlock>(),
        BlockDef::of::<blocks::ReleaseBlock>(),
    ],
};

#[cfg(test)]
mod tests {
    #[test]
    fn addresses_find_their_blocks() {
        let name = |address| crate::integrations::block(address).map(|found| found.1.name);
        assert_eq!(name("sentry://a/issues/ACME-WEB-1"), Some("sentry_issue"));
        assert_eq!(name("sentry://a/issues/acme%3A4501"), Some("sentry_issue"));
        assert_eq!(name("sentry://a/events/web/0123"), Some("sentry_event"));
        assert_eq!(
            name("sentry://a/projects/web/health"),
            Some("sentry_project_health")
        );
        assert_eq!(
            name("sentry://a/projects/web/health/7d"),
            Some("sentry_project_health")
        );
        assert_eq!(
            name("sentry://a/releases/web%401.2.0"),
            Some("sentry_release")
        );
        assert_eq!(name("sentry://a/traces/7f3c"), Some("sentry_trace"));
        assert_eq!(name("sentry://a/acme"), None);
    }
}
