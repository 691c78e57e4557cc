//! Addresses below a provider's own, made of segments.

use url::Url;

use crate::kit::error::ProviderError;
use crate::kit::text;

/// Longest path segment, in characters.
const SEGMENT_CHARS: usize = 1_024;

/// Appends segments to a base address. The `url` crate silently drops `.` and `..` and climbs on some spellings of
/// them, so those are refused before it sees them; between encoded slashes too, because a server may decode first.
pub(super) fn join(base: &Url, path: &[&str]) -> Result<Url, ProviderError> {
    let mut url = base.clone();
    let bad = |segment: &str| ProviderError::BadSegment(text::clip(&text::printable(segment), 80));
    {
        let mut segments = url.path_segments_mut().map_err(|()| bad(base.as_str()))?;
        segments.pop_if_empty();
        for segment in path {
            let is_hollow = |part: &&str| part.chars().all(|c| c == '.' || c.is_whitespace());
            if let Some(part) = segment.split('/').find(is_hollow) {
                return Err(bad(part));
            }
            if segment.chars().any(char::is_control) || segment.chars().count() > SEGMENT_CHARS {
                return Err(bad(segment));
            }
            segments.push(segment);
        }
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::expect_used, reason = "a test says what went wrong by failing")]

    use super::*;

    fn joined(segments: &[&str]) -> Result<String, ProviderError> {
        let base = Url::parse("https://api.example.test/api/v3").expect("a fixed address");
        join(&base, segments).map(|url| url.path().to_owned())
    }

    #[test]
    fn segments_are_encoded() {
        assert_eq!(
            joined(&["repos", "a/b", "x y?#%2e"]),
            Ok("/api/v3/repos/a%2Fb/x%20y%3F%23%252e".to_owned())
        );
    }

    #[test]
    fn segments_that_could_climb_are_refused() {
        for segment in [
            "",
            ".",
            "..",
            "...",
            " ",
            ".\t.",
            "a/../b",
            "../..",
            "a//b",
            "a\nb",
            "\0",
            &"x".repeat(1_025),
        ] {
            assert!(
                matches!(
                    joined(&["repos", segment, "delete"]),
                    Err(ProviderError::BadSegment(_))
                ),
                "{segment:?}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn a_segment_never_changes_the_depth(segment in "\\PC{0,60}") {
            if let Ok(path) = joined(&["users", &segment, "delete"]) {
                proptest::prop_assert_eq!(path.split('/').count(), 6);
                proptest::prop_assert!(path.starts_with("/api/v3/users/") && path.ends_with("/delete"));
            }
        }
    }
}
