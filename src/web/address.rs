//! Where a request comes from: the other end of the connection.

use std::net::IpAddr;

use http::request::Parts;

use super::Web;

/// The address at the other end of a connection; the accept loop puts it into every request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// The address that a request comes from. Behind a proxy it is the proxy's, because anybody can write a header that says
/// otherwise.
pub(super) fn address(_web: &Web, parts: &Parts) -> Option<IpAddr> {
    let Peer(peer) = *parts.extensions.get::<Peer>()?;
    Some(peer)
}
