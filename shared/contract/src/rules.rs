//! Field rules at run time. Which field has which rule is generated from the protos (`build/rules.rs`).

use crate::{Reason, Refusal};
use prost_types::Timestamp;
use uuid::Uuid;

/// A message whose fields have rules.
pub trait Rules {
    /// It is what a caller sends. Answers are not checked: a client must not refuse a newer server's.
    const REQUEST: bool;
    /// Tells `check` of every field.
    fn check(&self, check: &mut Check);
}

/// Refuses a message whose fields break a rule, naming each of them.
pub fn check(message: &impl Rules) -> Result<(), Refusal> {
    let mut check = Check::default();
    message.check(&mut check);
    let Some((path, first)) = check.broken.first() else { return Ok(()) };
    let sentence = match check.broken.len() {
        1 => format!("{path} {first}"),
        n => format!("{path} {first}; and {} more", n - 1),
    };
    let refusal = Refusal::new(Reason::InvalidField, sentence);
    Err(check.broken.into_iter().fold(refusal, |refusal, (path, what)| refusal.field(path, what)))
}

/// What is allowed in a string. NUL is allowed nowhere: Postgres cannot keep it, and both engines take the same.
#[derive(Clone, Copy, Debug)]
pub struct StringRule {
    /// The empty string is allowed whatever else is said.
    pub may_be_empty: bool,
    /// In characters.
    pub min_len: u64,
    /// In characters.
    pub max_len: u64,
    /// In bytes.
    pub max_bytes: u64,
    /// What it must look like.
    pub form: Form,
}

/// What a string must look like.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// Anything.
    Any,
    /// A UUID with hyphens.
    Uuid,
    /// One of these.
    Among(&'static [&'static str]),
}

impl StringRule {
    /// Any string without NUL.
    pub const ANY: StringRule = StringRule { may_be_empty: true, min_len: 0, max_len: u64::MAX, max_bytes: u64::MAX, form: Form::Any };

    fn broken_by(&self, value: &str) -> Option<String> {
        if value.is_empty() && self.may_be_empty {
            return None;
        }
        if value.as_bytes().contains(&0) {
            return Some("must not contain NUL".to_owned());
        }
        if self.max_bytes < value.len() as u64 {
            return Some(format!("must be at most {} bytes, it has {}", self.max_bytes, value.len()));
        }
        if self.min_len > 0 || self.max_len < value.len() as u64 {
            let length = value.chars().count() as u64;
            if length < self.min_len {
                return Some(if length == 0 {
                    "must not be empty".to_owned()
                } else {
                    format!("must be at least {} characters, it has {length}", self.min_len)
                });
            }
            if length > self.max_len {
                return Some(format!("must be at most {} characters, it has {length}", self.max_len));
            }
        }
        match self.form {
            Form::Any => None,
            Form::Uuid => (value.len() != 36 || Uuid::try_parse(value).is_err()).then(|| "must be a UUID".to_owned()),
            Form::Among(words) => (!words.contains(&value)).then(|| {
                let words: Vec<&str> = words.iter().copied().filter(|word| !word.is_empty()).collect();
                format!("must be one of {}", words.join(", "))
            }),
        }
    }
}

/// The way to the field at hand, and what was found so far.
#[derive(Default)]
pub struct Check {
    path: String,
    broken: Vec<(String, String)>,
}

/// As many violations as anybody reads; a message may hold millions.
const MOST: usize = 20;

impl Check {
    fn breaks(&mut self, field: &str, what: impl Into<String>) {
        if self.broken.len() < MOST {
            self.broken.push((format!("{}{field}", self.path), what.into()));
        }
    }

    fn below(&mut self, step: &str, check: impl FnOnce(&mut Self)) {
        let before = self.path.len();
        self.path.push_str(step);
        self.path.push('.');
        check(self);
        self.path.truncate(before);
    }

    /// A field that must be there.
    pub fn required(&mut self, field: &str, there: bool) {
        if !there {
            self.breaks(field, "is required");
        }
    }

    /// A string.
    pub fn string(&mut self, field: &str, value: &str, rule: &StringRule) {
        if let Some(what) = rule.broken_by(value) {
            self.breaks(field, what);
        }
    }

    /// A list of strings.
    pub fn strings(&mut self, field: &str, values: &[String], least: u64, most: u64, rule: &StringRule) {
        let count = values.len() as u64;
        if count < least {
            self.breaks(field, format!("must have at least {least}"));
        }
        if count > most {
            return self.breaks(field, format!("must have at most {most}, it has {count}"));
        }
        for (at, value) in values.iter().enumerate() {
            if let Some(what) = rule.broken_by(value) {
                self.breaks(&format!("{field}[{at}]"), what);
            }
        }
    }

    /// A whole number within bounds.
    pub fn integer(&mut self, field: &str, value: i64, least: i64, most: i64) {
        if value < least {
            self.breaks(field, format!("must be at least {least}, it is {value}"));
        } else if value > most {
            self.breaks(field, format!("must be at most {most}, it is {value}"));
        }
    }

    /// A time that exists, between the years 1 and 9999.
    pub fn timestamp(&mut self, field: &str, value: Option<&Timestamp>, required: bool) {
        match value {
            Some(time) if crate::time::micros(time).is_none() => self.breaks(field, "must be a time between the years 1 and 9999"),
            Some(_) => {}
            None => self.required(field, !required),
        }
    }

    /// A message within the message.
    pub fn message<M: Rules>(&mut self, field: &str, value: Option<&M>, required: bool) {
        match value {
            Some(message) => self.below(field, |check| message.check(check)),
            None => self.required(field, !required),
        }
    }

    /// A list of messages.
    pub fn messages<M: Rules>(&mut self, field: &str, values: &[M]) {
        for (at, message) in values.iter().enumerate() {
            self.below(&format!("{field}[{at}]"), |check| message.check(check));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        events::v1::{WatchEventsRequest, watch_events_request::From},
        identity::v1::{CreateGroupRequest, CreateKeyRequest, Group, GroupLimits, Key, ListKeysRequest},
        ontology::v1::{CreateThingRequest, GetThingRequest, Thing},
    };

    fn broken(message: &impl Rules) -> Vec<(String, String)> {
        let mut found = Check::default();
        message.check(&mut found);
        found.broken
    }

    fn named(name: String) -> CreateThingRequest {
        CreateThingRequest { thing: Some(Thing { name, ..Default::default() }), ..Default::default() }
    }

    #[test]
    fn length_counts_characters_and_names_the_path() {
        assert_eq!(broken(&named("ß".repeat(500))), []);
        let (path, what) = broken(&named("ß".repeat(501))).remove(0);
        assert_eq!((path.as_str(), what.as_str()), ("thing.name", "must be at most 500 characters, it has 501"));
    }

    #[test]
    fn nul_is_refused_in_every_string() {
        assert_eq!(broken(&named("a\0b".to_owned()))[0].1, "must not contain NUL");
        let list = ListKeysRequest { filter: "\0".to_owned(), ..Default::default() };
        assert_eq!(broken(&list)[0].0, "filter");
    }

    #[test]
    fn ids_are_uuids_with_hyphens() {
        for (id, good) in [
            ("0199a0d2-7a5c-7000-8000-000000000001", true),
            ("0199A0D2-7A5C-7000-8000-000000000001", true),
            ("", false),
            ("0199a0d27a5c70008000000000000001", false),
            ("{0199a0d2-7a5c-7000-8000-000000000001}", false),
            ("0199a0d2-7a5c-7000-8000-00000000000g", false),
        ] {
            assert_eq!(broken(&GetThingRequest { id: id.to_owned() }).is_empty(), good, "{id}");
        }
    }

    #[test]
    fn what_is_required_is_missed() {
        assert_eq!(broken(&CreateThingRequest::default()), [("thing".to_owned(), "is required".to_owned())]);
        assert_eq!(broken(&WatchEventsRequest::default()), [("from".to_owned(), "is required".to_owned())]);
        let cursor = WatchEventsRequest { from: Some(From::Cursor(String::new())), ..Default::default() };
        assert_eq!(broken(&cursor)[0].0, "cursor");
    }

    #[test]
    fn lists_numbers_words_and_times_have_bounds() {
        let key = |key: Key| CreateKeyRequest { key: Some(Key { name: "k".to_owned(), ..key }), ..Default::default() };
        assert_eq!(broken(&key(Key::default()))[0].1, "must have at least 1");
        let scopes = vec!["things:read".to_owned(), String::new()];
        assert_eq!(broken(&key(Key { scopes, ..Default::default() }))[0].0, "key.scopes[1]");
        let role = Key { scopes: vec!["*".to_owned()], role: "owner".to_owned(), ..Default::default() };
        assert!(broken(&key(role))[0].1.starts_with("must be one of customer"));
        let late = Timestamp { seconds: 253_402_300_800, nanos: 0 };
        let expire = Key { scopes: vec!["*".to_owned()], expire_time: Some(late), ..Default::default() };
        assert_eq!(broken(&key(expire))[0].0, "key.expire_time");
        assert_eq!(broken(&ListKeysRequest { page_size: -1, ..Default::default() })[0].1, "must be at least 0, it is -1");
        let limits = Some(GroupLimits { things: Some(-2), ..Default::default() });
        let group = CreateGroupRequest { group: Some(Group { limits, ..Default::default() }), ..Default::default() };
        assert_eq!(broken(&group)[0].0, "group.limits.things");
    }

    #[test]
    fn a_refusal_names_every_field() {
        let request = CreateThingRequest {
            thing: Some(Thing { name: "\0".to_owned(), id: "x".to_owned(), ..Default::default() }),
            request_id: "y".to_owned(),
            ..Default::default()
        };
        let refusal = check(&request).expect_err("three rules are broken");
        assert_eq!(refusal.reason(), Reason::InvalidField);
        assert_eq!(refusal.message(), "thing.id must be a UUID; and 2 more");
    }
}
