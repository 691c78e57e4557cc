//! Markdown to HTML, for mail bodies and chat messages.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd, html};

use super::limits;

/// The HTML of a Markdown text: a fragment. Nothing of it is taken as HTML (tags are shown as text), links go to web and
/// mail addresses only, pictures become their description, and a line break stays a line break, as writers of messages
/// expect.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library's kinds that say nothing here"
)]
pub fn html_of_markdown(markdown: &str) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let mut links: Vec<bool> = Vec::new();
    let events = Parser::new_ext(markdown, options).filter_map(|event| match event {
        Event::Html(text) | Event::InlineHtml(text) => Some(Event::Text(text)),
        Event::SoftBreak => Some(Event::HardBreak),
        Event::Start(Tag::HtmlBlock) => Some(Event::Start(Tag::Paragraph)),
        Event::End(TagEnd::HtmlBlock) => Some(Event::End(TagEnd::Paragraph)),
        Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => None,
        Event::Start(Tag::Link {
            link_type,
            dest_url,
            title,
            id,
        }) => {
            let shown = allowed(&dest_url) || matches!(link_type, pulldown_cmark::LinkType::Email);
            links.push(shown);
            shown.then_some(Event::Start(Tag::Link {
                link_type,
                dest_url,
                title,
                id,
            }))
        }
        Event::End(TagEnd::Link) => links
            .pop()
            .unwrap_or(false)
            .then_some(Event::End(TagEnd::Link)),
        event => Some(event),
    });
    let mut out = String::with_capacity(markdown.len() * 2);
    html::push_html(&mut out, events);
    out.truncate(out.trim_end().len());
    out
}

/// Whether a link may go there.
pub(super) fn allowed(address: &str) -> bool {
    let address = address.trim_start();
    ["https://", "http://", "mailto:"].iter().any(|scheme| {
        address
            .get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    })
}

/// Whether a link to there is kept: it may go there, and the address fits into the bytes that are `left` for all of them.
/// A file names an address once and may use it as often as it likes.
pub(super) fn linked(address: &str, left: &mut usize) -> bool {
    if !allowed(address) || address.len() > limits::ADDRESS_BYTES {
        return false;
    }
    let Some(rest) = left.checked_sub(address.len()) else {
        return false;
    };
    *left = rest;
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::documents::markdown_of_html;

    #[test]
    fn markdown_becomes_html() {
        for (markdown, expected) in [
            (
                "# A\n\nHello **Dana**\nsecond",
                "<h1>A</h1>\n<p>Hello <strong>Dana</strong><br />\nsecond</p>",
            ),
            ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>"),
            (
                "[x](https://acme.example \"t\")",
                "<p><a href=\"https://acme.example\" title=\"t\">x</a></p>",
            ),
            (
                "<a@x.example>",
                "<p><a href=\"mailto:a@x.example\">a@x.example</a></p>",
            ),
            (
                "[x](javascript:alert(1)) [y](data:text/html,z) [z](//x.example)",
                "<p>x y z</p>",
            ),
            ("[x](<JaVaScRiPt:alert(1)>)", "<p>x</p>"),
            ("![A chart](https://x.example/p.gif)", "<p>A chart</p>"),
            (
                "a <b onclick=x>b</b>",
                "<p>a &lt;b onclick=x&gt;b&lt;/b&gt;</p>",
            ),
            (
                "<script>alert(1)</script>",
                "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>",
            ),
            ("`<i>`", "<p><code>&lt;i&gt;</code></p>"),
            ("", ""),
        ] {
            assert_eq!(html_of_markdown(markdown), expected, "{markdown}");
        }
    }

    #[test]
    fn links_are_kept_as_far_as_there_is_room() {
        let long = format!("https://x.example/{}", "x".repeat(limits::ADDRESS_BYTES));
        let mut left = 40;
        for (address, kept) in [
            ("javascript:alert(1)", false),
            (long.as_str(), false),
            ("https://x.example", true),
            ("https://x.example", true),
            ("https://x.example", false),
            ("http://", false),
            ("mailto:", false),
        ] {
            assert_eq!(linked(address, &mut left), kept, "{address} {left}");
        }
        assert_eq!(left, 6);
    }

    /// The elements that may come out, with their attributes.
    fn is_harmless(html: &str) -> bool {
        html.split('<').skip(1).all(|rest| {
            let tag = rest.split('>').next().unwrap_or_default();
            let name = tag
                .trim_start_matches('/')
                .split([' ', '/'])
                .next()
                .unwrap_or_default();
            let known = [
                "p",
                "br",
                "strong",
                "em",
                "del",
                "a",
                "ul",
                "ol",
                "li",
                "h1",
                "h2",
                "h3",
                "h4",
                "h5",
                "h6",
                "hr",
                "blockquote",
                "pre",
                "code",
                "table",
                "thead",
                "tbody",
                "tr",
                "th",
                "td",
            ];
            let link = tag.strip_prefix("a href=\"").is_none_or(allowed);
            known.contains(&name) && link && !tag.to_lowercase().contains(" on")
                || tag.starts_with("a href=\"mailto:")
        })
    }

    proptest::proptest! {
        #[test]
        fn no_script_comes_through(
            markdown in "(<script>|</script>|<img src=x onerror=y>|javascript:|\\[x\\]\\(|\\]\\(<|\\)|<|>|\"|'|&lt;|&#106;|\n|\\*|`|- |> |\\||:|a|\\PC){0,40}"
        ) {
            let html = html_of_markdown(&markdown);
            // A title may say what it likes, as long as it stays in its quotes.
            let bare = html.split('"').enumerate().filter(|(at, part)| at % 2 == 0 || part.contains(':')).map(|(_, part)| part).collect::<Vec<_>>().join("\"");
            proptest::prop_assert!(is_harmless(&html) || is_harmless(&bare), "{html}");
        }

        #[test]
        fn plain_words_survive_the_way_there_and_back(words in "[a-zé漢]{1,8}( [a-zé漢]{1,8}){0,6}") {
            proptest::prop_assert_eq!(markdown_of_html(&html_of_markdown(&words)), words);
        }
    }
}
