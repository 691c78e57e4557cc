//! As much of XML as these sources need: tags, attributes and text, read from beginning to end. It expands no entities
//! but the fixed ones, so a document cannot grow.

use std::borrow::Cow;

/// A piece of a document.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event<'a> {
    /// `<name attributes>`; one that closes itself is followed by its end.
    Start(&'a str, &'a str),
    /// `</name>`.
    End(&'a str),
    /// Text between tags, decoded.
    Text(Cow<'a, str>),
}

/// Reads a document piece by piece. What is broken is read as text or ends it.
pub(super) struct Reader<'a> {
    rest: &'a str,
    /// The element that closed itself.
    closing: Option<&'a str>,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(document: &'a str) -> Self {
        Self {
            rest: document,
            closing: None,
        }
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Event<'a>;

    fn next(&mut self) -> Option<Event<'a>> {
        if let Some(name) = self.closing.take() {
            return Some(Event::End(name));
        }
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let Some(tag) = self.rest.strip_prefix('<') else {
                let end = self.rest.find('<').unwrap_or(self.rest.len());
                let (found, rest) = self.rest.split_at(end);
                self.rest = rest;
                return Some(Event::Text(decoded(found)));
            };
            let begins_tag = |c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?');
            if !tag.starts_with(begins_tag) {
                self.rest = tag;
                return Some(Event::Text(Cow::Borrowed("<")));
            }
            // Comments, declarations and instructions say nothing to us; marked sections are text.
            if let Some(section) = tag.strip_prefix("![CDATA[") {
                let (found, rest) = section.split_once("]]>").unwrap_or((section, ""));
                self.rest = rest;
                return Some(Event::Text(Cow::Borrowed(found)));
            }
            if let Some(comment) = tag.strip_prefix("!--") {
                self.rest = comment.split_once("-->").map_or("", |(_, rest)| rest);
                continue;
            }
            let (tag, rest) = tag.split_once('>').unwrap_or((tag, ""));
            self.rest = rest;
            if tag.starts_with(['!', '?']) {
                continue;
            }
            if let Some(name) = tag.strip_prefix('/') {
                return Some(Event::End(name.trim()));
            }
            let (inner, closed) = match tag.strip_suffix('/') {
                Some(inner) => (inner, true),
                None => (tag, false),
            };
            let end = inner
                .find(|c: char| c.is_ascii_whitespace())
                .unwrap_or(inner.len());
            let (name, attributes) = inner.split_at(end);
            self.closing = closed.then_some(name);
            return Some(Event::Start(name, attributes.trim()));
        }
    }
}

/// The value of an attribute.
pub(super) fn attribute(attributes: &str, name: &str) -> Option<String> {
    let mut rest = attributes;
    loop {
        let (key, value) = rest.split_once('=')?;
        let value = value.trim_start();
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (found, after) = value.get(1..)?.split_once(quote)?;
        if key.trim() == name {
            return Some(decoded(found).into_owned());
        }
        rest = after;
    }
}

fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        // The longest name has eight letters. To look further each time would take the square of the text's length.
        let end = after.bytes().take(9).position(|byte| byte == b';');
        let found = end
            .and_then(|end| after.split_at_checked(end))
            .and_then(|(name, after)| Some((entity(name)?, after.get(1..)?)));
        if let Some((letter, after)) = found {
            out.push(letter);
            rest = after;
        } else {
            out.push('&');
            rest = after;
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn entity(name: &str) -> Option<char> {
    let code = match name {
        "amp" => return Some('&'),
        "lt" => return Some('<'),
        "gt" => return Some('>'),
        "quot" => return Some('"'),
        "apos" => return Some('\''),
        "nbsp" => return Some(' '),
        _ => name.strip_prefix('#')?,
    };
    let code = match code.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => code.parse().ok()?,
    };
    char::from_u32(code)
}

/// The text of a piece of HTML or XML: blocks begin new lines, list items become dashes, all else is one line.
pub(super) fn plain(markup: &str) -> String {
    let mut lines = Lines::default();
    for event in Reader::new(markup) {
        match event {
            Event::Start("li", _) => {
                lines.end();
                lines.push("- ");
            }
            Event::Start(name, _) | Event::End(name) if is_block(name) => lines.end(),
            Event::Text(text) => lines.push(&text),
            Event::Start(..) | Event::End(_) => {}
        }
    }
    lines.finish("\n")
}

fn is_block(name: &str) -> bool {
    matches!(
        name,
        "p" | "br" | "div" | "ul" | "ol" | "li" | "h1" | "h2" | "h3" | "h4" | "h5" | "tr" | "sec"
    )
}

/// Lines of text with single spaces.
#[derive(Default)]
struct Lines {
    done: Vec<String>,
    line: String,
}

impl Lines {
    fn push(&mut self, text: &str) {
        let gap = text.starts_with(char::is_whitespace) || self.line.ends_with(' ');
        for (index, word) in text.split_whitespace().enumerate() {
            if (index > 0 || gap) && !self.line.is_empty() && !self.line.ends_with(' ') {
                self.line.push(' ');
            }
            self.line.push_str(word);
        }
        if text.ends_with(char::is_whitespace) && !self.line.is_empty() && !self.line.ends_with(' ')
        {
            self.line.push(' ');
        }
    }

    fn end(&mut self) {
        let line = self.line.trim();
        if !line.is_empty() && line != "-" {
            self.done.push(line.to_owned());
        }
        self.line.clear();
    }

    fn finish(mut self, between: &str) -> String {
        self.end();
        self.done.join(between)
    }
}

/// The body of a JATS article (the form of PubMed Central) as Markdown: headings and paragraphs, without figures, tables,
/// formulas and references.
pub(super) fn article(document: &str) -> String {
    let mut lines = Lines::default();
    let (mut in_body, mut depth, mut skipped) = (false, 0_usize, 0_usize);
    for event in Reader::new(document) {
        match event {
            Event::Start("body", _) => in_body = true,
            Event::End("body") => in_body = false,
            _ if !in_body => {}
            Event::Start(name, _) if is_skipped(name) => skipped += 1,
            Event::End(name) if is_skipped(name) => skipped = skipped.saturating_sub(1),
            _ if skipped > 0 => {}
            Event::Start("sec", _) => depth += 1,
            Event::End("sec") => depth = depth.saturating_sub(1),
            Event::Start("title", _) => {
                lines.end();
                lines.push(&"#".repeat((depth + 1).min(6)));
                lines.push(" ");
            }
            Event::Start("list-item", _) => {
                lines.end();
                lines.push("- ");
            }
            Event::End("title" | "p" | "list-item") => lines.end(),
            Event::Text(text) => lines.push(&text),
            Event::Start(..) | Event::End(_) => {}
        }
    }
    lines.finish("\n\n")
}

fn is_skipped(name: &str) -> bool {
    matches!(
        name,
        "table-wrap"
            | "fig"
            | "disp-formula"
            | "inline-formula"
            | "ref-list"
            | "supplementary-material"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read_piece_by_piece() {
        let events: Vec<Event<'_>> = Reader::new(
            r#"<?xml version="1.0"?><!-- x --><a id="1"><b/>x &amp; y &#233;</a><![CDATA[<z>]]>"#,
        )
        .collect();
        assert_eq!(
            events,
            [
                Event::Start("a", r#"id="1""#),
                Event::Start("b", ""),
                Event::End("b"),
                Event::Text("x & y é".into()),
                Event::End("a"),
                Event::Text("<z>".into()),
            ]
        );
    }

    #[test]
    fn attributes_are_found_by_name() {
        let attributes = r#"Label="RESULTS" NlmCategory='A &gt; B'"#;
        assert_eq!(attribute(attributes, "Label").as_deref(), Some("RESULTS"));
        assert_eq!(
            attribute(attributes, "NlmCategory").as_deref(),
            Some("A > B")
        );
        assert_eq!(attribute(attributes, "Category"), None);
        assert_eq!(attribute("broken", "broken"), None);
    }

    #[test]
    fn markup_becomes_lines() {
        assert_eq!(
            plain(
                "<h4>Aim</h4>To <i>see</i> it.<p>Then:</p><ul><li>one</li><li>two &lt; 3</li></ul>"
            ),
            "Aim\nTo see it.\nThen:\n- one\n- two < 3"
        );
        assert_eq!(plain("P<0.05 & a < b"), "P<0.05 & a < b");
        assert_eq!(plain("plain"), "plain");
        assert_eq!(
            decoded("&#x10FFFF;&#x010FFFF;;&é&éééé;"),
            "\u{10FFFF}&#x010FFFF;;&é&éééé;"
        );
        let open = "&".repeat(500_000) + ";";
        assert_eq!(decoded(&open), open);
    }

    #[test]
    fn an_article_keeps_headings_and_paragraphs() {
        let document = "<article><front><p>no</p></front><body><sec><title>Methods</title><p>We <xref>1</xref> did.</p>\
            <fig><p>no</p></fig><sec><title>Part</title><p>More.</p></sec></sec></body></article>";
        assert_eq!(
            article(document),
            "## Methods\n\nWe 1 did.\n\n### Part\n\nMore."
        );
    }

    proptest::proptest! {
        #[test]
        fn anything_can_be_read(document in "[<>&;/!\\[\\]='\"a-z ]{0,80}") {
            let _text = plain(&document);
            let _article = article(&document);
            let _value = attribute(&document, "a");
        }
    }
}
