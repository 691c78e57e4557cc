//! XML as a stream of what matters: elements by their local names, and text.
//!
//! Entities other than XML's five and character numbers are not expanded, a document type is refused (no Office file has
//! one), names are not looked up anywhere, and depth is bounded.

use std::borrow::Cow;
use std::io::BufRead;
use std::rc::Rc;

use quick_xml::events::{BytesStart, Event as Raw};
use quick_xml::{Reader, XmlVersion};

use super::work::Work;
use super::zipped::Meter;
use super::{DocumentError, limits};

/// What comes next.
pub(super) enum Event<'a> {
    /// An element begins.
    Open(Tag<'a>),
    /// The element of this name ends.
    Close(Cow<'a, str>),
    /// Text in between.
    Text(Cow<'a, str>),
    /// The document is over.
    Eof,
}

/// The beginning of an element.
pub(super) struct Tag<'a>(BytesStart<'a>);

impl Tag<'_> {
    /// Its name without the prefix of its namespace.
    pub(super) fn name(&self) -> &str {
        self.0.local_name().into_inner()
    }

    /// The attribute of this local name.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        self.find(|key| key == name || local(key) == name)
    }

    /// The attribute of this local name that has the prefix of a namespace: `r:id` beside `id`.
    pub(super) fn get_prefixed(&self, name: &str) -> Option<String> {
        self.find(|key| key.contains(':') && local(key) == name)
    }

    /// Whether a property that may be switched off is on: `<b/>`, `<b val="0"/>`.
    pub(super) fn is_on(&self) -> bool {
        !matches!(
            self.get("val").as_deref(),
            Some("0" | "false" | "off" | "none")
        )
    }

    fn find(&self, fits: impl Fn(&str) -> bool) -> Option<String> {
        self.0
            .attributes()
            // Looking for doubles takes the square of their number.
            .with_checks(false)
            .take(ATTRIBUTES)
            .flatten()
            .find(|attribute| fits(attribute.key.into_inner()))
            .and_then(|attribute| {
                let value = attribute.normalized_value(XmlVersion::Implicit1_0).ok()?;
                Some(value.into_owned())
            })
    }
}

/// Attributes of an element that are looked at; no element of an Office file has more than 40.
const ATTRIBUTES: usize = 200;

fn local(key: &str) -> &str {
    key.rsplit_once(':').map_or(key, |(_, local)| local)
}

/// A stream of XML.
pub(super) struct Xml<'w, R> {
    reader: Reader<R>,
    buffer: Vec<u8>,
    depth: usize,
    events: u32,
    format: &'static str,
    work: &'w Work,
    meter: Option<Rc<Meter>>,
}

impl<'w, R: BufRead> Xml<'w, R> {
    pub(super) fn new(
        inner: R,
        format: &'static str,
        work: &'w Work,
        meter: Option<Rc<Meter>>,
    ) -> Self {
        let mut reader = Reader::from_reader(inner);
        reader.config_mut().expand_empty_elements = true;
        Self {
            reader,
            buffer: Vec::new(),
            depth: 0,
            events: 0,
            format,
            work,
            meter,
        }
    }

    /// What comes next.
    pub(super) fn next(&mut self) -> Result<Event<'_>, DocumentError> {
        self.events = self.events.wrapping_add(1);
        if self.events.is_multiple_of(1024) {
            self.work.go_on()?;
        }
        let format = self.format;
        let malformed = |reason: &str| DocumentError::Malformed {
            format,
            reason: reason.to_owned(),
        };
        self.buffer.clear();
        let Ok(event) = self.reader.read_event_into(&mut self.buffer) else {
            return Err(match self.meter.as_ref().and_then(|meter| meter.broken()) {
                Some(what) => DocumentError::Bomb { what },
                None => malformed("its XML is damaged"),
            });
        };
        Ok(match event {
            Raw::Start(tag) | Raw::Empty(tag) => {
                self.depth += 1;
                if self.depth > limits::DEPTH {
                    return Err(malformed("it is nested too deeply"));
                }
                Event::Open(Tag(tag))
            }
            Raw::End(tag) => {
                self.depth = self.depth.saturating_sub(1);
                let name = tag.local_name().into_inner().to_owned();
                Event::Close(Cow::Owned(name))
            }
            Raw::Text(text) => Event::Text(text.xml10_content()),
            Raw::CData(text) => Event::Text(text.xml10_content()),
            Raw::GeneralRef(reference) => {
                let known = match reference.resolve_char_ref() {
                    Ok(Some(c)) => Some(c),
                    Ok(None) => match &*reference.into_inner() {
                        "lt" => Some('<'),
                        "gt" => Some('>'),
                        "amp" => Some('&'),
                        "apos" => Some('\''),
                        "quot" => Some('"'),
                        _ => None,
                    },
                    Err(_) => None,
                };
                match known {
                    Some(c) => Event::Text(Cow::Owned(c.to_string())),
                    None => return Err(malformed("it uses XML entities of its own")),
                }
            }
            Raw::DocType(_) => return Err(malformed("it declares XML entities of its own")),
            Raw::Comment(_) | Raw::Decl(_) | Raw::PI(_) => Event::Text(Cow::Borrowed("")),
            Raw::Eof if self.depth > 0 => return Err(malformed("it is cut off")),
            Raw::Eof => Event::Eof,
        })
    }
}
