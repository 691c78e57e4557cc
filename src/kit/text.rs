//! Text from outside: made short, printable and free of secrets and of tricks that hide instructions from a reader.

/// The text without control characters.
pub fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// At most `max_chars` characters, the last of them an ellipsis when something was cut.
pub fn clip(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        None => text.to_owned(),
        Some(_) if max_chars == 0 => String::new(),
        Some(_) => {
            let mut short: String = text.chars().take(max_chars - 1).collect();
            short.push('…');
            short
        }
    }
}

/// Removes what a person cannot see but a model reads: Unicode tag characters, bidirectional and zero-width controls,
/// and control characters other than line breaks and tabs (with them every ANSI sequence). Returns the text itself when
/// there is nothing to remove.
pub fn visible(text: String) -> String {
    if text
        .bytes()
        .all(|byte| matches!(byte, b'\n' | b'\r' | b'\t' | 0x20..=0x7e))
    {
        return text;
    }
    text.chars().filter(|c| !hidden(*c)).collect()
}

fn hidden(c: char) -> bool {
    match c {
        '\n' | '\r' | '\t' => false,
        '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}'
        | '\u{feff}'
        | '\u{e0000}'..='\u{e007f}' => true,
        _ => c.is_control(),
    }
}

/// How credentials of the systems we know begin.
const SECRET_PREFIXES: [&str; 17] = [
    "gho_",
    "ghp_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "sk-",
    "sk_live_",
    "sk_test_",
    "xox",
    "sntryu_",
    "wbt_",
    "wba_",
    "wbr_",
    "wbc_",
    "wkz_",
    "eyJ",
];

/// The text on one line, with everything that looks like a credential masked. For messages of a provider or a library
/// that end up in an error or a log.
pub fn scrub(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut after_bearer = false;
    for word in printable(text).split_inclusive(|c: char| {
        c.is_whitespace() || matches!(c, '"' | '\'' | ',' | '=' | '&' | '(' | ')')
    }) {
        let bare = word.trim_end_matches(|c: char| {
            c.is_whitespace() || matches!(c, '"' | '\'' | ',' | '=' | '&' | '(' | ')')
        });
        let looks_secret = SECRET_PREFIXES
            .iter()
            .any(|prefix| bare.starts_with(prefix) && bare.len() >= prefix.len() + 8);
        if (looks_secret || after_bearer) && !bare.is_empty() {
            out.push_str("[REDACTED]");
            out.push_str(&word[bare.len()..]);
        } else {
            out.push_str(word);
        }
        after_bearer = bare.eq_ignore_ascii_case("bearer") || bare.eq_ignore_ascii_case("basic");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clips_at_characters() {
        assert_eq!(clip("naïve", 5), "naïve");
        assert_eq!(clip("naïve", 3), "na…");
        assert_eq!(clip("x", 0), "");
    }

    #[test]
    fn hidden_text_goes_and_the_rest_stays() {
        let text = "a\u{e0041}b\u{200b}c\u{202e}d\x1b[31me\nf\tg é 漢".to_owned();
        assert_eq!(visible(text), "abcd[31me\nf\tg é 漢");
    }

    #[test]
    fn credentials_are_masked() {
        assert_eq!(
            scrub("bad token gho_0123456789abcdef in Bearer abcdef, (sk-12345678901)\r\nx"),
            "bad token [REDACTED] in Bearer [REDACTED], ([REDACTED])x"
        );
        assert_eq!(scrub("skip this"), "skip this");
    }
}
