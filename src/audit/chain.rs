//! The links of the chain, and the signed statements of where it stood.
//!
//! `hash = SHA-256("audit/v1" | previous hash | every column, each with its length)`. A payload is not in it, only
//! `commitment = HMAC-SHA-256(salt, payload)`, so that a payload can be erased together with its salt and the chain holds.

use std::fmt;
use std::fmt::Write as _;

use aws_lc_rs::digest::{self, SHA256};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

use crate::clock::Timestamp;
use crate::ids::{CallId, ConnectionId, OrgId, UserId};
use crate::store::{AuditCheckpointRow, AuditHead, AuditPayload, AuditRow};

/// The hash before the first event.
pub(super) const GENESIS: [u8; 32] = [0; 32];

/// A key that checkpoints were signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifyingKey {
    /// Its name.
    pub key_id: String,
    /// The Ed25519 public key (RFC 8032).
    pub public_key: [u8; 32],
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({})", self.key_id)
    }
}

/// An event that has no place in a chain yet.
pub fn unlinked(org: OrgId, call: CallId) -> AuditRow {
    AuditRow {
        org_id: org,
        seq: 0,
        at: Timestamp::default(),
        kind: String::new(),
        call_id: call,
        user_id: None,
        integration: None,
        connection_id: None,
        tool: None,
        effect: None,
        thread: None,
        outcome: None,
        completes: None,
        facts: String::new(),
        payload: None,
        commitment: None,
        hash: GENESIS,
    }
}

/// A payload that the writer will salt.
#[expect(clippy::unnecessary_wraps, reason = "it goes into an optional column")]
pub(super) const fn unsalted(body: String) -> Option<AuditPayload> {
    Some(AuditPayload {
        salt: [0; 32],
        body,
    })
}

/// What an event keeps of its payload.
pub(super) fn commitment(payload: &AuditPayload) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &payload.salt);
    let tag = hmac::sign(&key, payload.body.as_bytes());
    let mut commitment = [0; 32];
    commitment.copy_from_slice(tag.as_ref());
    commitment
}

/// The hash of an event that follows `previous`. `buffer` is only there to be reused.
pub(super) fn hash(previous: &[u8; 32], row: &AuditRow, buffer: &mut Vec<u8>) -> [u8; 32] {
    buffer.clear();
    buffer.extend_from_slice(b"audit/v1");
    buffer.extend_from_slice(previous);
    buffer.extend_from_slice(row.org_id.uuid().as_bytes());
    buffer.extend_from_slice(&row.seq.to_be_bytes());
    buffer.extend_from_slice(&row.at.micros().to_be_bytes());
    buffer.extend_from_slice(row.call_id.uuid().as_bytes());
    part(buffer, Some(row.kind.as_bytes()));
    part(
        buffer,
        row.user_id
            .map(UserId::uuid)
            .as_ref()
            .map(|id| id.as_bytes().as_slice()),
    );
    part(buffer, row.integration.as_deref().map(str::as_bytes));
    part(
        buffer,
        row.connection_id
            .map(ConnectionId::uuid)
            .as_ref()
            .map(|id| id.as_bytes().as_slice()),
    );
    part(buffer, row.tool.as_deref().map(str::as_bytes));
    part(buffer, row.effect.as_deref().map(str::as_bytes));
    part(buffer, row.thread.as_deref().map(str::as_bytes));
    part(buffer, row.outcome.as_deref().map(str::as_bytes));
    part(
        buffer,
        row.completes
            .map(i64::to_be_bytes)
            .as_ref()
            .map(<[u8; 8]>::as_slice),
    );
    part(buffer, Some(row.facts.as_bytes()));
    part(buffer, row.commitment.as_ref().map(<[u8; 32]>::as_slice));
    sha256(buffer)
}

/// A length and the bytes; what is absent differs from what is empty.
fn part(buffer: &mut Vec<u8>, bytes: Option<&[u8]>) {
    let length = bytes.map_or(u64::MAX, |bytes| bytes.len() as u64);
    buffer.extend_from_slice(&length.to_be_bytes());
    buffer.extend_from_slice(bytes.unwrap_or_default());
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&SHA256, bytes).as_ref());
    hash
}

/// Puts an event at the end of its chain; answers the new end.
pub fn link(
    head: &AuditHead,
    row: &mut AuditRow,
    now: Timestamp,
    buffer: &mut Vec<u8>,
) -> AuditHead {
    row.seq = head.seq + 1;
    row.at = now.max(head.at);
    row.hash = hash(&head.hash, row, buffer);
    AuditHead {
        org_id: head.org_id,
        seq: row.seq,
        hash: row.hash,
        at: row.at,
        checkpoint_seq: head.checkpoint_seq,
        checkpoint_at: head.checkpoint_at,
    }
}

/// What a checkpoint's signature is over.
pub(super) fn signed_bytes(checkpoint: &AuditCheckpointRow) -> Vec<u8> {
    let mut bytes = b"audit-checkpoint/v1".to_vec();
    bytes.extend_from_slice(checkpoint.org_id.uuid().as_bytes());
    bytes.extend_from_slice(&checkpoint.seq.to_be_bytes());
    bytes.extend_from_slice(&checkpoint.hash);
    bytes.extend_from_slice(&checkpoint.at.micros().to_be_bytes());
    bytes.extend_from_slice(&checkpoint.previous_seq.to_be_bytes());
    part(&mut bytes, Some(checkpoint.key_id.as_bytes()));
    bytes
}

/// Whether one of `keys` signed this.
pub(super) fn is_signed(checkpoint: &AuditCheckpointRow, keys: &[VerifyingKey]) -> bool {
    keys.iter().any(|key| {
        key.key_id == checkpoint.key_id
            && UnparsedPublicKey::new(&ED25519, key.public_key)
                .verify(&signed_bytes(checkpoint), &checkpoint.signature)
                .is_ok()
    })
}

/// Makes salts that nobody can make again once the process is gone, erased ones included. Their unpredictability is that
/// of two random ids; the key of the log is mixed in besides.
#[derive(Debug)]
pub(super) struct Salts {
    key: hmac::Key,
    made: u64,
}

impl Salts {
    pub(super) fn new(now: Timestamp, key: &[u8; 32]) -> Self {
        let mut seed = b"audit-salt/v1".to_vec();
        seed.extend_from_slice(key);
        for _ in 0..4 {
            seed.extend_from_slice(CallId::new(now).uuid().as_bytes());
        }
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &sha256(&seed)),
            made: 0,
        }
    }

    pub(super) fn next(&mut self) -> [u8; 32] {
        self.made += 1;
        let tag = hmac::sign(&self.key, &self.made.to_be_bytes());
        let mut salt = [0; 32];
        salt.copy_from_slice(tag.as_ref());
        salt
    }
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing into a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Reads [`hex`].
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_round_trips() {
        assert_eq!(hex(&[0, 15, 255]), "000fff");
        assert_eq!(unhex("000fff"), Some(vec![0, 15, 255]));
        assert_eq!(unhex("0"), None);
        assert_eq!(unhex("zz"), None);
        assert_eq!(unhex("\u{e4}"), None);
    }

    #[test]
    fn what_is_absent_is_not_what_is_empty_and_columns_do_not_run_together() {
        let at = Timestamp::default();
        let org = OrgId::new(at);
        let call = CallId::new(at);
        let of = |tool: Option<&str>, thread: Option<&str>| {
            let row = AuditRow {
                tool: tool.map(str::to_owned),
                thread: thread.map(str::to_owned),
                ..unlinked(org, call)
            };
            hash(&GENESIS, &row, &mut Vec::new())
        };
        let hashes = [
            of(None, None),
            of(Some(""), None),
            of(None, Some("")),
            of(Some("ab"), Some("c")),
            of(Some("a"), Some("bc")),
        ];
        for (one, hash) in hashes.iter().enumerate() {
            assert!(!hashes[..one].contains(hash));
        }
    }

    #[test]
    fn salts_differ() {
        let (mut one, mut two) = (
            Salts::new(Timestamp::default(), &[1; 32]),
            Salts::new(Timestamp::default(), &[1; 32]),
        );
        let salts = [one.next(), one.next(), two.next(), two.next()];
        for (at, salt) in salts.iter().enumerate() {
            assert!(!salts[..at].contains(salt));
        }
    }
}
