//! Why a call is not answered: typed everywhere, a gRPC status in one place.

use crate::Reason;
use std::{borrow::Cow, collections::HashMap, error::Error, fmt, time::Duration};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// `ErrorInfo.domain` of all errors of ours.
pub const DOMAIN: &str = "onemesh";

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
        Self::new(Reason::Internal, "something broke on our side; try again, and if it stays, report the request id")
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

    /// The only builder of statuses.
    pub fn status(&self) -> Status {
        let parts = &*self.0;
        let metadata: HashMap<String, String> = parts.metadata.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        let mut details = ErrorDetails::with_error_info(parts.reason.word(), DOMAIN, metadata);
        for (path, description) in &parts.fields {
            details.add_bad_request_violation(path, description);
        }
        if let Some((subject, description)) = &parts.quota {
            details.add_quota_failure_violation(subject, description);
        }
        if let Some((kind, name)) = &parts.resource {
            details.set_resource_info(*kind, name, "", parts.message.as_ref());
        }
        if let Some((kind, subject)) = &parts.precondition {
            details.add_precondition_failure_violation(*kind, subject, parts.message.as_ref());
        }
        if let Some(after) = parts.retry {
            details.set_retry_info(Some(after));
        }
        let mut status = Status::with_error_details(self.code(), parts.message.as_ref(), details);
        if let Some(after) = parts.retry {
            let seconds = (after.as_secs() + u64::from(after.subsec_nanos() > 0)).max(1);
            status.metadata_mut().insert("retry-after", seconds.into());
        }
        status
    }
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
