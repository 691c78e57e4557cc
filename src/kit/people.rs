//! People as the caller's other systems know them: the sender of a message as a contact of the CRM.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::Serialize;

/// A person in one of the caller's connected systems.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Contact {
    /// The address it was found by, in lower case.
    pub email: String,
    /// What the system calls the person.
    pub name: String,
    /// The system's name.
    pub system: String,
    /// The context block of the record.
    pub uri: String,
    /// The system's own page of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

type Ask = dyn Fn(Vec<String>) -> BoxFuture<'static, Vec<Contact>> + Send + Sync;

/// Asks the caller's connected systems who somebody is. Without one it knows nobody and costs nothing.
#[derive(Clone, Default)]
pub struct People(Option<Arc<Ask>>);

impl People {
    /// Asks `ask`, which answers what it could find out and never fails.
    pub fn asking(
        ask: impl Fn(Vec<String>) -> BoxFuture<'static, Vec<Contact>> + Send + Sync + 'static,
    ) -> Self {
        Self(Some(Arc::new(ask)))
    }

    /// The contacts with these e-mail addresses, at most one per address and system. A system that fails or is slow is
    /// left out.
    pub async fn find(&self, emails: impl IntoIterator<Item = &str>) -> Vec<Contact> {
        let Some(ask) = &self.0 else {
            return Vec::new();
        };
        let mut wanted: Vec<String> = emails
            .into_iter()
            .map(|email| email.trim().to_lowercase())
            .filter(|email| email.contains('@'))
            .collect();
        wanted.sort_unstable();
        wanted.dedup();
        if wanted.is_empty() {
            return Vec::new();
        }
        ask(wanted).await
    }
}
