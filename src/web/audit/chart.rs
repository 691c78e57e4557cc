//! The chart as drawings: a bar is a link to its own stretch of time.

use super::filter::Asked;
use super::{brief, duration, number};
use crate::audit::{Bar, Chart, Count, DURATIONS_US, Served};

/// The size of the drawing, in its own units.
const WIDTH: i64 = 960;
const HEIGHT: i64 = 120;
const SECOND_HEIGHT: i64 = 48;

/// What the template draws.
pub(super) struct Drawing {
    pub(super) bars: Vec<Drawn>,
    /// The whole, in words.
    pub(super) summary: String,
    /// Where the numbers come from, when it is not everything.
    pub(super) caveat: Option<String>,
    /// The most events of a bar, at the upper edge.
    pub(super) most: String,
    pub(super) first: String,
    pub(super) last: String,
    pub(super) timed: bool,
}

/// A bar.
pub(super) struct Drawn {
    pub(super) x: i64,
    pub(super) width: i64,
    /// Upper edge and height of what went well, of what did not, and of the durations.
    pub(super) well: (i64, i64),
    pub(super) failed: (i64, i64),
    pub(super) slow: (i64, i64),
    /// The filter narrowed to it.
    pub(super) href: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) title: String,
    pub(super) events: String,
    pub(super) failures: String,
    pub(super) durations: String,
    pub(super) empty: bool,
}

/// Draws a chart of a filter.
pub(super) fn draw(chart: &Chart, asked: &Asked) -> Drawing {
    let most = chart.bars.iter().map(|bar| bar.count.events).max();
    let most = most.unwrap_or(0).max(1);
    let bars = i64::try_from(chart.bars.len()).unwrap_or(1).max(1);
    let drawn = |(at, bar): (i64, &Bar)| {
        let (left, right) = (WIDTH * at / bars, WIDTH * (at + 1) / bars);
        let count = &bar.count;
        // What happened is seen, however little it is.
        let high = |events: i64| match events {
            0 => 0,
            events => (events * HEIGHT / most).max(2),
        };
        let failed = high(count.failures);
        let well = high(count.events).max(failed) - failed;
        let slow = level(count) * SECOND_HEIGHT / 8;
        let (from, to) = (bar.from.rfc3339(), bar.to.rfc3339());
        let durations = durations(count);
        Drawn {
            x: left,
            width: (right - left - 1).max(1),
            well: (HEIGHT - failed - well, well),
            failed: (HEIGHT - failed, failed),
            slow: (SECOND_HEIGHT - slow, slow),
            href: asked.filter().with(&[("from", &from), ("to", &to)]).query(),
            title: format!(
                "{} to {}: {} records, {} not ok{}",
                brief(bar.from),
                brief(bar.to),
                number(count.events),
                number(count.failures),
                if durations.is_empty() {
                    String::new()
                } else {
                    format!("; {durations}")
                }
            ),
            events: number(count.events),
            failures: number(count.failures),
            durations,
            from,
            to,
            empty: count.events == 0,
        }
    };
    let events: i64 = chart.bars.iter().map(|bar| bar.count.events).sum();
    let failures: i64 = chart.bars.iter().map(|bar| bar.count.failures).sum();
    let at = |bar: Option<&Bar>, end: bool| {
        bar.map_or_else(String::new, |bar| {
            brief(if end { bar.to } else { bar.from })
        })
    };
    let (first, last) = (at(chart.bars.first(), false), at(chart.bars.last(), true));
    Drawing {
        summary: format!(
            "{} records, {} of them not ok, from {first} to {last} (UTC).",
            number(events),
            number(failures)
        ),
        caveat: match chart.served {
            Served::Counts | Served::Events => None,
            Served::CountsUpTo(seq) => Some(format!(
                "Records after number {} are still being counted, because an earlier release wrote them. Look again in a minute.",
                number(seq)
            )),
            Served::Newest(events, at) => Some(format!(
                "For this filter there are no ready counts: the chart shows the newest {} records that fit, back to {} (UTC). Narrow the time to see others.",
                number(i64::try_from(events).unwrap_or(i64::MAX)),
                brief(at)
            )),
        },
        most: number(most),
        timed: chart.bars.iter().any(|bar| bar.count.timed > 0),
        bars: (0..).zip(&chart.bars).map(drawn).collect(),
        first,
        last,
    }
}

/// Up to which class of durations 95 of 100 lie, from 1 to 8; 0 when none is known.
fn level(count: &Count) -> i64 {
    let wanted = (count.timed * 95 + 99) / 100;
    let mut seen = 0;
    for (class, number) in (1..).zip(count.within) {
        seen += number;
        if wanted > 0 && seen >= wanted {
            return class;
        }
    }
    0
}

/// The durations in words.
fn durations(count: &Count) -> String {
    if count.timed == 0 {
        return String::new();
    }
    let level = usize::try_from(level(count)).unwrap_or(0);
    let within = level
        .checked_sub(1)
        .and_then(|class| DURATIONS_US.get(class));
    let most = match within {
        Some(most) => format!("95 % within {}", duration((*most).min(count.most_us))),
        None => format!("more than 5 % longer than {}", duration(DURATIONS_US[6])),
    };
    format!(
        "mean {}, {most}, longest {}",
        duration(count.total_us / count.timed),
        duration(count.most_us)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_said_by_the_class_of_95_in_100() {
        let mut count = Count::default();
        assert_eq!(durations(&count), "");
        for _ in 0..95 {
            count.add(false, Some(20_000));
        }
        for _ in 0..5 {
            count.add(true, Some(2_000_000));
        }
        assert_eq!(
            durations(&count),
            "mean 119 ms, 95 % within 30 ms, longest 2.0 s"
        );
        count.add(true, Some(20_000_000));
        assert_eq!(level(&count), 6);
    }
}
