//! `mcp.json` at the top of the repository starts our binary and points at our endpoint.

use std::path::Path;
use std::process::{Command, Stdio};

use clap::Parser as _;
use serde_json::Value;
use url::Url;
use workbench_mcp::cli::Cli;
use workbench_mcp::config::Config;

fn server(name: &str) -> Value {
    let text = include_str!("../../mcp.json");
    let file: Value = serde_json::from_str(text).unwrap();
    let servers = file["mcpServers"].as_object().unwrap();
    servers[name].clone()
}

#[test]
fn the_local_server_is_one_of_our_commands() {
    let server = server("workbench");
    let command = server["command"].as_str().unwrap();
    let binary = Path::new(env!("CARGO_BIN_EXE_workbench-mcp"));
    assert_eq!(Some(command), binary.file_stem().and_then(|it| it.to_str()));
    let arguments = server["args"].as_array().unwrap();
    let arguments = arguments.iter().map(|it| it.as_str().unwrap());
    let line = std::iter::once(command).chain(arguments);
    if let Err(error) = Cli::try_parse_from(line) {
        panic!("{error}");
    }
}

#[test]
fn the_remote_server_is_where_we_listen() {
    let server = server("workbench-http");
    assert_eq!(server["type"], "http");
    let url: Url = server["url"].as_str().unwrap().parse().unwrap();
    let config = Config::load(Vec::new(), None).unwrap();
    let ours = config.public_url().unwrap().join("mcp").unwrap();
    assert_eq!((url.path(), &url), ("/mcp", &ours));
}

#[test]
fn the_token_stands_in_a_variable_that_the_local_server_does_not_mind() {
    let server = server("workbench-http");
    let variable = server["headers"]["Authorization"]
        .as_str()
        .and_then(|value| value.strip_prefix("Bearer ${"))
        .and_then(|value| value.strip_suffix('}'))
        .unwrap();
    // Clients hand their own environment to the servers that they start.
    let data = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_workbench-mcp"))
        .arg("stdio")
        .current_dir(&data)
        .env(variable, "anything")
        .env("WORKBENCH_DATA_DIR", data.path())
        .env("WORKBENCH_LISTEN", "127.0.0.1:0")
        .env("WORKBENCH_PUBLIC_URL", "http://127.0.0.1:1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(output.stdout, b"");
}
