//! What a tool answers: one envelope for all tools, so that clients learn it once.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::args::Cursor;

/// The answer of a tool. `calls` caps it and seals the cursor; the faces add the account and links.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// The records, most relevant first.
    pub items: Vec<Item>,
    /// Where the next page starts; `None` at the end.
    pub next_cursor: Option<Cursor>,
    /// How many records there are in all, when the provider says so.
    pub total: Option<u64>,
    /// Whether something was left out to keep the answer small.
    pub truncated: bool,
    /// What the reader should know: partial failures, values that were not resolved.
    pub warnings: Vec<String>,
}

/// One record: how to name it, open it and read it as a context block, and its fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// The provider's id, as other tools take it.
    pub id: String,
    /// The provider's own page of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The context block of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// The data. Never holds `id`, `url` or `uri`.
    #[serde(flatten)]
    pub fields: Map<String, Value>,
}

impl Output {
    /// An answer of exactly this one record.
    pub fn one(item: Item) -> Self {
        Self {
            items: vec![item],
            ..Self::default()
        }
    }

    /// An answer of these records, with no further page.
    pub fn of(items: Vec<Item>) -> Self {
        Self {
            items,
            ..Self::default()
        }
    }

    /// Adds where the next page starts.
    #[must_use]
    pub fn next(mut self, cursor: Option<Cursor>) -> Self {
        self.next_cursor = cursor;
        self
    }

    /// Adds the provider's total.
    #[must_use]
    pub fn total(mut self, total: Option<u64>) -> Self {
        self.total = total;
        self
    }

    /// Adds a warning.
    #[must_use]
    pub fn warn(mut self, text: impl Into<String>) -> Self {
        self.warnings.push(text.into());
        self
    }
}

impl Item {
    /// A record with this id and no fields yet.
    pub fn new(id: impl std::fmt::Display) -> Self {
        Self {
            id: id.to_string(),
            ..Self::default()
        }
    }

    /// Adds the provider's page.
    #[must_use]
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Adds the context block.
    #[must_use]
    pub fn uri(mut self, uri: impl Into<String>) -> Self {
        self.uri = Some(uri.into());
        self
    }

    /// Adds a field; null and empty values are left out, so that answers stay small.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.set(name, value);
        self
    }

    /// Like [`Item::field`], in place.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        let value = value.into();
        let empty = match &value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(list) => list.is_empty(),
            Value::Object(map) => map.is_empty(),
            Value::Bool(_) | Value::Number(_) => false,
        };
        if !empty {
            self.fields.insert(name.to_owned(), value);
        }
    }
}
