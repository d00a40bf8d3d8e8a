//! Reasons as words and codes, read from the catalogue.

use crate::{Reason, options_of, policy::v1::ReasonInfo};
use std::sync::LazyLock;
use tonic::Code;

static CATALOGUE: LazyLock<Vec<Option<ReasonInfo>>> = LazyLock::new(|| {
    let known = options_of::<ReasonInfo>("one.policy.v1.Reason", "one.policy.v1.reason");
    let length = known.iter().map(|(number, _)| *number as usize + 1).max().unwrap_or_default();
    let mut all = vec![None; length];
    for (number, info) in known {
        all[number as usize] = Some(info);
    }
    all
});

impl Reason {
    /// As it stands in `ErrorInfo.reason`: `INVALID_API_KEY`.
    pub fn word(self) -> &'static str {
        self.as_str_name().trim_start_matches("REASON_")
    }

    /// The code it always comes with.
    pub fn code(self) -> Code {
        self.info().map_or(Code::Internal, |info| Code::from_i32(info.code))
    }

    /// What a person needs to know of it.
    pub fn info(self) -> Option<&'static ReasonInfo> {
        CATALOGUE.get(self as usize)?.as_ref()
    }

    /// The reason of that [`Reason::word`].
    pub fn parse(word: &str) -> Option<Reason> {
        Reason::from_str_name(&format!("REASON_{word}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_code_a_summary_causes_and_fixes() {
        let all = crate::pool().get_enum_by_name("one.policy.v1.Reason").expect("ours");
        for value in all.values().filter(|value| value.number() != 0) {
            let reason = Reason::try_from(value.number()).expect("generated from the same file");
            let info = reason.info().unwrap_or_else(|| panic!("{} has no option", reason.word()));
            assert!(info.code != 0 && !info.summary.is_empty() && !info.causes.is_empty() && !info.fixes.is_empty(), "{}", reason.word());
            assert_eq!(Reason::parse(reason.word()), Some(reason));
        }
    }

    #[test]
    fn codes_are_those_of_the_catalogue() {
        assert_eq!(Reason::InvalidApiKey.code(), Code::Unauthenticated);
        assert_eq!(Reason::GroupNotFound.code(), Code::NotFound);
        assert_eq!(Reason::InvalidApiKey.word(), "INVALID_API_KEY");
    }
}
