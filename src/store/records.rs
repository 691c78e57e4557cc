//! What integrations keep between calls: small documents of one connection, in collections.
use super::StoreError;

/// Rows of one connection only; handed to tools and blocks instead of the store.
#[derive(Clone, Debug, Default)]
pub struct Records {}

/// A document without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordHead {
    /// Its name in the collection, such as a path.
    pub key: String,
    /// The provider's version of it (sha, ETag).
    pub version: String,
    /// Length of the body in bytes.
    pub bytes: i64,
}

/// A document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its name in the collection.
    pub key: String,
    /// The provider's version of it.
    pub version: String,
    /// The text.
    pub body: String,
}

impl Records {
    /// One document.
    pub async fn get(&self, _collection: &str, _key: &str) -> Result<Option<Record>, StoreError> {
        Ok(None)
    }

    /// Stores a document, replacing what was there.
    pub async fn put(&self, _collection: &str, _record: &Record) -> Result<(), StoreError> {
        Ok(())
    }

    /// Removes a document; says whether there was one.
    pub async fn delete(&self, _collection: &str, _key: &str) -> Result<bool, StoreError> {
        Ok(false)
    }

    /// The documents whose key begins with `prefix`, by key, after `after`, at most `limit`.
    pub async fn list(
        &self,
        _collection: &str,
        _prefix: &str,
        _after: &str,
        _limit: u32,
    ) -> Result<Vec<RecordHead>, StoreError> {
        Ok(Vec::new())
    }

    /// The collections that begin with `prefix`.
    pub async fn collections(&self, _prefix: &str) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }
}
