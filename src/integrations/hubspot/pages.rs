//! The page of a record, as a conversation reads it.

use std::fmt::Write as _;

use futures_util::future::{join_all, join3};

use crate::kit::block::Content;
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::tool::Cx;

use super::activity;
use super::kinds::{Kind, STANDARD, Target};
use super::model::Record;
use super::names::Names;
use super::records;

/// Linked records of each type in a page.
const LINKED: usize = 10;

/// What people call a property on a page.
fn label(name: &str) -> &str {
    match name {
        "firstname" => "First name",
        "lastname" => "Last name",
        "email" => "E-mail",
        "phone" => "Phone",
        "company" => "Company",
        "jobtitle" => "Job title",
        "lifecyclestage" => "Lifecycle stage",
        "createdate" => "Created",
        "lastmodifieddate" | "hs_lastmodifieddate" => "Changed",
        "name" => "Name",
        "domain" => "Domain",
        "industry" => "Industry",
        "city" => "City",
        "country" => "Country",
        "dealname" => "Deal",
        "amount" => "Amount",
        "deal_currency_code" => "Currency",
        "closedate" => "Close date",
        "subject" => "Subject",
        "content" => "Text",
        "hs_ticket_priority" => "Priority",
        other => other,
    }
}

/// The page of a record.
pub(super) async fn page(cx: &Cx, name: &str, id: &str) -> Result<Content, ToolError> {
    let target = Target::find(cx, &format!("{name}/{id}"), "the address").await?;
    let kind = &target.kind;
    let fields = kind.fields();
    let main = STANDARD
        .iter()
        .filter(|own| own.has_block())
        .map(|own| own.name);
    let linked: Vec<&str> = main.collect();
    let read = cx
        .api
        .get(&["crm", "v3", "objects", kind.segment(), &target.id])
        .query("properties", fields.join(","))
        .send::<Record>();
    let named = Names::beside(cx, kind, &fields, read);
    let links = join_all(linked.iter().map(|to| links(cx, &target, to)));
    let ((known, record), links, timeline) =
        join3(named, links, activity::latest(cx, &target)).await;
    let record = match record {
        Err(ProviderError::NotFound) => return Err(absent(&target)),
        record => record?,
    };
    let mut out = format!("# {}\n\n", line(&record.title(&kind.title())));
    let mut truncated = false;
    for name in &fields {
        let value = record.get(name);
        let ids = ["hubspot_owner_id", "dealstage", "pipeline"];
        if value.is_empty() || ids.contains(&name.as_str()) || name.starts_with("hs_pipeline") {
            continue;
        }
        let (value, cut) = records::shown(value, 2_000);
        truncated |= cut;
        row(&mut out, label(name), &value);
    }
    let owner = record.get("hubspot_owner_id");
    let name = known.owner(owner).unwrap_or_else(|| owner.to_owned());
    row(&mut out, "Owner", &name);
    if let Some((pipeline, stage)) = known.stage(&record) {
        row(&mut out, "Pipeline", &pipeline.label);
        row(&mut out, "Stage", stage.map_or("", |stage| &stage.label));
    }
    for (to, links) in linked.iter().zip(links) {
        section(&mut out, to, links);
    }
    match timeline {
        Ok(timeline) if timeline.entries.is_empty() => {}
        Ok(timeline) => {
            out.push_str("\n## Latest activities\n\n");
            for entry in &timeline.entries {
                let _ = writeln!(out, "{}", entry.line());
            }
            for warning in &timeline.warnings {
                let _ = writeln!(out, "\n_{warning}_");
            }
        }
        Err(error) => {
            let _ = writeln!(
                out,
                "\n_activities are missing: {}_",
                activity::reason(&error)
            );
        }
    }
    for warning in &known.warnings {
        let _ = writeln!(out, "\n_{warning}_");
    }
    let url = records::url(cx, kind.type_id(), &record.id);
    if let Some(url) = &url {
        let _ = writeln!(out, "\n[Open in HubSpot]({url})");
    }
    Ok(Content {
        version: Some(record.updated_at).filter(|version| !version.is_empty()),
        url,
        truncated,
        ..Content::text(out)
    })
}

/// There is no such record.
pub(super) fn absent(target: &Target) -> ToolError {
    ToolError::NotFound(format!(
        "there is no {}; it may be archived, merged or hidden from this connection",
        target.text()
    ))
}

/// A value on one line: text of a record must not look like a heading of the page.
fn line(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn row(out: &mut String, label: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    if value.contains('\n') {
        let quoted = value.lines().map(|line| format!("  > {line}"));
        let quoted: Vec<String> = quoted.collect();
        let _ = writeln!(out, "- **{label}**:\n{}", quoted.join("\n"));
    } else {
        let _ = writeln!(out, "- **{label}**: {value}");
    }
}

/// What a record is linked to: how many there are, and the names of the first ten.
struct Links {
    count: usize,
    named: Vec<(String, String, Vec<String>)>,
}

async fn links(cx: &Cx, target: &Target, to: &str) -> Result<Links, ToolError> {
    let to = Kind::find(cx, to).await?;
    to.may_read(cx)?;
    let from = std::slice::from_ref(&target.id);
    let found = records::linked(cx, &target.kind, from, &to).await?;
    let found: Vec<_> = found.into_values().flatten().collect();
    let ids: Vec<String> = found
        .iter()
        .take(LINKED)
        .map(|link| link.id.clone())
        .collect();
    if ids.is_empty() {
        return Ok(Links {
            count: 0,
            named: Vec::new(),
        });
    }
    let titles = records::titles(cx, &to, &ids).await?;
    let named = found.iter().take(LINKED).map(|link| {
        let title = titles.get(&link.id).cloned().unwrap_or_default();
        let labels = link.labels().into_iter().map(ToOwned::to_owned).collect();
        (records::uri(cx, &to, &link.id), title, labels)
    });
    Ok(Links {
        count: found.len(),
        named: named.collect(),
    })
}

fn section(out: &mut String, to: &str, links: Result<Links, ToolError>) {
    match links {
        Ok(links) if links.count == 0 => {}
        Ok(links) => {
            let mut heading = to.to_owned();
            if let Some(first) = heading.get_mut(..1) {
                first.make_ascii_uppercase();
            }
            let _ = writeln!(out, "\n## {heading} ({})\n", links.count);
            for (uri, title, labels) in &links.named {
                let labels = if labels.is_empty() {
                    String::new()
                } else {
                    format!(" ({})", labels.join(", "))
                };
                let _ = writeln!(out, "- {}{labels} <{uri}>", line(title));
            }
            if links.count > links.named.len() {
                let _ = writeln!(out, "- and {} more", links.count - links.named.len());
            }
        }
        Err(error) => {
            let _ = writeln!(
                out,
                "\n_linked {to} are missing: {}_",
                activity::reason(&error)
            );
        }
    }
}
