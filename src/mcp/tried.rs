//! What a client would be answered, for the page on which a person tries a tool or reads a block. The page shows the very
//! JSON that goes over the wire, so it is made here, by what makes the answers of every transport.

use rmcp::model::ErrorCode;
use serde_json::{Value, json};

use super::{Server, ask, render};
use crate::caller::Caller;
use crate::calls::{Action, CallError, Context};
use crate::ids::CallId;
use crate::kit::error::Code;

/// The answer to one call.
#[derive(Clone, Debug)]
pub struct Tried {
    /// The audit record.
    pub call: CallId,
    /// `{"result": …}` or `{"error": …}`, as in the JSON-RPC answer.
    pub body: Value,
    /// Why there is no result, or one that is a failure.
    pub failure: Option<Failed>,
}

/// A refused or failed call in the words that a client gets.
#[derive(Clone, Debug)]
pub struct Failed {
    /// The stable code.
    pub code: Code,
    /// One sentence that says what to do.
    pub message: String,
    /// What the person can do, and at which address.
    pub action: Option<(Action, String)>,
}

impl Server {
    /// Calls a tool as a client's `tools/call` does, for a client that has no means to ask its person.
    pub async fn try_tool(
        &self,
        caller: &Caller,
        name: &str,
        arguments: serde_json::Map<String, Value>,
        context: Context,
    ) -> Tried {
        match self.0.calls.call(caller, name, arguments, context).await {
            Ok(answer) => Tried {
                call: answer.call,
                body: json!({ "result": json(&render::answer(answer)) }),
                failure: None,
            },
            Err(error) => {
                let failed = self.failed(caller, &error).await;
                let url = failed.url();
                Tried {
                    call: error.call,
                    body: if error.code == Code::UnknownTool {
                        json!({ "error": json(&render::unknown_tool(&error)) })
                    } else {
                        json!({ "result": json(&render::failure(&error, url)) })
                    },
                    failure: Some(failed),
                }
            }
        }
    }

    /// Reads a block as a client's `resources/read` does.
    pub async fn try_block(&self, caller: &Caller, uri: &str, context: Context) -> Tried {
        match self.0.calls.read(caller, uri, context).await {
            Ok(answer) => Tried {
                call: answer.call,
                body: json!({ "result": json(&render::block(uri, answer)) }),
                failure: None,
            },
            Err(error) => {
                let failed = self.failed(caller, &error).await;
                let mut refused = render::refused_block(&error, failed.url(), uri);
                if refused.code == ErrorCode::RESOURCE_NOT_FOUND {
                    // The current revision has no code of its own for it, and so it goes over the wire.
                    refused.code = ErrorCode::INVALID_PARAMS;
                }
                Tried {
                    call: error.call,
                    body: json!({ "error": json(&refused) }),
                    failure: Some(failed),
                }
            }
        }
    }

    async fn failed(&self, caller: &Caller, error: &CallError) -> Failed {
        let url = ask::link(self, caller, error).await;
        Failed {
            code: error.code,
            message: error.message.clone(),
            action: error.action.clone().zip(url),
        }
    }
}

impl Failed {
    fn url(&self) -> Option<&str> {
        self.action.as_ref().map(|(_, url)| url.as_str())
    }
}

fn json(answer: &impl serde::Serialize) -> Value {
    serde_json::to_value(answer).unwrap_or_default()
}
