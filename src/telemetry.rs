//! Logs and metrics. Logs go to standard error, because standard output belongs to data and to the protocol of `stdio`.
//!
//! Field names are dotted and the same everywhere: `call.id`, `tool.name`, `connection.id`, `duration_ms`. Metric labels
//! come from closed sets and name no person.

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// What libraries may say at most. rmcp logs whole arguments at debug and handlers' error data, connect links included,
/// at warn (`rmcp::service`); sqlx and hyper log what they carry at debug.
const LIBRARIES: [&str; 8] = [
    "rmcp=warn",
    "rmcp::service=off",
    "rmcp::transport=error",
    "hyper=warn",
    "hyper_util=warn",
    "reqwest=warn",
    "sqlx=warn",
    "h2=warn",
];

/// Starts logging with this filter, in which the libraries' limits are added last, so that no filter of an admin makes
/// them print what people send. Does nothing when logging was started before, as in tests.
pub fn log(filter: &str, json: bool) -> Result<(), String> {
    let mut filter: EnvFilter = filter
        .parse()
        .map_err(|error| format!("WORKBENCH_LOG is not a log filter: {error}"))?;
    for limit in LIBRARIES {
        if let Ok(directive) = limit.parse() {
            filter = filter.add_directive(directive);
        }
    }
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // An error here means that a subscriber is set already.
    let _already = if json {
        logs.json().try_init()
    } else {
        logs.try_init()
    };
    // The default hook prints a panic's payload, which may hold anything.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        tracing::error!(place, "panicked");
    }));
    Ok(())
}

/// Starts collecting metrics; `None` when they are collected already.
pub fn metrics() -> Option<PrometheusHandle> {
    PrometheusBuilder::new().install_recorder().ok()
}
