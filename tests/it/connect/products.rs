//! Providers of several products whose accounts live in directories: what is asked for, in which directory, an
//! administrator's consent, and sign-ins that must prove more.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::harness::database::sqlite;
use crate::harness::http::between;

const ALICE: &str = "alice@example.test";

fn param(url: &Url, name: &str) -> String {
    let found = url.query_pairs().find(|(found, _)| found == name);
    found
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

fn scopes(url: &Url) -> Vec<String> {
    param(url, "scope")
        .split(' ')
        .map(ToOwned::to_owned)
        .collect()
}

/// The link that the page shows for an administrator.
fn admin_link(page: &Page) -> String {
    let link = between(&page.text, "readonly value=\"", "\"");
    let link = link.unwrap_or_else(|| panic!("no link: {}", page.text));
    link.replace("&#38;", "&").replace("&amp;", "&")
}

impl Person {
    /// Sends the form of the connect page with these fields; answers the consent page's address.
    async fn choose(&self, path: &str, fields: &[(&str, &str)]) -> Url {
        let page = self.browser.get(self.at(path)).await;
        let csrf = page.field("csrf");
        let form = [fields, &[("csrf", csrf.as_str()), ("choose", "1")]].concat();
        let page = self.browser.post(self.at("/connect/m365"), &form).await;
        page.location()
            .unwrap_or_else(|| panic!("{}: {}", page.status, page.text))
    }

    async fn finish(&self, back: &Url) -> Page {
        let page = self.browser.get(back.as_str()).await;
        self.browser.follow(page).await
    }
}

#[tokio::test]
async fn only_what_is_chosen_is_asked_for() {
    let (_world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    alice.sign_in().await;
    let page = alice.browser.get(alice.at("/connect/m365")).await;
    for shown in [
        "Outlook mail",
        "Outlook calendar",
        "name=\"product-mail\" value=\"1\" checked",
        "name=\"product-channel_messages\" value=\"1\">",
    ] {
        assert!(page.text.contains(shown), "{shown} in {}", page.text);
    }

    let usual = alice.begin("/connect/m365").await;
    assert!(scopes(&usual).contains(&"Mail.Send".to_owned()));
    assert!(!scopes(&usual).contains(&"ChannelMessage.Read.All".to_owned()));

    let mail = [("product-mail", "1")];
    let consent = alice
        .choose("/connect/m365", &[&mail[..], &[("personal", "1")]].concat())
        .await;
    let asked = scopes(&consent);
    assert!(asked.contains(&"Mail.ReadWrite".to_owned()), "{asked:?}");
    for other in [
        "Mail.ReadWrite.Shared",
        "Calendars.ReadWrite",
        "Chat.ReadWrite",
    ] {
        assert!(!asked.contains(&other.to_owned()), "{other} in {asked:?}");
    }

    let consent = alice.choose("/connect/m365", &mail).await;
    let back = alice.approve(&consent, ALICE).await;
    let done = alice.finish(&back).await;
    assert!(
        done.text.contains("is connected") && !done.text.contains("Not allowed"),
        "{}",
        done.text
    );
    let tools = alice.mcp.tools().await;
    assert!(tools.contains(&"m365_search_mail".to_owned()), "{tools:?}");
    assert!(!tools.contains(&"m365_list_events".to_owned()), "{tools:?}");

    // The account's page offers the rest; what is there already is asked for again with it.
    let row = app.row(&alice).await;
    let page = alice
        .browser
        .get(alice.at(&format!("/connections/{}", row.id)))
        .await;
    assert!(
        page.text.contains("Add Outlook calendar") && !page.text.contains("Add Outlook mail"),
        "{}",
        page.text
    );
    let more = format!("/connect/m365?reconnect={}&add=calendar", row.id);
    let page = alice.browser.get(alice.at(&more)).await;
    for (product, chosen) in [("mail", true), ("calendar", true), ("teams", false)] {
        let field = format!("name=\"product-{product}\" value=\"1\" checked");
        assert_eq!(page.text.contains(&field), chosen, "{product}");
    }
    let id = row.id.to_string();
    let form = [
        ("product-mail", "1"),
        ("product-calendar", "1"),
        ("reconnect", id.as_str()),
    ];
    let consent = alice.choose(&more, &form).await;
    let back = alice.approve(&consent, ALICE).await;
    alice.finish(&back).await;
    assert!(
        alice
            .mcp
            .tools()
            .await
            .contains(&"m365_list_events".to_owned())
    );
    assert_eq!(app.row(&alice).await.id, row.id);
}

#[tokio::test]
async fn a_toolset_that_is_off_is_not_asked_for() {
    let (_world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    let org = alice.row.org_id;
    let by = workbench_mcp::audit::Actor::System;
    let off = app
        .rulebook
        .switch_toolset(by, org, "m365", "teams", false)
        .await;
    off.unwrap();
    alice.sign_in().await;
    let page = alice.browser.get(alice.at("/connect/m365")).await;
    assert!(page.text.contains("product-mail") && !page.text.contains("product-teams"));
    let consent = alice
        .choose("/connect/m365", &[("product-teams", "1")])
        .await;
    assert!(!scopes(&consent).contains(&"Chat.ReadWrite".to_owned()));
}

#[tokio::test]
async fn the_directory_stands_in_the_addresses() {
    let mut world = World::still(sqlite()).await;
    world.extra.insert(
        "WORKBENCH_APP_M365_TENANT".to_owned(),
        "Acme.Example".to_owned(),
    );
    let app = world.app().await;
    let alice = app.person("alice@example.test").await;
    let consent = alice.begin("/connect/m365").await;
    assert!(
        consent
            .path()
            .ends_with("/acme.example/oauth2/v2.0/authorize"),
        "{consent}"
    );
    let back = alice.approve(&consent, ALICE).await;
    let done = alice.finish(&back).await;
    assert!(done.text.contains("is connected"), "{}", done.text);
}

#[tokio::test]
async fn an_administrator_consents_with_a_link() {
    let (_world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    let bob = app.person("bob@example.test").await;
    let consent = alice.begin("/connect/m365").await;
    let form = [("decision", "administrator"), ("account", ALICE)];
    let back = alice.decide(&consent, &form).await;
    let page = alice.finish(&back).await;
    assert!(
        page.text.contains("needs an administrator"),
        "{}",
        page.text
    );
    let link = admin_link(&page);
    let link = Url::parse(&link).unwrap();
    assert!(
        link.path().ends_with("/organizations/v2.0/adminconsent"),
        "{link}"
    );
    assert_eq!(param(&link, "scope"), param(&consent, "scope"));
    assert_ne!(param(&link, "state"), param(&consent, "state"));
    // The page is the person's own.
    let theirs = bob.browser.get(page.url.as_str()).await;
    assert_ne!(theirs.status, StatusCode::OK);

    // The administrator has no account here, and answers once.
    let stranger = Browser::new();
    let answered = stranger
        .post(link.as_str(), &[("decision", "approve")])
        .await;
    let back = answered.location().unwrap();
    assert_eq!(param(&back, "admin_consent"), "True");
    let forged = back.as_str().replace("consent-", "consent-x");
    let page = stranger.get(forged.as_str()).await;
    assert_eq!(page.status, StatusCode::CONFLICT, "{}", page.text);
    let page = stranger.get(back.as_str()).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("may be connected"), "{}", page.text);
    assert_eq!(
        stranger.get(back.as_str()).await.status,
        StatusCode::CONFLICT
    );
    assert_eq!(app.rows(&alice).await, []);
    assert_eq!(app.logged("connection.admin_consent").await.len(), 1);

    // A refusal is told too, and a plain no of the person is no matter for an administrator.
    let consent = alice.begin("/connect/m365").await;
    let back = alice.decide(&consent, &form).await;
    let page = alice.finish(&back).await;
    let link = admin_link(&page);
    let answered = stranger.post(link.as_str(), &[("decision", "deny")]).await;
    let page = stranger.get(answered.location().unwrap().as_str()).await;
    assert!(page.text.contains("was not approved"), "{}", page.text);
    let consent = alice.begin("/connect/m365").await;
    let back = alice.decide(&consent, &[("decision", "deny")]).await;
    let page = alice.finish(&back).await;
    assert!(page.text.contains("did not approve"), "{}", page.text);
}

#[tokio::test]
async fn a_claims_challenge_is_carried_to_the_next_sign_in() {
    let (world, app) = still().await;
    let alice = app.person("alice@example.test").await;
    alice.connect("m365", ALICE).await;
    let claims = r#"{"access_token":{"acrs":{"essential":true,"value":"c1"}}}"#;
    let fault = Fault::Challenge {
        claims: STANDARD.encode(claims),
    };
    world.misbehave("m365", Place::Api, 1, fault);
    let refused = alice.mcp.call("m365_search_mail", json!({})).await;
    assert_eq!(refused.code(), "reauth_required");
    let row = app.row(&alice).await;
    assert_eq!(
        (row.status.as_str(), row.reason.as_deref()),
        ("expired", Some("claims"))
    );

    // A new connection proves nothing more; reconnecting this one does, once.
    let other = alice.begin("/connect/m365").await;
    assert_eq!(param(&other, "claims"), "");
    let consent = alice
        .begin(&format!("/connect/m365?reconnect={}", row.id))
        .await;
    assert_eq!(param(&consent, "claims"), claims);
    let back = alice.approve(&consent, ALICE).await;
    let done = alice.finish(&back).await;
    assert!(done.text.contains("is connected"), "{}", done.text);
    let again = alice
        .begin(&format!("/connect/m365?reconnect={}", row.id))
        .await;
    assert_eq!(param(&again, "claims"), "");
    assert_eq!(app.row(&alice).await.status.as_str(), "connected");
}
