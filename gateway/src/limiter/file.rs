//! The counts of a gateway that counts for itself, kept over its restarts.
//!
//! A file in its data folder, and not a table behind an rpc: the counts are this process's alone, they are worth little (what a kill loses is
//! what was counted since the last save), and a gateway then starts without asking anybody. Written beside and renamed, so it is whole or the
//! one before. What cannot be read is left aside: counting begins anew, and the gateway starts.

use super::{
    Name,
    table::{Entry, Place, Table},
};
use std::{
    fs::{self, OpenOptions},
    io::{self, BufRead, BufReader, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

/// The first line. Another number of shards, or another way to find one, is another version.
const FORM: &str = "onemesh counts 1";

/// Where the counts are kept.
#[derive(Clone, Debug)]
pub(super) struct File(PathBuf);

impl File {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// What of it is not over, into the table.
    pub(super) fn load(&self, table: &Table, at: Duration) -> io::Result<usize> {
        let file = match fs::File::open(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            file => BufReader::new(file?),
        };
        let (mut lines, mut loaded) = (file.lines(), 0);
        if lines.next().transpose()?.as_deref() != Some(FORM) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it does not begin with {FORM:?}")));
        }
        for line in lines {
            let entry = read(&line?).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a line that cannot be read"))?;
            if entry.number == entry.name.number(at) {
                table.put(&entry);
                loaded += 1;
            }
        }
        Ok(loaded)
    }

    /// All that is not over, instead of what was there.
    pub(super) fn save(&self, table: &Table, at: Duration) -> io::Result<()> {
        let beside = self.0.with_extension("new");
        let file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&beside)?;
        let mut to = BufWriter::new(file);
        writeln!(to, "{FORM}")?;
        for place in Place::all() {
            for entry in table.entries(place, at) {
                write(&mut to, &entry)?;
            }
        }
        to.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&beside, &self.0)
    }
}

/// `caller 12 0190a3f000007000800000000000abcd day 20650 1234`.
fn write(to: &mut impl Write, entry: &Entry) -> io::Result<()> {
    let who = if entry.place.known { "caller" } else { "address" };
    writeln!(to, "{who} {} {:032x} {} {} {}", entry.place.shard, entry.subject, entry.name.word(), entry.number, entry.used)
}

fn read(line: &str) -> Option<Entry> {
    let fields: Vec<&str> = line.split(' ').collect();
    let [who, shard, subject, name, number, used] = fields.as_slice() else { return None };
    let known = match *who {
        "caller" => true,
        "address" => false,
        _ => return None,
    };
    Some(Entry {
        place: Place { known, shard: shard.parse().ok()? },
        subject: u128::from_str_radix(subject, 16).ok()?,
        name: [Name::Minute, Name::Day].into_iter().find(|of| of.word() == *name)?,
        number: number.parse().ok()?,
        used: used.parse().ok()?,
        alone: 0,
    })
}
