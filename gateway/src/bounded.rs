//! A map that never holds more than so much.

use crate::spread::Seed;
use std::{collections::HashMap, mem};

/// What was used last stays: a full young generation becomes the old one, and what of it is not used until the next is full, is gone.
///
/// Nothing is ever searched for what may go, so a flood of new keys costs no more than any other calls.
#[derive(Debug)]
pub(crate) struct Bounded<V> {
    young: HashMap<u128, V, Seed>,
    old: HashMap<u128, V, Seed>,
    generation: usize,
}

impl<V> Bounded<V> {
    pub(crate) fn new(most: usize) -> Self {
        Self { young: HashMap::default(), old: HashMap::default(), generation: most / 2 }
    }

    /// The value of the key, made when there is none.
    pub(crate) fn entry(&mut self, key: u128, new: impl FnOnce() -> V) -> &mut V {
        if self.young.len() >= self.generation && !self.young.contains_key(&key) {
            self.old = mem::take(&mut self.young);
        }
        let old = &mut self.old;
        self.young.entry(key).or_insert_with(|| old.remove(&key).unwrap_or_else(new))
    }

    /// Whether the key was used of late; without it being used.
    pub(crate) fn is_young(&self, key: u128) -> bool {
        self.young.contains_key(&key)
    }

    /// The value of the key, which is used now, if there is one.
    pub(crate) fn get(&mut self, key: u128) -> Option<&mut V> {
        if !self.young.contains_key(&key) && !self.old.contains_key(&key) {
            return None;
        }
        Some(self.entry(key, || unreachable!("it is there")))
    }

    /// All that there is, in no order.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u128, &mut V)> {
        self.young.iter_mut().chain(&mut self.old).map(|(key, value)| (*key, value))
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_goes() {
        let mut map = Bounded::new(100);
        *map.entry(7, || 0) = 1;
        for key in 1_000..2_000 {
            map.entry(key, || 0);
            assert_eq!(*map.entry(7, || 0), 1);
            assert!(map.len() <= 100);
        }
        assert_eq!(*map.entry(1_000, || 5), 5, "it was gone");
    }
}
