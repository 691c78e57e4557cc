//! What a provider no longer accepts: a 401 to a credential, and connections that end by it.

use std::sync::Arc;

use super::Connections;
use super::error::ConnectError;
use crate::ids::ConnectionId;
use crate::kit::client::Rejected;
use crate::kit::error::ProviderError;
use crate::kit::integration::Integration;
use crate::store::{ConnectionRow, Status, StoreError};

impl Connections {
    /// What the client calls when the provider answers 401.
    pub(super) fn rejected(&self, id: ConnectionId, integration: &'static Integration) -> Rejected {
        let connections = self.clone();
        Arc::new(move |version, challenge| {
            let connections = connections.clone();
            Box::pin(async move {
                connections
                    .renew(id, version, integration, challenge)
                    .await
                    .map_err(|error| match error {
                        ConnectError::Provider(error) => error,
                        ConnectError::Unavailable
                        | ConnectError::Store(_)
                        | ConnectError::Later { .. } => ProviderError::Unavailable {
                            reason: "its access token cannot be renewed now".to_owned(),
                        },
                        ConnectError::App { reason, .. } => ProviderError::Unavailable {
                            reason: format!(
                                "the organization's OAuth app does not work: {reason}; an admin must mend it"
                            ),
                        },
                        ConnectError::Missing(_)
                        | ConnectError::Ambiguous { .. }
                        | ConnectError::NoSuchAccount { .. }
                        | ConnectError::Dead { .. }
                        | ConnectError::Scope { .. }
                        | ConnectError::UnknownProvider(_)
                        | ConnectError::Secret
                        | ConnectError::Vault(_)
                        | ConnectError::Audit(_)
                        | ConnectError::Http(_) => ProviderError::Unauthorized,
                    })
            })
        })
    }

    /// Sets a connection to Expired because the provider will have no more of it, or we cannot use it.
    pub(super) async fn expire(&self, row: &ConnectionRow, reason: &str) -> Result<(), StoreError> {
        let set = self
            .inner
            .store
            .set_status(row.id, row.token_version, Status::Expired, Some(reason))
            .await?;
        if set {
            self.changed(row.user_id);
            self.note("connection.expired", row, reason).await;
        }
        Ok(())
    }
}
