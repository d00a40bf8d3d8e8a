//! Sealed bytes: nobody outside reads or changes them, and they name the secret that opens them.

use std::fmt;
use std::sync::Arc;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use super::Id;

/// First byte of everything sealed, so that the form can change.
const VERSION: u8 = 1;
const NONCE: usize = 24;
const HEAD: usize = 1 + size_of::<Id>() + NONCE;

/// Seals and opens for one purpose (XChaCha20-Poly1305, random nonces). Cheap to clone; see
/// [`Secrets::sealer`](super::Secrets::sealer).
#[derive(Clone)]
pub struct Sealer {
    keys: Arc<[(Id, XChaCha20Poly1305)]>,
}

impl Sealer {
    pub(super) fn new(keys: impl Iterator<Item = (Id, [u8; 32])>) -> Self {
        let cipher = |(id, key): (Id, [u8; 32])| (id, XChaCha20Poly1305::new(&key.into()));
        Self { keys: keys.map(cipher).collect() }
    }

    /// Sealed under the newest secret: version, its id, nonce, then ciphertext with tag. `bound` (whose it is, for
    /// what) is not inside, but opens nothing when it differs.
    #[must_use]
    pub fn seal(&self, bound: &[u8], plain: &[u8]) -> Vec<u8> {
        let (id, cipher) = &self.keys[0];
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).expect("the operating system gives random bytes");
        let payload = Payload { msg: plain, aad: bound };
        let text = cipher.encrypt(XNonce::from_slice(&nonce), payload).expect("under the cipher's 256 GiB");
        [&[VERSION][..], id, &nonce, &text].concat()
    }

    /// What was sealed under any secret of the list with the same `bound`; else nothing, without a reason.
    #[must_use]
    pub fn open(&self, bound: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (head, text) = sealed.split_at_checked(HEAD)?;
        let (version, rest) = head.split_first()?;
        let (id, nonce) = rest.split_at(size_of::<Id>());
        let (_, cipher) = self.keys.iter().find(|(known, _)| *version == VERSION && known == id)?;
        cipher.decrypt(XNonce::from_slice(nonce), Payload { msg: text, aad: bound }).ok()
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Sealer of {} secrets", self.keys.len())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::Secrets;

    fn sealer(roots: &[u8], label: &str) -> super::Sealer {
        let roots: Vec<_> = roots.iter().map(|byte| [*byte; 32]).collect();
        Secrets::of(&roots).unwrap().sealer(label)
    }

    #[test]
    fn what_is_sealed_opens_with_the_same_binding_only() {
        let pages = sealer(&[1], "pages");
        let sealed = pages.seal(b"group a", b"after 42");
        assert_eq!(pages.open(b"group a", &sealed).unwrap(), b"after 42");
        assert_eq!(pages.open(b"group b", &sealed), None);
        assert_eq!(sealer(&[1], "cursors").open(b"group a", &sealed), None);
        assert_eq!(sealer(&[2], "pages").open(b"group a", &sealed), None);
    }

    #[test]
    fn every_changed_lost_or_added_byte_closes_it() {
        let pages = sealer(&[1], "pages");
        let sealed = pages.seal(b"", b"plain");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(pages.open(b"", &changed), None, "byte {at} changed");
            assert_eq!(pages.open(b"", &sealed[..at]), None, "cut at {at}");
        }
        assert_eq!(pages.open(b"", &[&sealed[..], b"x"].concat()), None);
    }

    #[test]
    fn a_rotated_secret_still_opens_and_the_new_one_seals() {
        let (old, both, new) = (sealer(&[1], "l"), sealer(&[2, 1], "l"), sealer(&[2], "l"));
        assert_eq!(both.open(b"", &old.seal(b"", b"before")).unwrap(), b"before");
        let after = both.seal(b"", b"after");
        assert_eq!(new.open(b"", &after).unwrap(), b"after");
        assert_eq!(old.open(b"", &after), None);
    }

    #[test]
    fn the_same_text_is_never_sealed_the_same_way_twice() {
        let sealer = sealer(&[1], "l");
        assert_ne!(sealer.seal(b"", b"same"), sealer.seal(b"", b"same"));
    }
}
