//! Public positions in a group's log: sealed, without expiry, and not bound to a filter.

use crate::Db;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chassis::secret::Sealer;
use contract::{Reason, Refusal, id::GroupId};

const VERSION: u8 = 1;

impl Db {
    /// The cursor after a sequence number of a group.
    #[must_use]
    pub fn cursor(&self, group: GroupId, sequence: i64) -> String {
        write(&self.0.sealers.cursors, group, sequence)
    }

    /// The sequence number in a cursor of this group.
    ///
    /// # Errors
    /// `INVALID_CURSOR`: forged, cut off, or another group's.
    pub fn opened(&self, group: GroupId, cursor: &str) -> Result<i64, Refusal> {
        read(&self.0.sealers.cursors, group, cursor)
    }
}

pub(crate) fn write(sealer: &Sealer, group: GroupId, sequence: i64) -> String {
    let plain = [&[VERSION][..], &sequence.to_be_bytes()].concat();
    URL_SAFE_NO_PAD.encode(sealer.seal(group.as_bytes(), &plain))
}

pub(crate) fn read(sealer: &Sealer, group: GroupId, cursor: &str) -> Result<i64, Refusal> {
    let invalid =
        || Refusal::new(Reason::InvalidCursor, "this is not a cursor of this group; begin at a cursor that a watch gave, or at the beginning");
    let sealed = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| invalid())?;
    let plain = sealer.open(group.as_bytes(), &sealed).ok_or_else(invalid)?;
    match plain.split_first() {
        Some((&VERSION, sequence)) => sequence.try_into().map(i64::from_be_bytes).map_err(|_| invalid()),
        _ => Err(invalid()),
    }
}
