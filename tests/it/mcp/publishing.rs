//! Every published tool is plain and honest; `catalogue.rs` says how large it may be.

use serde_json::{Value, json};
use workbench_mcp::integrations;
use workbench_mcp::kit::schema;
use workbench_mcp::kit::tool::Effect;
use workbench_mcp::links::Links;
use workbench_mcp::mcp;

#[test]
fn every_tool_is_plain_and_honest() {
    let links = Links::new("http://127.0.0.1:8321/".parse().unwrap());
    let mut complaints = Vec::new();
    for integration in integrations::ALL {
        for def in integration.tools() {
            let tool = mcp::tool_json(def, integration, &links);
            let text = tool.to_string();
            let mut wrong = |what: String| complaints.push(format!("{}: {what}", def.name));
            for noise in [
                "$schema",
                "\"format\":\"uint",
                "\"default\":null",
                "\"null\"",
                "$ref",
            ] {
                if text.contains(noise) {
                    wrong(format!("{noise} is published"));
                }
            }
            if tool["description"].as_str().is_none_or(str::is_empty) {
                wrong("has no description".to_owned());
            }
            let input = &tool["inputSchema"];
            if input["additionalProperties"] != json!(false) {
                wrong("takes anything".to_owned());
            }
            let properties = input["properties"].as_object().unwrap();
            if properties.contains_key("account") != def.account {
                wrong("`account` is for tools that go through one, all of them".to_owned());
            }
            if properties.contains_key("dry_run") == def.effect.is_read() {
                wrong("`dry_run` is for writes, all of them".to_owned());
            }
            if properties.contains_key("idempotency_key") == def.effect.is_read() {
                wrong("`idempotency_key` is for writes, all of them".to_owned());
            }
            if let Err(error) = jsonschema::draft202012::new(input) {
                wrong(format!("its schema does not compile: {error}"));
            }
            let mut expected = match def.effect {
                Effect::Read => json!({ "readOnlyHint": true }),
                Effect::Write { .. } => json!({ "destructiveHint": false }),
                Effect::Destructive { .. } => json!({ "destructiveHint": true }),
            };
            if let Effect::Write { idempotent: true } | Effect::Destructive { idempotent: true } =
                def.effect
            {
                expected["idempotentHint"] = json!(true);
            }
            if tool["annotations"] != expected {
                wrong(format!("is annotated {}", tool["annotations"]));
            }
            if tool["outputSchema"] != Value::Object(schema::output_schema()) {
                wrong("has an output schema of its own".to_owned());
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
