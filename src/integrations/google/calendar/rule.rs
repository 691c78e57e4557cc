//! Recurrence rules (RFC 5545 §3.8.5), as far as cutting a series in two needs them.

use super::super::asks::day;
use super::model::When;
use crate::kit::Timestamp;

/// Whether a line is a rule; the others name single days to add or leave out.
fn is_rule(line: &str) -> bool {
    line.get(..6)
        .is_some_and(|start| start.eq_ignore_ascii_case("RRULE:"))
}

/// How often the series happens, when its rule counts.
pub(super) fn count(recurrence: &[String]) -> Option<u32> {
    let rule = recurrence.iter().find(|line| is_rule(line))?;
    parts(rule).find_map(|(name, value)| {
        name.eq_ignore_ascii_case("COUNT")
            .then(|| value.parse().ok())?
    })
}

fn parts(rule: &str) -> impl Iterator<Item = (&str, &str)> {
    let rule = rule.get(6..).unwrap_or_default();
    rule.split(';').filter_map(|part| part.split_once('='))
}

/// The rules with these ends taken off and `end` put on.
fn ended(recurrence: &[String], drop: &[&str], end: Option<&str>) -> Vec<String> {
    recurrence
        .iter()
        .map(|line| {
            if !is_rule(line) {
                return line.clone();
            }
            let kept = parts(line)
                .filter(|(name, _)| !drop.iter().any(|gone| name.eq_ignore_ascii_case(gone)));
            let mut kept: Vec<String> = kept
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            kept.extend(end.map(ToOwned::to_owned));
            format!("RRULE:{}", kept.join(";"))
        })
        .collect()
}

/// The series up to, and without, what happens at `at`. `None` when `at` cannot be read.
pub(super) fn before(recurrence: &[String], at: &When) -> Option<Vec<String>> {
    let until = if at.date_time.is_empty() {
        let last = day(&at.date)?.previous_day()?;
        last.to_string().replace('-', "")
    } else {
        let last = Timestamp::parse_rfc3339(&at.date_time)?.seconds() - 1;
        super::super::asks::utc(last).replace(['-', ':'], "")
    };
    let end = format!("UNTIL={until}");
    Some(ended(recurrence, &["COUNT", "UNTIL"], Some(&end)))
}

/// The series that is left after it happened `past` times.
pub(super) fn after(recurrence: &[String], past: u32) -> Vec<String> {
    match count(recurrence) {
        Some(count) => {
            let left = format!("COUNT={}", count.saturating_sub(past).max(1));
            ended(recurrence, &["COUNT"], Some(&left))
        }
        None => recurrence.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;

    fn lines(list: &[&str]) -> Vec<String> {
        list.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn a_series_is_cut_in_two() {
        let weekly = lines(&[
            "RRULE:FREQ=WEEKLY;COUNT=10;BYDAY=MO",
            "EXDATE:20261130T090000Z",
        ]);
        let at = When {
            date_time: "2026-12-07T10:00:00+01:00".to_owned(),
            ..When::default()
        };
        assert_eq!(
            before(&weekly, &at).unwrap(),
            [
                "RRULE:FREQ=WEEKLY;BYDAY=MO;UNTIL=20261207T085959Z",
                "EXDATE:20261130T090000Z"
            ]
        );
        assert_eq!(
            after(&weekly, 3),
            [
                "RRULE:FREQ=WEEKLY;BYDAY=MO;COUNT=7",
                "EXDATE:20261130T090000Z"
            ]
        );
        let daily = lines(&["RRULE:FREQ=DAILY;UNTIL=20270101"]);
        let at = When {
            date: "2026-12-07".to_owned(),
            ..When::default()
        };
        assert_eq!(
            before(&daily, &at).unwrap(),
            ["RRULE:FREQ=DAILY;UNTIL=20261206"]
        );
        assert_eq!(after(&daily, 3), daily);
        assert_eq!(before(&daily, &When::default()), None);
    }
}
