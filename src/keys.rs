//! The vault's keys in the database: loading them, noticing wrong ones, and rotating while everybody serves.
//!
//! A rotation wraps every data key under the ring's first key, makes a new data key, and seals every secret under that
//! one, but for what is deleted within hours anyway: answers kept for a repetition and arguments of questions. Retired
//! data keys stay, wrapped under the new key: a replica that has not heard yet may have sealed with one.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::connect::reseal;
use crate::ids::{DataKeyId, OrgId};
use crate::store::{DataKeyRow, KeyRow, Store, StoreError};
use crate::vault::{Vault, VaultError};

/// The name under which replicas say which keys they know, in the table of leases.
pub const REPLICA: &str = "replica:";

/// What is wrong with the keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// Other material under a known id.
    #[error(
        "WORKBENCH_ENCRYPTION_KEYS has another key under the id `{0}` than the one this database knows"
    )]
    Changed(String),
    /// A key that is still needed is not there.
    #[error(
        "WORKBENCH_ENCRYPTION_KEYS lacks the key `{0}`, which data is still sealed under; add it again, after the first one"
    )]
    Missing(String),
    /// A running server does not know the new key.
    #[error(
        "the running server {replica} does not know the key `{key}` yet; add it to WORKBENCH_ENCRYPTION_KEYS there first"
    )]
    Unready {
        /// Its name.
        replica: String,
        /// The key.
        key: String,
    },
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The database failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

/// How the keys stand.
#[derive(Debug, Serialize)]
pub struct Status {
    /// The key's id.
    pub key: String,
    /// Whether it is the one that wraps.
    pub active: bool,
    /// Data keys wrapped under it.
    pub data_keys: usize,
    /// Secrets sealed under those.
    pub secrets: usize,
}

/// What a rotation did.
#[derive(Debug, Default, Serialize)]
pub struct Rotated {
    /// The key that now wraps everything.
    pub key: String,
    /// Data keys wrapped anew.
    pub rewrapped: usize,
    /// Secrets sealed anew.
    pub resealed: usize,
}

/// Checks the ring against the database and loads every data key; makes the organization's first one.
pub async fn open(
    store: &Store,
    vault: &Vault,
    org: OrgId,
    now: Timestamp,
) -> Result<(), KeysError> {
    let known = store.keys().await?;
    let mut unseen = Vec::new();
    for kek in vault.key_ids() {
        let check_value = vault.check_value(&kek).unwrap_or_default();
        match known.iter().find(|row| row.kek_id == kek) {
            Some(row) if row.check_value != check_value => return Err(KeysError::Changed(kek)),
            Some(_) => {}
            None => unseen.push(KeyRow {
                kek_id: kek,
                check_value,
                first_seen_at: now,
            }),
        }
    }
    load(store, vault).await?;
    // Only a ring that works is remembered: one with a mistake in it must leave no trace that its correction trips over.
    for row in unseen {
        match store.insert_key(&row).await {
            // Another replica saw it in the same moment.
            Ok(()) | Err(StoreError::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if !store
        .data_keys()
        .await?
        .iter()
        .any(|row| row.org_id == org && row.active)
    {
        new_data_key(store, vault, org, now).await?;
        load(store, vault).await?;
    }
    Ok(())
}

/// Loads every data key, so that what another replica sealed can be opened here.
pub async fn load(store: &Store, vault: &Vault) -> Result<(), KeysError> {
    for row in store.data_keys().await? {
        vault
            .load(&row.wrapped_key(), row.active)
            .map_err(|error| {
                if let VaultError::UnknownKey(kek) = error {
                    KeysError::Missing(kek)
                } else {
                    error.into()
                }
            })?;
    }
    Ok(())
}

async fn new_data_key(
    store: &Store,
    vault: &Vault,
    org: OrgId,
    now: Timestamp,
) -> Result<(), KeysError> {
    let key = vault.new_data_key(DataKeyId::new(now), org)?;
    let row = DataKeyRow {
        id: key.id,
        org_id: org,
        kek_id: key.kek,
        wrapped: key.wrapped,
        active: true,
        created_at: now,
    };
    match store.insert_data_key(&row).await {
        // Another replica made the first one in the same moment.
        Ok(()) | Err(StoreError::Conflict(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Moves everything to the ring's first key. `told` hears how many secrets were sealed anew so far.
pub async fn rotate(
    store: &Store,
    vault: &Vault,
    org: OrgId,
    now: Timestamp,
    told: impl Fn(usize),
) -> Result<Rotated, KeysError> {
    let first = vault.key_ids().into_iter().next().unwrap_or_default();
    for (replica, keys) in store.leases(REPLICA, now).await? {
        if !keys.split(',').any(|key| key == first) {
            let replica = replica.trim_start_matches(REPLICA).to_owned();
            return Err(KeysError::Unready {
                replica,
                key: first,
            });
        }
    }
    let mut done = Rotated {
        key: first,
        ..Rotated::default()
    };
    let before = store.data_keys().await?;
    for row in &before {
        if let Some(moved) = vault.rewrap(&row.wrapped_key())?
            && store
                .rewrap_data_key(row.id, &row.kek_id, &moved.kek, &moved.wrapped)
                .await?
        {
            done.rewrapped += 1;
        }
    }
    // The new one first: there is no moment without an active key.
    new_data_key(store, vault, org, now).await?;
    for row in before.iter().filter(|row| row.org_id == org && row.active) {
        store.retire_data_key(row.id, now).await?;
    }
    store.insert_change(org, None, "key", now).await?;
    load(store, vault).await?;
    // A replica may seal under the old key until it hears of the new one, so passes go on until one finds nothing.
    loop {
        let resealed = reseal(store, vault, org).await?;
        done.resealed += resealed;
        told(done.resealed);
        if resealed == 0 {
            return Ok(done);
        }
    }
}

/// How many data keys and secrets stand under each key of the ring.
pub async fn status(store: &Store, vault: &Vault, org: OrgId) -> Result<Vec<Status>, KeysError> {
    let data_keys = store.data_keys().await?;
    let secrets = crate::connect::sealed_under(store, org).await?;
    let known = store.keys().await?;
    let ring = vault.key_ids();
    let mut all: Vec<String> = ring.clone();
    all.extend(
        known
            .into_iter()
            .map(|row| row.kek_id)
            .filter(|kek| !ring.contains(kek)),
    );
    Ok(all
        .into_iter()
        .enumerate()
        .map(|(at, key)| {
            let under: Vec<_> = data_keys.iter().filter(|row| row.kek_id == key).collect();
            Status {
                active: at == 0,
                data_keys: under.len(),
                secrets: under
                    .iter()
                    .map(|row| secrets.get(&row.id).copied().unwrap_or(0))
                    .sum(),
                key,
            }
        })
        .collect())
}
