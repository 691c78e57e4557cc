//! Tools that answer "input required" first.

use rmcp::ErrorData;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, InputRequiredResult,
    InputResponses, RequestStateCodec,
};
use rmcp::service::{RequestContext, RoleServer};
use serde_json::{Map, Value, json};

/// Answers a `test_input_required_…` tool.
pub(super) fn call(
    states: &RequestStateCodec,
    request: &CallToolRequestParams,
    cx: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let responses = request.input_responses.as_ref();
    let stage: Option<u8> = match &request.request_state {
        None => None,
        Some(state) => Some(
            states
                .open_json_with(state, request.name.as_bytes())
                .map_err(|_| {
                    ErrorData::invalid_params("`requestState` is not valid for this request", None)
                })?,
        ),
    };
    let seal = |stage: u8| {
        let options = rmcp::model::SealOptions::new().associated_data(request.name.as_bytes());
        states
            .seal_json_with(&stage, &options)
            .map(Some)
            .map_err(|error| ErrorData::internal_error(error.to_string(), None))
    };
    let done = |text: String| Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into());
    let ask = |questions: Value, state| Ok(input_required(questions, state)?.into());
    let name = || form("What is your name?", "name", "string");
    match request
        .name
        .trim_start_matches("test_input_required_result_")
    {
        "elicitation" => match answer(responses, "user_name") {
            Some(answer) => done(format!("Hello, {answer}!")),
            None => ask(json!({ "user_name": name() }), None),
        },
        "sampling" => match answer(responses, "capital_question") {
            Some(answer) => done(format!("The model said {answer}")),
            None => ask(
                json!({ "capital_question": sample("What is the capital of France?", 100) }),
                None,
            ),
        },
        "list_roots" => match answer(responses, "client_roots") {
            Some(answer) => done(format!("The roots are {answer}")),
            None => ask(json!({ "client_roots": roots() }), None),
        },
        "request_state" | "tampered_state" => match (stage, answer(responses, "confirm")) {
            (Some(_), Some(answer)) => done(format!("state-ok: {answer}")),
            _ => ask(
                json!({ "confirm": form("Please confirm", "ok", "boolean") }),
                seal(1)?,
            ),
        },
        "multiple_inputs" => {
            let all = ["user_name", "greeting", "client_roots"]
                .iter()
                .all(|key| answer(responses, key).is_some());
            if stage.is_some() && all {
                return done("All three arrived.".to_owned());
            }
            let questions = json!({
                "user_name": name(),
                "greeting": sample("Generate a greeting", 50),
                "client_roots": roots(),
            });
            ask(questions, seal(1)?)
        }
        "multi_round" => match stage {
            Some(1) if answer(responses, "step1").is_some() => {
                let question = form("Step 2: What is your favorite color?", "color", "string");
                ask(json!({ "step2": question }), seal(2)?)
            }
            Some(2) if answer(responses, "step2").is_some() => {
                done("Both steps are done.".to_owned())
            }
            _ => {
                let question = form("Step 1: What is your name?", "name", "string");
                ask(json!({ "step1": question }), seal(1)?)
            }
        },
        "capabilities" => {
            let declared = serde_json::to_value(cx.client_capabilities()).unwrap_or_default();
            let mut questions = Map::new();
            for (capability, key, question) in [
                ("elicitation", "user_name", name()),
                ("sampling", "greeting", sample("Generate a greeting", 50)),
                ("roots", "client_roots", roots()),
            ] {
                if declared.get(capability).is_some_and(Value::is_object)
                    && answer(responses, key).is_none()
                {
                    questions.insert(key.to_owned(), question);
                }
            }
            if questions.is_empty() {
                return done("Nothing left to ask.".to_owned());
            }
            ask(Value::Object(questions), None)
        }
        _ => Err(ErrorData::invalid_params("there is no such tool", None)),
    }
}

/// The client's answer to a question, when it is one.
pub(super) fn answer(responses: Option<&InputResponses>, key: &str) -> Option<String> {
    responses?
        .get(key)
        .filter(|answer| answer.is_object())
        .map(Value::to_string)
}

/// "Input required" with these questions.
pub(super) fn input_required(
    questions: Value,
    state: Option<String>,
) -> Result<InputRequiredResult, ErrorData> {
    let questions = serde_json::from_value(questions)
        .map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
    Ok(InputRequiredResult::new(Some(questions), state))
}

/// A form with one required field.
pub(super) fn form(message: &str, field: &str, kind: &str) -> Value {
    json!({ "method": "elicitation/create", "params": {
        "mode": "form",
        "message": message,
        "requestedSchema": { "type": "object", "properties": { field: { "type": kind } }, "required": [field] }
    } })
}

fn sample(prompt: &str, max_tokens: u32) -> Value {
    json!({ "method": "sampling/createMessage", "params": {
        "messages": [{ "role": "user", "content": { "type": "text", "text": prompt } }],
        "maxTokens": max_tokens
    } })
}

fn roots() -> Value {
    json!({ "method": "roots/list", "params": {} })
}
