#![doc = include_str!("README.md")]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "some failures of the provider are told in a tool's own words, and every other one passes as it is"
)]

mod account;
mod asks;
mod auth;
mod calendar;
mod contacts;
mod diff;
mod docs;
mod drive;
mod grants;
mod mail;
mod refs;
mod remove;
mod room;
mod sheets;
mod slides;

use crate::kit::integration::{Api, Auth, CredentialIn, Integration, Pace, Provider};

/// Four leaves around a middle: our own drawing.
const ICON: &str = concat!(
    r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="#3f7d58" stroke-width="2">"##,
    r#"<circle cx="12" cy="12" r="3"/><path d="M12 3v6M12 15v6M3 12h6M15 12h6"/></svg>"#
);

pub(super) static INTEGRATION: Integration = Integration {
    id: "google",
    name: "Google Workspace",
    summary: "Mail, calendar, files, documents, spreadsheets, presentations and contacts of a Google account.",
    icon: ICON,
    providers: &[Provider {
        id: "google",
        name: "Google",
        scheme: "google",
        auth: Auth::OAuth2(auth::OAUTH),
        api: Api {
            // Drive, Calendar and userinfo; each other product has a host of its own.
            base_url: "https://www.googleapis.com",
            hosts: &[
                ("gmail", "https://gmail.googleapis.com"),
                ("docs", "https://docs.googleapis.com"),
                ("sheets", "https://sheets.googleapis.com"),
                ("slides", "https://slides.googleapis.com"),
                ("people", "https://people.googleapis.com"),
            ],
            headers: &[],
            credential: CredentialIn::Bearer,
            download_hosts: &[".googleusercontent.com"],
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
        contacts::TOOLSET,
        drive::TOOLSET,
        docs::TOOLSET,
        sheets::TOOLSET,
        slides::TOOLSET,
    ],
    aliases: &[],
    contacts: None,
};

#[cfg(test)]
mod tests {
    #[test]
    fn addresses_are_of_one_block_each() {
        let name = |address| crate::integrations::block(address).map(|found| found.1.name);
        assert_eq!(
            name("google://a/mail/threads/t1"),
            Some("google_mail_thread")
        );
        assert_eq!(
            name("google://a/mail/messages/m1"),
            Some("google_mail_message")
        );
        assert_eq!(name("google://a/mail/tracked"), Some("google_tracked_mail"));
        assert_eq!(name("google://a/labels/A%2FB"), Some("google_label"));
        assert_eq!(
            name("google://a/calendar/2026-11-20"),
            Some("google_agenda")
        );
        assert_eq!(name("google://a/events/primary/e1"), Some("google_event"));
        assert_eq!(name("google://a/contacts/c7"), Some("google_contact"));
    }
}
