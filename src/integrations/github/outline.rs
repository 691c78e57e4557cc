//! The symbols of a source file, found by how lines of the language begin. It is a reading aid, not a parser: it shows
//! where to look without spending an answer on the whole file.

/// Lines that name a definition or a heading, as `number: text`.
pub(super) fn outline(path: &str, text: &str) -> Vec<String> {
    let extension = path
        .rsplit('/')
        .next()
        .and_then(|name| name.rsplit_once('.'))
        .map_or("", |(_, extension)| extension);
    let is_markdown = matches!(extension, "md" | "mdx" | "markdown");
    let mut fenced = false;
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if is_markdown && line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        let names = if is_markdown {
            !fenced && is_heading(line)
        } else {
            defines(extension, line)
        };
        if names {
            let line = line.trim_end().trim_end_matches('{').trim_end();
            found.push(format!(
                "{}: {}",
                index + 1,
                crate::kit::text::clip(line, 160)
            ));
        }
    }
    found
}

fn is_heading(line: &str) -> bool {
    let rest = line.trim_start_matches('#');
    rest.len() < line.len() && line.len() - rest.len() <= 6 && rest.starts_with(' ')
}

/// Words that may stand before the defining one.
const MODIFIERS: [&str; 24] = [
    "pub",
    "async",
    "unsafe",
    "const",
    "extern",
    "export",
    "default",
    "declare",
    "abstract",
    "public",
    "private",
    "protected",
    "internal",
    "static",
    "final",
    "override",
    "open",
    "sealed",
    "data",
    "virtual",
    "partial",
    "suspend",
    "inline",
    "readonly",
];

fn defines(extension: &str, line: &str) -> bool {
    let words: &[&str] = match extension {
        "rs" => &[
            "fn",
            "struct",
            "enum",
            "trait",
            "impl",
            "mod",
            "type",
            "macro_rules!",
            "const",
            "static",
        ],
        "py" | "pyi" => &["def", "class"],
        "js" | "jsx" | "ts" | "tsx" | "mjs" | "cjs" | "vue" | "svelte" => &[
            "function",
            "class",
            "interface",
            "type",
            "enum",
            "namespace",
        ],
        "go" => &["func", "type"],
        "java" | "kt" | "kts" | "cs" | "scala" | "swift" | "dart" | "php" => &[
            "class",
            "interface",
            "enum",
            "record",
            "struct",
            "object",
            "trait",
            "protocol",
            "extension",
            "fun",
            "func",
            "function",
            "def",
            "namespace",
        ],
        "rb" => &["def", "class", "module"],
        "c" | "h" | "cc" | "cpp" | "cxx" | "hpp" | "m" | "mm" => {
            &["struct", "class", "enum", "union", "namespace", "typedef"]
        }
        "sql" => &["create", "CREATE"],
        "proto" => &["message", "service", "rpc", "enum"],
        "sh" | "bash" => &["function"],
        _other => return false,
    };
    let trimmed = line.trim_start();
    // Deeply nested helpers are noise.
    if line.len() - trimmed.len() > 8 {
        return false;
    }
    for word in trimmed.split([' ', '\t', '(', '<']) {
        let is_modifier =
            MODIFIERS.contains(&word) || word.starts_with("pub") || word.starts_with("crate)");
        if words.contains(&word) && (word != "const" || trimmed.contains(": ")) {
            // `const fn` is found at `fn`; a constant counts only at the top.
            return !matches!(word, "const" | "static" | "type") || line.len() == trimmed.len();
        }
        if !is_modifier
            && !word.starts_with("in ")
            && word != "super)"
            && word != "super"
            && word != "crate"
        {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_listed_with_their_lines() {
        let rust = "use a::b;\n\npub(crate) struct A {\n    field: u8,\n}\n\nimpl A {\n    pub const fn new() -> Self {\n        Self { field: 1 }\n    }\n}\nconst MAX: u8 = 3;\n";
        assert_eq!(
            outline("src/a.rs", rust),
            [
                "3: pub(crate) struct A",
                "7: impl A",
                "8:     pub const fn new() -> Self",
                "12: const MAX: u8 = 3;"
            ]
        );
        let python = "import os\n\nclass A:\n    async def run(self):\n        pass\n";
        assert_eq!(
            outline("a.py", python),
            ["3: class A:", "4:     async def run(self):"]
        );
        let script = "export default function main() {\nconst x = 1;\nexport interface Y {\n";
        assert_eq!(
            outline("a.ts", script),
            ["1: export default function main()", "3: export interface Y"]
        );
    }

    #[test]
    fn headings_outside_of_code_are_listed() {
        let text = "# A\n```\n# no\n```\n## B\n#tag\n";
        assert_eq!(outline("docs/a.md", text), ["1: # A", "5: ## B"]);
        assert!(outline("a.bin", text).is_empty());
    }
}
