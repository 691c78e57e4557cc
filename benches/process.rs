//! A server as a process of its own, and what it uses.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};

/// A server that ends with this value.
pub(crate) struct Process {
    child: Child,
    /// Where it speaks MCP.
    pub(crate) url: String,
    /// From the start to the first answer, in milliseconds.
    pub(crate) started_ms: f64,
}

impl Process {
    /// Starts it and waits until it listens on this port of loopback.
    pub(crate) async fn start(command: &mut Command, port: u16) -> Self {
        let started = Instant::now();
        let child = command.spawn().unwrap();
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(
                started.elapsed() < Duration::from_secs(30),
                "it does not listen"
            );
            tokio::time::sleep(Duration::from_micros(300)).await;
        }
        Self {
            child,
            url: format!("http://127.0.0.1:{port}/mcp"),
            started_ms: started.elapsed().as_secs_f64() * 1e3,
        }
    }

    /// The real binary, serving with these settings besides the address.
    pub(crate) async fn serve(settings: &[(&str, String)]) -> Self {
        let port = free_port().await;
        let mut command = Command::new(env!("CARGO_BIN_EXE_workbench-mcp"));
        command
            .arg("serve")
            .envs(settings.iter().map(|(name, value)| (*name, value)))
            .env("WORKBENCH_LISTEN", format!("127.0.0.1:{port}"))
            .stdout(std::process::Stdio::null());
        let mut serving = Self::start(&mut command, port).await;
        // The port is open before the product is built; the first answer is what a client waits for.
        let open = Instant::now();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let ready = format!("http://127.0.0.1:{port}/readyz");
        let ready = client.get(ready).send().await.unwrap();
        assert!(ready.status().is_success());
        serving.started_ms += open.elapsed().as_secs_f64() * 1e3;
        serving
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Processor time it has used, in microseconds. Unlike throughput it hardly depends on what else the machine does.
    pub(crate) fn cpu_us(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap_or_default();
        // After the name, which stands in parentheses, the 12th and 13th field are ticks of 10 ms (proc(5)).
        let ticks: f64 = stat
            .rsplit(')')
            .next()
            .into_iter()
            .flat_map(|rest| rest.split_whitespace().skip(11).take(2))
            .filter_map(|ticks| ticks.parse::<f64>().ok())
            .sum();
        ticks * 10_000.0
    }

    /// Its resident memory, in MiB.
    pub(crate) fn resident_mib(&self) -> f64 {
        status_mib(self.id(), "VmRSS:")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A line of proc(5)'s `status`, in MiB.
pub(crate) fn status_mib(pid: u32, name: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok())
        .unwrap_or(0.0)
        / 1024.0
}

/// A free port on loopback.
pub(crate) async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}
