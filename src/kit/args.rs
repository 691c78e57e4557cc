//! Parameters that many tools share, each with its own schema text, so that they read alike everywhere.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

use super::error::ToolError;

/// How many records to return: `1..=MAX`, `DEFAULT` when left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit<const DEFAULT: u32, const MAX: u32>(u32);

impl<const DEFAULT: u32, const MAX: u32> Limit<DEFAULT, MAX> {
    /// The number asked for.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl<const DEFAULT: u32, const MAX: u32> Default for Limit<DEFAULT, MAX> {
    fn default() -> Self {
        Self(DEFAULT)
    }
}

impl<'de, const DEFAULT: u32, const MAX: u32> Deserialize<'de> for Limit<DEFAULT, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u32::deserialize(deserializer)?;
        if (1..=MAX).contains(&number) {
            Ok(Self(number))
        } else {
            Err(serde::de::Error::custom(format!(
                "limit must be between 1 and {MAX}"
            )))
        }
    }
}

impl<const DEFAULT: u32, const MAX: u32> JsonSchema for Limit<DEFAULT, MAX> {
    fn schema_name() -> Cow<'static, str> {
        format!("Limit{DEFAULT}To{MAX}").into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": MAX, "default": DEFAULT })
    }
}

/// Where a page starts. To a tool it is the provider's own page token, offset or parameters; on its way to the caller
/// `calls` seals it to the person and the tool, so a forged one never reaches a tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub String);

impl Cursor {
    /// A cursor that holds `state` as JSON.
    pub fn of(state: &impl Serialize) -> Self {
        Self(serde_json::to_string(state).unwrap_or_default())
    }

    /// Reads what [`Cursor::of`] wrote.
    ///
    /// # Errors
    /// [`Cursor::foreign`] when it holds something else.
    pub fn read<T: for<'de> Deserialize<'de>>(&self) -> Result<T, ToolError> {
        serde_json::from_str(&self.0).map_err(|_| Self::foreign())
    }

    /// The refusal of a cursor that does not fit the tool or its other arguments.
    pub fn foreign() -> ToolError {
        ToolError::Invalid(
            "`cursor` is not one that this tool gave for these arguments; leave it out to start over"
                .to_owned(),
        )
    }
}

impl JsonSchema for Cursor {
    fn schema_name() -> Cow<'static, str> {
        "Cursor".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

/// How much of each record to return.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Detail {
    /// Ids and addresses only.
    Ids,
    /// A short, curated set of fields.
    #[default]
    Summary,
    /// Everything the provider gives, within the size cap.
    Full,
}
