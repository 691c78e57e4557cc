//! Misbehaviour, and the switches for it.

use super::*;

#[tokio::test]
async fn refusals_limits_failures_and_redirects() {
    let rig = Rig::relaxed().await;
    let tokens = rig.mint("github", "alice-dev");
    let refresh = || rig.refresh("github", &tokens.refresh_token);
    let error = |word: &str| Fault::Refuse { error: word.into() };

    rig.misbehave(Place::Token, error("bad_verification_code"));
    let (status, body) = json_of(refresh()).await;
    assert_eq!(
        (status, text(&body, "error")),
        (StatusCode::OK, "bad_verification_code")
    );
    let control = rig.sandbox.control();
    control
        .misbehave("hubspot", Place::Token, 1, error("BAD_CLIENT_SECRET"))
        .unwrap();
    let (status, body) = json_of(rig.refresh("hubspot", "x")).await;
    assert_eq!(
        (status, text(&body, "status")),
        (StatusCode::BAD_REQUEST, "BAD_CLIENT_SECRET")
    );
    control
        .misbehave("m365", Place::Token, 2, error("invalid_client"))
        .unwrap();
    for expected in ["invalid_client", "invalid_client", "invalid_grant"] {
        let (_, body) = json_of(rig.refresh("m365", "x")).await;
        assert_eq!(body["error"], expected);
    }

    for at in [Place::Token, Place::Api] {
        let send = async || {
            let request = match at {
                Place::Token => refresh(),
                _ => rig.get("github/user", &tokens.access_token),
            };
            request.send().await.unwrap()
        };
        rig.misbehave(at, Fault::RateLimit { retry_after_s: 7 });
        let limited = send().await;
        assert_eq!(limited.status(), 429);
        assert_eq!(limited.headers()[RETRY_AFTER], "7");
        rig.misbehave(at, Fault::Fail { status: 503 });
        assert_eq!(send().await.status(), 503);
        let location = "http://169.254.169.254/latest".to_owned();
        rig.misbehave(at, Fault::Redirect { location });
        let moved = send().await;
        assert_eq!(moved.status(), 302);
        assert_eq!(moved.headers()[LOCATION], "http://169.254.169.254/latest");
    }
    let report = rig.report("github");
    assert_eq!(report.grants[0].refresh_calls, 4);
    assert_eq!(report.grants[0].refreshes, 0, "none was carried out");
    assert!(report.faults.is_empty());
}

#[tokio::test]
async fn bodies_that_are_garbage_endless_or_too_large() {
    let rig = Rig::relaxed().await;
    let tokens = rig.mint("github", "alice-dev");
    let get = || rig.get("github/user", &tokens.access_token).send();
    let bytes = async |fault| {
        rig.misbehave(Place::Api, fault);
        let response = get().await.unwrap();
        response.bytes().await.unwrap()
    };
    assert!(bytes(Fault::Html).await.starts_with(b"<!doctype html>"));
    assert_eq!(bytes(Fault::EmptyObject).await, "{}");
    assert!(std::str::from_utf8(&bytes(Fault::InvalidUtf8).await).is_err());
    assert_eq!(bytes(Fault::DeepJson { depth: 10_000 }).await.len(), 20_000);
    assert_eq!(
        bytes(Fault::Oversized { bytes: 70_000 }).await.len(),
        70_000
    );
    let unfolded = bytes(Fault::GzipBomb { mib: 3 }).await;
    assert_eq!(unfolded.len(), 3 * 1_024 * 1_024);
    let echoed = bytes(Fault::Echo).await;
    let echoed = String::from_utf8(echoed.to_vec()).unwrap();
    assert!(echoed.contains(&tokens.access_token));

    rig.misbehave(Place::Api, Fault::Endless);
    let mut body = get().await.unwrap().bytes_stream();
    let mut read = 0;
    while read < 4 * 1024 * 1024 {
        read += body.next().await.unwrap().unwrap().len();
    }
}

#[tokio::test]
async fn answers_that_are_late_slow_or_cut() {
    let rig = Rig::relaxed().await;
    let tokens = rig.mint("github", "alice-dev");
    let user = || rig.get("github/user", &tokens.access_token);
    rig.misbehave(Place::Api, Fault::Drip { ms: 0 });
    assert_eq!(json_of(user()).await.1["login"], "alice-dev");
    rig.misbehave(Place::Api, Fault::Truncate);
    let cut = user().send().await.unwrap();
    assert_eq!(cut.status(), 200);
    assert!(cut.bytes().await.is_err());

    // The provider has rotated the token, and the caller does not learn the new one.
    rig.misbehave(Place::Token, Fault::CutOff);
    let lost = rig.refresh("github", &tokens.refresh_token).send().await;
    let lost = match lost {
        Ok(response) => response.bytes().await.is_err(),
        Err(_) => true,
    };
    assert!(lost);
    assert_eq!(rig.report("github").grants[0].refreshes, 1);
    let (_, again) = json_of(rig.refresh("github", &tokens.refresh_token)).await;
    assert_eq!(again["error"], "bad_refresh_token");
    assert_eq!(rig.report("github").counters.reused_refresh_tokens, 1);

    // Late answers: the provider has done its part long before.
    let hour = 3_600_000;
    let done_but_silent = async |grant: usize, token: &str| {
        let pending = tokio::spawn(rig.refresh("github", token).send());
        while rig.report("github").grants[grant].refreshes == 0 {
            tokio::task::yield_now().await;
        }
        assert!(!pending.is_finished());
        pending.abort();
    };
    rig.misbehave(Place::Token, Fault::Stall { ms: hour });
    let tokens = rig.mint("github", "alice-dev");
    done_but_silent(tokens.grant, &tokens.refresh_token).await;
    let settings = Settings {
        token_latency_ms: hour,
        ..Settings::default()
    };
    rig.tell("github", Command::Set(settings));
    let tokens = rig.mint("github", "alice-dev");
    done_but_silent(tokens.grant, &tokens.refresh_token).await;
}

#[tokio::test]
async fn stopping_ends_every_wait() {
    let rig = Rig::relaxed().await;
    let tokens = rig.mint("github", "alice-dev");
    rig.misbehave(Place::Api, Fault::Endless);
    let endless = rig.get("github/user", &tokens.access_token);
    let endless = endless.send().await.unwrap();
    rig.misbehave(Place::Api, Fault::Stall { ms: 3_600_000 });
    let stalled = tokio::spawn(rig.get("github/user", &tokens.access_token).send());
    while !rig.report("github").faults.is_empty() {
        tokio::task::yield_now().await;
    }
    let read = tokio::spawn(endless.bytes());
    rig.sandbox.stop().await;
    assert_eq!(stalled.await.unwrap().unwrap().status(), 200);
    drop(read.await.unwrap());
}

#[tokio::test]
async fn the_switches_work_over_http() {
    let rig = Rig::relaxed().await;
    let order = |body: Value| rig.http.post(rig.url("_control")).json(&body);
    let mint = json!({
        "provider": "github", "do": "mint", "account": "alice-dev", "client_id": "app", "scopes": ["repo"],
    });
    let reply: Reply = serde_json::from_value(json_of(order(mint)).await.1).unwrap();
    let Reply::Minted(tokens) = reply else {
        panic!("{reply:?}")
    };
    for command in [
        json!({ "do": "misbehave", "at": "api", "fault": { "kind": "fail", "status": 502 } }),
        json!({ "do": "watch", "text": "canary one" }),
        json!({ "do": "watch", "text": "canary-two" }),
        json!({ "do": "watch", "text": "canary-three" }),
        json!({ "do": "set", "token_latency_ms": 1 }),
    ] {
        let mut command = command;
        command["provider"] = "github".into();
        assert_eq!(
            json_of(order(command)).await,
            (StatusCode::OK, json!("done"))
        );
    }
    let get = rig.get("github/user?q=canary%20one", &tokens.access_token);
    let get = get.header("x-extra", "canary-two").send().await.unwrap();
    assert_eq!(get.status(), 502);

    let (_, reports) = json_of(rig.http.get(rig.url("_control"))).await;
    let report: Report = serde_json::from_value(reports["github"].clone()).unwrap();
    assert_eq!(report, rig.report("github"));
    assert_eq!(report.grants[0].scopes, ["repo"]);
    assert_eq!(report.settings.token_latency_ms, 1);
    assert!(report.counters.last_headers.contains(&"x-extra".to_owned()));
    let seen: Vec<(&str, bool)> = report
        .canaries
        .iter()
        .map(|(text, seen)| (text.as_str(), *seen))
        .collect();
    assert_eq!(
        seen,
        [
            ("canary one", true),
            ("canary-three", false),
            ("canary-two", true)
        ]
    );

    rig.tell("github", Command::Reset);
    let report = rig.report("github");
    assert!(report.counters.api_calls.is_empty() && report.canaries.is_empty());
    assert_eq!(report.grants.len(), 1);

    let unknown = json!({ "provider": "nobody", "do": "behave" });
    assert_eq!(order(unknown).send().await.unwrap().status(), 404);
    let control = rig.sandbox.control();
    assert_eq!(
        control.mint("github", "mallory", "app", &[]),
        Err(ControlError::UnknownAccount("mallory".into()))
    );
    // A page of another origin can only send plain text without asking.
    let plain = rig.http.post(rig.url("_control")).body("{}");
    assert_eq!(plain.send().await.unwrap().status(), 415);
}
