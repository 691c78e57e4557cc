//! What checks a commit: GitHub's JSON of workflow runs, jobs, check runs and statuses, and what it comes to.

#![expect(
    clippy::struct_field_names,
    reason = "fields are called what GitHub calls them"
)]

use serde::Deserialize;
use serde_json::{Value, json};

/// `GET …/actions/runs`.
#[derive(Debug, Deserialize)]
pub(super) struct Runs {
    pub(super) total_count: u64,
    pub(super) workflow_runs: Vec<Run>,
}

/// A run of a workflow.
#[derive(Debug, Deserialize)]
pub(super) struct Run {
    pub(super) id: u64,
    #[serde(default)]
    pub(super) name: Option<String>,
    pub(super) html_url: String,
    #[serde(default)]
    pub(super) event: String,
    #[serde(default)]
    pub(super) status: Option<String>,
    #[serde(default)]
    pub(super) conclusion: Option<String>,
    #[serde(default)]
    pub(super) head_branch: Option<String>,
    pub(super) head_sha: String,
    #[serde(default)]
    pub(super) run_attempt: u64,
    pub(super) created_at: String,
}

/// `GET …/actions/runs/{id}/jobs`.
#[derive(Debug, Deserialize)]
pub(super) struct Jobs {
    pub(super) jobs: Vec<Job>,
}

/// A job of a run.
#[derive(Debug, Deserialize)]
pub(super) struct Job {
    pub(super) id: u64,
    pub(super) name: String,
    #[serde(default)]
    pub(super) html_url: Option<String>,
    #[serde(default)]
    pub(super) conclusion: Option<String>,
    #[serde(default)]
    pub(super) steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Step {
    pub(super) name: String,
    #[serde(default)]
    pub(super) conclusion: Option<String>,
}

/// `GET …/commits/{ref}/check-runs`.
#[derive(Debug, Deserialize)]
pub(super) struct CheckRuns {
    pub(super) check_runs: Vec<CheckRun>,
}

/// A check by any app.
#[derive(Debug, Deserialize)]
pub(super) struct CheckRun {
    pub(super) id: u64,
    pub(super) name: String,
    #[serde(default)]
    pub(super) html_url: Option<String>,
    pub(super) status: String,
    #[serde(default)]
    pub(super) conclusion: Option<String>,
    #[serde(default)]
    pub(super) app: Option<App>,
    #[serde(default)]
    pub(super) output: Option<CheckOutput>,
}

#[derive(Debug, Deserialize)]
pub(super) struct App {
    #[serde(default)]
    pub(super) slug: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CheckOutput {
    #[serde(default)]
    pub(super) title: Option<String>,
    #[serde(default)]
    pub(super) summary: Option<String>,
}

/// `GET …/commits/{ref}/status`: what older services report.
#[derive(Debug, Deserialize)]
pub(super) struct CombinedStatus {
    pub(super) statuses: Vec<Status>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Status {
    pub(super) id: u64,
    pub(super) context: String,
    pub(super) state: String,
    #[serde(default)]
    pub(super) description: Option<String>,
    #[serde(default)]
    pub(super) target_url: Option<String>,
}

/// A check's verdict in one word: `failure` and its kin, `success`, or what it waits for.
pub(super) fn verdict<'a>(status: Option<&'a str>, conclusion: Option<&'a str>) -> &'a str {
    conclusion.or(status).unwrap_or("unknown")
}

/// Whether a verdict means that somebody has to look.
pub(super) fn is_failure(verdict: &str) -> bool {
    matches!(
        verdict,
        "failure" | "timed_out" | "startup_failure" | "action_required" | "error"
    )
}

/// How many checks passed, failed and still run, with the names of those that failed.
pub(super) fn tally(checks: &[(String, String)]) -> Value {
    let failed: Vec<&str> = checks
        .iter()
        .filter(|(_, verdict)| is_failure(verdict))
        .map(|(name, _)| name.as_str())
        .collect();
    let waiting = |verdict: &str| {
        matches!(
            verdict,
            "queued" | "in_progress" | "pending" | "waiting" | "requested"
        )
    };
    let pending = checks
        .iter()
        .filter(|(_, verdict)| waiting(verdict))
        .count();
    json!({
        "passed": checks.len() - failed.len() - pending,
        "failed": failed,
        "pending": pending,
    })
}
