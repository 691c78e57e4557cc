//! Turns at loading what many wait for: when something remembered runs out, one caller asks the database and the others
//! wait for its answer, instead of all asking at once.

use std::hash::{BuildHasher as _, Hash, RandomState};

use tokio::sync::{Mutex, MutexGuard};

/// How many loads may go on at once; keys share turns by chance.
const TURNS: usize = 32;

/// Turns by key.
#[derive(Debug)]
pub struct Turns {
    hasher: RandomState,
    turns: [Mutex<()>; TURNS],
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            turns: std::array::from_fn(|_| Mutex::new(())),
        }
    }
}

impl Turns {
    /// Waits for the turn of `key`. Look again at what is remembered before loading: whoever was before has loaded it.
    pub async fn of(&self, key: &impl Hash) -> MutexGuard<'_, ()> {
        let at = usize::try_from(self.hasher.hash_one(key) % TURNS as u64).unwrap_or(0);
        self.turns[at].lock().await
    }
}
