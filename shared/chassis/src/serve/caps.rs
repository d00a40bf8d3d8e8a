//! How many connections there may be: of all peers, and of one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use super::Limits;

/// Hands out slots for connections.
pub(super) struct Caps {
    all: usize,
    per_ip: usize,
    /// The strong count less one is how many connections of that address are open.
    by_ip: HashMap<IpAddr, Arc<()>>,
}

/// The right to one connection, as long as it lives.
pub(super) struct Slot(#[expect(dead_code, reason = "counted, not read")] Arc<()>);

/// Takes as many open files as the operating system lets this process have: shells give 1,024, which is fewer than the connections of one
/// gateway. Before anything listens, for [`serve`](super::serve) reads the limit.
pub fn open_files() {
    // What can't be raised stays, and the caps stay below it.
    let _ = rlimit::increase_nofile_limit(rlimit::INFINITY);
}

impl Caps {
    /// As many as `limits` say, but not so many that the process has no files for the rest.
    pub(super) fn new(limits: &Limits) -> Self {
        let files = rlimit::getrlimit(rlimit::Resource::NOFILE).map_or(1_024, |(soft, _)| soft);
        let files = usize::try_from(files).unwrap_or(usize::MAX);
        Self { all: limits.connections.min(files - reserve(files)), per_ip: limits.connections_per_ip, by_ip: HashMap::new() }
    }

    /// A slot for a peer of this address, unless all or the address have too many.
    pub(super) fn admit(&mut self, ip: IpAddr, open: usize) -> Option<Slot> {
        if open >= self.all {
            return None;
        }
        if self.by_ip.len() > 2 * self.all {
            self.by_ip.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        let slot = self.by_ip.entry(network(ip)).or_default();
        (Arc::strong_count(slot) <= self.per_ip).then(|| Slot(slot.clone()))
    }
}

/// How many of so many open files stay for databases, upstreams, the admin port, and the socket that is accepted only to be refused. One
/// process on SQLite opens 46 at its start (2026-11-22), and may open 24 more to read.
fn reserve(files: usize) -> usize {
    (files / 10).max(128).min(files / 2)
}

/// The address as one customer has it: an IPv6 host has a /64 to choose from.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn caps(connections: usize, connections_per_ip: usize) -> Caps {
        Caps::new(&Limits { connections, connections_per_ip, ..Limits::public() })
    }

    #[test]
    fn files_are_left_for_the_rest_of_the_process() {
        for (files, left) in [(0, 0), (64, 32), (256, 128), (1_024, 128), (4_096, 409), (1 << 20, 104_857)] {
            assert_eq!(reserve(files), left, "of {files}");
        }
    }

    #[test]
    fn one_address_has_its_share_and_gets_it_back() {
        let mut caps = caps(10, 2);
        let home: IpAddr = "192.0.2.1".parse().unwrap();
        let (first, second) = (caps.admit(home, 0), caps.admit(home, 1));
        assert!(first.is_some() && second.is_some());
        assert!(caps.admit(home, 2).is_none());
        assert!(caps.admit("192.0.2.2".parse().unwrap(), 2).is_some());
        drop(first);
        assert!(caps.admit(home, 1).is_some());
    }

    #[test]
    fn adv_cve_2026_45364_an_ipv6_64_is_one_address_and_a_mapped_one_is_its_ipv4() {
        for (one, other, same) in [
            ("2001:db8::1", "2001:db8::ffff:1:2:3", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("::ffff:192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
        ] {
            let equal = network(one.parse().unwrap()) == network(other.parse().unwrap());
            assert_eq!(equal, same, "{one} {other}");
        }
    }

    #[test]
    fn all_peers_have_a_cap_and_the_table_of_addresses_does_not_grow() {
        let mut caps = caps(4, 2);
        let address = |number: u32| IpAddr::V4(number.into());
        assert!(caps.admit(address(1), 4).is_none());
        for number in 0..1_000 {
            assert!(caps.admit(address(number), 0).is_some());
        }
        assert!(caps.by_ip.len() <= 9, "{}", caps.by_ip.len());
    }
}
