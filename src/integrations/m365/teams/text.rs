//! The text of messages: Teams' own HTML as Markdown, and Markdown with mentions as Teams' HTML.

use crate::kit::documents;

/// The Markdown of a message's HTML. Teams writes mentions, attachments and emoji as elements of its own, and pictures
/// as addresses that only its programs can open.
pub(super) fn markdown(html: &str) -> String {
    let mut plain = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        plain.push_str(&rest[..start]);
        let tag = &rest[start..];
        let end = tag.find('>').map_or(tag.len(), |end| end + 1);
        let (tag, after) = tag.split_at(end);
        match name(tag) {
            "at" => plain.push('@'),
            "/at" | "attachment" | "/attachment" | "/emoji" | "systemEventMessage/" => {}
            "emoji" => plain.push_str(attribute(tag, "alt").unwrap_or_default()),
            "img" if attribute(tag, "src").is_some_and(|src| src.contains("/hostedContents/")) => {
                plain.push_str("(picture)");
            }
            _ => plain.push_str(tag),
        }
        rest = after;
    }
    plain.push_str(rest);
    documents::markdown_of_html(&plain).trim().to_owned()
}

/// The name of an element, with the slash of an end tag.
fn name(tag: &str) -> &str {
    let tag = tag.trim_start_matches('<').trim_end_matches('>');
    tag.split([' ', '\n', '\t']).next().unwrap_or_default()
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let (_, after) = tag.split_once(&format!("{name}=\""))?;
    after.split('"').next()
}

/// Somebody to mention: how the Markdown calls them, and who they are.
#[derive(Debug)]
pub(super) struct Mention {
    pub(super) called: String,
    pub(super) id: String,
    pub(super) name: String,
}

/// The HTML of Markdown in which `@name` of each mention is an `at` element. Mentions that the text does not call stand
/// before it.
pub(super) fn html(markdown: &str, mentions: &[Mention]) -> String {
    // Private-use characters pass through the conversion as they are; what the author wrote of them means nothing.
    let clean: String = markdown
        .chars()
        .filter(|c| !matches!(*c, OPEN | CLOSE))
        .collect();
    let mut text = clean;
    for (index, mention) in mentions.iter().enumerate() {
        let mark = format!("{OPEN}{index}{CLOSE}");
        let names = [&mention.called, &mention.name];
        let called = names
            .iter()
            .map(|name| format!("@{name}"))
            .find(|called| text.contains(called.as_str()));
        text = match called {
            Some(called) => text.replace(&called, &mark),
            None => format!("{mark} {text}"),
        };
    }
    let mut html = documents::html_of_markdown(&text);
    for (index, mention) in mentions.iter().enumerate() {
        let element = format!("<at id=\"{index}\">{}</at>", escaped(&mention.name));
        html = html.replace(&format!("{OPEN}{index}{CLOSE}"), &element);
    }
    html
}

const OPEN: char = '\u{e000}';
const CLOSE: char = '\u{e001}';

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_teams_become_text() {
        let html = concat!(
            r#"<p>Hi <at id="0">Bob Osei</at>, see <b>this</b> "#,
            r#"<emoji id="x" alt="🙂" title="Smile"></emoji></p><attachment id="a"></attachment>"#,
            r#"<img src="https://graph.microsoft.com/v1.0/chats/x/messages/1/hostedContents/z/$value">"#,
        );
        let text = markdown(html);
        assert!(text.starts_with("Hi @Bob Osei, see **this** 🙂"), "{text}");
        assert!(
            text.contains("(picture)") && !text.contains("attachment"),
            "{text}"
        );
        assert_eq!(markdown("plain"), "plain");
        assert_eq!(markdown("<systemEventMessage/>"), "");
    }

    #[test]
    fn mentions_become_elements() {
        let bob = Mention {
            called: "bob@acme.example".to_owned(),
            id: "2".to_owned(),
            name: "Bob <Osei>".to_owned(),
        };
        let text = html("**Hello** @bob@acme.example", &[bob]);
        assert!(
            text.contains(r#"<at id="0">Bob &lt;Osei&gt;</at>"#) && text.contains("<strong>"),
            "{text}"
        );
        let eve = Mention {
            called: "eve@acme.example".to_owned(),
            id: "3".to_owned(),
            name: "Eve".to_owned(),
        };
        assert!(html("Look", &[eve]).contains(r#"<at id="0">Eve</at> Look"#));
    }
}
