//! How much is kept of those without a credential: whoever has many addresses would write as much as they like.

use super::STRANGERS;
use std::{
    collections::HashSet,
    net::{IpAddr, Ipv6Addr},
};

/// Addresses that are told apart, in a minute; the rest are one.
const ADDRESSES: usize = 1_000;

/// What was kept of one minute. A process counts alone: with more of them there may be as many times more.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    minute: i64,
    kept: usize,
    addresses: HashSet<String>,
}

impl Strangers {
    /// Whether another one may be kept in that minute.
    pub(super) fn keep(&mut self, minute: i64) -> bool {
        self.turn(minute);
        self.kept += 1;
        self.kept <= STRANGERS
    }

    /// The address under which it is counted in that minute: a client's, or nobody's if there are too many.
    pub(super) fn address(&mut self, minute: i64, address: &str) -> String {
        self.turn(minute);
        let client = client(address);
        if self.addresses.len() < ADDRESSES {
            self.addresses.insert(client.clone());
        }
        if self.addresses.contains(&client) { client } else { String::new() }
    }

    /// Late records of another minute begin it anew: they are few.
    fn turn(&mut self, minute: i64) {
        if self.minute != minute {
            *self = Self { minute, ..Self::default() };
        }
    }
}

/// What counts as one client: an IPv6 host has a /64 to choose from.
fn client(address: &str) -> String {
    match address.parse() {
        Ok(IpAddr::V6(v6)) => format!("{}/64", Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        Ok(IpAddr::V4(v4)) => v4.to_string(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_64_bits_is_one_address() {
        for (address, expected) in [("192.0.2.1", "192.0.2.1"), ("2001:db8::1", "2001:db8::/64"), ("2001:db8::ffff:1", "2001:db8::/64"), ("x", "")] {
            assert_eq!(client(address), expected);
        }
    }

    #[test]
    fn each_minute_has_room_for_so_many() {
        let mut strangers = Strangers::default();
        for minute in [1, 2] {
            assert_eq!((0..2 * STRANGERS).filter(|_| strangers.keep(minute)).count(), STRANGERS);
            let told: HashSet<String> = (0..2 * ADDRESSES).map(|n| strangers.address(minute, &format!("10.0.{}.{}", n / 256, n % 256))).collect();
            assert_eq!(told.len(), ADDRESSES + 1, "and one for all others");
        }
        assert_eq!(strangers.address(2, "10.0.0.0"), "10.0.0.0", "who is known stays known");
    }
}
