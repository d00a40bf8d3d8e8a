//! Root secrets and what is made of them: a key for each purpose by HKDF, and sealed bytes.
//!
//! A root secret is never used itself. The file holds a list, newest first: the newest seals and signs, all open.
//! So a secret is rotated by a new first line, and dropped when what it sealed is gone.

mod file;
mod sealer;

pub use sealer::Sealer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hkdf::Hkdf;
use sha2::Sha256;

/// A shorter root secret is refused.
const LEAST_BYTES: usize = 32;

/// The root secrets of a mesh, newest first. Printing shows ids only.
#[derive(Clone)]
pub struct Secrets {
    roots: Arc<[Root]>,
}

/// What to do when the file of secrets does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Make one with 32 bytes from the operating system, mode 0600: the first run of a whole mesh.
    Create,
    /// Refuse: parts of a split mesh must share one, so none of them may invent it.
    Refuse,
}

/// Why there are no root secrets.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no file, and none may be made.
    #[error("the secret file {path} does not exist; set ONE_SECRET_FILE to the one all parts of this mesh share", path = .0.display())]
    Missing(PathBuf),
    /// The operating system said no.
    #[error("the secret file {path}: {1}", path = .0.display())]
    Io(PathBuf, #[source] std::io::Error),
    /// A line is not a secret. The line itself is not repeated.
    #[error("line {1} of the secret file {path}: {2}", path = .0.display())]
    Line(PathBuf, usize, Malformed),
    /// The file, or the list, has no secret in it.
    #[error("there is no root secret in the list; it needs at least one")]
    Empty,
    /// A secret of a list is too short.
    #[error("a root secret has at least 32 bytes")]
    Short,
}

/// What is wrong with a line of the secret file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Neither hex nor base64.
    #[error("neither hex nor base64")]
    Encoding,
    /// Fewer than 32 bytes.
    #[error("a root secret has at least 32 bytes")]
    Short,
}

/// Names a root secret in what was sealed with it; says nothing about it.
type Id = [u8; 4];

struct Root {
    id: Id,
    expander: Hkdf<Sha256>,
}

impl Root {
    fn new(bytes: &[u8]) -> Self {
        let expander = Hkdf::<Sha256>::new(None, bytes);
        let mut id = Id::default();
        expand(&expander, "one.secret.id", &mut id);
        Self { id, expander }
    }

    fn derive(&self, label: &str) -> [u8; 32] {
        let mut key = [0; 32];
        expand(&self.expander, label, &mut key);
        key
    }
}

fn expand(expander: &Hkdf<Sha256>, label: &str, into: &mut [u8]) {
    expander.expand(label.as_bytes(), into).expect("HKDF-SHA256 gives up to 8160 bytes");
}

impl Secrets {
    /// Reads the list at `path`: one secret a line, in hex or base64, newest first; empty lines and `#` are skipped.
    ///
    /// # Errors
    /// Names the file and the line, never the secret.
    pub fn load(path: &Path, missing: Missing) -> Result<Self, Error> {
        file::read(path, missing).and_then(|roots| Self::of(&roots))
    }

    /// These secrets, newest first.
    ///
    /// # Errors
    /// When the list is empty or a secret is shorter than 32 bytes.
    pub fn of<B: AsRef<[u8]>>(roots: &[B]) -> Result<Self, Error> {
        if roots.is_empty() {
            return Err(Error::Empty);
        }
        if roots.iter().any(|root| root.as_ref().len() < LEAST_BYTES) {
            return Err(Error::Short);
        }
        let roots = roots.iter().map(|root| Root::new(root.as_ref())).collect();
        Ok(Self { roots })
    }

    /// The key of this purpose, of the newest secret.
    #[must_use]
    pub fn derive(&self, label: &str) -> [u8; 32] {
        self.roots[0].derive(label)
    }

    /// The key of this purpose of every secret, newest first: what may have been made before a rotation.
    pub fn derive_each<'a>(&'a self, label: &'a str) -> impl Iterator<Item = [u8; 32]> + 'a {
        self.roots.iter().map(move |root| root.derive(label))
    }

    /// Seals and opens for this purpose. What one label sealed, no other opens.
    #[must_use]
    pub fn sealer(&self, label: &str) -> Sealer {
        Sealer::new(self.roots.iter().map(|root| (root.id, root.derive(label))))
    }

    /// Of the newest secret. Safe to store and to show: it is derived one way.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.roots[0])
    }

    /// Whether a stored fingerprint is that of one of these secrets.
    #[must_use]
    pub fn knows(&self, stored: &str) -> bool {
        self.roots.iter().any(|root| fingerprint(root) == stored)
    }
}

fn fingerprint(root: &Root) -> String {
    root.derive("one.secret.fingerprint")[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Debug for Secrets {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.roots.iter().map(|root| u32::from_be_bytes(root.id))).finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn secrets(roots: &[u8]) -> Secrets {
        Secrets::of(&roots.iter().map(|byte| [*byte; 32]).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn each_label_and_each_secret_has_its_own_key() {
        let one = secrets(&[1]);
        assert_eq!(one.derive("pepper"), secrets(&[1]).derive("pepper"));
        assert_ne!(one.derive("pepper"), one.derive("pages"));
        assert_ne!(one.derive("pepper"), secrets(&[2]).derive("pepper"));
    }

    #[test]
    fn keys_from_before_a_rotation_are_still_derived() {
        let before = secrets(&[1]).derive("principal");
        let after = secrets(&[2, 1]);
        assert_ne!(after.derive("principal"), before);
        assert!(after.derive_each("principal").any(|key| key == before));
    }

    #[test]
    fn a_rotated_secret_is_known_by_its_fingerprint_and_a_stranger_is_not() {
        let old = secrets(&[1]).fingerprint();
        assert_eq!(old.len(), 32);
        assert!(secrets(&[2, 1]).knows(&old));
        assert!(!secrets(&[2]).knows(&old));
    }

    #[test]
    fn printing_shows_no_secret() {
        let shown = format!("{:?} {:?}", secrets(&[171]), secrets(&[171]).sealer("pages"));
        for canary in ["171, 171", "abab", "ABAB"] {
            assert!(!shown.contains(canary), "{shown}");
        }
    }

    #[test]
    fn an_empty_list_and_a_short_secret_are_refused() {
        assert!(matches!(Secrets::of::<Vec<u8>>(&[]), Err(Error::Empty)));
        assert!(matches!(Secrets::of(&[[1; 31]]), Err(Error::Short)));
    }
}
