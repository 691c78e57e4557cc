//! stub
#![expect(
    missing_docs,
    clippy::unused_async,
    clippy::unused_self,
    reason = "stub"
)]
use crate::caller::{Caller, Client};
use crate::ids::*;
use serde_json::Value;
#[derive(Debug, thiserror::Error)]
#[error("the audit log is unavailable")]
pub struct AuditError;
#[derive(Clone)]
pub struct AuditLog;
pub enum Kind {
    Tool,
    Block,
    Completion,
}
pub struct Event<'a> {
    pub call: CallId,
    pub kind: Kind,
    pub tool: &'a str,
    pub integration: &'static str,
    pub effect: &'static str,
    pub thread: Option<&'a str>,
    pub arguments: Value,
}
pub struct Outcome {
    pub code: &'static str,
    pub duration_us: i64,
    pub upstream_requests: i64,
    pub upstream_status: Option<i64>,
    pub bytes_in: i64,
    pub items: i64,
}
pub struct Pending;
impl Pending {
    pub async fn durable(&mut self) -> Result<(), AuditError> {
        Ok(())
    }
    pub fn connection(&mut self, _id: ConnectionId, _account: &str) {}
}
impl AuditLog {
    pub fn begin(&self, _c: &Caller, _cl: &Client, _e: Event<'_>) -> Pending {
        Pending
    }
    pub async fn finish(&self, _p: Pending, _o: Outcome) -> Result<(), AuditError> {
        Ok(())
    }
    pub async fn record(
        &self,
        _org: OrgId,
        _by: Option<UserId>,
        _kind: &'static str,
        _detail: Value,
    ) -> Result<(), AuditError> {
        Ok(())
    }
    pub fn digest(&self, _org: OrgId, text: &str) -> String {
        text.len().to_string()
    }
}
