//! A request as it is counted and kept: the gateway's record, with nothing in it that no engine could take.

use chassis::telemetry::code_name;
use contract::{Reason, id::GroupId, internal::v1::RequestRecord};
use std::borrow::Cow;
use store::At;
use tonic::Code;
use uuid::Uuid;

/// The end of the year 9999: what no calendar knows Postgres would refuse.
const LAST: i64 = 253_402_300_799_999_999;
/// 30 days and 2^50: numbers are added up, and a sum that no column holds would stop a gateway's log for good.
const LONGEST_CALL: i64 = 30 * 86_400_000_000;
const LARGEST: i64 = 1 << 50;
/// Texts are cut here; the gateway cuts them before.
const LONGEST: usize = 256;

/// A record, and whose it is. Nil ids are none.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) group_id: Uuid,
    pub(crate) key_id: Uuid,
    pub(crate) record: RequestRecord,
}

impl Row {
    /// Of a record. `nobody` is the group of those who have none.
    pub(crate) fn new(mut record: RequestRecord, nobody: impl FnOnce() -> GroupId) -> Self {
        record.time_micros = record.time_micros.clamp(0, LAST);
        record.latency_micros = record.latency_micros.clamp(0, LONGEST_CALL);
        for number in [&mut record.cost, &mut record.bytes_in, &mut record.bytes_out] {
            *number = (*number).clamp(0, LARGEST);
        }
        for text in [&mut record.rpc, &mut record.route, &mut record.user_agent, &mut record.call_id, &mut record.refused_by] {
            cut(text);
        }
        if record.route.strip_prefix('/').is_some_and(|rpc| rpc == record.rpc) {
            record.route.clear(); // or it would be counted apart from those that leave it out
        }
        let (acting, home) = (uuid(&record.group_id), uuid(&record.home_group_id));
        let group_id = if acting.is_nil() { if home.is_nil() { *nobody() } else { home } } else { acting };
        Self { group_id, key_id: uuid(&record.key_id), record }
    }

    /// When it ended.
    pub(crate) fn time(&self) -> At {
        At(self.record.time_micros)
    }

    /// The UTC minute it ended in, counted since 1970.
    pub(crate) fn minute(&self) -> i64 {
        self.record.time_micros / 60_000_000
    }

    /// Nobody is known to have sent it.
    pub(crate) fn is_strangers(&self) -> bool {
        uuid(&self.record.home_group_id).is_nil()
    }
}

/// The name of its status code.
pub(crate) fn code(record: &RequestRecord) -> &'static str {
    code_name(Code::from_i32(record.code))
}

/// Why it was refused; empty if it was not.
pub(crate) fn reason(record: &RequestRecord) -> &'static str {
    Reason::try_from(record.reason).ok().filter(|reason| *reason != Reason::Unspecified).map_or("", Reason::word)
}

/// The template of its path.
pub(crate) fn route<'r>(rpc: &str, route: &'r str) -> Cow<'r, str> {
    if route.is_empty() && !rpc.is_empty() { Cow::Owned(format!("/{rpc}")) } else { Cow::Borrowed(route) }
}

/// Nil if there is none.
pub(crate) fn uuid(bytes: &[u8]) -> Uuid {
    Uuid::from_slice(bytes).unwrap_or_default()
}

/// To what both engines can keep.
fn cut(text: &mut String) {
    text.truncate(text.floor_char_boundary(LONGEST));
    if text.contains('\0') {
        text.retain(|character| character != '\0');
    }
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn a_text_is_what_both_engines_can_keep() {
        let kept = |text: &str| {
            let mut text = text.to_owned();
            cut(&mut text);
            text
        };
        for (given, expected) in [("curl/8", "curl/8".to_owned()), ("a\0b", "ab".to_owned()), (&"é".repeat(300), "é".repeat(128))] {
            assert_eq!(kept(given), expected);
        }
        assert_eq!(kept(&format!("x{}", "é".repeat(300))).len(), 255, "never within a character");
    }
}
