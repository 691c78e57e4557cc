//! Everything cryptographic that is not encryption at rest: keys of the process derived from `WORKBENCH_SECRET_KEYS`
//! (HKDF-SHA-256, RFC 5869), MACs under them, hashes of secrets we only compare, and Ed25519 signatures (RFC 8032).

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::ring::{Entry, InvalidKeys, entries};

/// The keys of `WORKBENCH_SECRET_KEYS`, same form as the vault's ring. The first one makes, all verify.
pub struct Secrets {
    roots: Vec<Entry>,
}

impl Secrets {
    /// Reads `kid:base64[,kid:base64…]`.
    pub fn parse(text: &str) -> Result<Self, InvalidKeys> {
        Ok(Self {
            roots: entries(text)?,
        })
    }

    /// The key ids with the 32-byte keys for one purpose, the making one first.
    pub fn keys(&self, purpose: &str) -> Vec<(String, Zeroizing<[u8; 32]>)> {
        self.roots
            .iter()
            .map(|root| (root.id.clone(), derive(&root.key, purpose)))
            .collect()
    }

    /// The MAC for one purpose.
    pub fn mac(&self, purpose: &str) -> Mac {
        Mac {
            keys: self
                .roots
                .iter()
                .map(|root| derive(&root.key, purpose))
                .collect(),
        }
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.roots.iter().map(|root| &root.id))
            .finish()
    }
}

fn derive(root: &[u8; 32], purpose: &str) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0u8; 32]);
    // 32 bytes is one block of SHA-256; only more than 255 blocks can fail.
    let filled = Hkdf::<Sha256>::new(None, root).expand(purpose.as_bytes(), key.as_mut());
    debug_assert!(filled.is_ok());
    key
}

/// Seals public text against change: cursors, form tokens.
#[derive(Clone)]
pub struct Mac {
    keys: Vec<Zeroizing<[u8; 32]>>,
}

impl Mac {
    /// `text` with a tag bound to `context`, as one word that fits into an address.
    pub fn sign(&self, context: &[&[u8]], text: &str) -> String {
        let tag = self
            .keys
            .first()
            .map(|key| tag(key, context, text))
            .unwrap_or_default();
        let mut bytes = tag[..16].to_vec();
        bytes.extend_from_slice(text.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The text of [`Mac::sign`] for the same context; `None` for anything else.
    pub fn open(&self, context: &[&[u8]], signed: &str) -> Option<String> {
        let bytes = URL_SAFE_NO_PAD.decode(signed).ok()?;
        let (given, text) = bytes.split_at_checked(16)?;
        let text = std::str::from_utf8(text).ok()?;
        let genuine = self
            .keys
            .iter()
            .any(|key| bool::from(tag(key, context, text)[..16].ct_eq(given)));
        genuine.then(|| text.to_owned())
    }
}

fn tag(key: &Zeroizing<[u8; 32]>, context: &[&[u8]], text: &str) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.as_slice()) else {
        return [0; 32];
    };
    for part in context.iter().copied().chain([text.as_bytes()]) {
        mac.update(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// SHA-256 of a secret that is only ever compared. The secrets have 256 random bits, so no salt is needed.
pub fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// A fresh secret of 256 random bits behind `prefix`, which lets secret scanners find a leaked one. `None` without
/// randomness.
pub fn random_secret(prefix: &str) -> Option<SecretString> {
    let mut bytes = Zeroizing::new([0u8; 32]);
    getrandom::fill(bytes.as_mut()).ok()?;
    Some(SecretString::from(format!(
        "{prefix}{}",
        URL_SAFE_NO_PAD.encode(bytes.as_slice())
    )))
}

/// Signs audit checkpoints.
pub struct Signer {
    id: String,
    pair: Ed25519KeyPair,
}

impl Signer {
    /// Reads one `kid:base64` entry, whose 32 bytes are the Ed25519 seed.
    pub fn parse(text: &str) -> Result<Self, InvalidKeys> {
        let Entry { id, key } = entries(text)?
            .into_iter()
            .next()
            .ok_or(InvalidKeys::Empty)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(key.as_slice())
            .map_err(|_| InvalidKeys::Length(id.clone()))?;
        Ok(Self { id, pair })
    }

    /// The key's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The signature of `message`.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }

    /// The public half, to keep outside this server.
    pub fn public_key(&self) -> Vec<u8> {
        self.pair.public_key().as_ref().to_vec()
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Whether `signature` is of `message` by the key with this public half.
pub fn verify_signature(public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, public_key)
        .verify(message, signature)
        .is_ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

    use super::*;
    use crate::vault::generate_entry;

    #[test]
    fn a_mac_is_bound_to_its_context_and_survives_rotation() {
        let (old, new) = (
            generate_entry("old").unwrap(),
            generate_entry("new").unwrap(),
        );
        let mac = Secrets::parse(&old).unwrap().mac("cursor");
        let signed = mac.sign(&[b"user", b"tool"], "page=2");
        assert_eq!(
            mac.open(&[b"user", b"tool"], &signed).as_deref(),
            Some("page=2")
        );
        assert_eq!(mac.open(&[b"usert", b"ool"], &signed), None);
        assert_eq!(mac.open(&[b"user", b"tool"], ""), None);
        let rotated = Secrets::parse(&format!("{new},{old}")).unwrap();
        assert_eq!(
            rotated
                .mac("cursor")
                .open(&[b"user", b"tool"], &signed)
                .as_deref(),
            Some("page=2")
        );
        assert_eq!(rotated.mac("csrf").open(&[b"user", b"tool"], &signed), None);
    }

    #[test]
    fn a_changed_message_does_not_verify() {
        let signer = Signer::parse(&generate_entry("a1").unwrap()).unwrap();
        let signature = signer.sign(b"head 7");
        assert!(verify_signature(
            &signer.public_key(),
            b"head 7",
            &signature
        ));
        assert!(!verify_signature(
            &signer.public_key(),
            b"head 8",
            &signature
        ));
    }
}
