//! The files that hold the first keys: written under a name of their own, made durable, and put in place after the commit.
//!
//! A key's temporary name holds its handle, so that two starts at once never write the same file, and a later start knows whose a leftover
//! is: the store has the key, so it is put in place; or the store has another, so it opens nothing and goes.

use crate::secret::Secret;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// A file of one key.
#[derive(Clone, Debug)]
pub(super) struct KeyFile {
    folder: PathBuf,
    /// `owner.key`.
    name: &'static str,
}

/// A file that is not in place yet.
#[derive(Debug)]
pub(super) struct Leftover {
    pub(super) path: PathBuf,
    /// None: it was not written to its end.
    pub(super) secret: Option<Secret>,
}

impl KeyFile {
    pub(super) fn new(folder: &Path, name: &'static str) -> Self {
        Self { folder: folder.to_owned(), name }
    }

    /// Writes the key beside its place, for its owner's eyes only, and to the disk.
    pub(super) fn prepare(&self, secret: &Secret) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.beside(secret))?;
        writeln!(file, "{}", secret.reveal())?;
        file.sync_all()?;
        self.sync()
    }

    /// Puts a prepared key in its place. Done already is done.
    pub(super) fn place(&self, secret: &Secret) -> io::Result<()> {
        match fs::rename(self.beside(secret), self.path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.holds(secret) => Ok(()),
            done => done.and_then(|()| self.sync()),
        }
    }

    /// Every file that was prepared and not placed.
    pub(super) fn leftovers(&self) -> io::Result<Vec<Leftover>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.starts_with(&self.hidden()) {
                let text = fs::read_to_string(&path).unwrap_or_default();
                found.push(Leftover { secret: Secret::parse(text.trim_end()), path });
            }
        }
        Ok(found)
    }

    fn holds(&self, secret: &Secret) -> bool {
        fs::read_to_string(self.path()).is_ok_and(|text| text.trim_end() == secret.reveal())
    }

    fn path(&self) -> PathBuf {
        self.folder.join(self.name)
    }

    fn hidden(&self) -> String {
        format!(".{}.", self.name)
    }

    fn beside(&self, secret: &Secret) -> PathBuf {
        self.folder.join(self.hidden() + secret.handle())
    }

    /// A name is in a folder, and the folder must reach the disk too.
    fn sync(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }
}

/// Takes a file away; gone already is gone.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
