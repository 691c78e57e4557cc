//! Names of drugs: RxNorm knows how they are spelled and what is in them.

use futures_util::future::join;
use serde_json::Value;

use super::sources::{at, many, texts};
use crate::kit::error::ProviderError;
use crate::kit::tool::Cx;

/// A drug as RxNorm knows it.
#[derive(Clone, Debug)]
pub(super) struct Drug {
    /// As it was asked for.
    pub(super) asked: String,
    /// RxNorm's id; `None` when it does not know the drug.
    pub(super) rxcui: Option<String>,
    /// RxNorm's name of it, else as it was asked for.
    pub(super) name: String,
    /// The active ingredients; the name itself when RxNorm does not know them.
    pub(super) ingredients: Vec<String>,
    /// Whether the spelling was a guess.
    pub(super) guessed: bool,
}

impl Drug {
    /// A drug of which only the name is known.
    pub(super) fn unknown(asked: &str) -> Self {
        Self {
            asked: asked.to_owned(),
            rxcui: None,
            name: asked.to_owned(),
            ingredients: vec![asked.to_lowercase()],
            guessed: false,
        }
    }
}

/// Finds a drug by any name: ingredient, brand, product, or nearly so.
pub(super) async fn resolve(cx: &Cx, asked: &str) -> Result<Drug, ProviderError> {
    let api = cx.api.at("rxnav");
    let found: Value = api
        .get(&["REST", "rxcui.json"])
        .query("name", asked)
        // As written, then normalised: without salt, in another order.
        .query("search", 2)
        .send()
        .await?;
    let mut rxcui = texts(&found, "/idGroup/rxnormId").into_iter().next();
    let mut guessed = false;
    if rxcui.is_none() {
        let near: Value = api
            .get(&["REST", "approximateTerm.json"])
            .query("term", asked)
            .query("maxEntries", 1)
            .send()
            .await?;
        rxcui = many(&near, "/approximateGroup/candidate")
            .first()
            .map(|candidate| at(candidate, "/rxcui"));
        guessed = rxcui.is_some();
    }
    let Some(rxcui) = rxcui else {
        return Ok(Drug::unknown(asked));
    };
    let (facts, related) = join(
        api.get(&["REST", "rxcui", &rxcui, "properties.json"])
            .send::<Value>(),
        api.get(&["REST", "rxcui", &rxcui, "related.json"])
            .query("tty", "IN")
            .send::<Value>(),
    )
    .await;
    let (facts, related) = (facts?, related?);
    let name = Some(at(&facts, "/properties/name")).filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| asked.to_owned());
    let groups = many(&related, "/relatedGroup/conceptGroup").iter();
    let mut ingredients: Vec<String> = groups
        .flat_map(|group| many(group, "/conceptProperties"))
        .map(|concept| at(concept, "/name").to_lowercase())
        .collect();
    if ingredients.is_empty() {
        ingredients.push(name.to_lowercase());
    }
    Ok(Drug {
        asked: asked.to_owned(),
        rxcui: Some(rxcui),
        name,
        ingredients,
        guessed,
    })
}

/// How RxNorm would spell what somebody began to write.
pub(super) async fn spellings(cx: &Cx, prefix: &str) -> Result<Vec<String>, ProviderError> {
    if prefix.trim().chars().count() < 2 {
        return Ok(Vec::new());
    }
    let found: Value = cx
        .api
        .at("rxnav")
        .get(&["REST", "spellingsuggestions.json"])
        .query("name", prefix.trim())
        .send()
        .await?;
    Ok(texts(&found, "/suggestionGroup/suggestionList/suggestion"))
}
