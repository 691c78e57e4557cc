//! Progress of long work, told to whoever waits for it.

use std::sync::Arc;
use std::sync::Mutex;

/// One report.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// How much is done; only grows during a call.
    pub done: f64,
    /// Of how much, when that is known.
    pub total: Option<f64>,
    /// What is being done, for a person.
    pub message: String,
}

type Report = dyn Fn(Step) + Send + Sync;

/// Where reports go. Without a listener they cost nothing.
#[derive(Clone, Default)]
pub struct Progress(Option<Arc<Listener>>);

struct Listener {
    report: Box<Report>,
    furthest: Mutex<f64>,
}

impl Progress {
    /// Sends each report to `report`, which must not block.
    pub fn to(report: impl Fn(Step) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(Listener {
            report: Box::new(report),
            furthest: Mutex::new(f64::NEG_INFINITY),
        })))
    }

    /// Reports that `done` of `total` is done. A report that does not go forward is dropped, as MCP asks.
    pub fn step(&self, done: u32, total: Option<u32>, message: impl Into<String>) {
        let Some(listener) = &self.0 else { return };
        let done = f64::from(done);
        {
            let mut furthest = listener
                .furthest
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            if done <= *furthest {
                return;
            }
            *furthest = done;
        }
        (listener.report)(Step {
            done,
            total: total.map(f64::from),
            message: message.into(),
        });
    }
}
