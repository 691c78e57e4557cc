//! What the suite expects to be listed, as data.

use rmcp::model::{Prompt, PromptArgument, Resource, ResourceTemplate, Tool};
use serde_json::{Value, json};

/// One pixel.
pub(super) const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
/// No sound at all.
pub(super) const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";

/// Tools without arguments. The first of the list is called by the suite with none.
const PLAIN: [(&str, &str); 24] = [
    ("test_simple_text", "Answers one text"),
    ("test_image_content", "Answers an image"),
    ("test_audio_content", "Answers a sound"),
    ("test_embedded_resource", "Answers an embedded resource"),
    (
        "test_multiple_content_types",
        "Answers text, image and resource",
    ),
    ("test_error_handling", "Fails as a tool does"),
    ("test_tool_with_progress", "Reports progress"),
    ("test_tool_with_logging", "Sends log messages"),
    ("test_logging_tool", "Sends log messages when asked to"),
    ("test_elicitation_sep1034_defaults", "Asks with defaults"),
    ("test_elicitation_sep1330_enums", "Asks with choices"),
    ("test_reconnection", "Takes a moment"),
    ("test_missing_capability", "Needs sampling"),
    ("test_streaming_elicitation", "Asks for input"),
    (
        "test_trigger_tool_change",
        "Pretends that the tools changed",
    ),
    (
        "test_trigger_prompt_change",
        "Pretends that the prompts changed",
    ),
    ("test_input_required_result_elicitation", "Asks for a name"),
    ("test_input_required_result_sampling", "Asks for a sample"),
    (
        "test_input_required_result_list_roots",
        "Asks for the roots",
    ),
    (
        "test_input_required_result_request_state",
        "Asks with a state",
    ),
    (
        "test_input_required_result_multiple_inputs",
        "Asks three things",
    ),
    ("test_input_required_result_multi_round", "Asks twice"),
    (
        "test_input_required_result_tampered_state",
        "Asks with a signed state",
    ),
    (
        "test_input_required_result_capabilities",
        "Asks what the client can answer",
    ),
];

/// The tools, the simplest first.
pub(super) fn tools() -> Vec<Tool> {
    let text = json!({ "type": "string" });
    let mut tools: Vec<Tool> = PLAIN
        .iter()
        .map(|(name, description)| {
            tool(
                name,
                description,
                json!({ "type": "object", "properties": {} }),
            )
        })
        .collect();
    tools.push(tool(
        "test_sampling",
        "Asks the client's model",
        json!({ "type": "object", "properties": { "prompt": text }, "required": ["prompt"] }),
    ));
    tools.push(tool(
        "test_elicitation",
        "Asks the person",
        json!({ "type": "object", "properties": { "message": text }, "required": ["message"] }),
    ));
    tools.push(tool(
        "test_custom_header",
        "Mirrors an argument in a header",
        json!({ "type": "object", "properties": { "region": { "type": "string", "x-mcp-header": "Region" } } }),
    ));
    tools.push(tool(
        "json_schema_2020_12_tool",
        "Has a schema with much of JSON Schema 2020-12",
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "$defs": {
                "address": {
                    "$anchor": "addressDef",
                    "type": "object",
                    "properties": { "street": text, "city": text }
                }
            },
            "properties": {
                "name": text,
                "address": { "$ref": "#/$defs/address" },
                "contactMethod": { "type": "string", "enum": ["phone", "email"] },
                "phone": text,
                "email": text
            },
            "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
            "if": { "properties": { "contactMethod": { "const": "phone" } }, "required": ["contactMethod"] },
            "then": { "required": ["phone"] },
            "else": { "required": ["email"] },
            "additionalProperties": false
        }),
    ));
    tools
}

fn tool(name: &'static str, description: &'static str, mut schema: Value) -> Tool {
    let schema = schema.as_object_mut().map(std::mem::take);
    Tool::new(name, description, schema.unwrap_or_default())
}

/// The prompts.
pub(super) fn prompts() -> Vec<Prompt> {
    let argument = |name: &str| {
        PromptArgument::new(name)
            .with_description("A test argument")
            .with_required(true)
    };
    vec![
        Prompt::new("test_simple_prompt", Some("A prompt"), None),
        Prompt::new(
            "test_prompt_with_arguments",
            Some("A prompt with arguments"),
            Some(vec![argument("arg1"), argument("arg2")]),
        ),
        Prompt::new(
            "test_prompt_with_embedded_resource",
            Some("A prompt with a resource"),
            Some(vec![argument("resourceUri")]),
        ),
        Prompt::new(
            "test_prompt_with_image",
            Some("A prompt with an image"),
            None,
        ),
        Prompt::new(
            "test_input_required_result_prompt",
            Some("A prompt that asks first"),
            None,
        ),
    ]
}

/// The resources.
pub(super) fn resources() -> Vec<Resource> {
    vec![
        Resource::new("test://static-text", "static-text")
            .with_description("A text")
            .with_mime_type("text/plain"),
        Resource::new("test://static-binary", "static-binary")
            .with_description("An image")
            .with_mime_type("image/png"),
        Resource::new("test://watched-resource", "watched-resource")
            .with_description("Something to subscribe to")
            .with_mime_type("text/plain"),
    ]
}

/// The templates.
pub(super) fn templates() -> Vec<ResourceTemplate> {
    vec![
        ResourceTemplate::new("test://template/{id}/data", "template")
            .with_description("Data by id")
            .with_mime_type("application/json"),
    ]
}
