//! The page that shows how each client is told about this server, and the same with a new token put in.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::json;

use super::Web;
use super::client_setups::{CLIENTS, Format, Install, Recipe, Way};
use super::error::Error;
use super::pages::{Page, Place, show};
use super::session::SignedIn;
use crate::caller::Caller;
use crate::links::Links;

/// What stands where a token has to be put.
const NO_TOKEN: &str = "YOUR_TOKEN";

/// A client on a page.
pub(super) struct Setup {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    /// Whether it is unfolded.
    pub(super) open: bool,
    pub(super) recipes: Vec<Filled>,
}

/// A recipe with everything put in.
pub(super) struct Filled {
    /// Unique in the page.
    pub(super) id: String,
    pub(super) title: &'static str,
    pub(super) place: &'static str,
    pub(super) text: String,
    pub(super) then: &'static str,
    /// Installs it at once.
    pub(super) link: Option<String>,
}

/// The clients that know one of these ways, with this token put in.
pub(super) fn setups(
    links: &Links,
    caller: &Caller,
    token: Option<&str>,
    ways: &[Way],
) -> Vec<Setup> {
    let url = links.mcp();
    let put_in = |recipe: &Recipe| {
        // The address of a person is free text as far as a configuration file is concerned.
        let user = match recipe.format {
            Format::Shell => shell_word(&caller.email),
            Format::Json | Format::Toml | Format::Yaml | Format::Words => {
                let quoted = json!(caller.email.as_ref()).to_string();
                quoted.trim_matches('"').to_owned()
            }
        };
        let text = recipe.text.replace("{url}", &url).replace("{user}", &user);
        text.replace("{token}", token.unwrap_or(NO_TOKEN))
    };
    let shown = CLIENTS.iter().map(|client| {
        let recipes = client.recipes.iter();
        let recipes = recipes.filter(|recipe| ways.contains(&recipe.way));
        Setup {
            id: client.id,
            name: client.name,
            open: false,
            recipes: recipes
                .enumerate()
                .map(|(at, recipe)| Filled {
                    id: format!("{}-{at}", client.id),
                    title: recipe.way.title(),
                    place: recipe.place,
                    text: put_in(recipe),
                    then: recipe.then,
                    link: client
                        .install
                        .filter(|_| recipe.way == Way::SignIn)
                        .map(|install| link(install, &url)),
                })
                .collect(),
        }
    });
    shown.filter(|setup| !setup.recipes.is_empty()).collect()
}

/// A word that a shell takes as it is.
fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@._+-".contains(c);
    if word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// The address that makes a client ask its person whether to add this server. It never holds a token.
fn link(install: Install, url: &str) -> String {
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    match install {
        Install::Cursor => format!(
            "cursor://anysphere.cursor-deeplink/mcp/install?name=workbench&config={}",
            encode(&STANDARD.encode(json!({ "url": url }).to_string()))
        ),
        Install::VsCode => format!(
            "vscode:mcp/install?{}",
            encode(&json!({ "name": "workbench", "type": "http", "url": url }).to_string())
        ),
    }
}

#[derive(Template)]
#[template(path = "clients_add.html", config = "src/web/askama.toml")]
struct AddClient {
    page: Page,
    address: String,
    setups: Vec<Setup>,
}

#[derive(Deserialize)]
pub(super) struct Chosen {
    /// The client to unfold.
    #[serde(default)]
    client: String,
}

/// How every client is told.
pub(super) async fn page(
    State(web): State<Web>,
    SignedIn(caller): SignedIn,
    Query(chosen): Query<Chosen>,
) -> Result<Response, Error> {
    let mut all = setups(&web.links, &caller, None, &Way::ALL);
    for setup in &mut all {
        setup.open = setup.id == chosen.client;
    }
    let page = AddClient {
        page: Page::of(&web, Some(&caller)).at(Place::Clients),
        address: web.links.mcp(),
        setups: all,
    };
    Ok(show(StatusCode::OK, &page))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::Value;

    use super::*;

    const URL: &str = "https://tools.example.test/mcp";

    #[test]
    fn links_carry_the_address_alone() {
        let cursor = link(Install::Cursor, URL);
        let cursor: url::Url = cursor.parse().unwrap();
        let config = cursor
            .query_pairs()
            .find(|(name, _)| name == "config")
            .unwrap()
            .1;
        let config = STANDARD.decode(config.as_bytes()).unwrap();
        assert_eq!(
            serde_json::from_slice::<Value>(&config).unwrap(),
            json!({ "url": URL })
        );
        let code = link(Install::VsCode, URL);
        let (_, config) = code.split_once('?').unwrap();
        let config = percent_encoding::percent_decode_str(config)
            .decode_utf8()
            .unwrap();
        let config: Value = serde_json::from_str(&config).unwrap();
        assert_eq!(
            config,
            json!({ "name": "workbench", "type": "http", "url": URL })
        );
    }

    #[test]
    fn an_address_is_one_word_of_a_shell() {
        for (word, expected) in [
            ("ada@example.test", "ada@example.test"),
            ("o'hara@example.test", "'o'\\''hara@example.test'"),
            ("$(x)@example.test", "'$(x)@example.test'"),
        ] {
            assert_eq!(shell_word(word), expected);
        }
    }
}
