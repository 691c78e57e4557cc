//! When tokens end, and when to renew them.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::kit::integration::{OAuth2, TokenSet};
use crate::store::ConnectionRow;

/// When tokens end and when to renew them.
pub(super) struct Life {
    pub(super) access_expires_at: Option<Timestamp>,
    pub(super) refresh_expires_at: Option<Timestamp>,
    pub(super) next_refresh_at: Option<Timestamp>,
}

impl Life {
    /// Counted from before the request was sent, which errs early. The renewal comes at 80 % of the life, at most a
    /// quarter of an hour before the end, and up to 5 % earlier by connection, so that accounts connected together do
    /// not all renew together.
    pub(super) fn of(tokens: &TokenSet, asked_at: Timestamp, row: &ConnectionRow) -> Self {
        let seconds = |life: Option<u64>| life.map(Duration::from_secs);
        let life = seconds(tokens.expires_in_s);
        let spread = u32::from(row.id.bytes()[15]);
        Self {
            access_expires_at: life.map(|life| asked_at.plus(life)),
            refresh_expires_at: seconds(tokens.refresh_expires_in_s)
                .map(|life| asked_at.plus(life)),
            next_refresh_at: life.map(|life| {
                let ahead = (life / 5).min(Duration::from_mins(15)) + life * spread / (20 * 255);
                asked_at.plus(life.saturating_sub(ahead))
            }),
        }
    }
}

/// How far clocks, and the provider's word, may be off.
const SLACK: Duration = Duration::from_hours(2);
/// A grant that nobody used for so long is more likely gone for that.
const IDLE: Duration = Duration::from_hours(180 * 24);

/// Whether a grant that is gone ended because the organization's app is not published at the provider: it did not outlive
/// the time that such apps are given, and that time is over. The provider says the same words for a grant that somebody
/// took back, so this is the likelier cause and no certainty.
pub(super) fn ended_unpublished(oauth: &OAuth2, row: &ConnectionRow, now: Timestamp) -> bool {
    let Some(life) = oauth.unpublished_life else {
        return false;
    };
    let end = row.connected_at.plus(life);
    // A consent for another time, which the person chose, is said so.
    let announced = row.refresh_expires_at.unwrap_or(end);
    let same = announced <= end.plus(SLACK) && announced >= end.minus(SLACK);
    // Tokens that came after the end, which are good for an hour more, would say that it was none.
    let outlived = row.access_expires_at.is_some_and(|at| at > end.plus(SLACK));
    same && !outlived && now >= end.minus(SLACK) && now < row.connected_at.plus(IDLE)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use super::*;
    use crate::ids::{OrgId, UserId};

    const CONNECTED: Timestamp = Timestamp::from_micros(1_795_176_000_000_000);
    const DAY: Duration = Duration::from_hours(24);

    fn row(refresh_ends: Option<Duration>, access_ends: Duration) -> ConnectionRow {
        let person = (OrgId::new(CONNECTED), UserId::new(CONNECTED));
        ConnectionRow {
            access_expires_at: Some(CONNECTED.plus(access_ends)),
            refresh_expires_at: refresh_ends.map(|life| CONNECTED.plus(life)),
            ..ConnectionRow::new(person, "google", "google", CONNECTED)
        }
    }

    #[test]
    fn a_week_in_testing_is_told_apart_from_a_grant_that_was_taken_back() {
        let oauth = |id: &str| {
            let integration = crate::integrations::integration(id).unwrap();
            integration.providers[0].auth.oauth2().unwrap()
        };
        let week = 7 * DAY;
        let table = [
            // Renewed until the week was over.
            (None, week, week, true),
            (Some(week), week, week + DAY, true),
            // Not used since the second day.
            (None, 2 * DAY, 20 * DAY, true),
            // Taken back on the third day, or in the second week.
            (None, 3 * DAY, 3 * DAY, false),
            (None, 9 * DAY, 9 * DAY, false),
            // The person consented for a month.
            (Some(30 * DAY), 8 * DAY, 8 * DAY, false),
            // Idle for half a year.
            (None, DAY, 200 * DAY, false),
        ];
        for (refresh_ends, access_ends, age, expected) in table {
            let row = row(refresh_ends, access_ends);
            let now = CONNECTED.plus(age);
            assert_eq!(
                ended_unpublished(oauth("google"), &row, now),
                expected,
                "{refresh_ends:?} {access_ends:?} {age:?}"
            );
            assert!(!ended_unpublished(oauth("github"), &row, now));
        }
    }
}
