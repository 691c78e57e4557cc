//! When tokens end, and when to renew them.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::kit::integration::TokenSet;
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
