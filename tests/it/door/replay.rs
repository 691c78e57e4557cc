//! Codes and refresh tokens that are shown again: by a client that lost an answer, and by a thief.

use super::*;
use crate::harness::app::for_each_world;
use crate::harness::database::postgres;

/// How many of the replies are good.
fn good(replies: &[Reply]) -> Vec<Held> {
    let good = replies
        .iter()
        .filter(|reply| reply.status == StatusCode::OK);
    good.map(held).collect()
}

async fn at_once<F: Future<Output = Reply> + Send + 'static>(
    count: usize,
    request: impl Fn(usize) -> F,
) -> Vec<Reply> {
    let tasks: Vec<_> = (0..count).map(|n| tokio::spawn(request(n))).collect();
    let mut replies = Vec::new();
    for task in tasks {
        replies.push(task.await.unwrap());
    }
    replies
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_code_is_exchanged_once_and_then_ends_everything() {
    for_each_world(false, async |world: World| {
        let app = world.app().await;
        let alice = alice(&app).await;
        let client = Client::register(&app, WEB).await;
        let code = client.code(&alice, "tools:read").await;
        let replies = at_once(50, |_| {
            let (client, code) = (client.clone(), code.clone());
            async move { client.exchange(&code).await }
        })
        .await;
        let winners = good(&replies);
        assert_eq!(winners.len(), 1);
        for loser in replies
            .iter()
            .filter(|reply| reply.status != StatusCode::OK)
        {
            refused(loser, 400, "invalid_grant");
        }
        assert!(!opens(&app, &winners[0]).await);
        refused(
            &client.refresh(&winners[0].refresh).await,
            400,
            "invalid_grant",
        );
        assert_eq!(app.logged("auth.client_signed_out").await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_and_a_stolen_token_ends_the_client() {
    for_each_world(false, async |world: World| {
        let app = world.app().await;
        let alice = alice(&app).await;
        let client = Client::register(&app, WEB).await;

        // The answer is lost, twice: the client asks again with what it has.
        let first = client.sign_in(&alice, "tools:read").await;
        let lost = held(&client.refresh(&first.refresh).await);
        let lost_too = held(&client.refresh(&first.refresh).await);
        let got = held(&client.refresh(&first.refresh).await);
        // One branch lives, and what was lost opens nothing.
        assert!(!opens(&app, &lost).await);
        assert!(!opens(&app, &lost_too).await);
        assert!(opens(&app, &got).await);

        // The access token that came of it was used: the old one is in two hands.
        refused(&client.refresh(&first.refresh).await, 400, "invalid_grant");
        assert!(!opens(&app, &got).await);
        refused(&client.refresh(&got.refresh).await, 400, "invalid_grant");

        // So it is when the refresh token that came of it was used.
        let first = client.sign_in(&alice, "tools:read").await;
        let second = held(&client.refresh(&first.refresh).await);
        let third = held(&client.refresh(&second.refresh).await);
        refused(&client.refresh(&first.refresh).await, 400, "invalid_grant");
        assert!(!opens(&app, &third).await);

        // And when somebody shows what was replaced.
        let first = client.sign_in(&alice, "tools:read").await;
        let replaced = held(&client.refresh(&first.refresh).await);
        let second = held(&client.refresh(&first.refresh).await);
        refused(
            &client.refresh(&replaced.refresh).await,
            400,
            "invalid_grant",
        );
        assert!(!opens(&app, &second).await);

        let ended = app.logged("auth.client_signed_out").await;
        assert_eq!(ended.len(), 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_refreshes_leave_one_branch() {
    for_each_world(false, async |world: World| {
        let app = world.app().await;
        let alice = alice(&app).await;
        let client = Client::register(&app, WEB).await;
        let first = client.sign_in(&alice, "tools:read").await;
        let replies = at_once(50, |_| {
            let (client, first) = (client.clone(), first.clone());
            async move { client.refresh(&first.refresh).await }
        })
        .await;
        let issued = good(&replies);
        assert_eq!(issued.len(), 50, "none of them was used meanwhile");
        let mut live = 0;
        for held in &issued {
            live += usize::from(opens(&app, held).await);
        }
        assert_eq!(live, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_know_what_the_others_have_seen() {
    let Some(database) = postgres().await else {
        return;
    };
    let mut world = World::still(database).await;
    // Replicas have one address.
    world.extra.insert(
        "WORKBENCH_PUBLIC_URL".to_owned(),
        "http://localhost:9".to_owned(),
    );
    let (one, two) = (world.app().await, world.app().await);
    let alice = one.person("alice@example.test").await;
    alice.sign_in().await;
    let resource = |client: &Client| {
        let mut parameters = client.parameters("tools:read");
        parameters.insert("resource".to_owned(), "http://localhost:9/mcp".to_owned());
        parameters
    };
    let client = Client::register(&one, LOCAL).await;
    let there = client.at(&two);
    let sign_in = async || {
        let begun = alice
            .browser
            .get(client.authorize(&resource(&client)))
            .await;
        let path = begun.location().unwrap().path().to_owned();
        let page = alice.browser.get(alice.at(&path)).await;
        let back = decide(&alice, &page, "approve", &ticked(&page)).await;
        let mut form = client.exchange_form(&parameter(&back, "code"));
        form.remove("resource");
        form
    };

    // A code, at both at once.
    let form = sign_in().await;
    let replies = at_once(20, |n| {
        let (client, form) = (
            if n % 2 == 0 {
                client.clone()
            } else {
                there.clone()
            },
            form.clone(),
        );
        async move { client.token(&form).await }
    })
    .await;
    let winners = good(&replies);
    assert_eq!(winners.len(), 1);
    assert!(!opens(&one, &winners[0]).await && !opens(&two, &winners[0]).await);

    // A token that one has just seen is known as used by the other.
    let first = held(&client.token(&sign_in().await).await);
    let second = held(&client.refresh(&first.refresh).await);
    assert!(opens(&one, &second).await);
    refused(&there.refresh(&first.refresh).await, 400, "invalid_grant");
    // The one that remembers it hears of its end within a moment.
    crate::harness::app::until("the token ends", async || {
        (!opens(&one, &second).await).then_some(())
    })
    .await;
    assert!(!opens(&two, &second).await);
}
