//! How codes are written: what vocabularies a text may be a code of.

use super::codes::System;

/// A code, and the vocabulary it would be of.
pub(super) type Reading = (System, String);

/// Longest code of any vocabulary (SNOMED CT), in characters.
const LONGEST: usize = 18;

/// The readings of a text as a code, the likeliest first; none when it is words. A vocabulary's name before the code
/// (`OMIM:219700`) leaves one.
pub(super) fn readings(text: &str) -> Vec<Reading> {
    let upper = text.trim().to_ascii_uppercase();
    if let Some((name, code)) = upper.split_once(':') {
        let system = match name.trim() {
            // Their codes have the name in them.
            "MONDO" => return vec![(System::Mondo, upper)],
            "HP" => return vec![(System::Hpo, upper)],
            "RXCUI" | "RXNORM" => System::Rxnorm,
            "ATC" => System::Atc,
            "ICD10" | "ICD10CM" | "ICD-10" | "ICD-10-CM" => System::Icd10Cm,
            "MESH" | "MSH" => System::Mesh,
            "SNOMED" | "SNOMEDCT" | "SCTID" | "SCT" => System::Snomed,
            "OMIM" | "MIM" => System::Omim,
            "UMLS" | "CUI" => System::Umls,
            _ => return Vec::new(),
        };
        let code = code.trim();
        return if is_code(code) {
            vec![(system, code.to_owned())]
        } else {
            Vec::new()
        };
    }
    if !is_code(&upper) {
        return Vec::new();
    }
    let is = |shape: &str| has_shape(&upper, shape);
    let systems = if upper.bytes().all(|byte| byte.is_ascii_digit()) {
        numbers(&upper)
    } else if ["C", "D"].iter().any(|start| upper.starts_with(start))
        && (is("A######") || is("A#########"))
    {
        vec![System::Mesh]
    } else if upper.starts_with('C') && is("A#######") {
        vec![System::Umls]
    } else if is("A##AA##") {
        vec![System::Atc]
    } else if is_icd10(&upper) {
        vec![System::Icd10Cm]
    } else {
        Vec::new()
    };
    let pairs = systems.into_iter().map(|system| (system, upper.clone()));
    pairs.collect()
}

/// Whose number it may be. RxNorm's have up to 7 digits, OMIM's 6; those of SNOMED's concepts have 6 to 18, of which the two
/// before the last are 00, or 10 in an extension.
fn numbers(digits: &str) -> Vec<System> {
    let count = digits.len();
    let mut systems = Vec::new();
    if count <= 7 {
        systems.push(System::Rxnorm);
    }
    if count == 6 {
        systems.push(System::Omim);
    }
    let partition = count.checked_sub(3).and_then(|at| digits.get(at..at + 2));
    if count >= 6 && matches!(partition, Some("00" | "10")) {
        systems.push(System::Snomed);
    }
    systems
}

/// Whether it could be a code at all: no vocabulary's code has spaces.
fn is_code(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '.')
}

/// Whether a text is of this shape: `A` for a letter, `#` for a digit.
fn has_shape(text: &str, shape: &str) -> bool {
    let fits = |(c, shape): (char, char)| match shape {
        'A' => c.is_ascii_alphabetic(),
        _ => c.is_ascii_digit(),
    };
    text.len() == shape.len() && text.chars().zip(shape.chars()).all(fits)
}

fn is_icd10(upper: &str) -> bool {
    let mut letters = upper.chars();
    let begins = letters.next().is_some_and(|c| c.is_ascii_alphabetic())
        && letters.next().is_some_and(|c| c.is_ascii_digit())
        && letters.next().is_some_and(|c| c.is_ascii_alphanumeric());
    let rest: String = letters.collect();
    let tail = rest.strip_prefix('.').unwrap_or(&rest);
    begins && tail.len() <= 4 && tail.chars().all(|c| c.is_ascii_alphanumeric()) && rest.len() != 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_from_words() {
        use System::{Atc, Hpo, Icd10Cm, Mesh, Mondo, Omim, Rxnorm, Snomed, Umls};
        for (text, expected) in [
            ("E11.9", &[Icd10Cm][..]),
            ("I10", &[Icd10Cm][..]),
            ("S72.001A", &[Icd10Cm][..]),
            ("icd10cm:e11.9", &[Icd10Cm][..]),
            ("11289", &[Rxnorm][..]),
            ("219700", &[Rxnorm, Omim][..]),
            ("OMIM:219700", &[Omim][..]),
            ("73211009", &[Snomed][..]),
            ("190905008", &[Snomed][..]),
            ("12345678", &[][..]),
            ("MONDO:0005148", &[Mondo][..]),
            ("hp:0001250", &[Hpo][..]),
            ("D003920", &[Mesh][..]),
            ("d000086382", &[Mesh][..]),
            ("C0011849", &[Umls][..]),
            ("A10BA02", &[Atc][..]),
            ("asthma", &[][..]),
            ("B12 deficiency", &[][..]),
            ("note: asthma", &[][..]),
            ("MeSH: heart attack", &[][..]),
            ("T2", &[][..]),
            ("", &[][..]),
        ] {
            let found: Vec<System> = readings(text).into_iter().map(|found| found.0).collect();
            assert_eq!(found, expected, "{text}");
        }
        assert_eq!(readings("sctid: 73211009")[0].1, "73211009");
        assert_eq!(readings("hp:0001250")[0].1, "HP:0001250");
    }
}
