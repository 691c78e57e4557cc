//! Adding this server to clients.

use super::{connected, get};
use crate::harness::app::still;

#[tokio::test]
async fn every_client_gets_its_configuration() {
    let (_world, app) = still().await;
    let alice = connected(&app, "alice@example.test").await;
    let page = get(&alice, "/clients/add").await;
    let endpoint = format!("{}/mcp", app.url);
    for shown in [
        "Claude Code",
        "Cursor",
        "VS Code",
        "Windsurf",
        "Codex CLI",
        "Gemini CLI",
        "Zed",
        "LibreChat",
        "Open WebUI",
        "MCP Inspector",
        "YOUR_TOKEN",
        "workbench-mcp stdio --user alice@example.test",
        "cursor://anysphere.cursor-deeplink/mcp/install?name=workbench",
        "vscode:mcp/install?",
        endpoint.as_str(),
    ] {
        assert!(page.text.contains(shown), "{shown}: {}", page.text);
    }
    // Copying is a script's work; the text is there without one.
    assert!(
        page.text.contains("data-copy=\"cursor-0\" hidden"),
        "{}",
        page.text
    );
    assert!(
        page.text
            .contains("<pre class=\"answer\" tabindex=\"0\" id=\"cursor-0\">")
    );
    assert!(!page.text.contains("wbt_"));
    let chosen = get(&alice, "/clients/add?client=zed").await;
    assert!(chosen.text.contains("id=\"zed\" open"), "{}", chosen.text);
    assert_eq!(chosen.text.matches(" open>").count(), 1);
    let clients = get(&alice, "/clients").await;
    for link in ["/clients/add", "/tokens"] {
        assert!(clients.text.contains(&format!("href=\"{link}\"")), "{link}");
    }
    for asset in ["copy.js", "try.js", "try.css"] {
        let file = get(&alice, &format!("/assets/{asset}")).await;
        assert!(!file.text.is_empty());
    }
}
