//! The MCP face, over HTTP and against the real wiring.

mod blocks;
mod publishing;
mod rig;
mod sessions;
mod sse;
mod stateless;
mod surface;
