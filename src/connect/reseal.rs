//! Sealing every stored secret under the organization's active data key, while everybody goes on using them.

use std::collections::HashMap;

use super::error::ConnectError;
use super::flow::{app_place, flow_place};
use super::secret::place;
use crate::ids::{DataKeyId, OrgId};
use crate::store::{Store, StoreError};
use crate::vault::{Place, Sealed, Vault, VaultError};

/// Rows looked at at once.
const PAGE: u32 = 200;

/// Makes every data key of the database usable here, those that another process made included.
pub async fn load_data_keys(store: &Store, vault: &Vault) -> Result<(), ConnectError> {
    for row in store.data_keys().await? {
        vault.load(&row.wrapped_key(), row.active)?;
    }
    Ok(())
}

/// Seals anew what is not under the active data key; returns how much that was. What lives a day at most (answers under an
/// idempotency key, questions to a person) is left: its data key stays, wrapped anew like every other. A row that changes meanwhile is left
/// to its writer, whose seal is newer.
pub async fn reseal(store: &Store, vault: &Vault, org: OrgId) -> Result<usize, StoreError> {
    let mut done = 0;
    let mut after = None;
    loop {
        let rows = store.connections_after(after, PAGE).await?;
        let Some(last) = rows.last().map(|row| row.id) else {
            break;
        };
        for row in rows.iter().filter(|row| row.org_id == org) {
            if let Some(sealed) = anew(vault, org, &place(row, row.token_version), &row.sealed) {
                done += usize::from(
                    store
                        .reseal_connection(row.id, row.token_version, &row.sealed, &sealed)
                        .await?,
                );
            }
        }
        after = Some(last);
    }
    for row in store.apps(org).await? {
        if let Some(sealed) = anew(vault, org, &app_place(&row), &row.secret) {
            done += usize::from(
                store
                    .reseal_app(org, &row.provider, row.version, &row.secret, &sealed)
                    .await?,
            );
        }
    }
    let mut after = None;
    loop {
        let rows = store.flows_after(after, PAGE).await?;
        let Some(last) = rows.last().map(|row| row.id) else {
            break;
        };
        for row in rows.iter().filter(|row| row.org_id == org) {
            let Some(old) = &row.sealed else { continue };
            if let Some(sealed) = anew(vault, org, &flow_place(row), old) {
                done += usize::from(store.reseal_flow(row.id, old, &sealed).await?);
            }
        }
        after = Some(last);
    }
    Ok(done)
}

/// The same secret under the active data key; `None` when it is already, or cannot be opened.
fn anew(vault: &Vault, org: OrgId, place: &Place<'_>, sealed: &Sealed) -> Option<Sealed> {
    if vault.is_current(org, sealed) {
        return None;
    }
    let moved = vault
        .open(place, sealed)
        .and_then(|secret| vault.seal(place, &secret));
    match moved {
        Ok(sealed) => Some(sealed),
        Err(error @ VaultError::Integrity) => {
            // It did not open before either. Its connection says so at the next use.
            tracing::error!(table = place.table, error = %error, "a secret cannot be sealed anew");
            None
        }
        Err(error) => {
            tracing::warn!(table = place.table, error = %error, "a secret is not sealed anew yet");
            None
        }
    }
}

/// How many secrets are sealed under each data key.
pub async fn sealed_under(
    store: &Store,
    org: OrgId,
) -> Result<HashMap<DataKeyId, usize>, StoreError> {
    let mut count = HashMap::new();
    let mut add = |sealed: &Sealed| {
        if let Some(key) = sealed.data_key() {
            *count.entry(key).or_insert(0) += 1;
        }
    };
    for row in store.apps(org).await? {
        add(&row.secret);
    }
    let mut after = None;
    loop {
        let rows = store.connections_after(after, PAGE).await?;
        let Some(last) = rows.last().map(|row| row.id) else {
            break;
        };
        for row in &rows {
            add(&row.sealed);
        }
        after = Some(last);
    }
    let mut after = None;
    loop {
        let rows = store.flows_after(after, PAGE).await?;
        let Some(last) = rows.last().map(|row| row.id) else {
            break;
        };
        for sealed in rows.iter().filter_map(|row| row.sealed.as_ref()) {
            add(sealed);
        }
        after = Some(last);
    }
    Ok(count)
}
