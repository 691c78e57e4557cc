//! How the common MCP clients are told about this server, as data: one entry a client, one recipe for each way in. Every
//! format was looked up in the client's own documentation, whose page stands beside it; what could not be verified there is
//! left out (a bearer token in Claude Desktop and in Open WebUI).

/// A way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Over HTTP; the client signs in by itself.
    SignIn,
    /// Over HTTP, with a personal token.
    Token,
    /// Over standard streams, on the server's own machine.
    Stdio,
}

impl Way {
    /// All of them, the best first.
    pub(super) const ALL: [Self; 3] = [Self::SignIn, Self::Token, Self::Stdio];

    /// What people read.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::SignIn => "Sign in (recommended)",
            Self::Token => "With a personal token",
            Self::Stdio => "Over standard streams",
        }
    }
}

/// The grammar of a recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Toml,
    Yaml,
    Shell,
    /// Steps in words; the text is the address to paste.
    Words,
}

/// A link that makes the client ask whether it may add the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Install {
    Cursor,
    VsCode,
}

/// One way to tell one client. In texts, `{url}`, `{token}` and `{user}` are put in.
pub(super) struct Recipe {
    pub(super) way: Way,
    /// The file or the place.
    pub(super) place: &'static str,
    pub(super) format: Format,
    pub(super) text: &'static str,
    /// What to do afterwards.
    pub(super) then: &'static str,
}

/// A client.
pub(super) struct Client {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) install: Option<Install>,
    pub(super) recipes: &'static [Recipe],
}

const fn recipe(way: Way, place: &'static str, format: Format, text: &'static str) -> Recipe {
    Recipe {
        way,
        place,
        format,
        text,
        then: "",
    }
}

impl Recipe {
    const fn then(self, then: &'static str) -> Self {
        Self { then, ..self }
    }
}

/// `mcpServers` with an address, as several clients read it.
const SERVERS_URL: &str = r#"{
  "mcpServers": {
    "workbench": {
      "url": "{url}"
    }
  }
}"#;
const SERVERS_URL_TOKEN: &str = r#"{
  "mcpServers": {
    "workbench": {
      "url": "{url}",
      "headers": { "Authorization": "Bearer {token}" }
    }
  }
}"#;
const SERVERS_STDIO: &str = r#"{
  "mcpServers": {
    "workbench": {
      "command": "workbench-mcp",
      "args": ["stdio", "--user", "{user}"]
    }
  }
}"#;

/// Every client, the most common ones first.
pub(super) const CLIENTS: &[Client] = &[
    // https://support.claude.com/articles/11175166-getting-started-with-custom-connectors-using-remote-mcp
    // https://modelcontextprotocol.io/quickstart/user
    Client {
        id: "claude-desktop",
        name: "Claude and Claude Desktop",
        install: None,
        recipes: &[
            recipe(
                Way::SignIn,
                "Settings, Connectors, Add custom connector; paste this address.",
                Format::Words,
                "{url}",
            )
            .then("Claude connects from Anthropic's network, so the address must be reachable from the internet."),
            recipe(
                Way::Stdio,
                "claude_desktop_config.json (Settings, Developer, Edit Config)",
                Format::Json,
                SERVERS_STDIO,
            )
            .then("Start Claude Desktop again afterwards."),
        ],
    },
    // https://code.claude.com/docs/en/mcp
    Client {
        id: "claude-code",
        name: "Claude Code",
        install: None,
        recipes: &[
            recipe(
                Way::SignIn,
                "In a terminal",
                Format::Shell,
                "claude mcp add --transport http workbench {url}",
            )
            .then("Then /mcp in Claude Code signs in."),
            recipe(
                Way::Token,
                "In a terminal",
                Format::Shell,
                "claude mcp add --transport http workbench {url} --header \"Authorization: Bearer {token}\"",
            ),
            recipe(
                Way::Stdio,
                "In a terminal",
                Format::Shell,
                "claude mcp add workbench -- workbench-mcp stdio --user {user}",
            ),
        ],
    },
    // https://cursor.com/docs/mcp and https://cursor.com/docs/mcp/install-links
    Client {
        id: "cursor",
        name: "Cursor",
        install: Some(Install::Cursor),
        recipes: &[
            recipe(Way::SignIn, "~/.cursor/mcp.json", Format::Json, SERVERS_URL),
            recipe(
                Way::Token,
                "~/.cursor/mcp.json",
                Format::Json,
                SERVERS_URL_TOKEN,
            ),
            recipe(
                Way::Stdio,
                "~/.cursor/mcp.json",
                Format::Json,
                SERVERS_STDIO,
            ),
        ],
    },
    // https://code.visualstudio.com/docs/copilot/reference/mcp-configuration
    Client {
        id: "vscode",
        name: "VS Code",
        install: Some(Install::VsCode),
        recipes: &[
            recipe(
                Way::SignIn,
                ".vscode/mcp.json, or the command MCP: Open User Configuration",
                Format::Json,
                r#"{
  "servers": {
    "workbench": {
      "type": "http",
      "url": "{url}"
    }
  }
}"#,
            ),
            recipe(
                Way::Token,
                ".vscode/mcp.json, or the command MCP: Open User Configuration",
                Format::Json,
                r#"{
  "servers": {
    "workbench": {
      "type": "http",
      "url": "{url}",
      "headers": { "Authorization": "Bearer {token}" }
    }
  }
}"#,
            ),
            recipe(
                Way::Stdio,
                ".vscode/mcp.json, or the command MCP: Open User Configuration",
                Format::Json,
                r#"{
  "servers": {
    "workbench": {
      "type": "stdio",
      "command": "workbench-mcp",
      "args": ["stdio", "--user", "{user}"]
    }
  }
}"#,
            ),
        ],
    },
    // https://docs.windsurf.com/windsurf/cascade/mcp
    Client {
        id: "windsurf",
        name: "Windsurf",
        install: None,
        recipes: &[
            recipe(
                Way::SignIn,
                "~/.codeium/windsurf/mcp_config.json",
                Format::Json,
                r#"{
  "mcpServers": {
    "workbench": {
      "serverUrl": "{url}"
    }
  }
}"#,
            ),
            recipe(
                Way::Token,
                "~/.codeium/windsurf/mcp_config.json",
                Format::Json,
                r#"{
  "mcpServers": {
    "workbench": {
      "serverUrl": "{url}",
      "headers": { "Authorization": "Bearer {token}" }
    }
  }
}"#,
            ),
            recipe(
                Way::Stdio,
                "~/.codeium/windsurf/mcp_config.json",
                Format::Json,
                SERVERS_STDIO,
            ),
        ],
    },
    // https://developers.openai.com/codex/mcp
    Client {
        id: "codex",
        name: "Codex CLI",
        install: None,
        recipes: &[
            recipe(
                Way::SignIn,
                "~/.codex/config.toml",
                Format::Toml,
                "[mcp_servers.workbench]\nurl = \"{url}\"",
            )
            .then("Then codex mcp login workbench signs in."),
            recipe(
                Way::Token,
                "~/.codex/config.toml",
                Format::Toml,
                "# Codex reads the token from its environment:\n# export WORKBENCH_TOKEN={token}\n\
                 [mcp_servers.workbench]\nurl = \"{url}\"\nbearer_token_env_var = \"WORKBENCH_TOKEN\"",
            ),
            recipe(
                Way::Stdio,
                "~/.codex/config.toml",
                Format::Toml,
                "[mcp_servers.workbench]\ncommand = \"workbench-mcp\"\nargs = [\"stdio\", \"--user\", \"{user}\"]",
            ),
        ],
    },
    // https://geminicli.com/docs/tools/mcp-server/
    Client {
        id: "gemini",
        name: "Gemini CLI",
        install: None,
        recipes: &[
            recipe(
                Way::SignIn,
                "~/.gemini/settings.json",
                Format::Json,
                r#"{
  "mcpServers": {
    "workbench": {
      "httpUrl": "{url}"
    }
  }
}"#,
            ),
            recipe(
                Way::Token,
                "~/.gemini/settings.json",
                Format::Json,
                r#"{
  "mcpServers": {
    "workbench": {
      "httpUrl": "{url}",
      "headers": { "Authorization": "Bearer {token}" }
    }
  }
}"#,
            ),
            recipe(
                Way::Stdio,
                "~/.gemini/settings.json",
                Format::Json,
                SERVERS_STDIO,
            ),
        ],
    },
    // https://zed.dev/docs/ai/mcp
    Client {
        id: "zed",
        name: "Zed",
        install: None,
        recipes: &[
            recipe(
                Way::SignIn,
                "settings.json (zed: open settings file)",
                Format::Json,
                r#"{
  "context_servers": {
    "workbench": {
      "url": "{url}"
    }
  }
}"#,
            ),
            recipe(
                Way::Token,
                "settings.json (zed: open settings file)",
                Format::Json,
                r#"{
  "context_servers": {
    "workbench": {
      "url": "{url}",
      "headers": { "Authorization": "Bearer {token}" }
    }
  }
}"#,
            ),
            recipe(
                Way::Stdio,
                "settings.json (zed: open settings file)",
                Format::Json,
                r#"{
  "context_servers": {
    "workbench": {
      "command": "workbench-mcp",
      "args": ["stdio", "--user", "{user}"]
    }
  }
}"#,
            ),
        ],
    },
    // https://www.librechat.ai/docs/configuration/librechat_yaml/object_structure/mcp_servers
    Client {
        id: "librechat",
        name: "LibreChat",
        install: None,
        recipes: &[
            recipe(
                Way::SignIn,
                "librechat.yaml",
                Format::Yaml,
                "mcpServers:\n  workbench:\n    type: streamable-http\n    url: \"{url}\"\n    requiresOAuth: true",
            ),
            recipe(
                Way::Token,
                "librechat.yaml",
                Format::Yaml,
                "mcpServers:\n  workbench:\n    type: streamable-http\n    url: \"{url}\"\n    headers:\n      Authorization: \"Bearer {token}\"",
            )
            .then("Everybody who uses this LibreChat then acts in your name."),
            recipe(
                Way::Stdio,
                "librechat.yaml",
                Format::Yaml,
                "mcpServers:\n  workbench:\n    type: stdio\n    command: workbench-mcp\n    args:\n      - stdio\n      - --user\n      - \"{user}\"",
            ),
        ],
    },
    // https://docs.openwebui.com/features/mcp
    Client {
        id: "open-webui",
        name: "Open WebUI",
        install: None,
        recipes: &[recipe(
            Way::SignIn,
            "Admin Settings, External Tools, + (Add Server): type MCP (Streamable HTTP), authentication OAuth 2.1, and this address.",
            Format::Words,
            "{url}",
        )],
    },
    // https://modelcontextprotocol.io/docs/latest/tools/inspector
    Client {
        id: "inspector",
        name: "MCP Inspector",
        install: None,
        recipes: &[
            recipe(
                Way::SignIn,
                "In a terminal",
                Format::Shell,
                "npx @modelcontextprotocol/inspector --server-url {url}",
            ),
            recipe(
                Way::Stdio,
                "In a terminal",
                Format::Shell,
                "npx @modelcontextprotocol/inspector workbench-mcp stdio --user {user}",
            ),
        ],
    },
    // https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization
    Client {
        id: "other",
        name: "Any other client",
        install: None,
        recipes: &[
            recipe(
                Way::SignIn,
                "The address of a Streamable HTTP server; the client finds the rest by itself.",
                Format::Words,
                "{url}",
            ),
            recipe(
                Way::Token,
                "The same address, with this header",
                Format::Words,
                "Authorization: Bearer {token}",
            ),
            recipe(
                Way::Stdio,
                "The command",
                Format::Shell,
                "workbench-mcp stdio --user {user}",
            ),
        ],
    },
];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    const URL: &str = "https://tools.example.test/mcp";

    #[test]
    fn every_recipe_is_well_formed() {
        let mut ids = BTreeSet::new();
        for client in CLIENTS {
            assert!(ids.insert(client.id), "{}", client.id);
            assert!(
                client
                    .recipes
                    .iter()
                    .any(|recipe| recipe.way == Way::SignIn)
            );
            for recipe in client.recipes {
                let text = recipe
                    .text
                    .replace("{url}", URL)
                    .replace("{user}", "a@b.test");
                let text = text.replace("{token}", "secret");
                let name = client.name;
                match recipe.format {
                    Format::Json => {
                        let value: Value = serde_json::from_str(&text).unwrap();
                        let servers = value.as_object().unwrap().values().next().unwrap();
                        assert!(servers["workbench"].is_object(), "{name}");
                    }
                    Format::Toml => {
                        let value: toml::Table = text.parse().unwrap();
                        assert!(value["mcp_servers"]["workbench"].is_table(), "{name}");
                    }
                    Format::Yaml => {
                        assert!(text.starts_with("mcpServers:\n  workbench:\n"), "{name}");
                    }
                    Format::Shell => assert!(!text.contains('\n'), "{name}"),
                    Format::Words => assert!(!recipe.place.is_empty(), "{name}"),
                }
                let (url, token) = match recipe.way {
                    Way::SignIn => (true, false),
                    Way::Token => (client.id != "other", true),
                    Way::Stdio => (false, false),
                };
                assert_eq!(text.contains(URL), url, "{name}");
                assert_eq!(text.contains("secret"), token, "{name}");
                assert_eq!(text.contains("stdio"), recipe.way == Way::Stdio, "{name}");
                assert!(
                    !text.contains(['{', '}']) || recipe.format == Format::Json,
                    "{name}"
                );
            }
        }
    }
}
