//! Context blocks: addressable pieces of a person's data, published as MCP resource templates.

use std::future::Future;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::error::ToolError;
use super::tool::{Cx, Needs};
use super::uri;

/// What a block says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The text itself.
    pub text: String,
    /// Its media type, when it is not the block's usual one (a file knows its own).
    pub mime: Option<String>,
    /// The provider's version of the record (ETag, revision, sha), for revalidation.
    pub version: Option<String>,
    /// The provider's own page of it.
    pub url: Option<String>,
    /// Whether something was left out to keep it small.
    pub truncated: bool,
    /// Whether this says only that the version held is still the newest; the text is empty then.
    pub unchanged: bool,
}

impl Content {
    /// A complete text of the block's usual media type.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            mime: None,
            version: None,
            url: None,
            truncated: false,
            unchanged: false,
        }
    }

    /// The version that the reader holds ([`Cx::held`]) is still the newest.
    pub fn unchanged() -> Self {
        Self {
            unchanged: true,
            ..Self::text("")
        }
    }
}

/// A kind of record that a conversation can pull in. The implementing struct's fields are the template's variables
/// other than `account`, which names the connection and never reaches the block. An integration that is open to
/// everyone has no `{account}` in its addresses.
pub trait ContextBlock: DeserializeOwned + Send + 'static {
    /// The address, such as `hubspot://{account}/contacts/{id}`. `{/path*}` at the end takes any number of segments.
    const URI: &'static str;
    /// A short name, unique in the integration, such as `hubspot_contact`.
    const NAME: &'static str;
    /// The title people see.
    const TITLE: &'static str;
    /// One sentence for the model and the person.
    const DESCRIPTION: &'static str;
    /// The usual media type.
    const MIME: &'static str;
    /// The scopes without which it cannot be read.
    const SCOPES: Needs;

    /// Reads the record.
    fn read(self, cx: &Cx) -> impl Future<Output = Result<Content, ToolError>> + Send;

    /// Values of `field` that begin with or match `prefix`, best first, at most 100. `chosen` holds the variables that
    /// the person has filled in already.
    fn complete(
        cx: &Cx,
        field: &str,
        prefix: &str,
        chosen: &Map<String, Value>,
    ) -> impl Future<Output = Result<Vec<String>, ToolError>> + Send {
        let _ = (cx, field, prefix, chosen);
        async { Ok(Vec::new()) }
    }
}

type Read = for<'a> fn(&'a Cx, Map<String, Value>) -> BoxFuture<'a, Result<Content, ToolError>>;
type Complete = for<'a> fn(
    &'a Cx,
    &'a str,
    &'a str,
    &'a Map<String, Value>,
) -> BoxFuture<'a, Result<Vec<String>, ToolError>>;

/// A [`ContextBlock`] with its types erased, so that a catalogue is a static table.
#[derive(Clone, Copy)]
pub struct BlockDef {
    /// See [`ContextBlock::URI`].
    pub uri: &'static str,
    /// See [`ContextBlock::NAME`].
    pub name: &'static str,
    /// See [`ContextBlock::TITLE`].
    pub title: &'static str,
    /// See [`ContextBlock::DESCRIPTION`].
    pub description: &'static str,
    /// See [`ContextBlock::MIME`].
    pub mime: &'static str,
    /// See [`ContextBlock::SCOPES`].
    pub scopes: Needs,
    /// Reads the record that the variables name.
    pub read: Read,
    /// See [`ContextBlock::complete`].
    pub complete: Complete,
}

impl BlockDef {
    /// Erases `T`.
    pub const fn of<T: ContextBlock>() -> Self {
        Self {
            uri: T::URI,
            name: T::NAME,
            title: T::TITLE,
            description: T::DESCRIPTION,
            mime: T::MIME,
            scopes: T::SCOPES,
            read: |cx, variables| {
                async move {
                    let block: T =
                        serde_json::from_value(Value::Object(variables)).map_err(|error| {
                            ToolError::Invalid(format!("the address is wrong: {error}"))
                        })?;
                    block.read(cx).await
                }
                .boxed()
            },
            complete: |cx, field, prefix, chosen| T::complete(cx, field, prefix, chosen).boxed(),
        }
    }

    /// The variables of `address` when it is one of this block's, `account` included.
    pub fn matches(&self, address: &str) -> Option<Map<String, Value>> {
        uri::matches(self.uri, address)
    }
}

impl std::fmt::Debug for BlockDef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockDef")
            .field("uri", &self.uri)
            .finish_non_exhaustive()
    }
}
