//! Bodies: HubSpot keeps notes, calls and e-mails as HTML; readers get text.

/// The text of an HTML fragment: blocks and breaks become lines, list items get a dash, links keep their address, and
/// scripts and styles are dropped. Text without markup comes back as it is.
pub(super) fn to_text(html: &str) -> String {
    if !html.contains('<') && !html.contains('&') {
        return html.trim().to_owned();
    }
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    let mut link: Option<(String, usize)> = None;
    while let Some(start) = rest.find('<') {
        entities(&rest[..start], &mut out);
        let tail = &rest[start..];
        // A lone `<` is text.
        let opens =
            tail[1..].starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!'));
        let Some(end) = tail.find('>').filter(|_| opens) else {
            out.push('<');
            rest = &tail[1..];
            continue;
        };
        let tag = &tail[1..end];
        rest = &tail[end + 1..];
        let closes = tag.starts_with('/');
        let name: String = tag
            .trim_start_matches('/')
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .collect::<String>()
            .to_ascii_lowercase();
        match (name.as_str(), closes) {
            ("script" | "style" | "head", false) => {
                let close = format!("</{name}");
                let skipped = rest.to_ascii_lowercase().find(&close);
                rest = skipped.map_or("", |at| &rest[at..]);
            }
            ("br", _) => out.push('\n'),
            ("li", false) => out.push_str("\n- "),
            (
                "p" | "div" | "tr" | "ul" | "ol" | "table" | "blockquote" | "h1" | "h2" | "h3"
                | "h4" | "h5" | "h6",
                _,
            ) => line(&mut out),
            ("td" | "th", true) => out.push(' '),
            ("a", false) => link = href(tag).map(|address| (address, out.len())),
            ("a", true) => {
                if let Some((address, from)) = link.take()
                    && !out[from..].trim().contains(address.as_str())
                {
                    out.push_str(" (");
                    out.push_str(&address);
                    out.push(')');
                }
            }
            _other => {}
        }
    }
    entities(rest, &mut out);
    tidy(&out)
}

/// Begins a new line unless one has just begun.
fn line(out: &mut String) {
    if !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
}

fn href(tag: &str) -> Option<String> {
    let at = tag.to_ascii_lowercase().find("href=")?;
    let value = &tag[at + 5..];
    let quote = value.chars().next()?;
    let address = match quote {
        '"' | '\'' => value[1..].split(quote).next()?,
        _ => value.split_whitespace().next()?,
    };
    let shown = address.starts_with("http://") || address.starts_with("https://");
    shown.then(|| address.replace("&amp;", "&"))
}

fn entities(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let tail = &rest[at..];
        let known = tail
            .find(';')
            .filter(|end| *end <= 10)
            .and_then(|end| Some((entity(&tail[1..end])?, end)));
        if let Some((c, end)) = known {
            out.push(c);
            rest = &tail[end + 1..];
        } else {
            out.push('&');
            rest = &tail[1..];
        }
    }
    out.push_str(rest);
}

fn entity(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code);
    }
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        "ndash" => '–',
        "mdash" => '—',
        "hellip" => '…',
        "euro" => '€',
        _ => return None,
    })
}

/// Trims every line and keeps at most one empty line in a row.
fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut empty = 0;
    for row in text.lines().map(str::trim) {
        if row.is_empty() {
            empty += 1;
            continue;
        }
        if !out.is_empty() {
            out.push('\n');
            if empty > 0 {
                out.push('\n');
            }
        }
        empty = 0;
        out.push_str(row);
    }
    out
}

/// Plain text as HTML, for bodies that HubSpot takes as HTML.
pub(super) fn from_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.trim().chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\n' => out.push_str("<br>"),
            '\r' => {}
            c => out.push(c),
        }
    }
    out
}

/// A mail without the earlier mails that it quotes at its end.
pub(super) fn without_quoted(text: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for row in text.lines() {
        let row_text = row.trim();
        let introduces = row_text.starts_with("On ") && row_text.ends_with("wrote:")
            || row_text.starts_with("-----Original Message")
            || row_text.starts_with("________________");
        if introduces {
            break;
        }
        if !row_text.starts_with('>') {
            kept.push(row);
        }
    }
    kept.join("\n").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_becomes_text() {
        for (html, expected) in [
            ("plain & simple", "plain & simple"),
            ("<div>Hello<br>Ada</div><p>Bye</p>", "Hello\nAda\nBye"),
            ("<ul><li>one</li><li>two</li></ul>", "- one\n- two"),
            (
                "<a href=\"https://acme.example/x?a=1&amp;b=2\">the plan</a>",
                "the plan (https://acme.example/x?a=1&b=2)",
            ),
            (
                "<a href='https://acme.example'>https://acme.example</a>",
                "https://acme.example",
            ),
            ("<style>p{}</style>a<script>alert(1)</script>b", "ab"),
            (
                "3 &lt; 4 &#8364; &#x41; &nope; 1 < 2",
                "3 < 4 € A &nope; 1 < 2",
            ),
            ("<p>a</p>\n\n\n<p>b</p>", "a\n\nb"),
            ("<a href=\"javascript:alert(1)\">x</a>", "x"),
            ("<div unclosed", "<div unclosed"),
        ] {
            assert_eq!(to_text(html), expected, "{html}");
        }
    }

    #[test]
    fn text_survives_the_way_there_and_back() {
        let text = "a < b & c\nsecond line";
        assert_eq!(to_text(&from_text(text)), text);
    }

    #[test]
    fn quoted_mail_goes() {
        assert_eq!(
            without_quoted("Yes.\n\nOn Mon, Ada wrote:\n> No?\n> Really?"),
            "Yes."
        );
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(html in "\\PC{0,80}") {
            let _ = to_text(&html);
        }
    }
}
