//! The filters of a search: `amount>=1000`, `dealstage=Closed won|Contract sent`, `or`. Read strictly, because a filter that
//! is misunderstood gives a wrong answer that looks right.

use serde::Serialize;

use crate::kit::error::ToolError;

use super::moments::millis;
use super::names::Names;

/// Groups in one search, filters in a group, and filters in all: HubSpot's limits.
const GROUPS: usize = 5;
const PER_GROUP: usize = 6;
const IN_ALL: usize = 18;

/// One condition, as HubSpot wants it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Filter {
    pub(super) property_name: String,
    pub(super) operator: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) value: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) values: Vec<String>,
}

impl Filter {
    /// A condition with one value.
    pub(super) fn one(property: &str, operator: &'static str, value: impl Into<String>) -> Self {
        Self {
            property_name: property.to_owned(),
            operator,
            value: Some(value.into()),
            values: Vec::new(),
        }
    }

    /// The property is one of these.
    pub(super) fn any(property: &str, values: Vec<String>) -> Self {
        Self {
            property_name: property.to_owned(),
            operator: "IN",
            value: None,
            values,
        }
    }
}

/// Conditions that must all hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Group {
    pub(super) filters: Vec<Filter>,
}

/// A condition as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) property: String,
    operator: Operator,
    values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Is,
    IsNot,
    Less,
    LessOrIs,
    More,
    MoreOrIs,
    Has,
    HasNot,
}

/// Longest first, so that `>=` is not read as `>`.
const OPERATORS: [(&str, Operator); 8] = [
    ("!=", Operator::IsNot),
    (">=", Operator::MoreOrIs),
    ("<=", Operator::LessOrIs),
    ("!~", Operator::HasNot),
    ("=", Operator::Is),
    (">", Operator::More),
    ("<", Operator::Less),
    ("~", Operator::Has),
];

/// Reads the conditions; the word `or` begins a new group.
pub(super) fn parse(texts: &[String]) -> Result<Vec<Vec<Condition>>, ToolError> {
    let mut groups = vec![Vec::new()];
    for text in texts {
        if text.trim().eq_ignore_ascii_case("or") {
            groups.push(Vec::new());
        } else if let Some(group) = groups.last_mut() {
            group.push(condition(text)?);
        }
    }
    if groups.len() > 1 && groups.iter().any(Vec::is_empty) {
        return Err(ToolError::Invalid(
            "filters: `or` must stand between two conditions".to_owned(),
        ));
    }
    let all: usize = groups.iter().map(Vec::len).sum();
    let largest = groups.iter().map(Vec::len).max().unwrap_or_default();
    if groups.len() > GROUPS || largest > PER_GROUP || all > IN_ALL {
        return Err(too_many());
    }
    Ok(groups)
}

fn too_many() -> ToolError {
    ToolError::Invalid(format!(
        "filters: HubSpot takes at most {GROUPS} groups, {PER_GROUP} conditions in each (associated_with counts as one) \
         and {IN_ALL} in all"
    ))
}

fn condition(text: &str) -> Result<Condition, ToolError> {
    let wrong = || {
        ToolError::Invalid(format!(
            "filters: `{}` is not a condition; write property, one of = != > >= < <= ~ !~, value",
            crate::kit::text::clip(text, 80)
        ))
    };
    let trimmed = text.trim();
    let end = trimmed
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'))
        .ok_or_else(wrong)?;
    let (property, rest) = trimmed.split_at(end);
    if property.is_empty() {
        return Err(wrong());
    }
    let rest = rest.trim_start();
    let (sign, operator) = OPERATORS
        .into_iter()
        .find(|(sign, _)| rest.starts_with(sign))
        .ok_or_else(wrong)?;
    let values = split(rest[sign.len()..].trim());
    let single = !matches!(operator, Operator::Is | Operator::IsNot);
    if single && (values.len() != 1 || values.iter().any(String::is_empty)) {
        return Err(ToolError::Invalid(format!(
            "filters: `{}` needs exactly one value after {sign}",
            crate::kit::text::clip(text, 80)
        )));
    }
    Ok(Condition {
        property: property.to_owned(),
        operator,
        values,
    })
}

/// The alternatives between `|`; `\|` is the sign itself.
fn split(text: &str) -> Vec<String> {
    let mut values = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some('|')) => {
                chars.next();
                push(&mut values, '|');
            }
            ('|', _) => values.push(String::new()),
            (c, _) => push(&mut values, c),
        }
    }
    values.iter().map(|value| value.trim().to_owned()).collect()
}

fn push(values: &mut [String], c: char) {
    if let Some(last) = values.last_mut() {
        last.push(c);
    }
}

/// Whether a condition names something by a word that may be a name instead of an id.
pub(super) fn needs_names(groups: &[Vec<Condition>]) -> Vec<String> {
    groups
        .iter()
        .flatten()
        .filter(|condition| {
            matches!(
                condition.property.as_str(),
                "hubspot_owner_id" | "dealstage" | "pipeline" | "hs_pipeline" | "hs_pipeline_stage"
            ) && condition.values.iter().any(|value| {
                !value.is_empty() && value != "*" && !value.bytes().all(|b| b.is_ascii_digit())
            })
        })
        .map(|condition| condition.property.clone())
        .collect()
}

/// Puts the conditions into HubSpot's form, with `also` in every group.
pub(super) fn groups(
    written: &[Vec<Condition>],
    names: &Names,
    also: Option<&Filter>,
) -> Result<Vec<Group>, ToolError> {
    let mut groups = Vec::new();
    for conditions in written {
        let mut filters = also.cloned().into_iter().collect::<Vec<_>>();
        for condition in conditions {
            filters.push(condition.filter(names)?);
        }
        if filters.len() > PER_GROUP {
            return Err(too_many());
        }
        if !filters.is_empty() {
            groups.push(Group { filters });
        }
    }
    if groups
        .iter()
        .map(|group| group.filters.len())
        .sum::<usize>()
        > IN_ALL
    {
        return Err(too_many());
    }
    Ok(groups)
}

impl Condition {
    fn filter(&self, names: &Names) -> Result<Filter, ToolError> {
        let mut values = Vec::new();
        for value in &self.values {
            match value.as_str() {
                "" | "*" => values.push(value.clone()),
                _ => match names.ids(&self.property, value)? {
                    Some(ids) => values.extend(ids),
                    None => values.push(value.clone()),
                },
            }
        }
        let bare = |operator| Filter {
            property_name: self.property.clone(),
            operator,
            value: None,
            values: Vec::new(),
        };
        let one = |operator, value: String| Filter::one(&self.property, operator, value);
        let first = values.first().cloned().unwrap_or_default();
        Ok(match (self.operator, first.as_str(), values.len()) {
            (Operator::Is, "*", 1) | (Operator::IsNot, "", 1) => bare("HAS_PROPERTY"),
            (Operator::Is, "", 1) | (Operator::IsNot, "*", 1) => bare("NOT_HAS_PROPERTY"),
            (Operator::Is, _, 1) => one("EQ", first),
            (Operator::IsNot, _, 1) => one("NEQ", first),
            (Operator::Is, _, _) => Filter {
                values,
                ..bare("IN")
            },
            (Operator::IsNot, _, _) => Filter {
                values,
                ..bare("NOT_IN")
            },
            (Operator::Less, ..) => one("LT", instant(&first, false)),
            (Operator::MoreOrIs, ..) => one("GTE", instant(&first, false)),
            (Operator::LessOrIs, ..) => one("LTE", instant(&first, true)),
            (Operator::More, ..) => one("GT", instant(&first, true)),
            (Operator::Has, ..) => one("CONTAINS_TOKEN", first),
            (Operator::HasNot, ..) => one("NOT_CONTAINS_TOKEN", first),
        })
    }
}

/// A date or time as the milliseconds that HubSpot compares; other text as it is. A date means its first instant, or its
/// last one, in UTC.
fn instant(value: &str, last: bool) -> String {
    match millis(value, last) {
        Some(millis) => millis.to_string(),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;

    fn written(texts: &[&str]) -> Result<String, String> {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        let parsed = parse(&texts).map_err(|error| error.to_string())?;
        let groups = groups(&parsed, &Names::default(), None).map_err(|error| error.to_string())?;
        let mut out = Vec::new();
        for group in groups {
            let filters: Vec<String> = group
                .filters
                .iter()
                .map(|filter| {
                    let value = filter.value.clone().unwrap_or_default();
                    let values = filter.values.join(",");
                    format!(
                        "{} {} {value}{values}",
                        filter.property_name, filter.operator
                    )
                })
                .collect();
            out.push(filters.join(" & "));
        }
        Ok(out.join(" / "))
    }

    #[test]
    fn conditions_become_filters() {
        for (texts, expected) in [
            (&["amount>=1000"][..], "amount GTE 1000"),
            (&["amount > 1000", "x<=5"], "amount GT 1000 & x LTE 5"),
            (&["a=1", "or", "b!=2"], "a EQ 1 / b NEQ 2"),
            (&["dealstage=won|lost"], "dealstage IN won,lost"),
            (&["name!=a\\|b|c"], "name NOT_IN a|b,c"),
            (&["email=*"], "email HAS_PROPERTY "),
            (&["email="], "email NOT_HAS_PROPERTY "),
            (&["email!="], "email HAS_PROPERTY "),
            (&["name~acm*"], "name CONTAINS_TOKEN acm*"),
            (&["closedate>=2026-11-20"], "closedate GTE 1795132800000"),
            (&["closedate<=2026-11-20"], "closedate LTE 1795219199999"),
            (&["closedate=2026-11-20"], "closedate EQ 2026-11-20"),
            (&[], ""),
        ] {
            assert_eq!(written(texts).unwrap(), expected, "{texts:?}");
        }
    }

    #[test]
    fn what_is_not_a_condition_is_refused() {
        let seven = vec!["a=1"; 7];
        let mut six_groups = vec!["a=1"];
        for _ in 0..5 {
            six_groups.extend(["or", "a=1"]);
        }
        for texts in [
            &["amount"][..],
            &["=5"],
            &["amount ! 5"],
            &["amount>"],
            &["amount>1|2"],
            &["or", "a=1"],
            &["a=1", "or"],
            &seven,
            &six_groups,
        ] {
            assert!(written(texts).is_err(), "{texts:?}");
        }
    }
}
