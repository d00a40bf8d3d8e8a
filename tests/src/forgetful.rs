//! A disk that can be full, and that forgets in a power cut what was not synced.
//!
//! `forgetful/shim.c` stands between one process and the operating system, and keeps a journal of what is done to SQLite's files: writes,
//! truncations, syncs, names. [`Disk::cut_power`] rebuilds the files from it as they were synced last: bytes are there once their file was
//! synced after them, a name once its folder was. Of the rest nothing is kept, or any 512 bytes of it are, as a disk with a cache may do.
//!
//! What it shows: whatever was acknowledged rests on synced bytes only, and what a cut leaves is a database that opens. It takes a disk's word for
//! a sync, and knows nothing of bytes that rot.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use uuid::Uuid;

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// The disk under one process's SQLite files.
#[derive(Clone, Debug)]
pub struct Disk {
    /// Shim, journal and flag.
    own: PathBuf,
    data: PathBuf,
}

/// What of the bytes that were not synced is there after a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsynced {
    /// Nothing.
    Forgotten,
    /// Any half of it.
    PartlyKept,
}

impl Disk {
    /// For the files of `data`, which need not be there yet. `own` is for its own.
    ///
    /// # Panics
    /// If there is no C compiler.
    pub(crate) fn new(own: PathBuf, data: PathBuf) -> Disk {
        fs::create_dir_all(&own).expect("a folder of ours");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/forgetful/shim.c");
        let made =
            Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(own.join("shim.so")).arg(source).args(["-ldl", "-lpthread"]).status();
        assert!(made.is_ok_and(|status| status.success()), "the shim compiles");
        Disk { own, data }
    }

    /// For the process's environment.
    pub(crate) fn settings(&self) -> [(&'static str, String); 4] {
        let path = |name: &str| self.own.join(name).display().to_string();
        [
            ("LD_PRELOAD", path("shim.so")),
            ("FORGETFUL_DIR", self.data.display().to_string()),
            ("FORGETFUL_LOG", path("journal")),
            ("FORGETFUL_FULL", path("full")),
        ]
    }

    /// No file grows any more.
    pub fn fill(&self) {
        fs::write(self.own.join("full"), "").expect("a folder of ours");
    }

    /// There is room again.
    pub fn free(&self) {
        fs::remove_file(self.own.join("full")).expect("it was full");
    }

    /// Puts the files back to what a power cut would have left of them. The process must have been killed. Tells how often it had synced.
    ///
    /// # Panics
    /// If the journal can't be read.
    pub fn cut_power(&self, unsynced: Unsynced) -> usize {
        let journal = fs::read(self.own.join("journal")).expect("the process has begun");
        let mut replay = Replay::default();
        let mut rest = &journal[..];
        while let Some((record, after)) = Record::read(rest) {
            replay.follow(record);
            rest = after;
        }
        for file in fs::read_dir(&self.data).expect("the process's folder").flatten().filter(is_recorded) {
            fs::remove_file(file.path()).expect("a file of ours");
        }
        let mut journal = Vec::new();
        for (name, content) in replay.files(unsynced) {
            fs::write(self.data.join(&name), &content).expect("a folder of ours");
            for record in [Record { kind: b'C', name: &name, offset: 0, data: &[] }, Record { kind: b'W', name: &name, offset: 0, data: &content }] {
                record.write(&mut journal);
            }
            Record { kind: b'S', name: &name, offset: 0, data: &[] }.write(&mut journal);
        }
        Record { kind: b'D', name: "", offset: 0, data: &[] }.write(&mut journal);
        fs::write(self.own.join("journal"), journal).expect("a folder of ours");
        replay.syncs
    }
}

/// The shared memory goes with the power, too.
fn is_recorded(file: &fs::DirEntry) -> bool {
    file.file_name().to_string_lossy().contains(".db")
}

/// As the shim writes it.
struct Record<'j> {
    kind: u8,
    name: &'j str,
    offset: usize,
    data: &'j [u8],
}

impl<'j> Record<'j> {
    /// The first one; none if it is cut: what it tells of was killed while it was at it.
    fn read(journal: &'j [u8]) -> Option<(Self, &'j [u8])> {
        let (head, rest) = journal.split_at_checked(32)?;
        let number = |place: usize| usize::try_from(u64::from_ne_bytes(head[place * 8..][..8].try_into().expect("8 bytes"))).expect("64 bits");
        let (name, rest) = rest.split_at_checked(number(1))?;
        let (data, rest) = rest.split_at_checked(number(3))?;
        let record = Record { kind: head[0], name: std::str::from_utf8(name).expect("SQLite's names"), offset: number(2), data };
        Some((record, rest))
    }

    fn write(&self, journal: &mut Vec<u8>) {
        for number in [u64::from(self.kind), self.name.len() as u64, self.offset as u64, self.data.len() as u64] {
            journal.extend(number.to_ne_bytes());
        }
        journal.extend(self.name.as_bytes());
        journal.extend(self.data);
    }
}

/// The disk, record by record.
#[derive(Default)]
struct Replay<'j> {
    files: Vec<File<'j>>,
    /// Which file has which name, as the process sees it.
    names: HashMap<&'j str, usize>,
    /// And as it was synced.
    kept: HashMap<&'j str, usize>,
    syncs: usize,
}

#[derive(Default)]
struct File<'j> {
    synced: Vec<u8>,
    pending: Vec<Record<'j>>,
}

impl<'j> Replay<'j> {
    fn follow(&mut self, record: Record<'j>) {
        match record.kind {
            b'C' => {
                self.names.insert(record.name, self.files.len());
                self.files.push(File::default());
            }
            b'U' => drop(self.names.remove(record.name)),
            b'D' => self.kept.clone_from(&self.names),
            b'S' => {
                self.syncs += 1;
                let file = self.file(record.name);
                for pending in std::mem::take(&mut file.pending) {
                    pending.apply(&mut file.synced);
                }
            }
            _ => self.file(record.name).pending.push(record),
        }
    }

    fn file(&mut self, name: &str) -> &mut File<'j> {
        let number = *self.names.get(name).unwrap_or_else(|| panic!("{name} was never made"));
        &mut self.files[number]
    }

    fn files(&self, unsynced: Unsynced) -> Vec<(String, Vec<u8>)> {
        let content = |number: usize| {
            let file = &self.files[number];
            let mut content = file.synced.clone();
            if unsynced == Unsynced::PartlyKept {
                file.pending.iter().for_each(|pending| pending.apply_partly(&mut content));
            }
            content
        };
        self.kept.iter().map(|(name, number)| ((*name).to_owned(), content(*number))).collect()
    }
}

impl Record<'_> {
    fn apply(&self, content: &mut Vec<u8>) {
        if self.kind == b'T' {
            return content.resize(self.offset, 0);
        }
        let end = self.offset + self.data.len();
        content.resize(content.len().max(end), 0);
        content[self.offset..end].copy_from_slice(self.data);
    }

    fn apply_partly(&self, content: &mut Vec<u8>) {
        let mut offset = self.offset;
        for sector in self.data.chunks(SECTOR) {
            if Uuid::new_v4().as_u128().is_multiple_of(2) {
                Record { kind: b'W', name: self.name, offset, data: sector }.apply(content);
            }
            offset += sector.len();
        }
        if self.kind == b'T' && Uuid::new_v4().as_u128().is_multiple_of(2) {
            self.apply(content);
        }
    }
}
