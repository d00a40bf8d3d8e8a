//! `host:port`.

use http::uri::Authority;
use thiserror::Error;

/// Where something listens; the host is a name or an IP address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address(pub(super) Authority);

/// What was given is no address.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0:?} is not an address: write host:port, as in identity:7001")]
pub struct BadAddress(String);

impl BadAddress {
    pub(super) fn none() -> Self {
        Self(String::new())
    }
}

impl Address {
    pub(super) fn parse(text: &str) -> Result<Self, BadAddress> {
        let bad = || BadAddress(text.to_owned());
        let authority: Authority = text.trim().parse().map_err(|_| bad())?;
        let complete = !authority.host().is_empty() && authority.port_u16().is_some_and(|port| port > 0) && !authority.as_str().contains('@');
        if complete { Ok(Self(authority)) } else { Err(bad()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for text in ["identity:7001", " 10.0.0.1:80 ", "[::1]:7001", "a.b.svc.cluster.local:1"] {
            assert!(Address::parse(text).is_ok(), "{text}");
        }
        for text in ["", "identity", ":7001", "identity:", "identity:0", "identity:70000", "http://identity:7001", "me@identity:7001"] {
            assert_eq!(Address::parse(text), Err(BadAddress(text.to_owned())));
        }
    }
}
