//! The tree of a page, as far as text needs it.

use html5gum::{DefaultEmitter, StartTag, Token, Tokenizer};

use super::super::limits;

/// What an element means for text.
#[derive(Debug)]
pub(super) enum Kind {
    Text(String),
    /// Not seen by a reader of the page, nor what is in it.
    Hidden,
    /// Runs on in the line.
    Inline,
    /// Runs of rows in a table.
    Group,
    /// Begins a line.
    Block,
    /// Begins a paragraph.
    Paragraph,
    Heading(usize),
    Break,
    Rule,
    /// With the first number when it is numbered.
    List(Option<u64>),
    Item,
    Quote,
    Pre,
    Mark(&'static str),
    Link(String),
    Image {
        alt: String,
        address: Option<String>,
    },
    Table {
        layout: bool,
    },
    Row,
    Cell {
        span: usize,
    },
}

#[derive(Debug)]
struct Node {
    kind: Kind,
    /// Whether it sets the text's size to nothing (or to something).
    tiny: Option<bool>,
    in_item: bool,
    first: usize,
    last: usize,
    next: usize,
}

/// No node: the root is nobody's child.
const NONE: usize = 0;

/// The nodes of a page.
pub(super) struct Tree {
    nodes: Vec<Node>,
}

/// An element that is still open.
struct Open {
    name: Vec<u8>,
    node: usize,
}

impl Tree {
    pub(super) const ROOT: usize = 0;

    pub(super) fn kind(&self, node: usize) -> &Kind {
        &self.nodes[node].kind
    }

    pub(super) fn tiny(&self, node: usize) -> Option<bool> {
        self.nodes[node].tiny
    }

    pub(super) fn inside_item(&self, node: usize) -> bool {
        self.nodes[node].in_item
    }

    pub(super) fn children(&self, node: usize) -> impl Iterator<Item = usize> {
        let first = self.nodes[node].first;
        std::iter::successors((first != NONE).then_some(first), |child| {
            let next = self.nodes[*child].next;
            (next != NONE).then_some(next)
        })
    }

    /// Reads a page. It never fails: what is too deep loses its element and keeps its text, what is too much is left out.
    pub(super) fn of(html: &str) -> Self {
        let mut tree = Self { nodes: Vec::new() };
        tree.nodes.push(Node {
            kind: Kind::Inline,
            tiny: None,
            in_item: false,
            first: NONE,
            last: NONE,
            next: NONE,
        });
        let mut emitter = DefaultEmitter::default();
        emitter.naively_switch_states(true);
        let mut builder = Builder {
            tree,
            open: Vec::new(),
            too_deep: 0,
            dropping: None,
        };
        for Ok(token) in Tokenizer::new_with_emitter(html, emitter) {
            match token {
                Token::StartTag(tag) => builder.start(&tag),
                Token::EndTag(tag) => builder.end(&tag.name),
                Token::String(text) => builder.text(&text),
                Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => {}
            }
            if builder.tree.nodes.len() >= limits::NODES {
                builder.add(Kind::Text(" …".to_owned()), None);
                break;
            }
        }
        builder.tree
    }
}

/// A text without elements, its character references resolved.
pub(super) fn plain(text: &str) -> String {
    if !text.contains('&') {
        return text.to_owned();
    }
    let mut out = Vec::with_capacity(text.len());
    for Ok(token) in Tokenizer::new(text) {
        if let Token::String(text) = token {
            out.extend_from_slice(&text);
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

struct Builder {
    tree: Tree,
    open: Vec<Open>,
    /// How many elements are open below the deepest that is kept.
    too_deep: usize,
    /// The name of an unseen element below the deepest, and how many of that name are open inside.
    dropping: Option<(Vec<u8>, usize)>,
}

impl Builder {
    fn add(&mut self, kind: Kind, tiny: Option<bool>) -> usize {
        let parent = self.open.last().map_or(Tree::ROOT, |open| open.node);
        let in_item =
            matches!(self.tree.nodes[parent].kind, Kind::Item) || self.tree.nodes[parent].in_item;
        let node = self.tree.nodes.len();
        self.tree.nodes.push(Node {
            kind,
            tiny,
            in_item,
            first: NONE,
            last: NONE,
            next: NONE,
        });
        let last = std::mem::replace(&mut self.tree.nodes[parent].last, node);
        if last == NONE {
            self.tree.nodes[parent].first = node;
        } else {
            self.tree.nodes[last].next = node;
        }
        node
    }

    fn text(&mut self, text: &[u8]) {
        if self.dropping.is_some() || text.is_empty() {
            return;
        }
        let parent = self.open.last().map_or(Tree::ROOT, |open| open.node);
        let text = String::from_utf8_lossy(text);
        // The tokenizer ends a text at every character reference.
        let last = self.tree.nodes[parent].last;
        if last != NONE
            && let Kind::Text(before) = &mut self.tree.nodes[last].kind
        {
            before.push_str(&text);
            return;
        }
        self.add(Kind::Text(text.into_owned()), None);
    }

    fn start(&mut self, tag: &StartTag<()>) {
        let name: &[u8] = &tag.name;
        if let Some((dropped, inside)) = &mut self.dropping {
            if dropped == name && !tag.self_closing {
                *inside += 1;
            }
            return;
        }
        let void = is_void(name);
        let unseen = is_unseen(name) || hidden(tag);
        if unseen && (void || tag.self_closing) {
            return;
        }
        self.close_before(name);
        let kind = if unseen {
            Kind::Hidden
        } else if let Some(kind) = kind(name, tag) {
            kind
        } else {
            return;
        };
        if matches!(kind, Kind::Table { .. }) {
            self.arranges();
        }
        if !void && self.open.len() >= limits::DEPTH {
            if unseen {
                self.dropping = Some((name.to_vec(), 0));
            } else {
                self.too_deep += 1;
            }
            return;
        }
        let node = self.add(kind, size(tag));
        if !void {
            self.open.push(Open {
                name: name.to_vec(),
                node,
            });
        }
    }

    fn end(&mut self, name: &[u8]) {
        if let Some((dropped, inside)) = &mut self.dropping {
            if dropped == name {
                if *inside == 0 {
                    self.dropping = None;
                } else {
                    *inside -= 1;
                }
            }
            return;
        }
        if name == b"br" {
            self.add(Kind::Break, None);
            return;
        }
        if self.too_deep > 0 {
            self.too_deep -= 1;
            return;
        }
        // What is open in a cell does not end outside it.
        let wall = |open: &Open| matches!(&*open.name, b"td" | b"th" | b"table" | b"caption");
        let of_table = matches!(
            name,
            b"td" | b"th" | b"tr" | b"table" | b"caption" | b"thead" | b"tbody" | b"tfoot"
        );
        for at in (0..self.open.len()).rev() {
            if self.open[at].name == name {
                self.open.truncate(at);
                return;
            }
            if !of_table && wall(&self.open[at]) {
                return;
            }
            if of_table && self.open[at].name == b"table" {
                return;
            }
        }
    }

    /// Closes what this element cannot stand in.
    fn close_before(&mut self, name: &[u8]) {
        if self.too_deep > 0 {
            return;
        }
        let (closes, walls): (&[&[u8]], &[&[u8]]) = match name {
            b"li" => (&[b"li"], &[b"ul", b"ol", b"menu", b"table", b"td"]),
            b"dt" | b"dd" => (&[b"dt", b"dd"], &[b"dl", b"table", b"td"]),
            b"td" | b"th" => (&[b"td", b"th"], &[b"tr", b"table"]),
            b"tr" => (&[b"tr"], &[b"table", b"thead", b"tbody", b"tfoot"]),
            b"thead" | b"tbody" | b"tfoot" => (&[b"thead", b"tbody", b"tfoot"], &[b"table"]),
            b"p" | b"div" | b"ul" | b"ol" | b"table" | b"h1" | b"h2" | b"h3" | b"h4" | b"h5"
            | b"h6" | b"blockquote" | b"pre" | b"hr" | b"section" | b"article" => (
                &[b"p"],
                &[b"td", b"th", b"li", b"div", b"table", b"blockquote"],
            ),
            _ => return,
        };
        for at in (0..self.open.len()).rev() {
            let open = &*self.open[at].name;
            if closes.contains(&open) {
                self.open.truncate(at);
                return;
            }
            if walls.contains(&open) {
                return;
            }
        }
    }

    /// A table around another one only arranges the page.
    fn arranges(&mut self) {
        for open in &self.open {
            if let Kind::Table { layout } = &mut self.tree.nodes[open.node].kind {
                *layout = true;
            }
        }
    }
}

fn attribute(tag: &StartTag<()>, name: &[u8]) -> Option<String> {
    let value = tag.attributes.get(name)?;
    Some(String::from_utf8_lossy(value).trim().to_owned())
}

/// The `style`, lowercase and without white space.
fn style(tag: &StartTag<()>) -> Option<String> {
    let style = attribute(tag, b"style")?;
    Some(
        style
            .chars()
            .filter(|c| !c.is_whitespace())
            .map(|c| c.to_ascii_lowercase())
            .collect(),
    )
}

fn is_void(name: &[u8]) -> bool {
    matches!(
        name,
        b"area"
            | b"base"
            | b"br"
            | b"col"
            | b"embed"
            | b"hr"
            | b"img"
            | b"input"
            | b"link"
            | b"meta"
            | b"source"
            | b"track"
            | b"wbr"
    )
}

/// Elements whose content is no text of the page.
fn is_unseen(name: &[u8]) -> bool {
    matches!(
        name,
        b"script"
            | b"style"
            | b"title"
            | b"template"
            | b"noscript"
            | b"svg"
            | b"math"
            | b"iframe"
            | b"object"
            | b"canvas"
            | b"audio"
            | b"video"
            | b"select"
            | b"textarea"
            | b"datalist"
            | b"noembed"
            | b"noframes"
            | b"xml"
    )
}

/// Whether a reader of the page does not see the element.
fn hidden(tag: &StartTag<()>) -> bool {
    if attribute(tag, b"hidden").is_some() {
        return true;
    }
    style(tag).is_some_and(|style| {
        style.contains("display:none")
            || style.contains("visibility:hidden")
            || declares(&style, "opacity", |value| number(value) == Some(0.0))
            || (declares(&style, "max-height", |value| number(value) == Some(0.0))
                && style.contains("overflow:hidden"))
    })
}

/// Whether the style gives `property` a value that `fits`.
fn declares(style: &str, property: &str, fits: impl Fn(&str) -> bool) -> bool {
    style
        .split(';')
        .filter_map(|declaration| declaration.split_once(':'))
        .any(|(name, value)| name == property && fits(value))
}

/// The number at the beginning of a value.
fn number(value: &str) -> Option<f32> {
    let end = value
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(value.len());
    value[..end].parse().ok()
}

/// Whether the element sets the size of text to nothing, or back to something.
fn size(tag: &StartTag<()>) -> Option<bool> {
    let style = style(tag)?;
    let (_, value) = style
        .split(';')
        .filter_map(|declaration| declaration.split_once(':'))
        .rfind(|(name, _)| *name == "font-size")?;
    Some(
        number(value)
            .is_some_and(|size| size < 1.5 && !value.contains("em") && !value.contains('%'))
            || number(value) == Some(0.0),
    )
}

/// What the element means; `None` for one that says nothing at all.
fn kind(name: &[u8], tag: &StartTag<()>) -> Option<Kind> {
    Some(match name {
        b"p" | b"figure" | b"dl" | b"caption" | b"form" | b"details" | b"fieldset" => {
            Kind::Paragraph
        }
        b"div" | b"section" | b"article" | b"header" | b"footer" | b"main" | b"nav" | b"aside"
        | b"address" | b"figcaption" | b"dt" | b"dd" | b"summary" | b"center" | b"body"
        | b"legend" | b"option" => Kind::Block,
        b"h1" => Kind::Heading(1),
        b"h2" => Kind::Heading(2),
        b"h3" => Kind::Heading(3),
        b"h4" => Kind::Heading(4),
        b"h5" => Kind::Heading(5),
        b"h6" => Kind::Heading(6),
        b"br" => Kind::Break,
        b"hr" => Kind::Rule,
        b"ul" | b"menu" => Kind::List(None),
        b"ol" => Kind::List(Some(
            attribute(tag, b"start")
                .and_then(|start| start.parse().ok())
                .unwrap_or(1),
        )),
        b"li" => Kind::Item,
        b"blockquote" => Kind::Quote,
        b"pre" | b"listing" | b"xmp" => Kind::Pre,
        b"code" | b"tt" | b"kbd" | b"samp" => Kind::Mark("`"),
        b"b" | b"strong" => Kind::Mark("**"),
        b"i" | b"em" => Kind::Mark("*"),
        b"s" | b"del" | b"strike" => Kind::Mark("~~"),
        b"a" => match attribute(tag, b"href").filter(|href| super::super::convert::allowed(href)) {
            Some(address) => Kind::Link(address),
            None => Kind::Inline,
        },
        b"img" => image(tag)?,
        b"table" => Kind::Table {
            layout: attribute(tag, b"role")
                .is_some_and(|role| matches!(&*role, "presentation" | "none")),
        },
        b"thead" | b"tbody" | b"tfoot" => Kind::Group,
        b"tr" => Kind::Row,
        b"td" | b"th" => Kind::Cell {
            span: attribute(tag, b"colspan")
                .and_then(|span| span.parse().ok())
                .map_or(1, |span: usize| span.clamp(1, 50)),
        },
        b"input" | b"meta" | b"link" | b"base" | b"col" | b"area" | b"embed" | b"source"
        | b"track" | b"wbr" => return None,
        _ => Kind::Inline,
    })
}

/// A picture by its description; one without, or of a dot's size, says nothing (and may only report that it was seen).
fn image(tag: &StartTag<()>) -> Option<Kind> {
    let dot = [b"width".as_slice(), b"height"].iter().any(|side| {
        attribute(tag, side)
            .and_then(|size| number(&size))
            .is_some_and(|size| size <= 2.0)
    });
    let alt = attribute(tag, b"alt").filter(|alt| !alt.is_empty())?;
    (!dot).then(|| Kind::Image {
        alt,
        address: attribute(tag, b"src").filter(|src| {
            src.len() <= 300 && !src.starts_with("mailto") && super::super::convert::allowed(src)
        }),
    })
}
