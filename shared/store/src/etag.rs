//! Etags: the revision, in a form nobody is tempted to count with.

use contract::{Reason, Refusal};

/// The etag of a revision.
#[must_use]
pub fn of(revision: i64) -> String {
    format!("r{revision:x}")
}

/// Refuses to overwrite what its caller has not seen. Empty: in any case.
///
/// # Errors
/// `ETAG_MISMATCH`: it is the etag of another revision.
pub fn check(sent: &str, revision: i64) -> Result<(), Refusal> {
    let current = of(revision);
    if sent.is_empty() || sent == current {
        return Ok(());
    }
    let sentence = format!("the etag {sent} is not the present one, {current}: somebody else changed it; read it again and send the new etag");
    Err(Refusal::new(Reason::EtagMismatch, sentence).with("etag", current))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_present_etag_or_none_may_overwrite() {
        for (sent, good) in [("", true), ("r1f", true), ("r1e", false), ("31", false), ("R1F", false)] {
            assert_eq!(check(sent, 31).is_ok(), good, "{sent}");
        }
    }
}
