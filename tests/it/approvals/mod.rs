//! Calls that wait for a person's yes, and writes that do not happen twice, through the faces that clients and people have.

mod asking;
mod clients;
mod once;
mod pages;

use serde_json::{Value, json};
use workbench_mcp::audit::Actor;
use workbench_mcp::rulebook::Draft;

use crate::harness::app::{Person, TestApp, World};
use crate::harness::http::{Page, Reply};

/// A write of one request.
const WRITE: &str = "github_save_issue";

fn issue(title: &str) -> Value {
    json!({ "repo": "acme/site", "title": title })
}

/// How many issues the provider was asked to make, refused ones included.
fn issues(world: &World) -> u64 {
    let calls = world.report("github").counters.api_calls;
    calls
        .get("POST /repos/acme/site/issues")
        .copied()
        .unwrap_or(0)
}

/// Sets a rule of the organization for this tool; other processes hear of it.
async fn rule(app: &TestApp, tool: &str, verdict: &str) {
    let draft = Draft {
        who: String::new(),
        integration: String::new(),
        toolset: String::new(),
        tool: tool.to_owned(),
        effect: String::new(),
        verdict: verdict.to_owned(),
        note: "asked by the tests".to_owned(),
    };
    app.rulebook
        .add(Actor::System, app.org, draft)
        .await
        .unwrap();
}

/// Takes every rule back.
async fn no_rules(app: &TestApp) {
    for rule in app.store.policy(app.org).await.unwrap().rules {
        app.rulebook
            .remove(Actor::System, app.org, rule.id)
            .await
            .unwrap();
    }
}

/// Somebody with a GitHub account in an organization that asks about the write.
async fn asked_about(app: &TestApp) -> Person {
    rule(app, WRITE, "ask").await;
    connected(app, "alice@example.test").await
}

async fn connected(app: &TestApp, email: &str) -> Person {
    let person = app.person(email).await;
    person.connect("github", "alice-dev").await;
    person
}

/// The path of the page that a refused call leads to.
pub(crate) fn question(reply: &Reply) -> String {
    assert_eq!(reply.code(), "approval_required", "{}", reply.body);
    let link = reply.error()["action_url"].as_str().unwrap();
    let link: url::Url = link.parse().unwrap();
    assert!(link.path().starts_with("/approvals/apr_"), "{link}");
    link.path().to_owned()
}

impl Person {
    /// Decides on the page at `path`.
    pub(crate) async fn answer(&self, path: &str, decision: &str) -> Page {
        let page = self.browser.get(self.at(path)).await;
        let page = if page.status.is_redirection() {
            self.sign_in().await;
            self.browser.get(self.at(path)).await
        } else {
            page
        };
        // The page of somebody else has no form; the form's token is the same on every page.
        let csrf = if page.text.contains("name=\"csrf\"") {
            page.field("csrf")
        } else {
            self.browser.get(self.at("/approvals")).await.field("csrf")
        };
        let form = [("csrf", csrf.as_str()), ("decision", decision)];
        self.browser.post(self.at(path), &form).await
    }
}
