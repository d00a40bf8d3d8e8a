//! How keys are kept: a tag that costs nothing to compare, and an Argon2id hash that is spent only where the tag fits.
//!
//! A key is 256 random bits, so one pass over 1 MiB is enough; the pepper, which the database does not hold, is Argon2's secret input and
//! the tag's key. Who guesses gets past the tag once in 2^32 tries: a guess costs the guesser, not us.
//!
//! Hashes run on blocking threads behind a queue of their own: never on the async workers, and never more than wait patiently.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use chassis::secret::Secrets;
use contract::{Reason, Refusal};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};
use subtle::ConstantTimeEq;
use tokio::{sync::Semaphore, task};

/// KiB, which is also the number of [`Block`]s.
const MEMORY: u32 = 1024;
const PASSES: u32 = 1;
const LANES: u32 = 1;
/// Bytes of a hash.
const HASH: usize = 32;
/// How many may wait for their turn: at a millisecond each nobody waits longer than a quarter of a second on one core.
const WAITING: usize = 256;
const PAUSE: Duration = Duration::from_millis(500);

type Pepper = [u8; 32];

/// What is stored of a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Proof {
    /// 32 bits of HMAC-SHA256 under the pepper.
    pub tag: i64,
    /// Argon2id with the pepper as its secret.
    pub hash: Vec<u8>,
}

/// Makes and checks [`Proof`]s. Clones share one queue.
#[derive(Clone)]
pub struct Hasher(Arc<Shared>);

struct Shared {
    /// Newest first: the newest makes, all check.
    peppers: Vec<Pepper>,
    places: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    /// Kept, for allocating a megabyte each time costs more page faults than the hash costs arithmetic.
    buffers: Mutex<Vec<Vec<Block>>>,
}

impl Hasher {
    /// With a pepper of each root secret, so that keys survive its rotation.
    #[must_use]
    pub fn new(secrets: &Secrets) -> Self {
        Self::bounded(secrets, WAITING)
    }

    fn bounded(secrets: &Secrets, waiting: usize) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Shared {
            peppers: secrets.derive_each("one.identity.pepper").collect(),
            places: Arc::new(Semaphore::new(waiting)),
            turns: Arc::new(Semaphore::new(cores.div_ceil(2))),
            buffers: Mutex::default(),
        }))
    }

    /// What to store of a new key. `salt` is the key's own.
    ///
    /// # Errors
    /// `OVERLOADED` when too many wait.
    pub async fn make(&self, proof: &[u8], salt: [u8; 16]) -> Result<Proof, Refusal> {
        let pepper = self.0.peppers[0];
        let hash = self.hash(pepper, proof, salt).await?;
        Ok(Proof { tag: tag(&pepper, proof), hash })
    }

    /// What was presented is what was stored.
    ///
    /// # Errors
    /// `OVERLOADED` when too many wait.
    pub async fn check(&self, stored: &Proof, proof: &[u8], salt: [u8; 16]) -> Result<bool, Refusal> {
        for pepper in self.0.peppers.iter().filter(|pepper| tag(pepper, proof) == stored.tag) {
            if self.hash(*pepper, proof, salt).await?.ct_eq(&stored.hash).into() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Waits for a turn. Who gives up before it leaves the queue; a hash that was begun keeps its turn to its end, wanted or not.
    async fn hash(&self, pepper: Pepper, proof: &[u8], salt: [u8; 16]) -> Result<Vec<u8>, Refusal> {
        let place = self.0.places.clone().try_acquire_owned().map_err(|_| overloaded())?;
        let turn = self.0.turns.clone().acquire_owned().await.map_err(Refusal::internal)?;
        let (shared, proof) = (self.0.clone(), proof.to_vec());
        let hashed = task::spawn_blocking(move || {
            let _held = (place, turn);
            shared.argon2(&pepper, &proof, &salt)
        });
        // A panic's own words may quote what was hashed.
        hashed.await.map_err(|_| Refusal::internal("the hash has no end"))?.map_err(Refusal::internal)
    }
}

impl Shared {
    fn argon2(&self, pepper: &Pepper, proof: &[u8], salt: &[u8]) -> argon2::Result<Vec<u8>> {
        let params = Params::new(MEMORY, PASSES, LANES, Some(HASH))?;
        let argon2 = Argon2::new_with_secret(pepper, Algorithm::Argon2id, Version::V0x13, params)?;
        let kept = self.buffers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut blocks = kept.unwrap_or_else(|| vec![Block::new(); MEMORY as usize]);
        let mut hash = vec![0; HASH];
        let done = argon2.hash_password_into_with_memory(proof, salt, &mut hash, &mut blocks);
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner).push(blocks);
        done.map(|()| hash)
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher")
    }
}

fn tag(pepper: &Pepper, proof: &[u8]) -> i64 {
    let mut mac = Hmac::<Sha256>::new_from_slice(pepper).expect("HMAC takes a key of any length");
    mac.update(proof);
    let bytes = mac.finalize().into_bytes();
    i64::from(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

fn overloaded() -> Refusal {
    Refusal::new(Reason::Overloaded, "too many new credentials are being checked; try again").retry(PAUSE)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use futures::future::join_all;

    const SALT: [u8; 16] = [7; 16];

    fn secrets(roots: &[u8]) -> Secrets {
        Secrets::of(&roots.iter().map(|byte| [*byte; 32]).collect::<Vec<_>>()).unwrap()
    }

    #[tokio::test]
    async fn only_the_same_bytes_with_the_same_salt_and_pepper_pass() {
        let hasher = Hasher::new(&secrets(&[1]));
        let stored = hasher.make(b"right", SALT).await.unwrap();
        assert!((0..1 << 32).contains(&stored.tag) && stored.hash.len() == HASH);
        assert!(hasher.check(&stored, b"right", SALT).await.unwrap());
        assert!(!hasher.check(&stored, b"wrong", SALT).await.unwrap());
        assert!(!hasher.check(&stored, b"right", [8; 16]).await.unwrap());
        assert!(!Hasher::new(&secrets(&[2])).check(&stored, b"right", SALT).await.unwrap());
    }

    #[tokio::test]
    async fn a_fitting_tag_alone_is_no_proof() {
        let hasher = Hasher::new(&secrets(&[1]));
        let (right, wrong) = (hasher.make(b"right", SALT).await.unwrap(), hasher.make(b"wrong", SALT).await.unwrap());
        assert!(!hasher.check(&Proof { tag: right.tag, hash: wrong.hash }, b"right", SALT).await.unwrap());
    }

    #[tokio::test]
    async fn keys_survive_a_new_root_secret() {
        let stored = Hasher::new(&secrets(&[1])).make(b"right", SALT).await.unwrap();
        let rotated = Hasher::new(&secrets(&[2, 1]));
        assert!(rotated.check(&stored, b"right", SALT).await.unwrap());
        assert_ne!(rotated.make(b"right", SALT).await.unwrap().tag, stored.tag);
    }

    #[tokio::test]
    async fn a_full_queue_refuses_and_guesses_do_not_fill_it() {
        let hasher = Hasher::bounded(&secrets(&[1]), 2);
        let stored = hasher.make(b"right", SALT).await.unwrap();
        let full = hasher.0.places.acquire_many(2).await.unwrap();
        assert_eq!(hasher.make(b"right", SALT).await.err().unwrap().reason(), Reason::Overloaded);
        assert_eq!(hasher.check(&stored, b"right", SALT).await.unwrap_err().reason(), Reason::Overloaded);
        assert!(!hasher.check(&stored, b"guess", SALT).await.unwrap(), "the tag alone refuses it");
        drop(full);
        assert!(hasher.check(&stored, b"right", SALT).await.unwrap());
    }

    #[tokio::test]
    async fn buffers_are_kept_and_never_more_than_turns() {
        let hasher = Hasher::new(&secrets(&[1]));
        let made = join_all((0..20u8).map(|n| {
            let hasher = hasher.clone();
            async move { hasher.make(&[n], SALT).await.unwrap() }
        }))
        .await;
        assert!(made.windows(2).all(|pair| pair[0].hash != pair[1].hash));
        let kept = hasher.0.buffers.lock().unwrap().len();
        assert!((1..=hasher.0.turns.available_permits()).contains(&kept), "{kept}");
    }
}
