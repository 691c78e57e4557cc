//! Tools that answer at once, with progress, log messages or questions of the older kind on the way.

use std::time::Duration;

use rmcp::ErrorData;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities,
    CreateMessageRequestParams, CustomNotification, ElicitRequestParams, ServerNotification,
};
use rmcp::service::{RequestContext, RoleServer, ServiceError};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::super::handler::is_stateless;
use super::super::tell::with_progress;
use super::catalogue::{PNG, WAV};
use super::{CHANGES, Change, rounds};

/// Between two steps of a tool that takes its time.
const GAP: Duration = Duration::from_millis(50);

/// Answers a tool of the suite.
pub(super) async fn call(
    request: CallToolRequestParams,
    cx: RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let text = |text: &str| json!({ "type": "text", "text": text });
    let argument = |name: &str| {
        request
            .arguments
            .as_ref()
            .and_then(|arguments| arguments.get(name))
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let content = match request.name.as_ref() {
        "test_image_content" => json!([{ "type": "image", "data": PNG, "mimeType": "image/png" }]),
        "test_audio_content" => json!([{ "type": "audio", "data": WAV, "mimeType": "audio/wav" }]),
        "test_embedded_resource" => json!([resource(
            "test://embedded-resource",
            "text/plain",
            "This is an embedded resource content."
        )]),
        "test_multiple_content_types" => json!([
            text("Multiple content types test:"),
            { "type": "image", "data": PNG, "mimeType": "image/png" },
            resource("test://mixed-content-resource", "application/json", r#"{"test":"data","value":123}"#),
        ]),
        "test_error_handling" => {
            return built::<CallToolResult>(json!({
                "resultType": "complete",
                "content": [text("This tool intentionally returns an error for testing")],
                "isError": true
            }))
            .map(Into::into);
        }
        "test_tool_with_progress" => {
            with_progress(&cx, async |progress| {
                for done in [0, 50, 100] {
                    progress.step(done, Some(100), format!("{done} of 100"));
                    sleep(GAP).await;
                }
            })
            .await;
            json!([text("Progress is complete.")])
        }
        "test_tool_with_logging" | "test_logging_tool" => {
            for line in [
                "Tool execution started",
                "Tool processing data",
                "Tool execution completed",
            ] {
                log(&cx, line).await;
                sleep(GAP).await;
            }
            json!([text("The log messages are sent.")])
        }
        "test_reconnection" => {
            sleep(GAP * 10).await;
            json!([text("Still here.")])
        }
        "test_sampling"
        | "test_elicitation"
        | "test_elicitation_sep1034_defaults"
        | "test_elicitation_sep1330_enums" => {
            json!([text(&answered(&request.name, &argument, &cx).await?)])
        }
        "test_missing_capability" => {
            let declared = serde_json::to_value(cx.client_capabilities()).unwrap_or_default();
            if declared.get("sampling").is_none_or(Value::is_null) {
                let needed = built::<ClientCapabilities>(json!({ "sampling": {} }))?;
                return Err(ErrorData::missing_required_client_capability(needed));
            }
            json!([text("Sampling is declared.")])
        }
        "test_streaming_elicitation" => {
            let question = rounds::form("What is your name?", "name", "string");
            return match rounds::answer(request.input_responses.as_ref(), "user_name") {
                Some(_) => built::<CallToolResult>(
                    json!({ "resultType": "complete", "content": [text("Thank you.")] }),
                )
                .map(Into::into),
                None => {
                    rounds::input_required(json!({ "user_name": question }), None).map(Into::into)
                }
            };
        }
        "test_trigger_tool_change" => pretend(Change::Tools),
        "test_trigger_prompt_change" => pretend(Change::Prompts),
        _ => json!([text("This is a simple text response for testing.")]),
    };
    built::<CallToolResult>(json!({ "resultType": "complete", "content": content })).map(Into::into)
}

/// What the client answers to a request of ours, as the revisions before 2026-07-28 make them within a call.
async fn answered(
    name: &str,
    argument: &(impl Fn(&str) -> String + Sync),
    cx: &RequestContext<RoleServer>,
) -> Result<String, ErrorData> {
    match name {
        "test_sampling" => {
            let params = built::<CreateMessageRequestParams>(json!({
                "messages": [{ "role": "user", "content": { "type": "text", "text": argument("prompt") } }],
                "maxTokens": 100
            }))?;
            let answer = cx
                .peer
                .create_message(params)
                .await
                .map_err(|error| asked(&error))?;
            let answer = serde_json::to_value(answer).unwrap_or_default();
            let said = answer
                .pointer("/content/text")
                .and_then(Value::as_str)
                .unwrap_or_default();
            Ok(format!("LLM response: {said}"))
        }
        "test_elicitation" => {
            let schema = json!({
                "type": "object",
                "properties": {
                    "username": { "type": "string", "description": "User's response" },
                    "email": { "type": "string", "description": "User's email address" }
                },
                "required": ["username", "email"]
            });
            ask(cx, &argument("message"), schema).await
        }
        "test_elicitation_sep1034_defaults" => {
            ask(cx, "Please check these values", defaults()).await
        }
        _ => ask(cx, "Please choose", choices()).await,
    }
}

fn built<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value)
        .map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

fn resource(uri: &str, mime: &str, text: &str) -> Value {
    json!({ "type": "resource", "resource": { "uri": uri, "mimeType": mime, "text": text } })
}

fn pretend(change: Change) -> Value {
    // Nobody may be listening.
    let _ = CHANGES.send(change);
    json!([{ "type": "text", "text": "Everybody who listens is told." }])
}

fn asked(error: &ServiceError) -> ErrorData {
    ErrorData::internal_error(format!("the client did not answer: {error}"), None)
}

/// A log message. The revision without sessions wants them only when the request named a level.
async fn log(cx: &RequestContext<RoleServer>, line: &str) {
    if is_stateless(cx) && cx.meta.log_level().is_none() {
        return;
    }
    let message = CustomNotification::new(
        "notifications/message",
        Some(json!({ "level": "info", "data": line })),
    );
    // A client that is gone misses it.
    let _ = cx
        .peer
        .send_notification(ServerNotification::CustomNotification(message))
        .await;
}

/// Asks the person through a request of our own, as the revisions before 2026-07-28 do.
async fn ask(
    cx: &RequestContext<RoleServer>,
    message: &str,
    schema: Value,
) -> Result<String, ErrorData> {
    let params = built::<ElicitRequestParams>(
        json!({ "mode": "form", "message": message, "requestedSchema": schema }),
    )?;
    let answer = cx
        .peer
        .create_elicitation(params)
        .await
        .map_err(|error| asked(&error))?;
    let answer = serde_json::to_value(answer).unwrap_or_default();
    Ok(format!(
        "Elicitation completed: action={}, content={}",
        answer["action"], answer["content"]
    ))
}

fn defaults() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "description": "User name", "default": "John Doe" },
            "age": { "type": "integer", "description": "User age", "default": 30 },
            "score": { "type": "number", "description": "User score", "default": 95.5 },
            "status": { "type": "string", "description": "User status", "enum": ["active", "inactive", "pending"], "default": "active" },
            "verified": { "type": "boolean", "description": "Verification status", "default": true }
        },
        "required": []
    })
}

fn choices() -> Value {
    let titled = |word: &str, kind: &str| {
        ["First", "Second", "Third"]
            .iter()
            .zip(1..)
            .map(|(ordinal, n)| json!({ "const": format!("{word}{n}"), "title": format!("{ordinal} {kind}") }))
            .collect::<Vec<_>>()
    };
    let options = ["option1", "option2", "option3"];
    json!({
        "type": "object",
        "properties": {
            "untitledSingle": { "type": "string", "enum": options },
            "titledSingle": { "type": "string", "oneOf": titled("value", "Option") },
            "legacyEnum": {
                "type": "string",
                "enum": ["opt1", "opt2", "opt3"],
                "enumNames": ["Option One", "Option Two", "Option Three"]
            },
            "untitledMulti": { "type": "array", "items": { "type": "string", "enum": options } },
            "titledMulti": { "type": "array", "items": { "anyOf": titled("value", "Choice") } }
        },
        "required": []
    })
}
