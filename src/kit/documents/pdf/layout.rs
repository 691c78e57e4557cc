//! Pieces of text at places of the page, put into lines.
//!
//! Pieces keep the order in which they are painted, which is the order of reading in practically every file that a word
//! processor wrote (columns included). A piece goes on in the line when it stands on the same base line, to the right of
//! the piece before.

/// A piece of text and where it stands, measured along its own direction and across it.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) text: String,
    /// The direction of writing.
    pub(super) direction: (f64, f64),
    /// Where it begins and ends along the direction.
    pub(super) from: f64,
    pub(super) to: f64,
    /// How high its base line is across the direction.
    pub(super) base: f64,
    /// The height of its letters.
    pub(super) size: f64,
}

/// A character and where it stands after the one before, in the units of the text's size.
pub(super) struct Glyph {
    /// What it says; `None` when nobody knows.
    pub(super) text: Option<String>,
    /// The gap before it.
    pub(super) gap: f64,
    /// Its own width, with the spacing of words when it is a space.
    pub(super) width: f64,
}

/// The text of characters shown together. What looks like a space is one, whether the text has a space there or a gap; a
/// space that was moved away is none.
pub(super) fn spaced(glyphs: &[Glyph], size: f64) -> String {
    let size = size.abs().max(0.01);
    let inner = || glyphs.iter().skip(1).map(|glyph| glyph.gap);
    let spacing = if inner().count() >= LETTERS {
        inner().fold(f64::INFINITY, f64::min).max(0.0)
    } else {
        0.0
    };
    let mut text = String::new();
    for (at, glyph) in glyphs.iter().enumerate() {
        let Some(shown) = &glyph.text else { continue };
        let gap = if at == 0 { 0.0 } else { glyph.gap - spacing };
        let space = shown.chars().all(char::is_whitespace);
        let width = if space { gap + glyph.width } else { gap };
        if width > size * COLUMN && at > 0 {
            text.truncate(text.trim_end_matches(' ').len());
            text.push_str("   ");
        } else if space && (width > size * NO_SPACE || glyph.width == 0.0)
            || width > size * WORD && !text.ends_with(' ')
        {
            text.push(' ');
        }
        if !space {
            text.push_str(shown);
        }
    }
    text
}

/// The text of a page.
#[derive(Default)]
pub(super) struct Lines {
    out: String,
    last: Option<Piece>,
}

/// Of the size: a gap between words, between columns of a table, and between paragraphs.
const WORD: f64 = 0.18;
const COLUMN: f64 = 2.0;
const PARAGRAPH: f64 = 1.75;

/// A space narrower than this was taken back; programs that justify lines do so.
const NO_SPACE: f64 = 0.1;

/// From this many gaps on, what all of them have is the spacing of the letters.
const LETTERS: usize = 4;

/// How far base lines of one line may differ: indices and exponents stay in it.
const SAME_LINE: f64 = 0.45;

impl Lines {
    pub(super) fn add(&mut self, piece: Piece) {
        if piece.text.is_empty() || !piece.from.is_finite() || !piece.base.is_finite() {
            return;
        }
        if let Some(last) = &self.last {
            let size = last.size.max(piece.size).max(0.01);
            let turned = (last.direction.0 - piece.direction.0).abs()
                + (last.direction.1 - piece.direction.1).abs()
                > 0.1;
            let below = last.base - piece.base;
            let gap = piece.from - last.to;
            if turned || below.abs() > size * SAME_LINE || gap < -size * 1.5 {
                // Again on the same line and to the left: the same text painted twice, for a shadow or a bolder look.
                if !turned
                    && below.abs() < size * 0.1
                    && (piece.from - last.from).abs() < size * 0.1
                    && piece.text == last.text
                {
                    return;
                }
                self.end_line();
                if turned || below > size * PARAGRAPH || below < -size * PARAGRAPH {
                    self.out.push('\n');
                }
            } else if gap > size * COLUMN {
                self.trim_line();
                self.out.push_str("   ");
            } else if gap > size * WORD && !self.out.ends_with(' ') && !piece.text.starts_with(' ')
            {
                self.out.push(' ');
            }
        }
        self.out.push_str(&piece.text);
        self.last = Some(piece);
    }

    fn trim_line(&mut self) {
        let kept = self.out.trim_end_matches(' ').len();
        self.out.truncate(kept);
    }

    fn end_line(&mut self) {
        self.trim_line();
        // A word that is broken at the end of a line keeps its hyphen: whether it has one of its own nobody knows.
        self.out.push('\n');
    }

    /// How long the text is by now, in bytes.
    pub(super) const fn len(&self) -> usize {
        self.out.len()
    }

    pub(super) fn finish(mut self) -> String {
        self.trim_line();
        self.out
    }
}
