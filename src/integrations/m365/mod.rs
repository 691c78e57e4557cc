#![doc = include_str!("README.md")]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "some failures of the provider are told in a tool's own words, and every other one passes as it is"
)]

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
            // Downloads, upload sessions and the state of copies; see the README for where each is documented.
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
    #[test]
    fn tracked_mail_is_not_taken_for_a_message() {
        let name = |address| crate::integrations::block(address).map(|found| found.1.name);
        assert_eq!(name("m365://a/mail/tracked"), Some("m365_mail_tracked"));
        assert_eq!(name("m365://a/mail/AAk"), Some("m365_mail"));
    }
}
