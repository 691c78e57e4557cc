//! Where a request comes from: the other end of the connection, or whom a trusted proxy says it speaks for.

use std::net::IpAddr;

use http::request::Parts;

use super::Web;

/// The address at the other end of a connection; the accept loop puts it into every request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// The address that a request comes from. What `X-Forwarded-For` says counts only as far as trusted proxies wrote it: the
/// first address from its end that is none of theirs.
pub(super) fn address(web: &Web, parts: &Parts) -> Option<IpAddr> {
    let Peer(peer) = *parts.extensions.get::<Peer>()?;
    let is_proxy = |address: IpAddr| web.proxies.iter().any(|network| network.contains(address));
    if !is_proxy(peer) {
        return Some(peer);
    }
    let told = parts.headers.get_all("x-forwarded-for").iter();
    let told: Vec<&str> = told
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .collect();
    let mut client = peer;
    for word in told.iter().rev() {
        let Ok(address) = word.parse() else {
            return Some(client);
        };
        client = address;
        if !is_proxy(address) {
            break;
        }
    }
    Some(client)
}
