//! Which credentials have worked from which addresses.

use crate::{address::Address, bounded::Bounded};
use std::sync::{PoisonError, RwLock};

const SHARDS: usize = 16;
/// Pairs that are remembered: what was used last stays.
pub(super) const MOST: usize = 1 << 18;

/// Asked by every call, so a look is a read lock, and a write only when something is new or was long not used.
pub(super) struct Worked(Vec<RwLock<Bounded<()>>>);

impl Default for Worked {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| RwLock::new(Bounded::new(MOST / SHARDS))).collect())
    }
}

/// Credentials are random numbers that nobody chooses, so no two pairs meet.
fn pair(credential: u128, from: Address) -> u128 {
    credential ^ from.client()
}

impl Worked {
    pub(super) fn contains(&self, credential: u128, from: Address) -> bool {
        let (shard, pair) = (self.shard(credential), pair(credential, from));
        if shard.read().unwrap_or_else(PoisonError::into_inner).is_young(pair) {
            return true;
        }
        shard.write().unwrap_or_else(PoisonError::into_inner).get(pair).is_some()
    }

    pub(super) fn insert(&self, credential: u128, from: Address) {
        self.shard(credential).write().unwrap_or_else(PoisonError::into_inner).entry(pair(credential, from), || ());
    }

    fn shard(&self, credential: u128) -> &RwLock<Bounded<()>> {
        &self.0[credential as usize % SHARDS]
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|shard| shard.read().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }
}
