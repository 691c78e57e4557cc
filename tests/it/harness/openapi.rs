//! A provider's description of its API (OpenAPI 3), and what in an exchange breaks it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jsonschema::{Draft, Registry, Validator};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::fixtures::{self, Exchange, Request, Response};

/// A description, ready to judge exchanges. Schemas are compiled when they are first used: a description has thousands.
pub struct Description {
    /// With `nullable` translated, see [`plain_json_schema`].
    document: Value,
    operations: Vec<Operation>,
    registry: Registry<'static>,
    /// By JSON pointer into `document`.
    compiled: RefCell<HashMap<String, Validator>>,
}

struct Operation {
    /// In capitals.
    method: String,
    /// The parts of the path, such as `repos`, `{owner}`.
    template: Vec<String>,
    /// Where in the document it stands.
    pointer: String,
}

/// The address under which a compiled schema finds the document.
const DOCUMENT: &str = "urn:workbench-mcp:description";

impl Description {
    pub fn read(path: &Path) -> Self {
        Self::new(fixtures::read(path))
    }

    pub fn new(mut document: Value) -> Self {
        plain_json_schema(&mut document);
        let mut operations = Vec::new();
        for (path, item) in document["paths"].as_object().expect("paths") {
            for method in ["get", "post", "put", "patch", "delete"] {
                if item.get(method).is_some() {
                    operations.push(Operation {
                        method: method.to_uppercase(),
                        template: path.split('/').map(ToOwned::to_owned).collect(),
                        pointer: below(&below("/paths", path), method),
                    });
                }
            }
        }
        let registry = Registry::new()
            .draft(Draft::Draft202012)
            .add(DOCUMENT, document.clone())
            .and_then(jsonschema::RegistryBuilder::prepare)
            .expect("a document that can be referred to");
        Self {
            document,
            operations,
            registry,
            compiled: RefCell::default(),
        }
    }

    /// Everything in `exchange` that the description does not allow, one sentence each; `None` when it has no such
    /// operation.
    pub fn complaints(&self, exchange: &Exchange) -> Option<Vec<String>> {
        let (request, response) = (&exchange.request, &exchange.response);
        let operation = self.operation(request)?;
        let mut complaints = self.parameters(operation, request);
        complaints.extend(self.request_body(operation, request));
        if !response.broken {
            complaints.extend(self.response(operation, response));
        }
        Some(complaints)
    }

    /// The operation with the most specific template: a fixed part is preferred to a parameter, the first part first.
    fn operation(&self, request: &Request) -> Option<&Operation> {
        let path: Vec<&str> = request.path.split('/').collect();
        let fits = |operation: &&Operation| {
            operation.method == request.method
                && operation.template.len() == path.len()
                && operation
                    .template
                    .iter()
                    .zip(&path)
                    .all(|(part, found)| part == found || value_of(part, found).is_some())
        };
        self.operations.iter().filter(fits).min_by_key(|operation| {
            let parts = operation.template.iter();
            parts.map(|part| part.contains('{')).collect::<Vec<_>>()
        })
    }

    fn parameters(&self, operation: &Operation, request: &Request) -> Vec<String> {
        let mut complaints = Vec::new();
        let mut known = Vec::new();
        let parameters = below(&operation.pointer, "parameters");
        let count = self.at(&parameters).as_array().map_or(0, Vec::len);
        for index in 0..count {
            let pointer = self.resolved(&below(&parameters, &index.to_string()));
            let parameter = self.at(&pointer);
            let name = parameter["name"].as_str().expect("a parameter's name");
            let given = match parameter["in"].as_str() {
                Some("path") => {
                    let parts = operation.template.iter().zip(request.path.split('/'));
                    let value = parts
                        .filter(|(part, _)| part.contains(&format!("{{{name}}}")))
                        .find_map(|(part, found)| value_of(part, found))
                        .expect("in the template");
                    Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
                }
                Some("query") => {
                    known.push(name);
                    request.query.get(name).cloned()
                }
                // Headers belong to the client, which has tests of its own.
                _ => continue,
            };
            match given {
                Some(text) => {
                    let schema = below(&pointer, "schema");
                    if !readings(&text)
                        .iter()
                        .any(|value| self.violations(&schema, value).is_empty())
                    {
                        complaints.push(format!("parameter {name} must not be {text:?}"));
                    }
                }
                None if parameter["required"] == true => {
                    complaints.push(format!("parameter {name} is missing"));
                }
                None => {}
            }
        }
        for name in request.query.keys() {
            if !known.contains(&name.as_str()) {
                complaints.push(format!("the operation has no parameter {name}"));
            }
        }
        complaints
    }

    fn request_body(&self, operation: &Operation, request: &Request) -> Vec<String> {
        let pointer = below(&operation.pointer, "requestBody");
        let Some(body) = &request.body else {
            let described = self.at(&pointer);
            let required =
                !described.is_null() && self.at(&self.resolved(&pointer))["required"] == true;
            return if required {
                vec!["a body is required".to_owned()]
            } else {
                Vec::new()
            };
        };
        if self.at(&pointer).is_null() {
            return vec!["the operation takes no body".to_owned()];
        }
        let content = below(&self.resolved(&pointer), "content");
        let kinds = self.at(&content).as_object().expect("content");
        let kind = ["application/json", "application/x-www-form-urlencoded"]
            .into_iter()
            .find(|kind| kinds.contains_key(*kind));
        let Some(kind) = kind else {
            // Bytes of a file: there is nothing to compare them with.
            return if kinds.contains_key("*/*") || kinds.contains_key("application/octet-stream") {
                Vec::new()
            } else {
                vec!["the operation takes neither JSON nor a form".to_owned()]
            };
        };
        let schema = below(&below(&content, kind), "schema");
        let described = match body {
            Value::String(parts) if kinds.contains_key("multipart/related") => first_part(parts),
            whole => Some(whole.clone()),
        };
        let Some(body) = &described else {
            return vec!["request body: its first part is not JSON".to_owned()];
        };
        let mut complaints = self.violations(&schema, body);
        complaints.extend(self.unknown_fields(&schema, body));
        complaints
            .into_iter()
            .map(|complaint| format!("request body: {complaint}"))
            .collect()
    }

    /// The descriptions leave objects open, but a field that a provider does not know is a mistake of ours.
    fn unknown_fields(&self, schema: &str, body: &Value) -> Vec<String> {
        let schema = self.at(&self.resolved(schema));
        let (Some(known), Some(given)) = (schema["properties"].as_object(), body.as_object())
        else {
            return Vec::new();
        };
        if schema.get("additionalProperties").is_some() {
            return Vec::new();
        }
        given
            .keys()
            .filter(|name| !known.contains_key(*name))
            .map(|name| format!("the operation has no field {name}"))
            .collect()
    }

    fn response(&self, operation: &Operation, response: &Response) -> Vec<String> {
        let status = response.status;
        let responses = below(&operation.pointer, "responses");
        let described = self.at(&responses);
        let name = [status.to_string(), "default".to_owned()]
            .into_iter()
            .find(|name| described.get(name).is_some());
        let Some(name) = name else {
            return match (status, &response.body) {
                // Descriptions leave out most of the failures that every operation has.
                (400.., Some(_)) => Vec::new(),
                (400.., None) => vec![format!("the answer {status} is not JSON")],
                _ => vec![format!("an answer {status} is not described")],
            };
        };
        let content = below(&self.resolved(&below(&responses, &name)), "content");
        let kinds = self.at(&content);
        let empty = response.body.is_none() && response.text.is_none() && response.base64.is_none();
        if kinds.is_null() {
            return if empty || !(200..300).contains(&status) {
                Vec::new()
            } else {
                vec![format!("an answer {status} has no body")]
            };
        }
        if empty {
            // A redirect tells all in its header.
            return if (300..400).contains(&status) {
                Vec::new()
            } else {
                vec![format!("an answer {status} has a body")]
            };
        }
        let kind = response.headers.get("content-type").map_or_else(
            || "application/json".to_owned(),
            |kind| {
                kind.split(';')
                    .next()
                    .unwrap_or_default()
                    .trim()
                    .to_lowercase()
            },
        );
        if kinds.get(&kind).is_none() {
            // Bytes of a file have the file's own type.
            if response.body.is_none() && kinds.get("application/octet-stream").is_some() {
                return Vec::new();
            }
            return vec![format!("an answer {status} is not {kind}")];
        }
        let schema = below(&below(&content, &kind), "schema");
        match &response.body {
            Some(body) if !self.at(&schema).is_null() => self
                .violations(&schema, body)
                .into_iter()
                .map(|complaint| format!("answer {status}: {complaint}"))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// What in `value` breaks the schema at `pointer`.
    fn violations(&self, pointer: &str, value: &Value) -> Vec<String> {
        let mut compiled = self.compiled.borrow_mut();
        let validator = compiled
            .entry(pointer.to_owned())
            .or_insert_with(|| self.compile(pointer));
        validator
            .iter_errors(value)
            .map(|error| {
                let mut what = error.to_string();
                if what.chars().count() > 300 {
                    what = what.chars().take(300).collect::<String>() + "…";
                }
                format!("{}: {what}", error.instance_path())
            })
            .collect()
    }

    fn compile(&self, pointer: &str) -> Validator {
        let fragment: String = percent_encoding::utf8_percent_encode(pointer, FRAGMENT).collect();
        jsonschema::options()
            .with_draft(Draft::Draft202012)
            .should_validate_formats(true)
            .with_registry(&self.registry)
            .build(&json!({ "$ref": format!("{DOCUMENT}#{fragment}") }))
            .unwrap_or_else(|error| panic!("{pointer}: {error}"))
    }

    /// `Null` where there is nothing.
    fn at(&self, pointer: &str) -> &Value {
        self.document.pointer(pointer).unwrap_or(&Value::Null)
    }

    /// Where the thing at `pointer` really stands.
    fn resolved(&self, pointer: &str) -> String {
        let mut pointer = pointer.to_owned();
        while let Some(reference) = self.at(&pointer).get("$ref").and_then(Value::as_str) {
            let fragment = reference
                .strip_prefix('#')
                .expect("a reference within the document");
            pointer = percent_decode_str(fragment)
                .decode_utf8_lossy()
                .into_owned();
        }
        pointer
    }
}

/// What RFC 3986 does not allow in a fragment, as far as pointers into a description contain it.
const FRAGMENT: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'`')
    .add(b'{')
    .add(b'}');

/// The JSON that describes the bytes behind it (RFC 2387); a fixture writes a body that is not text in base64.
fn first_part(body: &str) -> Option<Value> {
    let bytes = match body.strip_prefix("base64:") {
        Some(coded) => BASE64_STANDARD.decode(coded).ok()?,
        None => body.as_bytes().to_vec(),
    };
    let text = String::from_utf8_lossy(&bytes);
    let (_, part) = text.split_once("\r\n\r\n")?;
    let (part, _) = part.split_once("\r\n--")?;
    serde_json::from_str(part).ok()
}

/// What stands in `found` for the parameter of a part such as `{id}`, `{name}:` or `search(q='{q}')`.
fn value_of<'a>(part: &str, found: &'a str) -> Option<&'a str> {
    let (before, rest) = part.split_once('{')?;
    let (_, after) = rest.split_once('}')?;
    let value = found.strip_prefix(before)?.strip_suffix(after)?;
    (!value.is_empty()).then_some(value)
}

/// The JSON pointer of `name` in what `pointer` names (RFC 6901 §3).
fn below(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// What a parameter's text may stand for: itself, a number, a truth value, a list with commas.
fn readings(text: &str) -> Vec<Value> {
    let list: Vec<&str> = text.split(',').collect();
    let mut readings = vec![json!(text), json!(list)];
    if let Ok(number) = text.parse::<i64>() {
        readings.push(json!(number));
    }
    if let Ok(truth) = text.parse::<bool>() {
        readings.push(json!(truth));
    }
    readings
}

/// OpenAPI 3.0's `nullable` in the words of JSON Schema, everywhere below `value`.
fn plain_json_schema(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(plain_json_schema),
        Value::Object(map) => {
            map.values_mut().for_each(plain_json_schema);
            if map.get("nullable") != Some(&json!(true)) {
                return;
            }
            map.remove("nullable");
            *value = json!({ "anyOf": [value.take(), { "type": "null" }] });
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description() -> Description {
        Description::new(json!({
            "paths": {
                "/things/{id}": {
                    "get": {
                        "parameters": [
                            { "name": "id", "in": "path", "required": true, "schema": { "type": "integer" } },
                            { "$ref": "#/components/parameters/page" },
                            { "name": "kind", "in": "query", "required": true, "schema": { "enum": ["big", "small"] } }
                        ],
                        "responses": {
                            "200": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/thing" } } } },
                            "404": { "$ref": "#/components/responses/error" }
                        }
                    }
                },
                "/things/search": {
                    "post": {
                        "requestBody": {
                            "required": true,
                            "content": { "application/json": { "schema": {
                                "type": "object", "required": ["query"], "properties": { "query": { "type": "string" } }
                            } } }
                        },
                        "responses": { "204": {} }
                    },
                    "get": { "responses": { "204": {} } }
                }
            },
            "components": {
                "parameters": { "page": { "name": "page", "in": "query", "schema": { "type": "integer" } } },
                "responses": { "error": { "content": { "application/json": { "schema": {
                    "type": "object", "required": ["message"]
                } } } } },
                "schemas": {
                    "thing": {
                        "type": "object", "required": ["id", "owner"],
                        "properties": {
                            "id": { "type": "integer" },
                            "owner": { "nullable": true, "allOf": [{ "$ref": "#/components/schemas/owner" }] },
                            "at": { "type": "string", "format": "date-time" }
                        }
                    },
                    "owner": { "type": "object", "required": ["login"] }
                }
            }
        }))
    }

    fn complaints(request: Value, response: Value) -> Vec<String> {
        let exchange = Exchange {
            request: serde_json::from_value(request).unwrap(),
            response: serde_json::from_value(response).unwrap(),
        };
        description()
            .complaints(&exchange)
            .unwrap_or_else(|| vec!["no such operation".to_owned()])
    }

    #[test]
    fn a_parameter_may_be_a_part_of_a_part() {
        assert_eq!(value_of("{id}", "7"), Some("7"));
        assert_eq!(value_of("{name}:", "a.docx:"), Some("a.docx"));
        assert_eq!(value_of("search(q='{q}')", "search(q='x')"), Some("x"));
        assert_eq!(value_of("{name}:", "a.docx"), None);
        assert_eq!(value_of("{id}", ""), None);
        assert_eq!(value_of("id", "id"), None);
    }

    #[test]
    fn what_is_described_passes() {
        let none: Vec<String> = Vec::new();
        let get = json!({ "method": "GET", "path": "/things/7", "query": { "kind": "big", "page": "2" } });
        let thing = json!({ "id": 7, "owner": null, "at": "2026-11-20T12:00:00Z" });
        for response in [
            json!({ "status": 200, "body": thing }),
            json!({ "status": 200, "body": { "id": 7, "owner": { "login": "alice" } } }),
            json!({ "status": 404, "body": { "message": "Not Found" } }),
            json!({ "status": 503, "body": {} }),
            json!({ "status": 200, "text": "<html>", "headers": { "content-type": "text/html" }, "broken": true }),
        ] {
            assert_eq!(complaints(get.clone(), response), none);
        }
        let post = json!({ "method": "POST", "path": "/things/search", "body": { "query": "a" } });
        assert_eq!(complaints(post, json!({ "status": 204 })), none);
        let get = json!({ "method": "GET", "path": "/things/search" });
        assert_eq!(complaints(get, json!({ "status": 204 })), none);
    }

    #[test]
    fn what_is_not_described_is_told() {
        let get =
            |path: &str, query: Value| json!({ "method": "GET", "path": path, "query": query });
        let good = get("/things/7", json!({ "kind": "big" }));
        let thing = json!({ "status": 200, "body": { "id": 7, "owner": null } });
        let post =
            |body: Value| json!({ "method": "POST", "path": "/things/search", "body": body });
        for (request, response, expected) in [
            (get("/others/7", json!({})), &thing, "no such operation"),
            (
                get("/things/x", json!({ "kind": "big" })),
                &thing,
                "parameter id must not be \"x\"",
            ),
            (
                get("/things/7", json!({})),
                &thing,
                "parameter kind is missing",
            ),
            (
                get("/things/7", json!({ "kind": "huge" })),
                &thing,
                "parameter kind must not be",
            ),
            (
                get("/things/7", json!({ "kind": "big", "pages": "2" })),
                &thing,
                "no parameter pages",
            ),
            (
                post(json!({})),
                &json!({ "status": 204 }),
                "\"query\" is a required property",
            ),
            (
                post(json!({ "query": "a", "limit": 1 })),
                &json!({ "status": 204 }),
                "no field limit",
            ),
            (
                json!({ "method": "POST", "path": "/things/search" }),
                &json!({ "status": 204 }),
                "a body is required",
            ),
            (
                good.clone(),
                &json!({ "status": 200, "body": { "id": 7 } }),
                "\"owner\" is a required property",
            ),
            (
                good.clone(),
                &json!({ "status": 200, "body": { "id": 7, "owner": {} } }),
                "/owner",
            ),
            (
                good.clone(),
                &json!({ "status": 200, "body": { "id": 7, "owner": null, "at": "now" } }),
                "/at",
            ),
            (good.clone(), &json!({ "status": 200 }), "has a body"),
            (
                good.clone(),
                &json!({ "status": 201, "body": {} }),
                "an answer 201 is not described",
            ),
            (
                good.clone(),
                &json!({ "status": 404, "body": {} }),
                "\"message\" is a required property",
            ),
            (good.clone(), &json!({ "status": 503 }), "is not JSON"),
            (
                good.clone(),
                &json!({ "status": 200, "text": "<html>", "headers": { "content-type": "text/html" } }),
                "is not text/html",
            ),
        ] {
            let found = complaints(request.clone(), response.clone());
            assert!(
                found.len() == 1 && found[0].contains(expected),
                "{request}\nexpected {expected}\nfound {found:?}"
            );
        }
    }
}
