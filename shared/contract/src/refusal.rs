//! Why a call is not answered: typed everywhere, a gRPC status in one place.

use crate::Reason;
use prost::Message;
use prost_types::Any;
use std::{borrow::Cow, collections::BTreeMap, error::Error, fmt, iter, time::Duration};
use tonic::{Code, Status};
use tonic_types::pb::{
    self, bad_request::FieldViolation, precondition_failure::Violation as PreconditionViolation, quota_failure::Violation as QuotaViolation,
};

/// `ErrorInfo.domain` of all errors of ours.
pub const DOMAIN: &str = "onemesh";
/// Bytes of one text in a status.
const LONGEST: usize = 500;
/// Violations in a status: with texts of that length they stay below the 16 KiB of headers that clients take.
const MOST_FIELDS: usize = 10;

/// A call that is refused, with all a client needs to act on it.
///
/// The sentence says what was asked, what is wrong, what would work. Names and limits go into the metadata too, so that nobody has to
/// parse sentences. Boxed inside: it travels through many `Result`s whose good side is small.
#[derive(Clone, PartialEq)]
pub struct Refusal(Box<Parts>);

#[derive(Clone, Debug, PartialEq)]
struct Parts {
    reason: Reason,
    message: Cow<'static, str>,
    metadata: Vec<(&'static str, String)>,
    fields: Vec<(String, String)>,
    quota: Option<(String, String)>,
    resource: Option<(&'static str, String)>,
    precondition: Option<(&'static str, String)>,
    retry: Option<Duration>,
}

impl Refusal {
    /// A refusal with its reason and one sentence for people.
    pub fn new(reason: Reason, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Parts {
            reason,
            message: message.into(),
            metadata: Vec::new(),
            fields: Vec::new(),
            quota: None,
            resource: None,
            precondition: None,
            retry: None,
        }))
    }

    /// Something broke on our side. `cause` is logged, never shown.
    pub fn internal(cause: impl fmt::Display) -> Self {
        tracing::error!(%cause, "internal error");
        Self::new(Reason::Internal, "something broke on our side; try again, and if it stays, report the trace id")
    }

    /// Names the field that is wrong: a violation in `BadRequest`.
    pub fn field(mut self, path: impl Into<String>, description: impl Into<String>) -> Self {
        self.0.fields.push((path.into(), description.into()));
        self
    }

    /// The same call may work after so long: `RetryInfo`, and `retry-after` in whole seconds.
    pub fn retry(mut self, after: Duration) -> Self {
        self.0.retry = Some(after);
        self
    }

    /// A key of `ErrorInfo.metadata`.
    pub fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.0.metadata.push((key, value.into()));
        self
    }

    /// Whose quota is used up, and how: a violation in `QuotaFailure`.
    pub fn quota(mut self, subject: impl Into<String>, description: impl Into<String>) -> Self {
        self.0.quota = Some((subject.into(), description.into()));
        self
    }

    /// What was looked for: `ResourceInfo`.
    pub fn resource(mut self, kind: &'static str, name: impl Into<String>) -> Self {
        self.0.resource = Some((kind, name.into()));
        self
    }

    /// What would have to hold: a violation in `PreconditionFailure`.
    pub fn precondition(mut self, kind: &'static str, subject: impl Into<String>) -> Self {
        self.0.precondition = Some((kind, subject.into()));
        self
    }

    /// Why, for machines.
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// Why, for people.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The code of the reason.
    pub fn code(&self) -> Code {
        self.0.reason.code()
    }

    /// How long to wait before the next try.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry
    }

    /// The only builder of statuses. What a caller sent may be part of it, so every text is cut: all of it travels in headers.
    pub fn status(&self) -> Status {
        let parts = &*self.0;
        let message = cut(&parts.message);
        let details = pb::Status { code: self.code().into(), message: message.to_string(), details: self.details() };
        let mut status = Status::with_details(self.code(), message, details.encode_to_vec().into());
        if let Some(after) = parts.retry {
            let seconds = (after.as_secs() + u64::from(after.subsec_nanos() > 0)).max(1);
            status.metadata_mut().insert("retry-after", seconds.into());
        }
        status
    }

    fn details(&self) -> Vec<Any> {
        let parts = &*self.0;
        let description = cut(&parts.message).into_owned();
        let metadata = parts.metadata.iter().map(|(key, value)| ((*key).to_owned(), cut(value).into_owned())).collect();
        let info = any("ErrorInfo", &ErrorInfo { reason: parts.reason.word().to_owned(), domain: DOMAIN.to_owned(), metadata });
        let retry = parts.retry.map(|after| pb::RetryInfo { retry_delay: after.try_into().ok() });
        let fields = parts.fields.iter().take(MOST_FIELDS).map(|(path, what)| FieldViolation {
            field: cut(path).into_owned(),
            description: cut(what).into_owned(),
            ..Default::default()
        });
        let fields = pb::BadRequest { field_violations: fields.collect() };
        let quota = parts.quota.as_ref().map(|(subject, what)| pb::QuotaFailure {
            violations: vec![QuotaViolation { subject: cut(subject).into_owned(), description: cut(what).into_owned(), ..Default::default() }],
        });
        let precondition = parts.precondition.as_ref().map(|(kind, subject)| pb::PreconditionFailure {
            violations: vec![PreconditionViolation {
                r#type: (*kind).to_owned(),
                subject: cut(subject).into_owned(),
                description: description.clone(),
            }],
        });
        let resource = parts.resource.as_ref().map(|(kind, name)| pb::ResourceInfo {
            resource_type: (*kind).to_owned(),
            resource_name: cut(name).into_owned(),
            owner: String::new(),
            description: description.clone(),
        });
        let others = [
            retry.map(|retry| any("RetryInfo", &retry)),
            quota.map(|quota| any("QuotaFailure", &quota)),
            precondition.map(|precondition| any("PreconditionFailure", &precondition)),
            (!fields.field_violations.is_empty()).then(|| any("BadRequest", &fields)),
            resource.map(|resource| any("ResourceInfo", &resource)),
        ];
        iter::once(info).chain(others.into_iter().flatten()).collect()
    }
}

/// `google.rpc.ErrorInfo` with its metadata in order: the same refusal is the same bytes, or a stranger could tell two of them apart.
#[derive(Clone, PartialEq, Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    domain: String,
    #[prost(btree_map = "string, string", tag = "3")]
    metadata: BTreeMap<String, String>,
}

fn any(name: &str, detail: &impl Message) -> Any {
    Any { type_url: format!("type.googleapis.com/google.rpc.{name}"), value: detail.encode_to_vec() }
}

/// At most [`LONGEST`] bytes, at a character's end.
fn cut(text: &str) -> Cow<'_, str> {
    if text.len() <= LONGEST {
        return Cow::Borrowed(text);
    }
    let end = (0..=LONGEST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    Cow::Owned(format!("{}…", &text[..end]))
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refusal({}, {:?})", self.0.reason.word(), self.0.message)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl Error for Refusal {}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        refusal.status()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::StatusExt;

    #[test]
    fn the_same_refusal_is_the_same_bytes() {
        let status = |_| Refusal::new(Reason::InsufficientRole, "no").with("role", "a").with("needed", "b").with("zone", "c").status();
        let all: Vec<Vec<u8>> = (0..50).map(|n| status(n).details().to_vec()).collect();
        assert!(all.windows(2).all(|two| two[0] == two[1]));
    }

    #[test]
    fn a_status_says_all_that_was_found() {
        let refusal =
            Refusal::new(Reason::RateLimited, "used up").retry(Duration::from_millis(1_200)).with("limit", "60").quota("key:1", "60 a minute");
        let status = refusal.field("a.b", "is wrong").resource("thing", "1").precondition("tier", "group:1").status();
        let details = status.get_error_details();
        let info = details.error_info().expect("always there");
        assert_eq!((info.reason.as_str(), info.domain.as_str(), info.metadata["limit"].as_str()), ("RATE_LIMITED", DOMAIN, "60"));
        assert_eq!(details.bad_request().expect("a field").field_violations[0].field, "a.b");
        assert!(details.quota_failure().is_some() && details.resource_info().is_some() && details.precondition_failure().is_some());
        assert_eq!((status.code(), status.metadata().get("retry-after").expect("there").as_bytes()), (Code::ResourceExhausted, &b"2"[..]));
    }

    #[test]
    fn what_a_caller_sent_is_cut_so_that_a_status_fits_into_headers() {
        let long = "ß".repeat(1 << 20);
        let refusal =
            (0..100).fold(Refusal::new(Reason::InvalidUpdateMask, long.clone()).with("path", &long), |refusal, _| refusal.field(&long, &long));
        let status = refusal.status();
        assert!(status.message().len() < 600 && status.details().len() < 12 << 10, "{} {}", status.message().len(), status.details().len());
    }
}
