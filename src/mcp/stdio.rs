//! MCP over the standard streams, for one local person. Both eras of the protocol work: the first message decides.

use rmcp::service::{QuitReason, ServerInitializeError, serve_server_with_ct};

use super::handler::{Transport, face};
use super::{Server, Surface};
use crate::caller::Caller;

/// Serving ended before it began, or broke.
#[derive(Debug, thiserror::Error)]
pub enum StdioError {
    /// The client sent something else before a session was agreed.
    #[error("the client did not open a session")]
    Opening(#[source] Box<ServerInitializeError>),
    /// The task that serves was lost.
    #[error("serving on the standard streams broke off")]
    Lost(#[source] tokio::task::JoinError),
}

/// Serves `caller` on standard input and output until the input ends; what is under way then is still answered.
pub async fn serve_stdio(
    server: &Server,
    caller: Caller,
    surface: Surface,
) -> Result<(), StdioError> {
    let opened = Box::pin(serve_server_with_ct(
        face(server, caller, Transport::Stdio, surface),
        rmcp::transport::stdio(),
        server.0.closing.child_token(),
    ))
    .await;
    let running = match opened {
        Ok(running) => running,
        Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => {
            return Ok(());
        }
        Err(error) => return Err(StdioError::Opening(Box::new(error))),
    };
    match running.waiting().await {
        Ok(QuitReason::JoinError(error)) | Err(error) => Err(StdioError::Lost(error)),
        Ok(_) => Ok(()),
    }
}
