//! Edits against a document that carries out their steps: what the API would make of the batch is what the dry run shows.
#![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

use proptest::prelude::*;

use super::markdown::markdown;
use super::page::{Block, Kind};
use super::paper::Paper;
use super::parse;
use super::plan::{Edit, Op, plan};
use super::step::Step;

/// A document of this Markdown, and its blocks with their places.
fn document(text: &str) -> (Paper, Vec<Block>) {
    let mut blocks = parse::blocks(text);
    if blocks.last().is_none_or(|block| block.para().is_none()) {
        // A document ends with a paragraph.
        blocks.push(Block::new(Kind::Para(super::page::Para::default())));
    }
    let paper = Paper::of(&mut blocks);
    (paper, blocks)
}

fn edit(op: Op, at: &str, text: &str) -> Edit {
    Edit {
        op,
        at: at.to_owned(),
        text: text.to_owned(),
        all: false,
    }
}

/// Without the empty paragraphs that the structure of a document needs and Markdown does not show.
fn shown(blocks: Vec<Block>) -> String {
    let holds = |block: &Block| {
        block
            .para()
            .is_none_or(|para| !para.runs.is_empty() || para.bullet.is_some())
    };
    markdown(&blocks.into_iter().filter(holds).collect::<Vec<_>>())
}

/// What becomes of the document, by the steps and by the dry run, which must agree.
fn edited(text: &str, edits: &[Edit]) -> Result<String, String> {
    let (mut paper, blocks) = document(text);
    let plan = plan(&blocks, edits)?;
    for step in &plan.steps {
        paper.carry_out(step);
    }
    let done = shown(paper.blocks());
    assert_eq!(done, shown(plan.after), "{:#?}", plan.steps);
    Ok(done)
}

const PLAN: &str = "# Autumn launch 🚀\n\nOwner: Bob.\n\n## Goals\n\nSell 100 licences to Northwind.\n\n- first 👩‍👩‍👧 goal\n- second goal\n\n## Risks\n\n| Risk | Owner |\n| --- | --- |\n| Delay | Dana |\n\nNone other.\n";

#[test]
fn edits_of_one_call_do_not_move_each_other() {
    let done = edited(
        PLAN,
        &[
            edit(Op::ReplaceText, "Bob", "**Alice 🎉**"),
            edit(
                Op::InsertAfter,
                "# Goals",
                "We agreed:\n\n1. soon\n    - very\n2. cheap",
            ),
            edit(Op::ReplaceText, "100 licences", "200 licences"),
            edit(Op::ReplaceText, "Dana", "Dana Whitfield"),
            edit(
                Op::Append,
                "",
                "The end.\n\n| a | b |\n| --- | --- |\n| 1 | *2* |",
            ),
            edit(Op::Style, "None other", "bold"),
            edit(Op::Comment, "Delay", "Is it?"),
        ],
    );
    assert_eq!(
        done.unwrap(),
        "# Autumn launch 🚀\n\nOwner: **Alice 🎉**.\n\n## Goals\n\nWe agreed:\n\n1. soon\n    - very\n2. cheap\n\nSell 200 licences to Northwind.\n\n- first 👩‍👩‍👧 goal\n- second goal\n\n## Risks\n\n| Risk | Owner |\n| --- | --- |\n| Delay | Dana Whitfield |\n\n**None other**.\n\nThe end.\n\n| a | b |\n| --- | --- |\n| 1 | *2* |\n"
    );
}

#[test]
fn sections_are_replaced_and_emptied() {
    let done = edited(
        PLAN,
        &[edit(Op::ReplaceSection, "Goals", "Fewer.\n\n- one")],
    );
    assert!(
        done.unwrap()
            .contains("## Goals\n\nFewer.\n\n- one\n\n## Risks\n")
    );
    let done = edited(PLAN, &[edit(Op::ReplaceSection, "## Risks", "No risks.")]);
    assert!(done.unwrap().ends_with("## Risks\n\nNo risks.\n"));
    let done = edited(PLAN, &[edit(Op::ReplaceSection, "Goals", "")]);
    assert!(done.unwrap().contains("## Goals\n\n## Risks\n"));
    let done = edited(
        "# A\n\n| x |\n| --- |\n| y |\n\n# B\n\nb\n",
        &[edit(Op::ReplaceSection, "A", "new")],
    );
    assert_eq!(done.unwrap(), "# A\n\nnew\n\n# B\n\nb\n");
    let done = edited(
        "# A\n\n# B\n\nb\n",
        &[edit(Op::ReplaceSection, "A", "| t |\n| --- |\n| u |")],
    );
    assert_eq!(done.unwrap(), "# A\n\n| t |\n| --- |\n| u |\n\n# B\n\nb\n");
    // The last paragraph of a document cannot go, but nothing of its look may stay.
    for last in ["- one\n- two\n", "## Deeper\n"] {
        let (mut paper, blocks) = document(&format!("# A\n\n{last}"));
        let plan = plan(&blocks, &[edit(Op::ReplaceSection, "A", "")]).unwrap();
        for step in &plan.steps {
            paper.carry_out(step);
        }
        assert_eq!(markdown(&paper.blocks()).trim_end(), "# A", "{last}");
    }
}

#[test]
fn a_paragraph_that_is_taken_away_leaves_no_empty_line() {
    let (_, blocks) = document("one\n\ntwo\n\nthree\n");
    let found = plan(&blocks, &[edit(Op::ReplaceText, "two", "")]).unwrap();
    assert_eq!(found.steps, [Step::Delete { start: 5, end: 9 }]);
    // The last line break of a document stays.
    let found = plan(&blocks, &[edit(Op::ReplaceText, "three", "")]).unwrap();
    assert_eq!(found.steps, [Step::Delete { start: 9, end: 14 }]);
}

#[test]
fn texts_for_the_same_place_stand_in_the_order_of_the_edits() {
    let edits = [
        edit(Op::InsertAfter, "one", "first"),
        edit(Op::InsertAfter, "one", "second"),
        edit(Op::ReplaceText, "one", "1"),
        edit(Op::Append, "", "third"),
        edit(Op::Append, "", "fourth"),
    ];
    assert_eq!(
        edited("one\n", &edits).unwrap(),
        "1\n\nfirst\n\nsecond\n\nthird\n\nfourth\n"
    );
}

#[test]
fn an_edit_without_a_place_refuses_all() {
    for (edits, why) in [
        (
            vec![
                edit(Op::ReplaceText, "Bob", "x"),
                edit(Op::InsertAfter, "# Budget", "x"),
            ],
            "edit 2 (insert_after): there is no heading “# Budget” in this tab; its headings are: Autumn launch 🚀 · Goals · Risks",
        ),
        (
            vec![edit(Op::ReplaceText, "goal", "x")],
            "edit 1 (replace_text): “goal” stands in 2 places",
        ),
        (
            vec![edit(Op::ReplaceText, "nothing like it", "x")],
            "edit 1 (replace_text): “nothing like it” is not in this tab",
        ),
        (
            vec![edit(Op::ReplaceText, "first", "a\nb")],
            "edit 1 (replace_text): `text` must be one line",
        ),
        (
            vec![edit(Op::Style, "first", "huge")],
            "edit 1 (style): `text` must be bold",
        ),
        (
            vec![edit(Op::Comment, "first", &"é".repeat(1_025))],
            "edit 1 (comment): `text` must have 1 to 2048 bytes",
        ),
        (
            vec![
                edit(Op::ReplaceSection, "Goals", "x"),
                edit(Op::ReplaceText, "100", "x"),
            ],
            "edit 1 (replace_section) and edit 2 (replace_text) change the same text",
        ),
        (
            vec![
                edit(Op::ReplaceText, "100 licences", "x"),
                edit(Op::ReplaceText, "licences to", "x"),
            ],
            "edit 1 (replace_text) and edit 2 (replace_text) change the same text",
        ),
    ] {
        let refused = edited(PLAN, &edits).unwrap_err();
        assert!(refused.starts_with(why), "{refused}");
    }
}

#[test]
fn every_occurrence_is_replaced_when_that_is_said() {
    let all = Edit {
        all: true,
        ..edit(Op::ReplaceText, "goal", "🎯")
    };
    let done = edited(PLAN, &[all]).unwrap();
    assert!(done.contains("- first 👩‍👩‍👧 🎯\n- second 🎯\n"), "{done}");
    let marked = edited(
        "a **bold** word\n",
        &[edit(Op::ReplaceText, "a **bold** word", "plain")],
    );
    assert_eq!(marked.unwrap(), "plain\n");
    let kept = edited(
        "a **bold** word\n",
        &[edit(Op::ReplaceText, "bold", "strong")],
    );
    assert_eq!(kept.unwrap(), "a **strong** word\n");
}

/// Words that no two places of a document share, in several scripts.
fn word(number: usize) -> String {
    let shapes = ["word", "wörd", "e\u{301}clair", "漢字", "🚀", "👩‍👧", "𝒳"];
    format!("{}{number}x", shapes[number % shapes.len()])
}

#[derive(Clone, Debug)]
enum Part {
    Heading(u8),
    Plain,
    Item { ordered: bool },
    Table(usize),
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    let part = prop_oneof![
        (1..4_u8).prop_map(Part::Heading),
        Just(Part::Plain),
        any::<bool>().prop_map(|ordered| Part::Item { ordered }),
        (1..3_usize).prop_map(Part::Table),
    ];
    proptest::collection::vec(part, 1..12)
}

/// The Markdown of these parts; part `i` holds the words `10 i` and following.
fn text(parts: &[Part]) -> String {
    let lines = parts.iter().enumerate().map(|(index, part)| {
        let (a, b, c) = (word(10 * index), word(10 * index + 1), word(10 * index + 2));
        match part {
            Part::Heading(level) => format!("{} {a} {b}\n\n", "#".repeat(usize::from(*level))),
            Part::Plain => format!("{a} **{b}** {c}\n\n"),
            Part::Item { ordered: true } => format!("1. {a} {b}\n\n"),
            Part::Item { ordered: false } => format!("- {a} *{b}*\n\n"),
            Part::Table(columns) => format!(
                "{}\n{}\n{}\n\n",
                format!("| {a} {b} ").repeat(1) + &"| h ".repeat(columns - 1) + "|",
                "| --- ".repeat(*columns) + "|",
                format!("| {c} ") + &"| 🚀 ".repeat(columns - 1) + "|"
            ),
        }
    });
    lines.collect()
}

const NEW: [&str; 8] = [
    "new 🚀 text",
    "- new\n    - deep 漢\n- list",
    "### new heading\n\nand more",
    "| n1 | n2 |\n| --- | --- |\n| 𝒳 | |\n\nafter it",
    "| only |\n| --- |",
    "1. a\n2. b\n\n- c",
    "| one |\n| --- |\n\n| two |\n| --- |",
    "- last\n\n| t |\n| --- |\n\n## end",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn the_steps_make_what_the_dry_run_shows(
        parts in parts(),
        wanted in proptest::collection::vec((0..6_usize, 0..12_usize, 0..3_usize, 0..NEW.len()), 1..6),
    ) {
        let document = text(&parts);
        let edits: Vec<Edit> = wanted
            .into_iter()
            .map(|(op, part, inner, new)| {
                let part = part % parts.len();
                let quote = word(10 * part + inner);
                match op {
                    0 => edit(Op::ReplaceText, &quote, "n𝒳w"),
                    1 => edit(Op::InsertAfter, &quote, NEW[new]),
                    2 => edit(Op::Append, "", NEW[new]),
                    3 => edit(Op::Style, &quote, ["bold", "plain", "h2", "code"][new % 4]),
                    4 => {
                        let index = parts[..=part].iter().rposition(|part| matches!(part, Part::Heading(_)));
                        let heading = index.map_or_else(String::new, |index| {
                            format!("{} {}", word(10 * index), word(10 * index + 1))
                        });
                        edit(Op::ReplaceSection, &heading, if new == 0 { "" } else { NEW[new] })
                    }
                    _ => edit(Op::ReplaceText, &quote, ""),
                }
            })
            .collect();
        // A refusal is as good as an edit; what must not be is a batch that does something else.
        let _ = edited(&document, &edits);
    }
}
