//! Opens and clicks of sent mail: what a message carries, where it leads, and what is counted.

use std::time::Duration;

use http::StatusCode;
use workbench_mcp::audit::Actor;
use workbench_mcp::ids::ConnectionId;
use workbench_mcp::kit::tracking::Leaving;

use crate::harness::app::{TestApp, for_each_world};

const HTML: &str = "<p>See <a href=\"https://acme.example/offer?x=1&amp;y=2\">the offer</a>.</p>";

fn leaving() -> Leaving {
    Leaving {
        subject: "The offer".to_owned(),
        to: vec!["dana@northwind.example".to_owned()],
        html: HTML.to_owned(),
    }
}

/// The addresses of ours in a marked message: the link and the picture.
fn addresses(html: &str) -> (String, String) {
    let after = |mark: &str| {
        let rest = html.split_once(mark).unwrap().1;
        rest.split_once('"').unwrap().0.to_owned()
    };
    (after("href=\""), after("src=\""))
}

async fn counts(app: &TestApp, id: ConnectionId) -> Vec<(u32, u32)> {
    let found = app.tracking.of(id).results(Vec::new()).await.unwrap();
    let counts = found.into_iter().map(|mail| (mail.opens, mail.clicks[0].1));
    counts.collect()
}

#[tokio::test]
async fn a_marked_message_leads_where_it_was_pointed_and_is_counted() {
    for_each_world(false, async |world| {
        let app = world.app().await;
        let alice = app.person("alice@example.test").await;
        alice.connect("github", "alice-dev").await;
        let id = app.row(&alice).await.id;
        let mail = app.tracking.of(id);
        let refused = mail.mark(leaving()).await.unwrap_err().to_string();
        assert!(refused.contains("an admin can allow it"), "{refused}");

        let switch = async |on| {
            let set = app.rulebook.set_track_mail(Actor::System, app.org, on);
            assert!(set.await.unwrap());
        };
        switch(true).await;
        assert_eq!(app.logged("admin.policy_changed").await.len(), 1);
        let marked = mail.mark(leaving()).await.unwrap();
        let (link, picture) = addresses(&marked.html);
        assert!(!marked.html.contains("acme.example"), "{}", marked.html);

        // Without following redirects, as nobody who is signed in.
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let get = async |address: &str| http.get(address).send().await.unwrap();
        let led = get(&link).await;
        assert_eq!(led.status(), StatusCode::FOUND);
        assert_eq!(
            led.headers()["location"],
            "https://acme.example/offer?x=1&y=2"
        );
        assert_eq!(led.headers()["referrer-policy"], "no-referrer");
        assert!(led.headers().get("set-cookie").is_none());
        let shown = get(&picture).await;
        assert_eq!(shown.headers()["content-type"], "image/gif");
        assert_eq!(shown.headers()["cache-control"], "no-store");
        assert_eq!(counts(&app, id).await, [(1, 1)]);
        // The same again at once is one reader's program and not another reader.
        get(&picture).await;
        get(&link).await;
        assert_eq!(counts(&app, id).await, [(1, 1)]);
        assert_eq!(
            mail.results(vec![marked.id]).await.unwrap()[0].subject,
            "The offer"
        );

        // A link of another kind, a changed one and one that somebody made lead nowhere and count nothing.
        let base = alice.at("/t/l/");
        let word = |address: &str| address.rsplit('/').next().unwrap().to_owned();
        let mut changed = word(&link);
        let last = if changed.pop() == Some('A') { 'B' } else { 'A' };
        changed.push(last);
        for forged in [
            word(&picture),
            changed,
            "aHR0cHM6Ly9ldmlsLmV4YW1wbGU".to_owned(),
        ] {
            let refused = get(&format!("{base}{forged}")).await;
            assert_eq!(refused.status(), StatusCode::NOT_FOUND, "{forged}");
            assert!(refused.headers().get("location").is_none());
            let shown = get(&format!("{}{forged}", alice.at("/t/o/"))).await;
            assert_eq!(shown.status(), StatusCode::OK);
        }
        assert_eq!(counts(&app, id).await, [(1, 1)]);

        // Switched off, a message that is out there still leads on, and nothing is counted.
        world.advance(Duration::from_secs(1));
        let second = mail.mark(leaving()).await.unwrap();
        let (link, picture) = addresses(&second.html);
        switch(false).await;
        assert_eq!(get(&link).await.status(), StatusCode::FOUND);
        get(&picture).await;
        assert_eq!(counts(&app, id).await, [(0, 0), (1, 1)]);

        // With the account goes what was counted; its links still lead on.
        switch(true).await;
        let third = mail.mark(leaving()).await.unwrap();
        alice.disconnect(&id.to_string()).await;
        let (link, picture) = addresses(&third.html);
        assert_eq!(get(&link).await.status(), StatusCode::FOUND);
        assert_eq!(get(&picture).await.status(), StatusCode::OK);
        assert_eq!(counts(&app, id).await, []);
    })
    .await;
}
