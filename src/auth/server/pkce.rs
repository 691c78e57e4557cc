//! Proof Key for Code Exchange (RFC 7636), `S256` only.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::vault;

/// Whether this can be the challenge of `S256`: 32 bytes in base64url without padding.
pub(super) fn is_challenge(text: &str) -> bool {
    text.len() == 43
        && URL_SAFE_NO_PAD
            .decode(text)
            .is_ok_and(|bytes| bytes.len() == 32)
}

/// The challenge that this verifier answers; `None` for what is no verifier (43 to 128 unreserved characters).
pub(super) fn challenge_of(verifier: &str) -> Option<String> {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    ((43..=128).contains(&verifier.len()) && verifier.bytes().all(unreserved))
        .then(|| URL_SAFE_NO_PAD.encode(vault::hash(verifier)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc_holds() {
        // RFC 7636, appendix B.
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(challenge_of(verifier).as_deref(), Some(challenge));
        assert!(is_challenge(challenge));
    }

    #[test]
    fn everything_else_is_refused() {
        let long = "a".repeat(129);
        for verifier in [
            "",
            "short",
            &"a".repeat(42),
            &long,
            &"+".repeat(43),
            &"\u{e4}".repeat(30),
        ] {
            assert_eq!(challenge_of(verifier), None, "{verifier}");
        }
        for challenge in [
            "",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-c",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM=",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cMM",
        ] {
            assert!(!is_challenge(challenge), "{challenge}");
        }
    }
}
