//! Rows to start from.

use serde_json::json;
use workbench_mcp::caller::{Role, Scopes};
use workbench_mcp::clock::Timestamp;
use workbench_mcp::ids::{FlowId, GrantId, OrgId, UserId};
use workbench_mcp::store::{ConnectionRow, FlowRow, GrantKind, GrantRow, Store, UserRow};
use workbench_mcp::vault::Sealed;

/// 2026-11-20T12:00:00Z.
pub const NOW: Timestamp = Timestamp::from_micros(1_795_176_000_000_000);

/// So many seconds after [`NOW`].
pub fn later(seconds: i64) -> Timestamp {
    Timestamp::from_micros(NOW.micros() + seconds * 1_000_000)
}

pub fn user(org: OrgId, email: &str) -> UserRow {
    UserRow {
        id: UserId::new(NOW),
        org_id: org,
        email: email.to_owned(),
        role: Role::Member,
        created_at: NOW,
        removed_at: None,
    }
}

/// The organization and a person in it, stored.
pub async fn person(store: &Store, email: &str) -> UserRow {
    let org = store.organization(NOW).await.unwrap();
    let user = user(org.id, email);
    store.insert_user(&user).await.unwrap();
    user
}

pub fn grant(user: &UserRow, kind: GrantKind, hash: u8) -> GrantRow {
    GrantRow {
        id: GrantId::new(NOW),
        org_id: user.org_id,
        user_id: user.id,
        kind,
        secret_hash: [hash; 32],
        name: "laptop".to_owned(),
        scopes: Scopes::READ_ONLY,
        created_at: NOW,
        expires_at: Some(later(60)),
        revoked_at: None,
        last_used_at: None,
    }
}

pub fn connection(user: &UserRow, subject: &str) -> ConnectionRow {
    ConnectionRow {
        subject: subject.to_owned(),
        label: format!("portal {subject}"),
        details: json!({ "portal": subject }),
        scopes: Some(vec!["crm.read".to_owned()]),
        requested_scopes: vec!["crm.read".to_owned(), "crm.write".to_owned()],
        sealed: Sealed::from_bytes(vec![1]),
        access_expires_at: Some(later(100)),
        next_refresh_at: Some(later(50)),
        ..ConnectionRow::new((user.org_id, user.id), "hubspot", "hubspot", NOW)
    }
}

/// An attempt under way, with a state of this byte.
pub fn flow(user: &UserRow, state: u8) -> FlowRow {
    FlowRow {
        id: FlowId::new(NOW),
        org_id: user.org_id,
        user_id: user.id,
        provider: "hubspot".to_owned(),
        reconnect: None,
        state_hash: Some([state; 32]),
        browser_hash: Some([8; 32]),
        sealed: Some(Sealed::from_bytes(vec![9; 4])),
        scopes: vec!["crm.read".to_owned()],
        created_at: NOW,
        expires_at: later(600),
        used_at: None,
        outcome: None,
    }
}
