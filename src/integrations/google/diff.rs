//! What a dry run shows: a unified diff of two texts, by lines.

use std::fmt::Write as _;

/// Unchanged lines around a change.
const CONTEXT: usize = 2;
/// Most comparisons; beyond it everything between the first and the last difference counts as changed.
const MOST: usize = 4_000_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Both,
    Old,
    New,
}

/// The unified diff; empty when nothing differs.
pub(super) fn unified(old: &str, new: &str) -> String {
    let old: Vec<&str> = old.lines().collect();
    let new: Vec<&str> = new.lines().collect();
    let lines = compared(&old, &new);
    let changed = |line: &(Side, &str)| line.0 != Side::Both;
    let mut out = String::new();
    let (mut old_line, mut new_line) = (1, 1);
    let mut at = 0;
    while at < lines.len() {
        let Some(next) = lines[at..].iter().position(changed) else {
            break;
        };
        let start = at + next.saturating_sub(CONTEXT);
        // The hunk goes on as long as the next change is near.
        let mut end = at + next;
        while let Some(more) = lines[end..].iter().position(changed) {
            if more > 2 * CONTEXT {
                break;
            }
            end += more + 1;
        }
        let end = (end + CONTEXT).min(lines.len());
        for (side, _) in &lines[at..start] {
            old_line += usize::from(*side != Side::New);
            new_line += usize::from(*side != Side::Old);
        }
        let hunk = &lines[start..end];
        let count = |without: Side| hunk.iter().filter(|line| line.0 != without).count();
        let (olds, news) = (count(Side::New), count(Side::Old));
        let _ = writeln!(out, "@@ -{old_line},{olds} +{new_line},{news} @@");
        for (side, line) in hunk {
            let sign = match side {
                Side::Both => ' ',
                Side::Old => '-',
                Side::New => '+',
            };
            let _ = writeln!(out, "{sign}{line}");
        }
        old_line += olds;
        new_line += news;
        at = end;
    }
    out
}

/// All lines of both, those in common once: by their longest common subsequence.
fn compared<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<(Side, &'a str)> {
    let same = |(a, b): &(&&str, &&str)| a == b;
    let head = old.iter().zip(new).take_while(same).count();
    let (old_rest, new_rest) = (&old[head..], &new[head..]);
    let tail = old_rest
        .iter()
        .rev()
        .zip(new_rest.iter().rev())
        .take_while(same)
        .count();
    let (old_mid, new_mid) = (
        &old_rest[..old_rest.len() - tail],
        &new_rest[..new_rest.len() - tail],
    );
    let mut lines: Vec<_> = old[..head].iter().map(|line| (Side::Both, *line)).collect();
    let (rows, columns) = (old_mid.len(), new_mid.len());
    if rows.saturating_mul(columns) > MOST {
        lines.extend(old_mid.iter().map(|line| (Side::Old, *line)));
        lines.extend(new_mid.iter().map(|line| (Side::New, *line)));
    } else {
        let width = columns + 1;
        // How many lines the rests from here on have in common.
        let mut common = vec![0_u32; (rows + 1) * width];
        for row in (0..rows).rev() {
            for column in (0..columns).rev() {
                common[row * width + column] = if old_mid[row] == new_mid[column] {
                    common[(row + 1) * width + column + 1] + 1
                } else {
                    common[(row + 1) * width + column].max(common[row * width + column + 1])
                };
            }
        }
        let (mut row, mut column) = (0, 0);
        while row < rows || column < columns {
            let both = row < rows && column < columns && old_mid[row] == new_mid[column];
            let drop_old = column == columns
                || (row < rows
                    && common[(row + 1) * width + column] >= common[row * width + column + 1]);
            if both {
                lines.push((Side::Both, old_mid[row]));
                row += 1;
                column += 1;
            } else if drop_old {
                lines.push((Side::Old, old_mid[row]));
                row += 1;
            } else {
                lines.push((Side::New, new_mid[column]));
                column += 1;
            }
        }
    }
    lines.extend(
        old[old.len() - tail..]
            .iter()
            .map(|line| (Side::Both, *line)),
    );
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_shown_with_what_is_around_them() {
        let old = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n";
        let new = "1\n2\n3\nfour\n5\n6\n7\n8\n9\n10\n11\n12\n13\n";
        assert_eq!(
            unified(old, new),
            "@@ -2,5 +2,5 @@\n 2\n 3\n-4\n+four\n 5\n 6\n@@ -11,2 +11,3 @@\n 11\n 12\n+13\n"
        );
        assert_eq!(unified(old, old), "");
        assert_eq!(unified("", "a\n"), "@@ -1,0 +1,1 @@\n+a\n");
    }

    proptest::proptest! {
        #[test]
        fn both_texts_are_in_it(old in "[ab\n]{0,40}", new in "[ab\n]{0,40}") {
            let (before, after): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
            let lines = compared(&before, &after);
            let of = |side: Side| -> Vec<&str> {
                lines.iter().filter(|line| line.0 != side).map(|line| line.1).collect()
            };
            proptest::prop_assert_eq!(of(Side::New), before);
            proptest::prop_assert_eq!(of(Side::Old), after);
        }
    }
}
