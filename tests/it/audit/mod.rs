//! The audit log, on both databases: what it keeps, what it refuses, and what it notices.

mod calls;
mod chain;
mod looking;
mod pages;
mod refusals;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use workbench_mcp::audit::{
    Actor, AdminEvent, AuditError, AuditKeys, AuditLog, AuditWriter, Broken, Checkpoint, Entry,
    Event, FileError, Filter, Kind, Outcome, Pending, Redacted, Signer, VerifyError, VerifyingKey,
    checkpoint_line, read_checkpoints, verify_file,
};
use workbench_mcp::caller::{Caller, Client, Credential, Role, Scopes};
use workbench_mcp::clock::Clock;
use workbench_mcp::ids::{CallId, ConnectionId, GrantId, OrgId, UserId};
use workbench_mcp::store::Store;

use crate::harness::database::{Database, Raw, for_each_database};
use crate::harness::rows::{NOW, later};

/// A log, and everything around it.
struct Rig {
    log: AuditLog,
    writer: AuditWriter,
    clock: Clock,
    caller: Caller,
    published: Arc<Mutex<Vec<Checkpoint>>>,
}

fn key() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
}

fn verifying_key() -> VerifyingKey {
    VerifyingKey {
        key_id: "k1".to_owned(),
        public_key: key().public_key().as_ref().try_into().unwrap(),
    }
}

async fn rig_on(store: Store) -> Rig {
    let clock = Clock::manual(NOW);
    let org = store.organization(NOW).await.unwrap().id;
    let published = Arc::new(Mutex::new(Vec::new()));
    let signer = Signer {
        key: verifying_key(),
        sign: Arc::new(|bytes| key().sign(bytes).as_ref().to_vec()),
        publish: {
            let published = Arc::clone(&published);
            Arc::new(move |checkpoint| published.lock().unwrap().push(checkpoint.clone()))
        },
        earlier: Vec::new(),
    };
    let keys = AuditKeys {
        hmac: [3; 32],
        signer: Some(signer),
    };
    let (log, writer) = AuditLog::start(store, clock.clone(), keys).await.unwrap();
    Rig {
        log,
        writer,
        clock,
        caller: caller(org),
        published,
    }
}

async fn rig(database: &Database) -> Rig {
    rig_on(database.store().await).await
}

fn caller(org: OrgId) -> Caller {
    Caller {
        user: UserId::new(NOW),
        org,
        email: "alice@example.test".into(),
        role: Role::Member,
        credential: Credential::Token(GrantId::new(NOW)),
        groups: std::sync::Arc::default(),
        scopes: Scopes::ALL,
    }
}

fn client() -> Client {
    Client {
        name: "tester 1.0".to_owned(),
        protocol: "2026-07-28".to_owned(),
        transport: "http",
    }
}

fn event(tool: &str, effect: &'static str) -> Event<'static> {
    let integration = tool.split('_').next().unwrap().to_owned();
    Event {
        call: CallId::new(NOW),
        kind: Kind::Tool,
        tool: tool.to_owned().into(),
        integration: integration.into(),
        provider: None,
        effect,
        thread: None,
        connection: None,
        account: None,
        arguments: Redacted(json!({ "id": 7 })),
        arguments_digest: Some("hmac:00:8"),
        catalogue_digest: None,
    }
}

fn ok() -> Outcome {
    Outcome {
        code: "ok",
        duration_us: 5,
        ..Outcome::default()
    }
}

impl Rig {
    fn begin(&self, event: Event<'_>) -> Pending {
        self.log.begin(&self.caller, &client(), event)
    }

    /// A whole call.
    async fn call(&self, event: Event<'_>, outcome: Outcome) {
        let mut pending = self.begin(event);
        pending.durable().await.unwrap();
        self.log.finish(pending, outcome).await.unwrap();
    }

    async fn list(&self, filter: Filter) -> Vec<Entry> {
        self.log.list(self.caller.org, &filter).await.unwrap()
    }

    async fn verify(&self, known: &[Checkpoint]) -> Result<u64, Broken> {
        match self.log.verify(None, known, |_| {}).await {
            Ok(verified) => Ok(verified.events),
            Err(VerifyError::Broken(broken)) => Err(broken),
            Err(VerifyError::Store(error)) => panic!("{error:?}"),
        }
    }

    /// Waits for what is written without anybody being told: entries with this outcome.
    async fn eventually(&self, outcome: &str, count: usize) -> Vec<Entry> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let found = self
                .list(Filter {
                    outcome: Some(outcome.to_owned()),
                    ..Filter::default()
                })
                .await;
            if found.len() >= count {
                return found;
            }
            assert!(
                Instant::now() < deadline,
                "{outcome} is not there: {found:?}"
            );
            tokio::task::yield_now().await;
        }
    }

    async fn export(&self, filter: Filter) -> String {
        let mut file = String::new();
        self.log
            .export(self.caller.org, &filter, |line| {
                assert!(!line.contains('\n'), "{line}");
                file.push_str(line);
                file.push('\n');
            })
            .await
            .unwrap();
        file
    }
}
