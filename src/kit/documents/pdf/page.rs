//! Pages: the operators that show text, and no others.

use std::collections::HashMap;
use std::rc::Rc;

use lopdf::content::{Content, Operation};
use lopdf::{Dictionary, Document, Object, ObjectId};

use super::super::work::Work;
use super::super::{DocumentError, limits};
use super::font::{Font, Shown};
use super::layout::{self, Glyph, Lines, Piece};
use super::{unpacked, weight};

/// Forms drawn inside forms.
const FORMS: usize = 12;

/// Fonts kept from page to page.
const FONTS: usize = 500;

/// The longest text that one operator shows, in bytes: a character may stand for a long text.
const SHOWN: usize = 1 << 20;

/// Graphics states put aside at once.
const STATES: usize = 512;

/// Parents of a page that may hold its resources.
const PARENTS: usize = 50;

/// What a page says.
#[derive(Default)]
pub(super) struct Page {
    pub(super) text: String,
    /// Whether it shows pictures.
    pub(super) pictures: bool,
    /// Whether it shows characters that nobody knows.
    pub(super) unreadable: bool,
    /// Whether its description ends in the middle.
    pub(super) damaged: bool,
}

/// Reads the pages of a document.
pub(super) struct Pages<'a> {
    document: &'a Document,
    work: &'a Work,
    fonts: HashMap<ObjectId, Option<Rc<Font>>>,
    left: usize,
}

/// A transformation of the plane.
#[derive(Clone, Copy)]
struct Matrix([f64; 6]);

impl Matrix {
    const IDENTITY: Self = Self([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);

    /// First this one, then `after`.
    fn then(self, after: Self) -> Self {
        let (one, two) = (self.0, after.0);
        Self([
            one[0] * two[0] + one[1] * two[2],
            one[0] * two[1] + one[1] * two[3],
            one[2] * two[0] + one[3] * two[2],
            one[2] * two[1] + one[3] * two[3],
            one[4] * two[0] + one[5] * two[2] + two[4],
            one[4] * two[1] + one[5] * two[3] + two[5],
        ])
    }

    fn moved(x: f64, y: f64) -> Self {
        Self([1.0, 0.0, 0.0, 1.0, x, y])
    }
}

/// How text is shown, as long as nobody changes it.
#[derive(Clone)]
struct State {
    matrix: Matrix,
    font: Option<Rc<Font>>,
    size: f64,
    between_characters: f64,
    between_words: f64,
    stretch: f64,
    leading: f64,
    rise: f64,
}

/// A content stream being read.
struct Painter<'p, 'a> {
    pages: &'p mut Pages<'a>,
    page: Page,
    lines: Lines,
    state: State,
    saved: Vec<State>,
    /// How many of them a form may not take back: they are of who drew it.
    kept: usize,
    text: Matrix,
    line: Matrix,
}

impl<'a> Pages<'a> {
    pub(super) fn new(document: &'a Document, work: &'a Work) -> Self {
        Self {
            document,
            work,
            fonts: HashMap::new(),
            left: usize::try_from(limits::UNPACKED_BYTES).unwrap_or(usize::MAX),
        }
    }

    pub(super) fn read(&mut self, id: ObjectId) -> Result<Page, DocumentError> {
        let document = self.document;
        let Ok(page) = document.get_dictionary(id) else {
            return Ok(Page {
                damaged: true,
                ..Page::default()
            });
        };
        let resources = self.resources(page);
        let mut content = Vec::new();
        let mut damaged = false;
        for part in document.get_page_contents(id) {
            match document.get_object(part) {
                Ok(Object::Stream(stream)) => match unpacked(stream, &mut self.left)? {
                    Some(part) => {
                        content.extend_from_slice(&part);
                        content.push(b'\n');
                    }
                    None => damaged = true,
                },
                _ => damaged = true,
            }
        }
        let mut painter = Painter {
            pages: self,
            page: Page {
                damaged,
                ..Page::default()
            },
            lines: Lines::default(),
            state: State {
                matrix: Matrix::IDENTITY,
                font: None,
                size: 0.0,
                between_characters: 0.0,
                between_words: 0.0,
                stretch: 1.0,
                leading: 0.0,
                rise: 0.0,
            },
            saved: Vec::new(),
            kept: 0,
            text: Matrix::IDENTITY,
            line: Matrix::IDENTITY,
        };
        painter.paint(&content, resources, 0)?;
        let mut read = painter.page;
        read.text = painter.lines.finish();
        self.fields(page, &mut read.text)?;
        Ok(read)
    }

    /// The resources of a page or of the parents it inherits them from.
    fn resources(&self, page: &'a Dictionary) -> Option<&'a Dictionary> {
        std::iter::successors(Some(page), |node| {
            self.document.get_dict_in_dict(node, b"Parent").ok()
        })
        .take(PARENTS)
        .find_map(|node| self.document.get_dict_in_dict(node, b"Resources").ok())
    }

    fn font(
        &mut self,
        name: &[u8],
        resources: Option<&'a Dictionary>,
    ) -> Result<Option<Rc<Font>>, DocumentError> {
        let document = self.document;
        let font = resources
            .and_then(|resources| document.get_dict_in_dict(resources, b"Font").ok())
            .and_then(|fonts| fonts.get(name).ok());
        let Some(font) = font else {
            return Ok(None);
        };
        let id = font.as_reference().ok();
        if let Some(known) = id.and_then(|id| self.fonts.get(&id)) {
            return Ok(known.clone());
        }
        let font = match document.dereference(font) {
            Ok((_, Object::Dictionary(dict))) => {
                Some(Rc::new(Font::read(dict, document, &mut self.left)?))
            }
            _ => None,
        };
        // Only a hostile file has more than its pages can use.
        if self.fonts.len() >= FONTS {
            self.fonts.clear();
        }
        if let Some(id) = id {
            self.fonts.insert(id, font.clone());
        }
        Ok(font)
    }

    /// What is filled into the fields of a form, and notes on the page.
    fn fields(&self, page: &Dictionary, text: &mut String) -> Result<(), DocumentError> {
        let document = self.document;
        let Ok(annotations) = page
            .get_deref(b"Annots", document)
            .and_then(Object::as_array)
        else {
            return Ok(());
        };
        let string = |dict: &Dictionary, key: &[u8]| match dict.get_deref(key, document) {
            Ok(object @ Object::String(..)) => lopdf::decode_text_string(object).ok(),
            Ok(Object::Name(name)) => Some(String::from_utf8_lossy(name).into_owned()),
            _ => None,
        };
        let mut found: Vec<String> = Vec::new();
        let mut length = 0;
        for annotation in annotations.iter().take(10_000) {
            self.work.go_on()?;
            // Many fields may have the same long value.
            if length > limits::OUTPUT_CHARS * 4 {
                break;
            }
            let Ok((_, Object::Dictionary(dict))) = document.dereference(annotation) else {
                continue;
            };
            let kind = dict
                .get_deref(b"Subtype", document)
                .and_then(Object::as_name);
            let parent = document.get_dict_in_dict(dict, b"Parent").ok();
            let line = match kind {
                Ok(b"Widget") => {
                    let own = |key: &[u8]| string(dict, key).or_else(|| string(parent?, key));
                    own(b"T")
                        .zip(own(b"V").filter(|value| !value.trim().is_empty()))
                        .map(|(name, value)| format!("{}: {}", name.trim(), value.trim()))
                }
                Ok(b"FreeText") => string(dict, b"Contents"),
                _ => None,
            };
            if let Some(line) = line.filter(|line| found.last() != Some(line)) {
                length += line.len();
                found.push(line);
            }
        }
        if !found.is_empty() {
            text.push_str("\n\n");
            text.push_str(&found.join("\n"));
        }
        Ok(())
    }
}

impl<'a> Painter<'_, 'a> {
    fn paint(
        &mut self,
        content: &[u8],
        resources: Option<&'a Dictionary>,
        depth: usize,
    ) -> Result<(), DocumentError> {
        let kept = std::mem::replace(&mut self.kept, self.saved.len());
        let (content, whole) = weight::readable(content);
        self.page.damaged |= !whole;
        for (at, operation) in Content::decode_iter(content).enumerate() {
            if at % 256 == 0 {
                self.pages.work.go_on()?;
            }
            let Ok(operation) = operation else {
                self.page.damaged = true;
                break;
            };
            self.operate(operation, resources, depth)?;
            if self.lines.len() > limits::OUTPUT_CHARS * 4 {
                break;
            }
        }
        self.saved.truncate(self.kept);
        self.kept = kept;
        Ok(())
    }

    fn operate(
        &mut self,
        operation: Operation,
        resources: Option<&'a Dictionary>,
        depth: usize,
    ) -> Result<(), DocumentError> {
        let operands = &operation.operands;
        let number = |at: usize| {
            operands
                .get(at)
                .and_then(|operand| operand.as_float().ok())
                .map_or(0.0, f64::from)
        };
        let matrix = || Matrix(std::array::from_fn(number));
        match operation.operator.as_str() {
            "q" if self.saved.len() < STATES => self.saved.push(self.state.clone()),
            "Q" if self.saved.len() > self.kept => {
                if let Some(state) = self.saved.pop() {
                    self.state = state;
                }
            }
            "cm" => self.state.matrix = matrix().then(self.state.matrix),
            "BT" => {
                self.text = Matrix::IDENTITY;
                self.line = Matrix::IDENTITY;
            }
            "Tf" => {
                if let Some(Ok(name)) = operands.first().map(Object::as_name) {
                    self.state.font = self.pages.font(name, resources)?;
                }
                self.state.size = number(1);
            }
            "Tc" => self.state.between_characters = number(0),
            "Tw" => self.state.between_words = number(0),
            "Tz" => self.state.stretch = number(0) / 100.0,
            "TL" => self.state.leading = number(0),
            "Ts" => self.state.rise = number(0),
            "Td" => self.move_line(number(0), number(1)),
            "TD" => {
                self.state.leading = -number(1);
                self.move_line(number(0), number(1));
            }
            "Tm" => {
                self.line = matrix();
                self.text = self.line;
            }
            "T*" => self.move_line(0.0, -self.state.leading),
            "Tj" => self.show(operands),
            "'" => {
                self.move_line(0.0, -self.state.leading);
                self.show(operands);
            }
            "\"" => {
                self.state.between_words = number(0);
                self.state.between_characters = number(1);
                self.move_line(0.0, -self.state.leading);
                self.show(operands.get(2..).unwrap_or_default());
            }
            "TJ" => {
                if let Some(Ok(parts)) = operands.first().map(Object::as_array) {
                    self.show(parts);
                }
            }
            "Do" => {
                // A form has operations of its own, and those before it are not needed any more.
                let name = operation.operands.into_iter().next();
                if let Some(Object::Name(name)) = name {
                    self.form(&name, resources, depth)?;
                }
            }
            "BI" | "EI" => self.page.pictures = true,
            _ => {}
        }
        Ok(())
    }

    fn move_line(&mut self, x: f64, y: f64) {
        self.line = Matrix::moved(x, y).then(self.line);
        self.text = self.line;
    }

    /// Shows texts, with moves between them in thousandths of the size.
    fn show(&mut self, parts: &[Object]) {
        let Some(font) = self.state.font.clone() else {
            return;
        };
        let state = &self.state;
        let (size, stretch) = (state.size, state.stretch);
        let start = Matrix::moved(0.0, state.rise)
            .then(self.text)
            .then(state.matrix)
            .0;
        let (across, height) = (start[0].hypot(start[1]), start[2].hypot(start[3]));
        let mut glyphs = Vec::new();
        let (mut advance, mut gap) = (0.0, 0.0);
        let mut length = 0;
        for part in parts {
            match part {
                Object::String(bytes, _) => font.show(bytes, |shown: Shown| {
                    let word = if shown.space {
                        state.between_words
                    } else {
                        0.0
                    };
                    let width = shown.width * size + word;
                    advance += (width + state.between_characters) * stretch;
                    length += shown.text.as_ref().map_or(1, String::len);
                    glyphs.push(Glyph {
                        text: shown.text,
                        gap,
                        width,
                    });
                    gap = state.between_characters;
                    length <= SHOWN
                }),
                Object::Null
                | Object::Boolean(_)
                | Object::Name(_)
                | Object::Array(_)
                | Object::Dictionary(_)
                | Object::Stream(_)
                | Object::Reference(_) => {}
                part @ (Object::Integer(_) | Object::Real(_)) => {
                    let back = part.as_float().map_or(0.0, f64::from) / 1000.0 * size;
                    advance -= back * stretch;
                    gap -= back;
                }
            }
            if length > SHOWN {
                break;
            }
        }
        let unknown = glyphs.iter().filter(|glyph| glyph.text.is_none()).count();
        let text = layout::spaced(&glyphs, size);
        self.page.unreadable |= unknown > 2 && unknown > text.chars().count();
        self.text = Matrix::moved(advance, 0.0).then(self.text);
        if across <= 0.0 || !across.is_finite() {
            return;
        }
        let direction = (start[0] / across, start[1] / across);
        let along = start[4] * direction.0 + start[5] * direction.1;
        self.lines.add(Piece {
            text: text.replace(['\r', '\n', '\t'], " "),
            direction,
            from: along,
            // The gap after the last character is none in the text.
            to: along + (advance - gap * stretch) * across,
            base: start[5] * direction.0 - start[4] * direction.1,
            size: (size * height).abs(),
        });
    }

    /// Draws a form, which is a page of its own, or a picture.
    fn form(
        &mut self,
        name: &[u8],
        resources: Option<&'a Dictionary>,
        depth: usize,
    ) -> Result<(), DocumentError> {
        let document = self.pages.document;
        let object = resources
            .and_then(|resources| document.get_dict_in_dict(resources, b"XObject").ok())
            .and_then(|objects| objects.get(name).ok())
            .and_then(|object| document.dereference(object).ok());
        let Some((_, object)) = object else {
            return Ok(());
        };
        let Object::Stream(form) = object else {
            // Pictures are kept without their content.
            self.page.pictures = true;
            return Ok(());
        };
        let is_form = form
            .dict
            .get_deref(b"Subtype", document)
            .and_then(Object::as_name)
            .is_ok_and(|kind| kind == b"Form");
        if !is_form {
            self.page.pictures = true;
            return Ok(());
        }
        if depth >= FORMS {
            self.page.damaged = true;
            return Ok(());
        }
        let Some(content) = unpacked(form, &mut self.pages.left)? else {
            self.page.damaged = true;
            return Ok(());
        };
        let before = (self.state.clone(), self.text, self.line);
        if let Ok(matrix) = form
            .dict
            .get_deref(b"Matrix", document)
            .and_then(Object::as_array)
        {
            let number = |at: usize| {
                matrix
                    .get(at)
                    .and_then(|number| number.as_float().ok())
                    .map_or(0.0, f64::from)
            };
            self.state.matrix = Matrix(std::array::from_fn(number)).then(self.state.matrix);
        }
        let own = document.get_dict_in_dict(&form.dict, b"Resources").ok();
        let painted = self.paint(&content, own.or(resources), depth + 1);
        (self.state, self.text, self.line) = before;
        painted
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::super::load;
    use super::*;
    use crate::kit::documents::Wanted;
    use crate::kit::documents::samples::pdf_of;

    #[test]
    fn a_value_that_many_fields_have_is_told_a_few_times() {
        let field = |name: &str, length: usize| {
            let value = "x".repeat(length);
            format!("<</Subtype/Widget/T({name})/V({value})>>").into_bytes()
        };
        let filled = |length: usize| {
            let annotations = "4 0 R 4 0 R 5 0 R ".repeat(3_000);
            let file = pdf_of(&[
                b"<</Type/Catalog/Pages 2 0 R>>".to_vec(),
                b"<</Type/Pages/Kids[3 0 R]/Count 1>>".to_vec(),
                format!("<</Type/Page/Parent 2 0 R/Annots[{annotations}]>>").into_bytes(),
                field("a", length),
                field("b", length),
            ]);
            let work = Work::new(Wanted::default());
            let document = load(&file, &work).unwrap();
            let page = document.page_iter().next().unwrap();
            Pages::new(&document, &work).read(page).unwrap().text
        };
        // Neighbours that say the same say it once.
        assert_eq!(filled(1).matches("a: x").count(), 3_000);
        let long = filled(1 << 20).len();
        assert!((8 << 20..10 << 20).contains(&long), "{long}");
    }
}
