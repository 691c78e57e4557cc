//! The real binary as a process of its own, killed with the test.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// How long a process may take to say that it is ready.
const READY: Duration = Duration::from_secs(30);

/// A process. Dropping it kills it.
pub struct Process {
    child: Child,
    pub url: String,
    told: Arc<Mutex<String>>,
    lines: watch::Receiver<usize>,
}

pub fn binary(settings: &BTreeMap<String, String>, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_workbench-mcp"));
    for (name, _) in std::env::vars() {
        if name.starts_with("WORKBENCH_") || name == "FAULT" {
            command.env_remove(name);
        }
    }
    command
        .args(arguments)
        .envs(settings)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// A port that is free now; taken by the process in a moment.
pub fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Runs a command to its end.
pub async fn run(settings: &BTreeMap<String, String>, arguments: &[&str]) -> Output {
    binary(settings, arguments).output().await.unwrap()
}

impl Process {
    /// Starts a command that goes on, and waits until a line of its output contains `ready`.
    pub async fn start(
        settings: &BTreeMap<String, String>,
        arguments: &[&str],
        ready: &str,
    ) -> Self {
        let mut child = binary(settings, arguments).spawn().unwrap();
        let told = Arc::new(Mutex::new(String::new()));
        let (count, mut lines) = watch::channel(0);
        let count = Arc::new(count);
        listen(child.stdout.take().unwrap(), &told, &count);
        listen(child.stderr.take().unwrap(), &told, &count);
        drop(count);
        let waited = tokio::time::timeout(READY, async {
            loop {
                if told.lock().unwrap().contains(ready) {
                    return true;
                }
                if lines.changed().await.is_err() {
                    return told.lock().unwrap().contains(ready);
                }
            }
        });
        let is_ready = waited.await.unwrap_or(false);
        assert!(
            is_ready,
            "{arguments:?} is not ready: {}",
            told.lock().unwrap()
        );
        let listen = settings.get("WORKBENCH_LISTEN").cloned();
        Self {
            child,
            url: format!("http://{}", listen.unwrap_or_default()),
            told,
            lines,
        }
    }

    /// Serves with these settings.
    pub async fn serve(settings: &BTreeMap<String, String>) -> Self {
        let mut settings = settings.clone();
        // The line that says it is ready is one of the log's.
        settings
            .entry("WORKBENCH_LOG".to_owned())
            .and_modify(|log| {
                if log == "warn" {
                    "info".clone_into(log);
                }
            });
        Self::start(&settings, &["serve"], "ready").await
    }

    /// Kills it as a power cut would, and waits until it is gone.
    pub async fn kill(&mut self) {
        self.child.start_kill().unwrap();
        self.child.wait().await.unwrap();
    }

    /// Waits until it ends by itself.
    pub async fn ended(&mut self) -> std::process::ExitStatus {
        let ended = tokio::time::timeout(READY, self.child.wait()).await;
        ended.expect("it goes on").unwrap()
    }

    /// Asks it to stop, and waits until it did.
    pub async fn terminate(mut self) -> String {
        let id = self.child.id().unwrap().to_string();
        let told = std::process::Command::new("kill").arg(&id).status();
        assert!(told.unwrap().success());
        self.ended().await;
        // Until the pipes are read to their end.
        while self.lines.changed().await.is_ok() {}
        self.output()
    }

    /// Everything it wrote so far.
    pub fn output(&self) -> String {
        self.told.lock().unwrap().clone()
    }
}

fn listen(
    stream: impl AsyncRead + Unpin + Send + 'static,
    told: &Arc<Mutex<String>>,
    count: &Arc<watch::Sender<usize>>,
) {
    let (told, count) = (Arc::clone(told), Arc::clone(count));
    tokio::spawn(async move {
        let mut lines = BufReader::new(stream).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            {
                let mut told = told.lock().unwrap();
                told.push_str(&line);
                told.push('\n');
            }
            count.send_modify(|count| *count += 1);
        }
    });
}
