//! Clients that are a document somewhere: fetched with care, once, and never from where it must not be.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use workbench_mcp::fetch::{self, FetchError, Fetcher};

use super::*;

/// A site on loopback that counts who comes.
struct Site {
    host: String,
    hits: Arc<AtomicUsize>,
}

impl Site {
    /// Answers every request with these bytes; nothing at all when they are empty.
    async fn start(answer: impl Fn(&str, &str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let hits = Arc::new(AtomicUsize::new(0));
        let (counted, own, answer) = (Arc::clone(&hits), host.clone(), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let (own, answer) = (own.clone(), Arc::clone(&answer));
                tokio::spawn(async move {
                    let mut request = vec![0; 4_096];
                    let read = stream.read(&mut request).await.unwrap_or(0);
                    let line = String::from_utf8_lossy(&request[..read]).into_owned();
                    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
                    let text = answer(&own, &path);
                    if text.is_empty() {
                        std::future::pending::<()>().await;
                    }
                    let _gone = stream.write_all(text.as_bytes()).await;
                });
            }
        });
        Self { host, hits }
    }

    fn hits(&self) -> usize {
        self.hits.load(Ordering::SeqCst)
    }

    fn at(&self, path: &str) -> String {
        format!("http://{}{path}", self.host)
    }
}

fn response(head: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn document(id: &str) -> Value {
    json!({ "client_id": id, "client_name": "Desk", "redirect_uris": [WEB, LOCAL] })
}

/// A site with one good document and many bad ones, by path.
async fn site() -> Site {
    Site::start(|host, path| {
        let id = format!("http://{host}{path}");
        let json = "200 OK\r\ncontent-type: application/json";
        let with = |name: &str, value: Value| {
            let mut document = document(&id);
            document[name] = value;
            response(json, &document.to_string())
        };
        match path {
            "/good.json" => response(json, &document(&id).to_string()),
            "/other-id.json" => with("client_id", json!("http://127.0.0.1/good.json")),
            "/no-id.json" => response(json, "{\"redirect_uris\":[]}"),
            "/secret.json" => with("client_secret", json!("x")),
            "/secret-method.json" => {
                with("token_endpoint_auth_method", json!("client_secret_basic"))
            }
            "/no-redirects.json" => with("redirect_uris", json!([])),
            "/large.json" => with("client_name", json!("x".repeat(6_000))),
            "/moved.json" => response("302 Found\r\nlocation: /good.json", ""),
            "/missing.json" => response("404 Not Found\r\ncontent-type: application/json", "{}"),
            "/page.json" => response(
                "200 OK\r\ncontent-type: text/html",
                &document(&id).to_string(),
            ),
            "/broken.json" => response(json, "{"),
            "/list.json" => response(json, "[]"),
            "/slow.json" => String::new(),
            _ => response("500 Oops", ""),
        }
    })
    .await
}

async fn world_with(site: &Site) -> (World, TestApp) {
    let mut world = World::still(crate::harness::database::sqlite()).await;
    let setting = "WORKBENCH_PRIVATE_CLIENT_HOSTS".to_owned();
    world.extra.insert(setting, site.host.clone());
    let app = world.app().await;
    (world, app)
}

fn client(app: &TestApp, id: &str, redirect: &str) -> Client {
    Client {
        base: app.url.clone(),
        id: id.to_owned(),
        redirect: redirect.to_owned(),
    }
}

#[tokio::test]
async fn a_document_is_a_client() {
    let site = site().await;
    let (_world, app) = world_with(&site).await;
    let alice = alice(&app).await;
    let id = site.at("/good.json");
    let client = client(&app, &id, WEB);
    let page = client.ask(&alice, "tools:read").await;
    assert!(page.text.contains("Desk"), "{}", page.text);
    assert!(page.text.contains("It is published by") && page.text.contains("127.0.0.1"));
    let held = client.sign_in(&alice, "tools:read").await;
    assert!(opens(&app, &held).await);
    super::held(&client.refresh(&held.refresh).await);
    let page = alice.browser.get(alice.at("/clients")).await;
    assert!(page.text.contains("Published by"), "{}", page.text);
    assert_eq!(site.hits(), 1, "it is remembered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_are_one_fetch() {
    let site = site().await;
    let (_world, app) = world_with(&site).await;
    let client = client(&app, &site.at("/good.json"), WEB);
    let url = client.authorize(&client.parameters("tools:read"));
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move { Browser::new().get(url).await.status })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), StatusCode::SEE_OTHER);
    }
    assert_eq!(site.hits(), 1);
}

#[tokio::test]
async fn bad_documents_are_no_clients() {
    let site = site().await;
    let (_world, app) = world_with(&site).await;
    for (path, reason) in [
        ("/other-id.json", "its client_id is not the address"),
        ("/no-id.json", "its client_id is not the address"),
        ("/secret.json", "hold no secret"),
        ("/secret-method.json", "hold no secret"),
        ("/no-redirects.json", "no redirect URI can be used"),
        ("/large.json", "larger than 5 KiB"),
        ("/moved.json", "did not answer 200"),
        ("/missing.json", "did not answer 200"),
        ("/page.json", "not application/json"),
        ("/broken.json", "no JSON object"),
        ("/list.json", "no JSON object"),
        ("/slow.json", "took longer"),
    ] {
        let before = site.hits();
        for _ in 0..2 {
            let client = client(&app, &site.at(path), WEB);
            let page = Browser::new()
                .get(client.authorize(&client.parameters("tools:read")))
                .await;
            assert_eq!(page.status, StatusCode::BAD_REQUEST, "{path}");
            assert_eq!(page.location(), None, "{path}");
            assert!(page.text.contains(reason), "{path}: {}", page.text);
        }
        assert_eq!(site.hits(), before + 1, "{path}: a failure is remembered");
    }
    // A redirect that the document does not list.
    let client = client(&app, &site.at("/good.json"), "https://evil.test/cb");
    let page = Browser::new()
        .get(client.authorize(&client.parameters("")))
        .await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn addresses_that_lead_inside_are_not_fetched() {
    let sink = site().await;
    let (_world, app) = still().await;
    let port = sink.host.rsplit_once(':').unwrap().1.to_owned();
    let hosts = [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.2",
        "0.0.0.0",
        "0",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "a.localhost",
        "printer.local",
        "metadata.google.internal",
        "[::1]",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "169.254.169.254",
        "0xa9fea9fe",
        "2852039166",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "metadata",
        "metadata.google.internal.",
        "intranet",
        "1.1.1.1",
        "[2606:4700::1111]",
        "127\u{3002}0\u{3002}0\u{3002}1",
        "\u{ff11}\u{ff12}\u{ff17}.0.0.1",
        "loc\u{ad}alhost",
        "%6cocalhost",
        "user@localhost",
        "user:pass@127.0.0.1",
        "client.example.test@127.0.0.1",
        "127.0.0.1%00.example.test",
    ];
    let mut addresses = Vec::new();
    for host in hosts {
        addresses.push(format!("https://{host}/c.json"));
        addresses.push(format!("https://{host}:{port}/c.json"));
        addresses.push(format!("http://{host}:{port}/c.json"));
    }
    for odd in [
        "https://client.example.test",
        "https://client.example.test/",
        "https://client.example.test:8443/c.json",
        "https://client.example.test:443/c.json",
        "https://client.example.test/c.json#x",
        "https://client.example.test/a/../c.json",
        "https://client.example.test/%2e%2e/c.json",
        "https://client.example.test./c.json",
        "https://CLIENT.example.test/c.json",
        "HTTPS://client.example.test/c.json",
        "https:/client.example.test/c.json",
        "https:client.example.test/c.json",
        "https:\\\\client.example.test\\c.json",
        "https://client.example.test\t/c.json",
        "https://client.example.test/c.json\n",
        " https://client.example.test/c.json",
        "https://b\u{fc}cher.test/c.json",
        "http://client.example.test/c.json",
        "ftp://client.example.test/c.json",
        "file:///etc/passwd",
        "gopher://localhost/x",
        "data:application/json,{}",
        "javascript:alert(1)",
        "//localhost/c.json",
        "unix:/var/run/x",
        "jar:https://localhost!/c.json",
        "https://",
        "https://?c.json",
        "",
    ] {
        addresses.push(odd.to_owned());
    }
    assert!(addresses.len() > 120);
    for address in &addresses {
        assert_eq!(
            fetch::check(address, &[]),
            Err(FetchError::Address),
            "{address:?}"
        );
    }
    // And through the door, where it counts.
    for address in addresses.iter().filter(|address| !address.is_empty()) {
        let client = client(&app, address, WEB);
        let page = Browser::new()
            .get(client.authorize(&client.parameters("")))
            .await;
        assert_eq!(
            page.status,
            StatusCode::BAD_REQUEST,
            "{address:?}: {}",
            page.text
        );
        assert_eq!(page.location(), None);
    }
    assert_eq!(sink.hits(), 0);
}

#[tokio::test]
async fn names_are_held_to_public_addresses_at_every_look() {
    let sink = site().await;
    let port: u16 = sink.host.rsplit_once(':').unwrap().1.parse().unwrap();
    let looks = Arc::new(AtomicUsize::new(0));
    // A name that changes from look to look, always to what must not be dialled.
    let counted = Arc::clone(&looks);
    let lookup: fetch::Lookup = Arc::new(move |_| {
        let look = counted.fetch_add(1, Ordering::SeqCst);
        let addresses: Vec<IpAddr> = if look == 0 {
            vec!["127.0.0.1".parse().unwrap()]
        } else {
            [
                "127.0.0.1",
                "::1",
                "::ffff:127.0.0.1",
                "10.0.0.1",
                "169.254.169.254",
                "64:ff9b::7f00:1",
            ]
            .map(|text| text.parse().unwrap())
            .to_vec()
        };
        async move { Ok(addresses) }.boxed()
    });
    let fetcher = Fetcher::with_lookup(&[], lookup);
    for n in 0..3 {
        let answer = fetcher
            .json(&format!("https://rebound.example.test/{n}.json"))
            .await;
        assert_eq!(answer, Err(FetchError::Unreachable));
    }
    assert_eq!(looks.load(Ordering::SeqCst), 3);
    assert_eq!(sink.hits(), 0);
    // What is listed may be there, and nothing beside it.
    let own = [format!("127.0.0.1:{port}")];
    assert!(fetch::check(&format!("http://127.0.0.1:{port}/c.json"), &own).is_ok());
    for other in [
        format!("http://127.0.0.2:{port}/c.json"),
        "http://127.0.0.1/c.json".to_owned(),
        format!("http://localhost:{port}/c.json"),
        "http://127.0.0.1:1/c.json".to_owned(),
    ] {
        assert_eq!(
            fetch::check(&other, &own),
            Err(FetchError::Address),
            "{other}"
        );
    }
}

#[test]
fn only_the_public_internet_is_public() {
    for (address, public) in [
        ("1.1.1.1", true),
        ("8.8.8.8", true),
        ("100.63.255.255", true),
        ("100.128.0.1", true),
        ("172.15.0.1", true),
        ("172.32.0.1", true),
        ("192.0.1.1", true),
        ("198.17.0.1", true),
        ("223.255.255.255", true),
        ("2606:4700::1111", true),
        ("2a00:1450::1", true),
        ("2001:200::1", true),
        ("2001:4860::8888", true),
        ("0.0.0.0", false),
        ("0.1.2.3", false),
        ("10.255.0.1", false),
        ("100.64.0.1", false),
        ("100.127.0.1", false),
        ("127.0.0.1", false),
        ("127.255.255.254", false),
        ("169.254.169.254", false),
        ("172.16.0.1", false),
        ("172.31.0.1", false),
        ("192.0.0.8", false),
        ("192.0.2.1", false),
        ("192.88.99.1", false),
        ("192.168.1.1", false),
        ("198.18.0.1", false),
        ("198.19.0.1", false),
        ("198.51.100.1", false),
        ("203.0.113.1", false),
        ("224.0.0.1", false),
        ("240.0.0.1", false),
        ("255.255.255.255", false),
        ("::", false),
        ("::1", false),
        ("::ffff:1.1.1.1", false),
        ("::ffff:127.0.0.1", false),
        ("::7f00:1", false),
        ("64:ff9b::101:101", false),
        ("64:ff9b:1::1", false),
        ("100::1", false),
        ("2001::1", false),
        ("2001:0:7f00:1::", false),
        ("2001:10::1", false),
        ("2001:20::1", false),
        ("2001:db8::1", false),
        ("2002:7f00:1::", false),
        ("3fff::1", false),
        ("5f00::1", false),
        ("fc00::1", false),
        ("fd00::1", false),
        ("fe80::1", false),
        ("fec0::1", false),
        ("ff02::1", false),
    ] {
        assert_eq!(
            fetch::is_global(address.parse().unwrap()),
            public,
            "{address}"
        );
    }
}
