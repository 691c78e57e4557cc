//! HTML to Markdown: whole pages and mail bodies.
//!
//! A tokenizer that follows the standard feeds a small tree (nodes in one vector, depth bounded), and the tree is
//! written out. The tree is not a browser's: it closes what is left open where that matters for text.

mod tree;

use super::limits;
use super::markdown::Markdown;
use tree::{Kind, Tree};

/// The Markdown of an HTML text. Scripts, styles, hidden elements and tracking pixels are dropped; headings, lists,
/// tables, links and quotations are kept. Tables that only arrange a page dissolve into lines.
pub fn markdown_of_html(html: &str) -> String {
    if !html.contains('<') {
        // Text, perhaps with character references; its lines are kept.
        return tree::plain(html).trim().to_owned();
    }
    let tree = Tree::of(html);
    let mut out = Markdown::new();
    Writer { tree: &tree }.children(Tree::ROOT, &mut out, State::default());
    out.finish()
}

/// What an element hands down to its children.
#[derive(Clone, Copy, Default)]
struct State {
    pre: bool,
    /// Text of no size, until somebody inside gives it one.
    tiny: bool,
    in_link: bool,
}

struct Writer<'a> {
    tree: &'a Tree,
}

impl Writer<'_> {
    fn children(&self, node: usize, out: &mut Markdown, state: State) {
        for child in self.tree.children(node) {
            self.node(child, out, state);
        }
    }

    /// The children as a text of their own.
    fn inner(&self, node: usize, state: State) -> String {
        let mut out = Markdown::new();
        self.children(node, &mut out, state);
        out.finish()
    }

    fn node(&self, node: usize, out: &mut Markdown, mut state: State) {
        if let Some(tiny) = self.tree.tiny(node) {
            state.tiny = tiny;
        }
        match self.tree.kind(node) {
            Kind::Hidden => {}
            Kind::Text(_) if state.tiny => {}
            Kind::Text(text) if state.pre => out.verbatim(text),
            Kind::Text(text) => out.text(text),
            Kind::Inline | Kind::Group => self.children(node, out, state),
            Kind::Block | Kind::Row | Kind::Cell { .. } => {
                out.line();
                self.children(node, out, state);
                out.line();
            }
            Kind::Paragraph => {
                out.block();
                self.children(node, out, state);
                out.block();
            }
            Kind::Heading(level) => out.heading(*level, &self.inner(node, state)),
            Kind::Break => out.line(),
            Kind::Rule => out.rule(),
            Kind::List(start) => self.list(node, *start, out, state),
            Kind::Item => self.item(node, "- ".to_owned(), out, state),
            Kind::Quote => {
                out.open_quote();
                self.children(node, out, state);
                out.close_prefix();
            }
            Kind::Pre => {
                state.pre = true;
                out.fence(&self.inner(node, state));
            }
            Kind::Mark(_) if state.pre => self.children(node, out, state),
            Kind::Mark(mark) => {
                out.open(mark);
                self.children(node, out, state);
                out.close();
            }
            Kind::Link(_) if state.in_link || state.pre => self.children(node, out, state),
            Kind::Link(address) => {
                state.in_link = true;
                out.link(&self.inner(node, state), address);
            }
            Kind::Image { alt, address } => match address {
                Some(address) if !state.in_link => {
                    out.text("!");
                    out.link(alt, address);
                }
                _ => out.text(alt),
            },
            Kind::Table { layout } => self.table(node, *layout, out, state),
        }
    }

    fn list(&self, node: usize, start: Option<u64>, out: &mut Markdown, state: State) {
        // A list inside an item follows its line; one of its own stands apart.
        let outer = !self.tree.inside_item(node);
        let part = |out: &mut Markdown| if outer { out.block() } else { out.line() };
        part(out);
        let mut number = start;
        for child in self.tree.children(node) {
            if matches!(self.tree.kind(child), Kind::Item) {
                let marker = number.map_or_else(|| "- ".to_owned(), |n| format!("{n}. "));
                self.item(child, marker, out, state);
                number = number.map(|n| n.saturating_add(1));
            } else {
                self.node(child, out, state);
            }
        }
        part(out);
    }

    fn item(&self, node: usize, marker: String, out: &mut Markdown, state: State) {
        out.open_item(marker);
        self.children(node, out, state);
        out.close_prefix();
    }

    fn table(&self, node: usize, layout: bool, out: &mut Markdown, state: State) {
        let mut rows = Vec::new();
        if !layout {
            self.rows(node, &mut rows, &mut 0, state);
        }
        if rows.iter().all(|row| row.len() < 2) {
            out.block();
            self.children(node, out, state);
            out.block();
            return;
        }
        for child in self.tree.children(node) {
            if matches!(self.tree.kind(child), Kind::Paragraph) {
                self.node(child, out, state);
            }
        }
        out.table(&rows);
    }

    /// The rows of a table and of its groups of rows.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "nothing else belongs into a table"
    )]
    fn rows(&self, node: usize, rows: &mut Vec<Vec<String>>, cells: &mut usize, state: State) {
        for child in self.tree.children(node) {
            // Spans make many cells of few bytes.
            if *cells > limits::CELLS {
                return;
            }
            match self.tree.kind(child) {
                Kind::Row => {
                    let mut row = Vec::new();
                    for cell in self.tree.children(child) {
                        if let Kind::Cell { span } = self.tree.kind(cell) {
                            row.push(self.inner(cell, state));
                            row.extend((1..*span).map(|_| String::new()));
                        }
                    }
                    *cells += row.len();
                    if row.iter().any(|cell| !cell.is_empty()) {
                        rows.push(row);
                    }
                }
                Kind::Group => self.rows(child, rows, cells, state),
                _other => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_become_markdown() {
        for (html, expected) in [
            (
                "plain & simple\nsecond &amp; last",
                "plain & simple\nsecond & last",
            ),
            (
                "<h1>The <i>plan</i></h1><p>Hello<br>Ada</p><p>Bye</p>",
                "# The *plan*\n\nHello\nAda\n\nBye",
            ),
            ("<div>a</div><div>b</div>c", "a\nb\nc"),
            ("<p>  a \n\t b&nbsp;c  </p>", "a b c"),
            (
                "<ul><li>one</li><li>two<ul><li>inner</li></ul></li></ul><ol start=3><li><p>x</p><p>y</p></li><li>z</ol>after",
                "- one\n- two\n  - inner\n\n3. x\n\n   y\n\n4. z\n\nafter",
            ),
            (
                "<a href=\"https://acme.example/x?a=1&amp;b=2\">the [plan]</a>",
                "[the \\[plan\\]](https://acme.example/x?a=1&b=2)",
            ),
            (
                "<a href='https://acme.example/'>acme.example</a>",
                "https://acme.example/",
            ),
            (
                "<a href='mailto:a@x.example'>a@x.example</a>",
                "a@x.example",
            ),
            (
                "<a href=\"javascript:alert(1)\">x</a><a href='/y'>y</a>",
                "xy",
            ),
            (
                "<a href='https://x.example/(a b)'>z</a>",
                "[z](https://x.example/%28a%20b%29)",
            ),
            (
                "<a href='https://x.example'><div>Card</div><div>text</div></a>",
                "[Card text](https://x.example)",
            ),
            (
                "<style>p{}</style>a<script>alert('</b>')</script>b<title>t</title>",
                "ab",
            ),
            ("<head><title>t</title><body>seen", "seen"),
            (
                "<div style='display: none'>x<p>y</div><p hidden>z<p>seen<span style=\"VISIBILITY:hidden\">no</span><i style='opacity:0.0'>no</i>",
                "seen",
            ),
            // Only Outlook on the desktop hides this: it has a drawing in its place.
            (
                "<!--[if mso]><v:rect>no</v:rect><![endif]--><a href='https://x.example/pay' style='color:#fff;mso-hide:all'>Pay now</a><div style='display:none;mso-hide:all'>no</div>",
                "[Pay now](https://x.example/pay)",
            ),
            (
                "<td style='font-size:0px'>no<p style='font-size:14px'>yes</p>no</td>",
                "yes",
            ),
            (
                "<img src='https://t.example/p.gif' width=1 height=1 alt=x><img src='https://x.example/a.png' alt='A chart'><img src='cid:1' alt=logo>",
                "![A chart](https://x.example/a.png)logo",
            ),
            (
                "<table><tr><th>Name</th><th>City</th></tr><tr><td>Dana | W</td><td>Oslo<br>Norway</td></tr></table>",
                "| Name | City |\n| --- | --- |\n| Dana \\| W | Oslo / Norway |",
            ),
            (
                "<table><tr><td><table><tr><td>a<td>b</table></td></tr></table>",
                "| a | b |\n| --- | --- |",
            ),
            (
                "<table role=presentation><tr><td>a</td><td>b</td></tr></table>",
                "a\nb",
            ),
            (
                "<p>Yes.</p><blockquote><p>Really?</p><blockquote>Oh</blockquote></blockquote>",
                "Yes.\n\n> Really?\n>\n> > Oh",
            ),
            ("<pre>a\n  b `c`</pre>", "```\na\n  b `c`\n```"),
            ("<pre>```\nx</pre>", "````\n```\nx\n````"),
            (
                "a <b>bold </b>word <b></b><code>x</code><hr>z",
                "a **bold** word `x`\n\n---\n\nz",
            ),
            ("<b>one<p>two</b>", "**one**\n\n**two**"),
            (
                "3 &lt; 4 &#8364; &#x41; &nope; 1 < 2 <",
                "3 < 4 € A &nope; 1 < 2 <",
            ),
            ("<div unclosed", ""),
            (
                "<svg><text>no</text></svg><!-- no --><![CDATA[no]]>yes</div></p>",
                "yes",
            ),
            ("", ""),
        ] {
            assert_eq!(markdown_of_html(html), expected, "{html}");
        }
    }

    #[test]
    fn deep_nesting_keeps_its_text() {
        for element in [
            "div",
            "blockquote",
            "b",
            "table><tr><td",
            "ul><li",
            "a href='https://x.example'",
        ] {
            let html = format!("<{element}>").repeat(20_000) + "deep<script>no</script>";
            let text = markdown_of_html(&html);
            assert!(text.contains("deep") && !text.contains("no"), "{element}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(html in "(<[/a-z]{1,6}( style=display:none)?>|[a-z<>&;\"' ]|\\PC){0,60}") {
            let _ = markdown_of_html(&html);
        }
    }
}
