//! SQL lives here and nowhere else.
mod records;

pub use records::{Record, RecordHead, Records};

/// A database that did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached or is too busy.
    #[error("the database is unavailable")]
    Unavailable,
}
