//! Envelope encryption of everything secret at rest: a key-encryption key from the environment wraps one data key per
//! organization, data keys seal rows. Both layers are AES-256-GCM with a fresh random 96-bit nonce for every seal
//! (NIST SP 800-38D §8.2.2), and the associated data binds each ciphertext to its owner, row, column and version, so
//! that one moved or rolled back by SQL does not open.
//!
//! Pure and synchronous: no I/O, no database. It also derives the other keys of the process (MACs of cursors, request
//! state and forms) and signs audit checkpoints, because ciphers and MACs are named nowhere else.

mod ring;
mod secrets;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::ids::{DataKeyId, OrgId, UserId};

pub use ring::{InvalidKeys, KeyRing, generate_entry};
pub use secrets::{Mac, Secrets, Signer, hash, random_secret, verify_signature};

/// First byte of a sealed value; another layout gets another one.
const FORMAT: u8 = 1;
const NONCE: usize = 12;
const HEADER: usize = 1 + 16 + NONCE;

/// A ciphertext as the database keeps it: format, data key id, nonce, ciphertext with tag.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// What the database held.
    pub const fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// For the database.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The data key it names; `None` when it is not one of ours.
    pub fn data_key(&self) -> Option<DataKeyId> {
        let id = self.0.get(1..17)?;
        (self.0.first() == Some(&FORMAT) && self.0.len() > HEADER)
            .then(|| uuid::Uuid::from_slice(id).ok().map(DataKeyId::from_uuid))?
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

/// Where a secret stands. It is authenticated with the ciphertext, so every field must be known to open it.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The table.
    pub table: &'static str,
    /// The column.
    pub column: &'static str,
    /// The owning organization; chooses the data key.
    pub org: OrgId,
    /// The owning person, where the row has one.
    pub user: Option<UserId>,
    /// The row.
    pub row: &'a [u8],
    /// The provider it is a secret of.
    pub provider: &'a str,
    /// Rises with every new seal of the same place, so that an old ciphertext does not open.
    pub version: i64,
}

impl Place<'_> {
    fn associated_data(&self, data_key: DataKeyId) -> Vec<u8> {
        let user = self.user.map(|user| *user.uuid().as_bytes());
        let mut data = Vec::with_capacity(160);
        for part in [
            b"workbench/v1".as_slice(),
            self.table.as_bytes(),
            self.column.as_bytes(),
            self.org.uuid().as_bytes(),
            user.as_ref().map_or(&[], <[u8; 16]>::as_slice),
            self.row,
            self.provider.as_bytes(),
            data_key.uuid().as_bytes(),
            &self.version.to_be_bytes(),
        ] {
            // Length prefixes keep two neighbouring parts from being read as one.
            data.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            data.extend_from_slice(part);
        }
        data
    }
}

/// Why a secret could not be sealed or opened. Deliberately says no more: the log names the row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The ciphertext does not belong to this place, or was altered.
    #[error("a sealed value does not belong to its row or was altered")]
    Integrity,
    /// The data key that it names is not loaded.
    #[error("the data key of a sealed value is not known")]
    UnknownDataKey(DataKeyId),
    /// The organization has no active data key loaded.
    #[error("the organization has no active data key")]
    NoDataKey,
    /// The ring has no key-encryption key of this id.
    #[error("key `{0}` is not in WORKBENCH_ENCRYPTION_KEYS")]
    UnknownKey(String),
    /// The operating system gave no randomness.
    #[error("no randomness")]
    Randomness,
}

/// A data key as the database keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedDataKey {
    /// Its id.
    pub id: DataKeyId,
    /// The organization whose rows it seals.
    pub org: OrgId,
    /// The key-encryption key that wraps it.
    pub kek: String,
    /// The wrapped key.
    pub wrapped: Vec<u8>,
}

struct DataKey {
    org: OrgId,
    cipher: Aes256Gcm,
}

#[derive(Default)]
struct DataKeys {
    by_id: HashMap<DataKeyId, Arc<DataKey>>,
    active: HashMap<OrgId, DataKeyId>,
}

/// Seals and opens. Cheap to clone; clones share the loaded data keys.
#[derive(Clone)]
pub struct Vault {
    ring: Arc<KeyRing>,
    keys: Arc<RwLock<DataKeys>>,
}

impl Vault {
    /// A vault under `ring`, with no data keys loaded yet.
    pub fn new(ring: KeyRing) -> Self {
        Self {
            ring: Arc::new(ring),
            keys: Arc::default(),
        }
    }

    /// The ids of the ring's keys, the sealing one first.
    pub fn key_ids(&self) -> Vec<String> {
        self.ring.ids().map(ToOwned::to_owned).collect()
    }

    /// A value that tells whether another process means the same key by this id; reveals nothing of the key.
    pub fn check_value(&self, kek: &str) -> Option<Vec<u8>> {
        self.ring.check_value(kek)
    }

    /// A new data key for `org`, wrapped under the ring's first key. It seals nothing before [`Vault::load`].
    pub fn new_data_key(&self, id: DataKeyId, org: OrgId) -> Result<WrappedDataKey, VaultError> {
        let mut key = Zeroizing::new([0u8; 32]);
        getrandom::fill(key.as_mut()).map_err(|_| VaultError::Randomness)?;
        self.wrap(id, org, &key)
    }

    fn wrap(
        &self,
        id: DataKeyId,
        org: OrgId,
        key: &[u8; 32],
    ) -> Result<WrappedDataKey, VaultError> {
        let ring = &self.ring;
        let (kek, cipher) = ring.active();
        let mut wrapped = Vec::with_capacity(NONCE + 48);
        seal_with(cipher, &wrap_data(id, org, kek), key, &mut wrapped)?;
        Ok(WrappedDataKey {
            id,
            org,
            kek: kek.to_owned(),
            wrapped,
        })
    }

    fn unwrap(&self, wrapped: &WrappedDataKey) -> Result<Zeroizing<[u8; 32]>, VaultError> {
        let ring = &self.ring;
        let cipher = ring
            .get(&wrapped.kek)
            .ok_or_else(|| VaultError::UnknownKey(wrapped.kek.clone()))?;
        let bytes = open_with(
            cipher,
            &wrap_data(wrapped.id, wrapped.org, &wrapped.kek),
            &wrapped.wrapped,
        )?;
        <[u8; 32]>::try_from(bytes.as_slice())
            .map(Zeroizing::new)
            .map_err(|_| VaultError::Integrity)
    }

    /// The same data key wrapped under the ring's first key; `None` when it already is.
    pub fn rewrap(&self, wrapped: &WrappedDataKey) -> Result<Option<WrappedDataKey>, VaultError> {
        let current = {
            let ring = &self.ring;
            ring.active().0 == wrapped.kek
        };
        if current {
            return Ok(None);
        }
        let key = self.unwrap(wrapped)?;
        self.wrap(wrapped.id, wrapped.org, &key).map(Some)
    }

    /// Makes a data key usable; an `active` one seals from now on.
    pub fn load(&self, wrapped: &WrappedDataKey, active: bool) -> Result<(), VaultError> {
        let key = self.unwrap(wrapped)?;
        let cipher =
            Aes256Gcm::new_from_slice(key.as_slice()).map_err(|_| VaultError::Integrity)?;
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.by_id.insert(
            wrapped.id,
            Arc::new(DataKey {
                org: wrapped.org,
                cipher,
            }),
        );
        if active {
            keys.active.insert(wrapped.org, wrapped.id);
        }
        Ok(())
    }

    /// Seals `secret` for `place` under its organization's active data key.
    pub fn seal(&self, place: &Place<'_>, secret: &SecretString) -> Result<Sealed, VaultError> {
        let (id, key) = {
            let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
            let id = *keys.active.get(&place.org).ok_or(VaultError::NoDataKey)?;
            (
                id,
                keys.by_id
                    .get(&id)
                    .map(Arc::clone)
                    .ok_or(VaultError::NoDataKey)?,
            )
        };
        let secret = secret.expose_secret().as_bytes();
        let mut out = Vec::with_capacity(HEADER + secret.len() + 16);
        out.push(FORMAT);
        out.extend_from_slice(id.uuid().as_bytes());
        seal_with(&key.cipher, &place.associated_data(id), secret, &mut out)?;
        Ok(Sealed(out))
    }

    /// Opens what was sealed for exactly this place.
    pub fn open(&self, place: &Place<'_>, sealed: &Sealed) -> Result<SecretString, VaultError> {
        let id = sealed.data_key().ok_or(VaultError::Integrity)?;
        let key = self.data_key(id).ok_or(VaultError::UnknownDataKey(id))?;
        if key.org != place.org {
            return Err(VaultError::Integrity);
        }
        let body = sealed.0.get(17..).ok_or(VaultError::Integrity)?;
        let plain = open_with(&key.cipher, &place.associated_data(id), body)?;
        let text = std::str::from_utf8(&plain).map_err(|_| VaultError::Integrity)?;
        Ok(SecretString::from(text))
    }

    fn data_key(&self, id: DataKeyId) -> Option<Arc<DataKey>> {
        self.keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .by_id
            .get(&id)
            .map(Arc::clone)
    }

    /// Whether `sealed` is under the data key that seals for `org` now.
    pub fn is_current(&self, org: OrgId, sealed: &Sealed) -> bool {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        sealed.data_key().is_some() && keys.active.get(&org).copied() == sealed.data_key()
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault")
            .field("keys", &self.key_ids())
            .finish_non_exhaustive()
    }
}

fn wrap_data(id: DataKeyId, org: OrgId, kek: &str) -> Vec<u8> {
    [
        b"workbench/wrap/v1".as_slice(),
        id.uuid().as_bytes(),
        org.uuid().as_bytes(),
        kek.as_bytes(),
    ]
    .concat()
}

fn seal_with(
    cipher: &Aes256Gcm,
    aad: &[u8],
    plain: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), VaultError> {
    let mut nonce = [0u8; NONCE];
    getrandom::fill(&mut nonce).map_err(|_| VaultError::Randomness)?;
    let sealed = cipher
        .encrypt(&Nonce::from(nonce), Payload { msg: plain, aad })
        .map_err(|_| VaultError::Integrity)?;
    out.extend_from_slice(&nonce);
    out.extend_from_slice(&sealed);
    Ok(())
}

fn open_with(
    cipher: &Aes256Gcm,
    aad: &[u8],
    body: &[u8],
) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let (nonce, sealed) = body
        .split_first_chunk::<NONCE>()
        .ok_or(VaultError::Integrity)?;
    cipher
        .decrypt(&Nonce::from(*nonce), Payload { msg: sealed, aad })
        .map(Zeroizing::new)
        .map_err(|_| VaultError::Integrity)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

    use super::*;
    use crate::clock::Timestamp;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn ring(text: &str) -> KeyRing {
        KeyRing::parse(text).unwrap()
    }

    fn vault_for(org: OrgId) -> Vault {
        let vault = Vault::new(ring(&generate_entry("k1").unwrap()));
        let key = vault.new_data_key(DataKeyId::new(NOW), org).unwrap();
        vault.load(&key, true).unwrap();
        vault
    }

    #[test]
    fn a_secret_opens_only_at_its_own_place() {
        let org = OrgId::new(NOW);
        let other_org = OrgId::new(NOW);
        let vault = vault_for(org);
        vault
            .load(
                &vault.new_data_key(DataKeyId::new(NOW), other_org).unwrap(),
                true,
            )
            .unwrap();
        let (user, other_user) = (UserId::new(NOW), UserId::new(NOW));
        let place = Place {
            table: "connections",
            column: "sealed",
            org,
            user: Some(user),
            row: b"row-1",
            provider: "github",
            version: 3,
        };
        let sealed = vault.seal(&place, &"secret".into()).unwrap();
        assert_eq!(
            vault.open(&place, &sealed).unwrap().expose_secret(),
            "secret"
        );
        for moved in [
            Place {
                table: "apps",
                ..place
            },
            Place {
                column: "client_secret",
                ..place
            },
            Place {
                org: other_org,
                ..place
            },
            Place {
                user: Some(other_user),
                ..place
            },
            Place {
                user: None,
                ..place
            },
            Place {
                row: b"row-2",
                ..place
            },
            Place {
                provider: "hubspot",
                ..place
            },
            Place {
                version: 2,
                ..place
            },
        ] {
            assert_eq!(
                vault.open(&moved, &sealed).unwrap_err(),
                VaultError::Integrity,
                "{moved:?}"
            );
        }
    }

    #[test]
    fn no_altered_byte_opens() {
        let org = OrgId::new(NOW);
        let vault = vault_for(org);
        let place = Place {
            table: "t",
            column: "c",
            org,
            user: None,
            row: b"r",
            provider: "",
            version: 1,
        };
        let sealed = vault.seal(&place, &"secret".into()).unwrap();
        for at in 0..sealed.0.len() {
            let mut bytes = sealed.0.clone();
            bytes[at] ^= 1;
            assert!(vault.open(&place, &Sealed(bytes)).is_err(), "byte {at}");
            assert!(
                vault
                    .open(&place, &Sealed(sealed.0[..at].to_vec()))
                    .is_err(),
                "cut at {at}"
            );
        }
    }

    #[test]
    fn nonces_do_not_repeat() {
        let org = OrgId::new(NOW);
        let vault = vault_for(org);
        let place = Place {
            table: "t",
            column: "c",
            org,
            user: None,
            row: b"r",
            provider: "",
            version: 1,
        };
        let mut seen = std::collections::HashSet::new();
        for _ in 0..20_000 {
            let sealed = vault.seal(&place, &"x".into()).unwrap();
            assert!(seen.insert(sealed.0[17..HEADER].to_vec()));
        }
    }

    #[test]
    fn data_keys_move_to_a_new_key_and_the_old_one_opens_nothing_after() {
        let org = OrgId::new(NOW);
        let (old, new) = (
            generate_entry("old").unwrap(),
            generate_entry("new").unwrap(),
        );
        let vault = Vault::new(ring(&old));
        let wrapped = vault.new_data_key(DataKeyId::new(NOW), org).unwrap();
        let both = Vault::new(ring(&format!("{new},{old}")));
        let moved = both.rewrap(&wrapped).unwrap().unwrap();
        assert_eq!(
            (moved.kek.as_str(), both.rewrap(&moved).unwrap()),
            ("new", None)
        );
        Vault::new(ring(&new)).load(&moved, true).unwrap();
        assert_eq!(
            vault.load(&moved, true),
            Err(VaultError::UnknownKey("new".to_owned()))
        );
        let forged = WrappedDataKey {
            kek: "old".to_owned(),
            ..moved
        };
        assert_eq!(vault.load(&forged, true), Err(VaultError::Integrity));
    }
}
