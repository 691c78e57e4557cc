//! Path patterns as `.gitignore` and editors have them: `*`, `?`, `**` and `{a,b}`. Small enough to own; a crate would
//! bring a regular-expression engine for four symbols.

/// A pattern with its alternatives written out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob(Vec<Vec<char>>);

/// Most alternatives that braces may multiply to.
const MAX_ALTERNATIVES: usize = 64;

impl Glob {
    /// Reads a pattern. A pattern without a slash is matched against the file's name, one that begins with a slash at the
    /// root, as `.gitignore` does. `None` when its braces do not close or multiply beyond reason.
    pub(super) fn parse(pattern: &str) -> Option<Self> {
        if pattern.len() > 200 {
            return None;
        }
        let anchored = if pattern.contains('/') {
            pattern.trim_start_matches('/').to_owned()
        } else {
            format!("**/{pattern}")
        };
        let mut done = Vec::new();
        let mut open = vec![anchored];
        while let Some(text) = open.pop() {
            let Some(start) = text.find('{') else {
                done.push(text.chars().collect());
                continue;
            };
            let length = text[start..].find('}')?;
            let (head, rest) = text.split_at(start);
            let (inner, tail) = (&rest[1..length], &rest[length + 1..]);
            if inner.contains('{') {
                return None;
            }
            open.extend(
                inner
                    .split(',')
                    .map(|choice| format!("{head}{choice}{tail}")),
            );
            if open.len() + done.len() > MAX_ALTERNATIVES {
                return None;
            }
        }
        Some(Self(done))
    }

    /// Whether the whole of `path` fits.
    pub(super) fn matches(&self, path: &str) -> bool {
        let path: Vec<char> = path.chars().collect();
        self.0.iter().any(|pattern| fits(pattern, &path))
    }
}

/// Row by row: `now[j]` says whether the pattern so far fits the first `j` characters. Linear in pattern times path, so
/// that no pattern can be made slow.
fn fits(pattern: &[char], path: &[char]) -> bool {
    let mut now = vec![false; path.len() + 1];
    now[0] = true;
    let mut at = 0;
    while at < pattern.len() {
        let rest = &pattern[at..];
        let mut next = vec![false; path.len() + 1];
        let starts_segment = at == 0 || pattern[at - 1] == '/';
        if starts_segment && rest.starts_with(&['*', '*', '/']) {
            // No folder at all, or any number of whole ones.
            let mut open = false;
            for j in 0..=path.len() {
                next[j] = now[j] || (open && path[j - 1] == '/');
                open |= now[j];
            }
            at += 3;
        } else if rest.starts_with(&['*', '*']) {
            let mut open = false;
            for j in 0..=path.len() {
                open |= now[j];
                next[j] = open;
            }
            at += 2;
        } else if rest[0] == '*' {
            let mut open = false;
            for j in 0..=path.len() {
                open = now[j] || (open && path[j - 1] != '/');
                next[j] = open;
            }
            at += 1;
        } else {
            for j in 1..=path.len() {
                let c = path[j - 1];
                next[j] = now[j - 1]
                    && if rest[0] == '?' {
                        c != '/'
                    } else {
                        c == rest[0]
                    };
            }
            at += 1;
        }
        now = next;
    }
    now[path.len()]
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;

    #[test]
    fn patterns_match_whole_paths() {
        let table = [
            ("*.md", "README.md", true),
            ("*.md", "docs/a/b.md", true),
            ("/*.md", "docs/b.md", false),
            ("/*.md", "README.md", true),
            ("*.md", "README.mdx", false),
            ("docs/**", "docs/a/b.md", true),
            ("docs/**", "docs/a.md", true),
            ("docs/**", "docs", false),
            ("docs/**/*.md", "docs/a.md", true),
            ("docs/**/*.md", "docs/a/b/c.md", true),
            ("docs/*.md", "docs/a/b.md", false),
            ("**/test/*.rs", "src/test/a.rs", true),
            ("**/test/*.rs", "test/a.rs", true),
            ("**/test/*.rs", "latest/a.rs", false),
            ("src/a?.rs", "src/ab.rs", true),
            ("src/a?.rs", "src/a/.rs", false),
            ("docs/*.{md,rst}", "docs/a.rst", true),
            ("docs/*.{md,rst}", "docs/a.txt", false),
            ("src/*", "src/é.rs", true),
            ("", "a", false),
            ("**", "a/b/c", true),
            ("a/b", "a/b", true),
        ];
        for (pattern, path, expected) in table {
            assert_eq!(
                Glob::parse(pattern).unwrap().matches(path),
                expected,
                "{pattern} {path}"
            );
        }
    }

    #[test]
    fn broken_or_explosive_braces_are_refused() {
        assert_eq!(Glob::parse("a.{md"), None);
        assert_eq!(Glob::parse("{a,{b,c}}"), None);
        assert_eq!(
            Glob::parse("{a,b,c,d}{a,b,c,d}{a,b,c,d}{a,b,c,d}{a,b,c,d}"),
            None
        );
    }

    proptest::proptest! {
        #[test]
        fn a_path_without_symbols_matches_itself(path in "[a-z/.-]{1,40}") {
            let pattern = path.trim_start_matches('/');
            proptest::prop_assert!(Glob::parse(&path).unwrap().matches(pattern));
        }

        #[test]
        fn nothing_panics(pattern in "[a*?{},/]{0,30}", path in "\\PC{0,30}") {
            let _ = Glob::parse(&pattern).map(|glob| glob.matches(&path));
        }
    }
}
