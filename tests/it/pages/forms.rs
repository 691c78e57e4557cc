//! As much of HTML forms as a browser without scripts does: which controls a form has, and what it would send.

use crate::harness::http::Page;

/// One element's beginning: its name and attributes.
struct Tag<'a> {
    name: &'a str,
    attributes: &'a str,
    /// What follows it.
    rest: &'a str,
}

impl Tag<'_> {
    fn attribute(&self, name: &str) -> Option<String> {
        let start = format!(" {name}=\"");
        let (_, value) = self.attributes.split_once(&start)?;
        Some(unescape(value.split('"').next().unwrap()))
    }

    /// Whether it has this attribute without a value.
    fn is(&self, name: &str) -> bool {
        self.attributes.split(' ').any(|word| word == name)
    }
}

fn tags(html: &str) -> Vec<Tag<'_>> {
    let starts = html.match_indices('<');
    starts
        .filter_map(|(at, _)| {
            let tag = &html[at + 1..];
            // No value of ours holds this character: it is escaped.
            let (inside, rest) = tag.split_once('>')?;
            let name = inside.split([' ', '\n']).next()?;
            Some(Tag {
                name,
                attributes: &inside[name.len()..],
                rest,
            })
        })
        .collect()
}

pub(super) fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut parts = text.split('&');
    plain.push_str(parts.next().unwrap());
    for part in parts {
        let (entity, rest) = part.split_once(';').unwrap();
        let letter = match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            number => {
                let number = number.strip_prefix('#').unwrap().parse().unwrap();
                char::from_u32(number).unwrap()
            }
        };
        plain.push(letter);
        plain.push_str(rest);
    }
    plain
}

/// The form that posts to this path.
pub(super) fn part<'a>(page: &'a Page, action: &str) -> &'a str {
    let forms = page.text.split("<form ").skip(1);
    let forms = forms.map(|form| form.split("</form>").next().unwrap());
    let mut found = forms.filter(|form| {
        let head = form.split('>').next().unwrap();
        let to = head.split("action=\"").nth(1).unwrap_or_default();
        let to = to.split(['"', '#']).next().unwrap();
        let is_main = head.contains("id=\"call\"") || !page.text.contains("id=\"call\"");
        to == action && is_main
    });
    found
        .next()
        .unwrap_or_else(|| panic!("no form to {action}: {}", page.text))
}

/// What a browser sends of a form, without a button.
pub(super) fn controls(html: &str) -> Vec<(String, String)> {
    let mut sent = Vec::new();
    let mut select: Option<(String, bool)> = None;
    for tag in tags(html) {
        let name = tag.attribute("name");
        match (tag.name, name) {
            ("input", Some(name)) => {
                let kind = tag.attribute("type").unwrap_or_default();
                let ticked = tag.is("checked");
                if !matches!(kind.as_str(), "checkbox" | "radio") || ticked {
                    sent.push((name, tag.attribute("value").unwrap_or_default()));
                }
            }
            ("textarea", Some(name)) => {
                let text = tag.rest.split("</textarea>").next().unwrap();
                // The first line break belongs to the markup.
                let text = unescape(text.strip_prefix('\n').unwrap_or(text));
                sent.push((name, text.replace('\n', "\r\n")));
            }
            ("select", Some(name)) => select = Some((name, false)),
            ("option", _) => {
                if let Some((name, chosen)) = &mut select {
                    let text = unescape(tag.rest.split("</option>").next().unwrap());
                    let value = tag.attribute("value").unwrap_or(text);
                    if tag.is("selected") {
                        if *chosen {
                            sent.pop();
                        }
                        sent.push((name.clone(), value));
                        *chosen = true;
                    } else if !*chosen && !sent.iter().any(|(own, _)| own == name) {
                        // Without a choice the first one is sent.
                        sent.push((name.clone(), value));
                        *chosen = true;
                    }
                }
            }
            ("/select", _) => select = None,
            _ => {}
        }
    }
    sent
}

/// The text of the element with this id.
pub(super) fn text(page: &Page, id: &str) -> String {
    let mut tags = tags(&page.text).into_iter();
    let tag = tags.find(|tag| tag.attribute("id").as_deref() == Some(id));
    let tag = tag.unwrap_or_else(|| panic!("no {id}: {}", page.text));
    let end = format!("</{}>", tag.name);
    let text = tag.rest.split(&end).next().unwrap();
    let text = if tag.name == "textarea" {
        text.strip_prefix('\n').unwrap_or(text)
    } else {
        text
    };
    unescape(text)
}

/// The buttons of a form, in order: name and value.
pub(super) fn buttons(html: &str) -> Vec<(String, String)> {
    let tags = tags(html).into_iter().filter(|tag| tag.name == "button");
    tags.filter_map(|tag| Some((tag.attribute("name")?, tag.attribute("value")?)))
        .collect()
}

/// A value that is sent.
pub(super) fn value<'a>(form: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut named = form.iter().filter(|(own, _)| own == name);
    named.next().map(|(_, value)| value.as_str())
}

/// The form with other values in some controls.
pub(super) fn fill(
    mut form: Vec<(String, String)>,
    values: &[(&str, &str)],
) -> Vec<(String, String)> {
    for (name, value) in values {
        let control = form.iter_mut().find(|(own, _)| own == name);
        let control = control.unwrap_or_else(|| panic!("no {name}"));
        (*value).clone_into(&mut control.1);
    }
    form
}
