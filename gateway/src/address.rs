//! Where a call comes from.

use http::{HeaderMap, HeaderName};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

pub(crate) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of a client: the socket's, or the right-most hop that no proxy of ours vouches for.
///
/// A type of its own, since a limit that takes any text for an address counts what its sender likes. Unknown is one address, too, the
/// unspecified one: all who have none share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address(IpAddr);

impl Default for Address {
    fn default() -> Self {
        Self(Ipv4Addr::UNSPECIFIED.into())
    }
}

impl Address {
    /// As the socket says it; an IPv4 address in IPv6 clothes is the IPv4 address.
    #[must_use]
    pub fn of(peer: IpAddr) -> Self {
        Self(peer.to_canonical())
    }

    /// Whom `peer` speaks for: `x-forwarded-for` from the right, as long as a hop is one of `proxies`.
    #[must_use]
    pub fn behind(peer: IpAddr, headers: &HeaderMap, proxies: &[Network]) -> Self {
        let trusted = |address: Address| proxies.iter().any(|network| network.holds(address));
        let mut nearest = Self::of(peer);
        if proxies.is_empty() || !trusted(nearest) {
            return nearest;
        }
        let lines: Vec<&str> = headers.get_all(FORWARDED_FOR).iter().map(|line| line.to_str().unwrap_or_default()).collect();
        for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            let Some(address) = hop_address(hop.trim()) else { break }; // not an address: nobody vouches for what stands left of it
            nearest = address;
            if !trusted(address) {
                break;
            }
        }
        nearest
    }

    /// The whole address.
    #[must_use]
    pub fn ip(self) -> IpAddr {
        self.0
    }

    /// What counts as one client: an IPv6 host has a /64 to choose from.
    #[must_use]
    pub fn client(self) -> u128 {
        match self.0 {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
            IpAddr::V6(v6) => v6.to_bits() >> 64 << 64,
        }
    }
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`.
fn hop_address(hop: &str) -> Option<Address> {
    let whole = hop.parse::<IpAddr>().ok();
    let bracketed = || hop.strip_prefix('[')?.split_once(']')?.0.parse::<Ipv6Addr>().ok().map(IpAddr::from);
    let with_port = || hop.rsplit_once(':')?.0.parse::<Ipv4Addr>().ok().map(IpAddr::from);
    whole.or_else(bracketed).or_else(with_port).map(Address::of)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A network in CIDR form, `10.0.0.0/8`; without a length it is one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    bits: u128,
    length: u32,
}

impl Network {
    fn holds(&self, address: Address) -> bool {
        let differs = self.bits ^ mapped(address.0);
        self.length == 0 || differs >> (128 - self.length) == 0
    }
}

/// IPv4 stands in its place within IPv6, so there is one comparison.
fn mapped(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The text is no network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadNetwork(String);

impl fmt::Display for BadNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not a network: write it as 10.0.0.0/8 or 2001:db8::/32", self.0)
    }
}

impl std::error::Error for BadNetwork {}

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let bad = || BadNetwork(text.to_owned());
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let ip: IpAddr = address.trim().parse().map_err(|_| bad())?;
        let most = if ip.is_ipv4() { 32 } else { 128 };
        let length = length.map_or(Ok(most), |length| length.trim().parse().map_err(|_| bad()))?;
        if length > most { Err(bad()) } else { Ok(Self { bits: mapped(ip), length: length + 128 - most }) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use http::HeaderValue;

    fn from(peer: &str, forwarded: &[&str], proxies: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(FORWARDED_FOR, HeaderValue::from_str(line).unwrap());
        }
        let proxies: Vec<Network> = proxies.iter().map(|network| network.parse().unwrap()).collect();
        Address::behind(peer.parse().unwrap(), &headers, &proxies).to_string()
    }

    #[test]
    fn adv_cve_2026_45364_the_right_most_hop_that_is_no_proxy_of_ours_is_the_client() {
        for (peer, forwarded, proxies, expected) in [
            ("192.0.2.1", &["203.0.113.9"][..], &[][..], "192.0.2.1"),
            ("192.0.2.1", &["203.0.113.9"], &["10.0.0.0/8"], "192.0.2.1"),
            ("10.0.0.1", &["203.0.113.9"], &["10.0.0.0/8"], "203.0.113.9"),
            ("10.0.0.1", &["1.1.1.1, 203.0.113.9"], &["10.0.0.0/8"], "203.0.113.9"),
            ("10.0.0.1", &["1.1.1.1, 203.0.113.9, 10.9.9.9"], &["10.0.0.0/8"], "203.0.113.9"),
            ("10.0.0.1", &["1.1.1.1", "203.0.113.9, 10.9.9.9"], &["10.0.0.0/8"], "203.0.113.9"),
            ("10.0.0.1", &["10.2.2.2"], &["10.0.0.0/8"], "10.2.2.2"),
            ("10.0.0.1", &[], &["10.0.0.0/8"], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.9, unknown"], &["10.0.0.0/8"], "10.0.0.1"),
            ("::ffff:10.0.0.1", &["203.0.113.9:5000"], &["10.0.0.1"], "203.0.113.9"),
            ("fd00::1", &["[2001:db8::7]:443"], &["fd00::/8"], "2001:db8::7"),
            ("fd00::1", &["2001:db8::7"], &["::/0"], "2001:db8::7"),
        ] {
            assert_eq!(from(peer, forwarded, proxies), expected, "{peer} {forwarded:?} {proxies:?}");
        }
    }

    #[test]
    fn adv_cve_2026_45364_an_ipv6_64_is_one_client_and_spellings_do_not_matter() {
        let client = |ip: &str| Address::of(ip.parse().unwrap()).client();
        assert_eq!(client("2001:db8::1"), client("2001:0db8:0:0:ffff:1:2:3"));
        assert_ne!(client("2001:db8::1"), client("2001:db8:0:1::1"));
        assert_eq!(client("192.0.2.1"), client("::ffff:192.0.2.1"));
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "10.0.0.0/33", "10.0.0/8", "2001:db8::/129", "10.0.0.0/", "proxy", "10.0.0.0/-1"] {
            assert_eq!(text.parse::<Network>(), Err(BadNetwork(text.to_owned())), "{text}");
        }
    }
}
