#![doc = include_str!("README.md")]

mod article;
mod codes;
mod drug;
mod events;
mod gene;
mod guides;
mod hgvs;
mod hosts;
mod interactions;
mod labels;
mod literature;
mod notation;
mod reference;
mod rxnorm;
mod sources;
mod trial;
mod trials;
mod variant;
mod xml;

use crate::kit::block::BlockDef;
use crate::kit::integration::{
    Api, Auth, CredentialIn, Integration, Open, Pace, Provider, Toolset,
};
use crate::kit::tool::ToolDef;

/// A line that beats: our own drawing.
const ICON: &str = concat!(
    r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="#b4434a" stroke-width="2">"##,
    r#"<path d="M2 13h5l2-6 4 11 3-8 2 3h4"/></svg>"#
);

pub(super) static INTEGRATION: Integration = Integration {
    id: "health",
    name: "Healthcare and life science",
    summary: "Literature, drugs, clinical trials, genes and variants from public sources, open to everyone; no patient data.",
    icon: ICON,
    providers: &[Provider {
        id: "health",
        name: "Public sources",
        scheme: "health",
        auth: Auth::Open(Open {
            hosts: hosts::RULES,
        }),
        api: Api {
            // Every source is a host of its own; nothing is asked here.
            base_url: "https://eutils.ncbi.nlm.nih.gov",
            hosts: hosts::HOSTS,
            headers: &[],
            credential: CredentialIn::Bearer,
            download_hosts: &[],
            regions: &[],
            // Each host has its own; this one is per account, and there is none.
            pace: Pace {
                per_second: 10,
                burst: 50,
            },
            classify: hosts::classify,
        },
        identify: hosts::identify,
    }],
    toolsets: &[LITERATURE, DRUGS, TRIALS, GENOMICS, REFERENCE],
    aliases: &[],
    contacts: None,
};

const LITERATURE: Toolset = Toolset {
    id: "literature",
    title: "Literature",
    tools: &[
        ToolDef::open::<literature::SearchLiterature>(),
        ToolDef::open::<article::GetArticle>(),
    ],
    blocks: &[BlockDef::of::<article::ArticleBlock>()],
};

const DRUGS: Toolset = Toolset {
    id: "drugs",
    title: "Drugs",
    tools: &[
        ToolDef::open::<interactions::CheckInteractions>(),
        ToolDef::open::<drug::GetDrug>(),
        ToolDef::open::<events::SearchAdverseEvents>(),
    ],
    blocks: &[BlockDef::of::<drug::LabelBlock>()],
};

const TRIALS: Toolset = Toolset {
    id: "trials",
    title: "Clinical trials",
    tools: &[
        ToolDef::open::<trials::SearchTrials>(),
        ToolDef::open::<trial::GetTrial>(),
    ],
    blocks: &[BlockDef::of::<trial::TrialBlock>()],
};

const GENOMICS: Toolset = Toolset {
    id: "genomics",
    title: "Genes and variants",
    tools: &[
        ToolDef::open::<gene::GetGene>(),
        ToolDef::open::<variant::GetVariant>(),
    ],
    blocks: &[
        BlockDef::of::<gene::GeneBlock>(),
        BlockDef::of::<variant::VariantBlock>(),
    ],
};

const REFERENCE: Toolset = Toolset {
    id: "reference",
    title: "Reference and codes",
    tools: &[
        ToolDef::open::<reference::LookupReference>(),
        ToolDef::open::<codes::MapCodes>(),
    ],
    blocks: &[BlockDef::of::<guides::GuideBlock>()],
};

#[cfg(test)]
mod tests {
    #[test]
    fn addresses_lead_to_their_blocks() {
        let found = |address| {
            let (_, block, variables) = crate::integrations::block(address)?;
            Some((block.name, serde_json::Value::Object(variables).to_string()))
        };
        for (address, name, variables) in [
            (
                "health://articles/22663011",
                "health_article",
                r#"{"pmid":"22663011"}"#,
            ),
            (
                "health://trials/NCT03540771",
                "health_trial",
                r#"{"nct":"NCT03540771"}"#,
            ),
            (
                "health://drugs/warfarin/label",
                "health_drug_label",
                r#"{"name":"warfarin","section":""}"#,
            ),
            (
                "health://drugs/warfarin/label/interactions",
                "health_drug_label",
                r#"{"name":"warfarin","section":"interactions"}"#,
            ),
            (
                "health://genes/BRCA1",
                "health_gene",
                r#"{"symbol":"BRCA1"}"#,
            ),
            (
                "health://variants/BRAF%20V600E",
                "health_variant",
                r#"{"id":"BRAF V600E"}"#,
            ),
            (
                "health://guides/evidence",
                "health_guide",
                r#"{"topic":"evidence"}"#,
            ),
        ] {
            let expected = Some((name, variables.to_owned()));
            assert_eq!(found(address), expected, "{address}");
        }
        assert_eq!(found("health://public/articles/1"), None);
    }
}
