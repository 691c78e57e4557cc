#![doc = include_str!("README.md")]

mod activity;
mod auth;
mod blocks;
mod checks;
mod cut;
mod docs;
mod files;
mod glob;
mod issues;
mod model;
mod names;
mod outline;
mod propose;
mod pulls;
mod read;
mod repos;
mod rows;
mod save_issue;
mod search;
mod verdicts;

use crate::kit::block::BlockDef;
use crate::kit::integration::{Api, Auth, CredentialIn, Integration, Pace, Provider, Toolset};
use crate::kit::tool::ToolDef;

/// A branch that leaves its trunk: our own drawing.
const ICON: &str = concat!(
    r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="#57606a" stroke-width="2">"##,
    r#"<circle cx="6" cy="5" r="2"/><circle cx="6" cy="19" r="2"/><circle cx="18" cy="8" r="2"/>"#,
    r#"<path d="M6 7v10M18 10c0 5-12 2-12 7"/></svg>"#
);

pub(super) static INTEGRATION: Integration = Integration {
    id: "github",
    name: "GitHub",
    summary: "Search and read code, issues, pull requests and checks, import documentation, and propose changes as pull requests.",
    icon: ICON,
    providers: &[Provider {
        id: "github",
        name: "GitHub",
        scheme: "github",
        auth: Auth::OAuth2(auth::OAUTH),
        api: Api {
            base_url: "https://api.github.com",
            hosts: &[],
            headers: &[
                ("accept", "application/vnd.github+json"),
                ("x-github-api-version", "2022-11-28"),
                // GitHub refuses requests without one.
                ("user-agent", "workbench-mcp"),
            ],
            credential: CredentialIn::Bearer,
            // Logs of GitHub Actions; see the README for what is known about these hosts.
            download_hosts: &[".actions.githubusercontent.com", ".blob.core.windows.net"],
            regions: &[],
            // 5,000 requests an hour for each person, shared by all their apps.
            pace: Pace {
                per_second: 2,
                burst: 30,
            },
            classify: auth::classify,
        },
        identify: auth::identify,
    }],
    // The documents' block comes before the repositories': both fit `github://account/docs/name`.
    toolsets: &[SEARCH, REPOS, ISSUES, PULLS, ACTIONS],
    aliases: &[],
    contacts: None,
};

const SEARCH: Toolset = Toolset {
    id: "search",
    title: "Account, search and imported documents",
    tools: &[
        ToolDef::of::<search::GetViewer>(),
        ToolDef::of::<search::Search>(),
        ToolDef::of::<docs::ImportDocs>(),
    ],
    blocks: &[BlockDef::of::<docs::DocsBlock>()],
};

const REPOS: Toolset = Toolset {
    id: "repos",
    title: "Repositories and code",
    tools: &[
        ToolDef::of::<repos::ListRepos>(),
        ToolDef::of::<repos::GetRepo>(),
        ToolDef::of::<files::ListTree>(),
        ToolDef::of::<files::ReadFiles>(),
        ToolDef::of::<activity::ListActivity>(),
    ],
    blocks: &[
        BlockDef::of::<blocks::RepoBlock>(),
        BlockDef::of::<blocks::FileBlock>(),
        BlockDef::of::<blocks::ActivityBlock>(),
    ],
};

const ISSUES: Toolset = Toolset {
    id: "issues",
    title: "Issues",
    tools: &[
        ToolDef::of::<issues::ListIssues>(),
        ToolDef::of::<issues::GetIssue>(),
        ToolDef::of::<save_issue::SaveIssue>(),
    ],
    blocks: &[BlockDef::of::<blocks::IssueBlock>()],
};

const PULLS: Toolset = Toolset {
    id: "pulls",
    title: "Pull requests",
    tools: &[
        ToolDef::of::<pulls::GetPull>(),
        ToolDef::of::<propose::ProposeChange>(),
    ],
    blocks: &[BlockDef::of::<blocks::PullBlock>()],
};

const ACTIONS: Toolset = Toolset {
    id: "actions",
    title: "Checks and workflow runs",
    tools: &[ToolDef::of::<checks::GetChecks>()],
    blocks: &[],
};

#[cfg(test)]
mod tests {
    #[test]
    fn addresses_of_documents_are_not_taken_for_repositories() {
        let name = |address| crate::integrations::block(address).map(|found| found.1.name);
        assert_eq!(name("github://a/docs/acme-site"), Some("github_docs"));
        assert_eq!(
            name("github://a/docs/acme-site/x/y.md"),
            Some("github_docs")
        );
        assert_eq!(name("github://a/acme/site"), Some("github_repo"));
        assert_eq!(
            name("github://a/acme/site/blob/main/a/b.rs"),
            Some("github_file")
        );
        assert_eq!(name("github://a/acme/site/pulls/7"), Some("github_pull"));
        assert_eq!(name("github://a/acme/site/issues/7"), Some("github_issue"));
        assert_eq!(
            name("github://a/acme/site/activity/7d"),
            Some("github_activity")
        );
    }
}
