#![doc = include_str!("README.md")]

mod account;
mod auth;
mod calendar;
mod files;
mod graph;
mod mail;
mod model;
mod people;
mod refs;
mod sharepoint;
mod teams;
mod times;

use crate::kit::integration::{Api, Auth, CredentialIn, Integration, Pace, Provider};

/// Four panes, one of them open: our own drawing.
const ICON: &str = concat!(
    r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="#3b6ea5" stroke-width="2">"##,
    r#"<path d="M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM20 13v7h-7"/></svg>"#
);

pub(super) static INTEGRATION: Integration = Integration {
    id: "m365",
    name: "Microsoft 365",
    summary: "Outlook mail, calendar and contacts, OneDrive and SharePoint files and lists, and Teams messages.",
    icon: ICON,
    providers: &[Provider {
        id: "m365",
        name: "Microsoft",
        scheme: "m365",
        auth: Auth::OAuth2(auth::OAUTH),
        api: Api {
            base_url: "https://graph.microsoft.com",
            // Upload sessions of mail are at one of these.
            hosts: &[
                ("outlook", "https://outlook.office.com"),
                ("outlook365", "https://outlook.office365.com"),
            ],
            headers: &[("prefer", graph::IMMUTABLE)],
            credential: CredentialIn::Bearer,
            // Downloads, upload sessions and the state of copies; see files.md for where each is documented.
            download_hosts: &[
                ".sharepoint.com",
                ".files.1drv.com",
                ".up.1drv.com",
                "api.onedrive.com",
                "my.microsoftpersonalcontent.com",
            ],
            regions: &[],
            pace: Pace {
                per_second: 5,
                burst: 40,
            },
            classify: auth::classify,
        },
        identify: auth::identify,
    }],
    toolsets: &[
        account::TOOLSET,
        mail::TOOLSET,
        calendar::TOOLSET,
        people::TOOLSET,
        files::TOOLSET,
        sharepoint::TOOLSET,
        teams::TOOLSET,
    ],
    aliases: &[],
    contacts: None,
};

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;

    /// What of a published tool is ours: the rest of its 1,040 bytes is the envelope that all tools share.
    const TOOL_BYTES: usize = 640;
    /// The same for all 25 of them together, out of 24,000.
    const ALL_BYTES: usize = 13_000;

    #[test]
    fn every_tool_is_small() {
        let mut sizes = Vec::new();
        for tool in INTEGRATION.tools() {
            let schema = crate::kit::schema::input_schema(tool);
            let mut properties = schema["properties"].as_object().unwrap().clone();
            for shared in ["account", "max_chars", "dry_run", "idempotency_key"] {
                properties.remove(shared);
            }
            let words = crate::kit::schema::description(tool);
            let properties = serde_json::to_string(&properties).unwrap();
            sizes.push((
                tool.name,
                tool.name.len() + tool.title.len() + words.len() + properties.len(),
            ));
        }
        let too_large = sizes.iter().filter(|(_, bytes)| *bytes > TOOL_BYTES);
        assert_eq!(too_large.collect::<Vec<_>>(), Vec::<&(&str, usize)>::new());
        let all: usize = sizes.iter().map(|(_, bytes)| bytes).sum();
        assert!(all <= ALL_BYTES, "{all} {sizes:?}");
        assert!(ICON.len() <= 400, "{}", ICON.len());
    }

    #[test]
    fn tracked_mail_is_not_taken_for_a_message() {
        let name = |address| crate::integrations::block(address).map(|found| found.1.name);
        assert_eq!(name("m365://a/mail/tracked"), Some("m365_mail_tracked"));
        assert_eq!(name("m365://a/mail/AAk"), Some("m365_mail"));
    }
}
