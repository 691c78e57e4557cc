//! How people name variants, read and checked here and nowhere else.

use super::sources::quoted;
use crate::kit::error::ToolError;

/// The three-letter names of amino acids.
const AMINO_ACIDS: &[(char, &str)] = &[
    ('A', "Ala"),
    ('C', "Cys"),
    ('D', "Asp"),
    ('E', "Glu"),
    ('F', "Phe"),
    ('G', "Gly"),
    ('H', "His"),
    ('I', "Ile"),
    ('K', "Lys"),
    ('L', "Leu"),
    ('M', "Met"),
    ('N', "Asn"),
    ('P', "Pro"),
    ('Q', "Gln"),
    ('R', "Arg"),
    ('S', "Ser"),
    ('T', "Thr"),
    ('V', "Val"),
    ('W', "Trp"),
    ('Y', "Tyr"),
    ('*', "Ter"),
];

/// How a variant is named.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// In dbSNP.
    Rsid(String),
    /// On GRCh37, as MyVariant names it.
    Genomic(String),
    /// On a transcript.
    Coding(String),
    /// On GRCh38, as gnomAD names it.
    Position(String),
    /// A gene and what changes in its protein.
    Protein { gene: String, change: String },
}

impl Name {
    pub(super) fn parse(text: &str) -> Result<Self, ToolError> {
        let text = text.trim();
        let wrong = || {
            ToolError::Invalid(
                "`id` must be an rsID (rs113488022), HGVS (chr7:g.140453136A>T or NM_004333.6:c.1799T>A), a GRCh38 position \
                 (7-140753336-A-T), or a gene and its change (BRAF V600E)"
                    .to_owned(),
            )
        };
        let small = text.to_ascii_lowercase();
        let is_number =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if small.strip_prefix("rs").is_some_and(is_number) {
            return Ok(Self::Rsid(small));
        }
        if small.starts_with("chr") && text.contains(":g.") {
            return Ok(Self::Genomic(text.to_owned()));
        }
        if text.contains(":c.") && text.starts_with(['N', 'E']) {
            return Ok(Self::Coding(text.to_owned()));
        }
        let parts: Vec<&str> = text.split('-').collect();
        if let [chromosome, position, before, after] = parts.as_slice() {
            let bases =
                |text: &str| !text.is_empty() && text.chars().all(|c| "ACGTacgt".contains(c));
            if is_number(position) && bases(before) && bases(after) {
                let chromosome = chromosome.trim_start_matches("chr").to_ascii_uppercase();
                let (before, after) = (before.to_ascii_uppercase(), after.to_ascii_uppercase());
                return Ok(Self::Position(format!(
                    "{chromosome}-{position}-{before}-{after}"
                )));
            }
        }
        let (gene, change) = text.split_once([' ', ':']).ok_or_else(wrong)?;
        let change = protein_change(change.trim()).ok_or_else(wrong)?;
        let is_gene =
            gene.len() <= 30 && gene.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !is_gene || gene.is_empty() {
            return Err(wrong());
        }
        Ok(Self::Protein {
            gene: gene.to_ascii_uppercase(),
            change,
        })
    }

    /// MyVariant's query; a position is found by its rsID or not at all.
    pub(super) fn query(&self) -> Option<String> {
        match self {
            Self::Rsid(rsid) => Some(format!("dbsnp.rsid:{rsid}")),
            Self::Genomic(id) => Some(format!("_id:{}", quoted(id))),
            Self::Coding(hgvs) => Some(format!("clinvar.hgvs.coding:{}", quoted(hgvs))),
            Self::Protein { gene, change } => Some(format!(
                "dbnsfp.genename:{gene} AND dbnsfp.hgvsp:{}",
                quoted(change)
            )),
            Self::Position(_) => None,
        }
    }
}

/// `V600E`, `p.V600E` and `p.Val600Glu` as `p.Val600Glu`.
fn protein_change(text: &str) -> Option<String> {
    let text = text.strip_prefix("p.").unwrap_or(text);
    let first = text.find(|c: char| c.is_ascii_digit())?;
    let last = text.rfind(|c: char| c.is_ascii_digit())?;
    let (from, number, to) = (
        text.get(..first)?,
        text.get(first..=last)?,
        text.get(last + 1..)?,
    );
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let long = |word: &str| {
        AMINO_ACIDS
            .iter()
            .find(|(letter, name)| {
                word.eq_ignore_ascii_case(name)
                    || (word.len() == 1 && word.chars().all(|c| c.to_ascii_uppercase() == *letter))
            })
            .map(|(_, name)| *name)
    };
    Some(format!("p.{}{number}{}", long(from)?, long(to)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_have_five_kinds_of_names() {
        let protein = |gene: &str, change: &str| Name::Protein {
            gene: gene.to_owned(),
            change: change.to_owned(),
        };
        for (text, expected) in [
            ("RS113488022", Some(Name::Rsid("rs113488022".to_owned()))),
            (
                "chr7:g.140453136A>T",
                Some(Name::Genomic("chr7:g.140453136A>T".to_owned())),
            ),
            (
                "NM_004333.6:c.1799T>A",
                Some(Name::Coding("NM_004333.6:c.1799T>A".to_owned())),
            ),
            (
                "chr7-140753336-a-t",
                Some(Name::Position("7-140753336-A-T".to_owned())),
            ),
            ("BRAF V600E", Some(protein("BRAF", "p.Val600Glu"))),
            ("braf p.Val600Glu", Some(protein("BRAF", "p.Val600Glu"))),
            ("BRAF:p.V600*", Some(protein("BRAF", "p.Val600Ter"))),
            ("BRAF", None),
            ("BRAF V600", None),
            ("BRAF 600E", None),
            ("a\" OR x V600E", None),
            ("", None),
        ] {
            assert_eq!(Name::parse(text).ok(), expected, "{text}");
        }
    }
}
