//! Named points at which a crash test kills the process (`FAULT=name:abort`). Compiled in only with the feature
//! `test-faults`; otherwise [`point`] is nothing.

/// Dies here when the environment says so.
#[cfg(feature = "test-faults")]
pub fn point(name: &str) {
    if std::env::var("FAULT").is_ok_and(|fault| fault.strip_suffix(":abort") == Some(name)) {
        std::process::abort();
    }
}

/// Does nothing: this build has no fault points.
#[cfg(not(feature = "test-faults"))]
pub const fn point(_name: &str) {}
