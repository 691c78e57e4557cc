//! The fixtures of the conformance suite.
