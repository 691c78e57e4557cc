//! Interactions of drugs, pair by pair, as far as the drugs' own labels name each other.

use futures_util::future::join_all;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::labels::{self, Label, Section};
use super::rxnorm::{self, Drug};
use super::sources::{NO_ADVICE, Sources, needed, short};
use crate::kit::error::ToolError;
use crate::kit::output::{Item, Output};
use crate::kit::tool::{Cx, Effect, Needs, Tool};

/// Most statements of one section about one drug.
const STATEMENTS: usize = 3;
/// Longest statement, in characters.
const STATEMENT_CHARS: usize = 600;
/// Where labels speak of interactions.
const PLACES: [Section; 4] = [
    Section::Contraindications,
    Section::BoxedWarning,
    Section::Interactions,
    Section::Warnings,
];
/// What people take with their drugs.
const FOOD: &[&str] = &[
    "food",
    "meal",
    "meals",
    "grapefruit",
    "alcohol",
    "dairy",
    "milk",
    "caffeine",
    "vitamin k",
    "st. john's wort",
    "tyramine",
];

/// What no finding means.
const NO_FINDING: &str = "No finding is not the absence of an interaction: only US labels were searched, for the names and \
     classes of the other drug.";

/// Check drugs against each other, pairwise, by what their US labels say. No finding does not mean no interaction.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckInteractions {
    /// 2 to 20 drug names, generic or brand.
    #[schemars(length(min = 2, max = 20))]
    drugs: Vec<String>,
    /// What labels say of food, alcohol, grapefruit too.
    #[serde(default)]
    include_food: bool,
}

/// A drug with what is known of it.
struct Known {
    drug: Drug,
    label: Option<Label>,
    /// What texts may call it, with how that names it.
    names: Vec<(String, &'static str)>,
}

impl Tool for CheckInteractions {
    const NAME: &'static str = "health_check_interactions";
    const TITLE: &'static str = "Check drug interactions";
    const EFFECT: Effect = Effect::Read;
    const SCOPES: Needs = Needs::Nothing;

    async fn call(self, cx: &Cx) -> Result<Output, ToolError> {
        let asked = self.asked()?;
        let mut sources = Sources::default();
        let found = join_all(asked.iter().map(|name| rxnorm::resolve(cx, name))).await;
        let mut drugs = Vec::new();
        for (name, found) in asked.iter().zip(found) {
            let drug = sources.take("RxNorm", found);
            let drug = drug.unwrap_or_else(|| Drug::unknown(name));
            if drug.guessed {
                sources.warn(format!("{name:?} was read as {}", drug.name));
            } else if drug.rxcui.is_none() {
                sources.warn(format!(
                    "RxNorm does not know {name:?}; it was searched as written"
                ));
            }
            drugs.push(drug);
        }
        let found = join_all(drugs.iter().map(|drug| labels::of(cx, drug))).await;
        let mut known = Vec::new();
        for (drug, found) in drugs.into_iter().zip(found) {
            let answered = found.is_ok();
            let label = sources.take("openFDA", found).flatten();
            if label.is_none() && answered {
                sources.warn(format!(
                    "there is no US label of {}, so only what others say of it is known",
                    drug.name
                ));
            }
            if let Some(label) = &label {
                warn_of(label, &drug, &mut sources);
            }
            known.push(Known::new(drug, label));
        }
        sources.check()?;
        let mut items = pairs(&known);
        if self.include_food {
            items.extend(known.iter().filter_map(Known::food));
        }
        sources.warn(format!("{NO_FINDING} {NO_ADVICE}"));
        sources.output(items)
    }
}

impl CheckInteractions {
    /// The names, each once.
    fn asked(&self) -> Result<Vec<String>, ToolError> {
        let mut asked: Vec<String> = Vec::new();
        for name in &self.drugs {
            let name = needed("drugs", name)?;
            if !asked.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                asked.push(name.to_owned());
            }
        }
        if (2..=20).contains(&asked.len()) {
            Ok(asked)
        } else {
            Err(ToolError::Invalid(
                "`drugs` must name 2 to 20 different drugs".to_owned(),
            ))
        }
    }
}

/// Says where a label speaks for other substances too, or not of interactions.
fn warn_of(label: &Label, drug: &Drug, sources: &mut Sources) {
    if let Some(mixture) = label.mixture(drug) {
        sources.warn(mixture);
    }
    if label.is_silent() {
        sources.warn(format!(
            "the label of {} has no section on interactions; only its warnings and contraindications were searched",
            drug.name
        ));
    }
}

/// Every pair, those with findings first.
fn pairs(known: &[Known]) -> Vec<Item> {
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for (index, one) in known.iter().enumerate() {
        for two in known.iter().skip(index + 1) {
            let mut statements = one.says_of(two);
            statements.extend(two.says_of(one));
            let finding = match (statements.is_empty(), &one.label, &two.label) {
                (false, _, _) => "mentioned",
                (true, None, None) => "unknown",
                (true, _, _) => "not mentioned",
            };
            let same = one
                .drug
                .ingredients
                .iter()
                .find(|name| two.drug.ingredients.contains(name));
            let found = finding == "mentioned" || same.is_some();
            let searched: Vec<&str> = [one, two]
                .into_iter()
                .filter(|known| known.label.is_some())
                .map(|known| known.drug.name.as_str())
                .collect();
            let item = Item::new(format!("{} + {}", one.drug.name, two.drug.name))
                .field("drugs", json!([one.drug.asked, two.drug.asked]))
                .field("finding", finding)
                .field("labels_searched", searched)
                .field("same_ingredient", same.cloned())
                .field("statements", statements);
            let list = if found { &mut with } else { &mut without };
            list.push(item);
        }
    }
    with.append(&mut without);
    with
}

impl Known {
    fn new(drug: Drug, label: Option<Label>) -> Self {
        let mut names: Vec<(String, &'static str)> = Vec::new();
        let mut add = |name: &str, how: &'static str| {
            let name = name.trim().to_lowercase();
            // Shorter ones stand in too many other words' company.
            if name.chars().count() >= 4 && !names.iter().any(|(known, _)| *known == name) {
                names.push((name, how));
            }
        };
        for name in &drug.ingredients {
            add(name, "ingredient");
        }
        add(&drug.asked, "name");
        add(&drug.name, "name");
        if let Some(label) = &label {
            for name in label.brand_names() {
                add(&name, "brand");
            }
            for class in label.classes() {
                add(&class, "class");
                add(&format!("{class}s"), "class");
            }
        }
        Self { drug, label, names }
    }

    /// What this drug's label says of another one.
    fn says_of(&self, other: &Self) -> Vec<Value> {
        let Some(label) = &self.label else {
            return Vec::new();
        };
        let mut statements = Vec::new();
        for place in PLACES {
            let Some(text) = label.section(place) else {
                continue;
            };
            let sentences = sentences(&text).into_iter().filter_map(|sentence| {
                let (name, how) = other.named_in(sentence)?;
                // A class that both belong to names the drug itself.
                let own = how == "class" && self.names.iter().any(|(own, _)| own == name);
                (!own).then(|| {
                    json!({
                        "says": short(sentence, STATEMENT_CHARS), "of": other.drug.name, "matched": name, "by": how,
                        "section": place.as_str(), "source": label.source(),
                    })
                })
            });
            statements.extend(sentences.take(STATEMENTS));
        }
        statements
    }

    fn named_in(&self, sentence: &str) -> Option<(&str, &'static str)> {
        let sentence = sentence.to_lowercase();
        self.names
            .iter()
            .find(|(name, _)| has_word(&sentence, name))
            .map(|(name, how)| (name.as_str(), *how))
    }

    /// What this drug's label says of food and drink.
    fn food(&self) -> Option<Item> {
        let label = self.label.as_ref()?;
        let places = [Section::Interactions, Section::Warnings, Section::Dosage];
        let mut statements = Vec::new();
        for place in places {
            let text = label.section(place).unwrap_or_default();
            let found = sentences(&text).into_iter().filter_map(|sentence| {
                let small = sentence.to_lowercase();
                let word = FOOD.iter().find(|word| has_word(&small, word))?;
                Some(json!({
                    "says": short(sentence, STATEMENT_CHARS), "matched": word, "section": place.as_str(),
                    "source": label.source(),
                }))
            });
            statements.extend(found.take(STATEMENTS));
        }
        let finding = if statements.is_empty() {
            "not mentioned"
        } else {
            "mentioned"
        };
        Some(
            Item::new(format!("{} + food", self.drug.name))
                .field("drugs", json!([self.drug.asked]))
                .field("finding", finding)
                .field("statements", statements),
        )
    }
}

/// The sentences of a section: up to a full stop before a capital letter, or the end of a paragraph.
fn sentences(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for paragraph in text.split('\n') {
        let mut start = 0;
        for (stop, _) in paragraph.match_indices(". ") {
            let next = paragraph
                .get(stop + 2..)
                .and_then(|rest| rest.chars().next());
            if next.is_some_and(|c| c.is_uppercase() || c == '[' || c == '•') {
                found.push(paragraph.get(start..=stop).unwrap_or_default());
                start = stop + 2;
            }
        }
        found.push(paragraph.get(start..).unwrap_or_default());
    }
    found.retain(|sentence| !sentence.trim().is_empty());
    found
}

/// Whether `text` has `word` as a word of its own.
fn has_word(text: &str, word: &str) -> bool {
    let is_letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    text.match_indices(word).any(|(place, found)| {
        let before = text.get(..place).and_then(|text| text.chars().next_back());
        let after = text
            .get(place + found.len()..)
            .and_then(|text| text.chars().next());
        !is_letter(before) && !is_letter(after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_end_before_capitals() {
        assert_eq!(
            sentences("Avoid use with X (e.g. y). Monitor INR.\nSee 7.1. for more"),
            [
                "Avoid use with X (e.g. y).",
                "Monitor INR.",
                "See 7.1. for more"
            ]
        );
    }

    #[test]
    fn words_stand_alone() {
        assert!(has_word("avoid aspirin.", "aspirin"));
        assert!(has_word(
            "nonsteroidal anti-inflammatory drugs",
            "nonsteroidal anti-inflammatory drugs"
        ));
        assert!(!has_word("aspirinlike", "aspirin"));
        assert!(!has_word("methylprednisolone", "prednisolone"));
    }
}
