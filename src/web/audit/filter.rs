//! What somebody asks of the log, as the address of a page has it, and what that means.
//!
//! Free text is looked at in this order. A call's id leads to that call. What is exactly a person's address, an account's
//! or a person's id, a tool's or block's name, or a conversation becomes that filter, which an index answers. Anything else
//! is looked for inside tool, integration, conversation, kind and outcome, in what an event that is no call was about, in
//! people's addresses and in accounts' names, from the newest event back, as far as a moment reaches; the page then says
//! how far that was and offers to go on. Recorded arguments and results are not searched.

use axum::extract::{FromRequestParts, Query};
use http::request::Parts;

use super::super::Web;
use crate::audit::{Account, AuditError, Class, Like, Search, Words};
use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::ids::{CallId, ConnectionId, UserId};
use crate::integrations;

/// Longest value of a field, in characters: longer than any that is recorded.
const MAX_CHARS: usize = 256;

/// People and accounts that words in free text may stand for.
const MAX_MEANT: usize = 50;

/// The fields, in the order of the address.
const NAMES: [&str; 13] = [
    "person",
    "integration",
    "account",
    "tool",
    "effect",
    "outcome",
    "thread",
    "kind",
    "from",
    "to",
    "q",
    "before",
    "after",
];

/// What was asked, as it was typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked(Vec<(&'static str, String)>);

impl FromRequestParts<Web> for Asked {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        web: &Web,
    ) -> Result<Self, std::convert::Infallible> {
        let pairs = Query::<Vec<(String, String)>>::from_request_parts(parts, web).await;
        Ok(pairs
            .map(|Query(pairs)| Self::of(pairs))
            .unwrap_or_default())
    }
}

impl Asked {
    /// From the pairs of a query; what is unknown or empty is left out, and of two the first counts.
    pub(super) fn of(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let pairs: Vec<(String, String)> = pairs.into_iter().collect();
        let find = |name: &&'static str| {
            let found = pairs.iter().find(|(known, _)| known == name)?;
            let value: String = found.1.trim().chars().take(MAX_CHARS).collect();
            (!value.is_empty()).then_some((*name, value))
        };
        Self(NAMES.iter().filter_map(find).collect())
    }

    /// From a query as text.
    pub(super) fn parse(query: &str) -> Self {
        Self::of(url::form_urlencoded::parse(query.as_bytes()).into_owned())
    }

    pub(super) fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map_or("", |(_, value)| value)
    }

    /// The same with these fields set, or left out where the value is empty.
    pub(super) fn with(&self, changes: &[(&'static str, &str)]) -> Self {
        let changed = |name: &str| changes.iter().find(|(known, _)| *known == name);
        Self(
            NAMES
                .iter()
                .filter_map(|name| {
                    let value = changed(name).map_or(self.get(name), |(_, value)| value);
                    (!value.is_empty()).then(|| (*name, value.to_owned()))
                })
                .collect(),
        )
    }

    /// Only what filters, without a place in the list.
    pub(super) fn filter(&self) -> Self {
        self.with(&[("before", ""), ("after", "")])
    }

    /// The fields that have a value.
    pub(super) fn parts(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.0.iter().cloned()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As the query of an address.
    pub(super) fn query(&self) -> String {
        url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(self.0.iter().map(|(name, value)| (*name, value.as_str())))
            .finish()
    }

    /// The number of an event in this field, if it is one.
    pub(super) fn seq(&self, name: &str) -> Option<i64> {
        self.get(name).parse().ok().filter(|seq| *seq >= 0)
    }
}

/// People and accounts by what they are called.
pub(super) struct Names {
    pub(super) people: Vec<(UserId, String)>,
    pub(super) accounts: Vec<Account>,
}

impl Names {
    pub(super) async fn of(web: &Web, caller: &Caller) -> Result<Self, AuditError> {
        let people = web.audit.people(caller.org).await?;
        Ok(Self {
            people: people
                .into_iter()
                .map(|user| (user.id, user.email))
                .collect(),
            accounts: web.audit.accounts(caller.org).await?,
        })
    }

    /// What a person is called.
    pub(super) fn person(&self, id: UserId) -> String {
        let found = self.people.iter().find(|(user, _)| *user == id);
        found.map_or_else(|| id.to_string(), |(_, email)| email.clone())
    }

    /// What an account is called.
    pub(super) fn account(&self, id: ConnectionId) -> String {
        let found = self.accounts.iter().find(|account| account.id == id);
        found.map_or_else(|| id.to_string(), |account| account.label.clone())
    }

    fn person_called(&self, text: &str) -> Option<UserId> {
        text.parse().ok().or_else(|| {
            let found = self
                .people
                .iter()
                .find(|(_, email)| email.eq_ignore_ascii_case(text));
            found.map(|(id, _)| *id)
        })
    }

    fn account_called(&self, text: &str) -> Result<ConnectionId, String> {
        if let Ok(id) = text.parse() {
            return Ok(id);
        }
        let called = |account: &&Account| {
            account.label.eq_ignore_ascii_case(text)
                || account
                    .alias
                    .as_ref()
                    .is_some_and(|alias| alias.eq_ignore_ascii_case(text))
        };
        let found: Vec<&Account> = self.accounts.iter().filter(called).collect();
        match found.as_slice() {
            [one] => Ok(one.id),
            [] => Err(format!(
                "No connected account is called “{text}”. Pick one of the list, or write the id of one that is no longer connected (con_…)."
            )),
            several => {
                let ids: Vec<String> = several
                    .iter()
                    .take(10)
                    .map(|account| format!("{} ({})", account.id, self.person(account.user)))
                    .collect();
                Err(format!(
                    "{} accounts are called “{text}”. Write the id of one: {}.",
                    several.len(),
                    ids.join(", ")
                ))
            }
        }
    }
}

/// What was asked, understood.
#[derive(Default)]
pub(super) struct Filter {
    pub(super) search: Search,
    pub(super) since: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    /// Free text that is a call's id.
    pub(super) call: Option<CallId>,
    /// What free text was taken for.
    pub(super) notes: Vec<String>,
    /// What is wrong, each with the field that it is about.
    pub(super) problems: Vec<(&'static str, String)>,
}

impl Filter {
    pub(super) async fn of(
        web: &Web,
        caller: &Caller,
        asked: &Asked,
        names: &Names,
    ) -> Result<Self, AuditError> {
        let mut filter = Self::default();
        let some = |name: &str| Some(asked.get(name).to_owned()).filter(|text| !text.is_empty());
        if asked.0.iter().any(|(_, value)| value.contains('\0')) {
            filter.problem(
                "q",
                "A filter has a character in it that no record has.".to_owned(),
            );
            return Ok(filter);
        }
        if let Some(text) = some("person") {
            filter.search.user = names.person_called(&text);
            if filter.search.user.is_none() {
                filter.problem(
                    "person",
                    format!("Nobody here has the address “{text}”. Check how it is written, or write the id (usr_…)."),
                );
            }
        }
        if let Some(text) = some("account") {
            match names.account_called(&text) {
                Ok(id) => filter.search.connection = Some(id),
                Err(problem) => filter.problem("account", problem),
            }
        }
        filter.search.integration = some("integration");
        if let Some(text) = &filter.search.integration
            && integrations::integration(text).is_none()
        {
            let problem = format!("There is no integration “{text}”. Pick one of the list.");
            filter.problem("integration", problem);
        }
        filter.search.tool = some("tool");
        filter.search.effect = some("effect");
        if let Some(text) = &filter.search.effect
            && !["read", "write", "destructive"].contains(&text.as_str())
        {
            let problem = format!("“{text}” is no effect; there are read, write, destructive.");
            filter.problem("effect", problem);
        }
        filter.search.outcome = some("outcome").map(|text| match text.as_str() {
            "not-ok" => Like::NotOk,
            _ => Like::Is(text),
        });
        filter.search.thread = some("thread");
        if let Some(text) = some("kind") {
            filter.search.kind = match Class::parse(&text) {
                Some(class) => Some(Like::Class(class)),
                None if text.contains('.') => Some(Like::Is(text)),
                None => {
                    filter.problem(
                        "kind",
                        format!("“{text}” is no kind; there are calls, administration, security, and exact ones such as connection.connected."),
                    );
                    None
                }
            };
        }
        filter.times(asked);
        if let Some(text) = some("q") {
            filter.words(web, caller, names, &text).await?;
        }
        Ok(filter)
    }

    fn problem(&mut self, field: &'static str, words: String) {
        self.problems.push((field, words));
    }

    fn times(&mut self, asked: &Asked) {
        for (name, is_end) in [("from", false), ("to", true)] {
            let text = asked.get(name);
            if text.is_empty() {
                continue;
            }
            match time(text, is_end) {
                Some(at) if is_end => self.until = Some(at),
                Some(at) => self.since = Some(at),
                None => self.problem(
                    name,
                    format!("“{text}” is no time. Write 2026-11-21, 2026-11-21 09:30 or 2026-11-21T09:30:00Z (UTC)."),
                ),
            }
        }
        if let (Some(since), Some(until)) = (self.since, self.until)
            && since >= until
        {
            self.problem(
                "to",
                "The end of the time is not after its beginning.".to_owned(),
            );
        }
    }

    async fn words(
        &mut self,
        web: &Web,
        caller: &Caller,
        names: &Names,
        text: &str,
    ) -> Result<(), AuditError> {
        if let Ok(call) = text.parse() {
            self.call = Some(call);
            return Ok(());
        }
        let search = &mut self.search;
        let taken = if search.user.is_none() && names.person_called(text).is_some() {
            search.user = names.person_called(text);
            "a person"
        } else if search.connection.is_none() && text.parse::<ConnectionId>().is_ok() {
            search.connection = text.parse().ok();
            "an account"
        } else if search.tool.is_none() && is_name(text) {
            search.tool = Some(text.to_owned());
            "a tool or block"
        } else if search.thread.is_none()
            && !web.audit.thread_people(caller.org, text).await?.is_empty()
        {
            search.thread = Some(text.to_owned());
            "a thread"
        } else {
            let lower = text.to_ascii_lowercase();
            let has = |name: &str| name.to_ascii_lowercase().contains(&lower);
            let people = names.people.iter().filter(|(_, email)| has(email));
            let accounts = names
                .accounts
                .iter()
                .filter(|account| has(&account.label) || account.alias.as_deref().is_some_and(has));
            search.words = Some(Words {
                users: people.map(|(id, _)| *id).take(MAX_MEANT).collect(),
                connections: accounts.map(|account| account.id).take(MAX_MEANT).collect(),
                text: lower,
            });
            return Ok(());
        };
        self.notes.push(format!(
            "“{text}” is {taken}: these are its records, and other texts are not searched."
        ));
        Ok(())
    }
}

/// Whether a tool or block is called so.
fn is_name(text: &str) -> bool {
    integrations::ALL.iter().any(|integration| {
        integration.tools().any(|tool| tool.name == text)
            || integration.blocks().any(|block| block.name == text)
    })
}

/// Reads a time in UTC. A day alone is its beginning, or the end of it.
fn time(text: &str, is_end: bool) -> Option<Timestamp> {
    if let Some(at) = Timestamp::parse_rfc3339(text) {
        return Some(at);
    }
    let text = text.replacen(' ', "T", 1);
    match text.len() {
        10 => {
            let day = Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z"))?;
            let whole = std::time::Duration::from_hours(24);
            Some(if is_end { day.plus(whole) } else { day })
        }
        16 => Timestamp::parse_rfc3339(&format!("{text}:00Z")),
        19 => Timestamp::parse_rfc3339(&format!("{text}Z")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, is_end, expected) in [
            ("2026-11-20", false, Some("2026-11-20T00:00:00Z")),
            ("2026-11-20", true, Some("2026-11-21T00:00:00Z")),
            ("2026-11-20 09:30", false, Some("2026-11-20T09:30:00Z")),
            ("2026-11-20T09:30", true, Some("2026-11-20T09:30:00Z")),
            ("2026-11-20T09:30:05", false, Some("2026-11-20T09:30:05Z")),
            (
                "2026-11-20T09:30:00+01:00",
                false,
                Some("2026-11-20T08:30:00Z"),
            ),
            ("2026-02-30", false, None),
            ("yesterday", false, None),
            ("2026-11-20T25:00", false, None),
            ("zwölf Uhr", false, None),
        ] {
            let read = time(text, is_end).map(Timestamp::rfc3339);
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn an_address_keeps_what_was_asked_and_nothing_else() {
        let asked = Asked::parse("tool=+x+&q=a%26b&junk=1&person=&q=second&before=7");
        assert_eq!(asked.query(), "tool=x&q=a%26b&before=7");
        assert_eq!(asked.filter().query(), "tool=x&q=a%26b");
        assert_eq!(
            asked.with(&[("tool", ""), ("effect", "read")]).query(),
            "effect=read&q=a%26b&before=7"
        );
    }
}
