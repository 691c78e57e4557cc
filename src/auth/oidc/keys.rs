//! An issuer's public keys (RFC 7517), remembered. Tokens that name keys nobody knows cannot make us ask for the keys
//! again and again: there is a pause between two looks, one caller looks for all, and old keys stay when a look fails.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use url::Url;

use super::OidcError;
use super::http::Http;
use crate::clock::{Clock, Timestamp};

/// At least so long between two looks.
const PAUSE: Duration = Duration::from_mins(1);
/// Keys older than this are looked for again when one is used, so that a withdrawn key ends.
const OLD: Duration = Duration::from_hours(1);
/// Most keys kept of one issuer.
const MOST: usize = 100;

/// A key and the algorithms it may verify.
pub(super) struct Key {
    pub(super) decoding: DecodingKey,
    pub(super) algorithms: Vec<Algorithm>,
}

/// The keys of one issuer.
pub(crate) struct KeySet {
    http: Http,
    clock: Clock,
    known: RwLock<Known>,
    looking: Mutex<()>,
}

#[derive(Default)]
struct Known {
    keys: Vec<(Option<String>, Arc<Key>)>,
    /// When they were read.
    read_at: Option<Timestamp>,
    /// When they were last asked for, with or without success.
    asked_at: Option<Timestamp>,
    /// Goes up when the keys change.
    generation: u64,
}

impl KeySet {
    pub(crate) fn new(http: Http, clock: Clock) -> Self {
        Self {
            http,
            clock,
            known: RwLock::default(),
            looking: Mutex::default(),
        }
    }

    /// Which reading of the keys is known; what was verified under another one is verified again.
    pub(crate) fn generation(&self) -> u64 {
        self.known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .generation
    }

    /// The key that a token names, or the only one when it names none.
    pub(super) async fn find(
        &self,
        url: &Url,
        id: Option<&str>,
    ) -> Result<Option<Arc<Key>>, OidcError> {
        if let Some((key, old)) = self.look(id)
            && !(old && self.may_ask())
        {
            return Ok(Some(key));
        }
        let _one = self.looking.lock().await;
        if !self.may_ask() {
            return Ok(self.look(id).map(|(key, _)| key));
        }
        match self.read(url).await {
            Ok(()) => Ok(self.look(id).map(|(key, _)| key)),
            Err(error) => {
                tracing::warn!(error = %error, "an issuer's keys cannot be read");
                match self.look(id) {
                    Some((key, _)) => Ok(Some(key)),
                    None => Err(error),
                }
            }
        }
    }

    /// The key, and whether the keys are old.
    fn look(&self, id: Option<&str>) -> Option<(Arc<Key>, bool)> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let key = match (id, known.keys.as_slice()) {
            (Some(id), keys) => keys
                .iter()
                .find(|(known, _)| known.as_deref() == Some(id))
                .map(|(_, key)| key),
            (None, [(_, only)]) => Some(only),
            (None, _) => None,
        };
        let old = known
            .read_at
            .is_none_or(|at| self.clock.now().since(at) > OLD);
        key.map(|key| (Arc::clone(key), old))
    }

    fn may_ask(&self) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        known.asked_at.is_none_or(|at| now.since(at) >= PAUSE)
    }

    async fn read(&self, url: &Url) -> Result<(), OidcError> {
        let now = self.clock.now();
        self.known
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .asked_at = Some(now);
        let document = self.http.get("key set", url.clone()).await?;
        let keys = keys(&document);
        if keys.is_empty() {
            return Err(OidcError::Provider {
                what: "key set",
                problem: "holds no key that can verify a signature".to_owned(),
            });
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.keys = keys;
        known.read_at = Some(now);
        known.generation += 1;
        Ok(())
    }
}

/// The keys of a set that verify signatures with algorithms taken here; others are passed over (RFC 7517 §5).
fn keys(document: &Map<String, Value>) -> Vec<(Option<String>, Arc<Key>)> {
    let listed = document.get("keys").and_then(Value::as_array);
    let listed = listed.map(Vec::as_slice).unwrap_or_default();
    listed
        .iter()
        .take(MOST)
        .filter_map(|value| {
            let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
            let id = jwk.common.key_id.clone();
            Some((id, Arc::new(key(&jwk)?)))
        })
        .collect()
}

fn key(jwk: &Jwk) -> Option<Key> {
    if !matches!(
        jwk.common.public_key_use,
        None | Some(PublicKeyUse::Signature)
    ) {
        return None;
    }
    // Public keys only, and the algorithms that fit them: a token never chooses how it is verified.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the library's own enum, open by declaration"
    )]
    let mut algorithms = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => vec![
            Algorithm::RS256,
            Algorithm::RS384,
            Algorithm::RS512,
            Algorithm::PS256,
            Algorithm::PS384,
            Algorithm::PS512,
        ],
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => {
            vec![Algorithm::ES256]
        }
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P384 => {
            vec![Algorithm::ES384]
        }
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
            vec![Algorithm::EdDSA]
        }
        _ => return None,
    };
    if let Some(named) = jwk.common.key_algorithm {
        algorithms.retain(|algorithm| format!("{algorithm:?}") == format!("{named:?}"));
    }
    let decoding = DecodingKey::from_jwk(jwk).ok()?;
    (!algorithms.is_empty()).then_some(Key {
        decoding,
        algorithms,
    })
}
