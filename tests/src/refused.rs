//! What a client can read out of an error.

use contract::{DOMAIN, Reason};
use std::{collections::HashMap, fmt::Debug, time::Duration};
use tonic::{Code, Response, Status};
use tonic_types::StatusExt;

/// A refused call, decoded.
#[derive(Debug)]
pub struct Refused {
    /// The gRPC code.
    pub code: Code,
    /// `ErrorInfo.reason`.
    pub reason: Reason,
    /// The sentence.
    pub message: String,
    /// `ErrorInfo.metadata`.
    pub metadata: HashMap<String, String>,
    /// `BadRequest.field_violations`, their fields.
    pub fields: Vec<String>,
    /// `RetryInfo`.
    pub retry: Option<Duration>,
    /// As it came.
    pub status: Status,
}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info().unwrap_or_else(|| panic!("every error has ErrorInfo, but: {status:?}"));
        assert_eq!(info.domain, DOMAIN);
        let reason = Reason::parse(&info.reason).unwrap_or_else(|| panic!("{} is not in the catalogue", info.reason));
        assert_eq!(status.code(), reason.code(), "{} has the code of the catalogue", info.reason);
        let fields = details.bad_request().map(|bad| bad.field_violations.iter().map(|of| of.field.clone()).collect());
        Self {
            code: status.code(),
            reason,
            message: status.message().to_owned(),
            metadata: info.metadata.clone(),
            fields: fields.unwrap_or_default(),
            retry: details.retry_info().and_then(|info| info.retry_delay),
            status,
        }
    }
}

/// The reason of an error; panics if it has none, for every error of ours has one.
pub fn reason(status: &Status) -> Reason {
    Refused::from(status.clone()).reason
}

/// Answers that a test expects to be refused.
pub trait Refuses {
    /// The refusal; panics if it is none.
    fn refused(self) -> Refused;
}

impl<T: Debug> Refuses for Result<Response<T>, Status> {
    fn refused(self) -> Refused {
        match self {
            Ok(answer) => panic!("this was to be refused: {:?}", answer.into_inner()),
            Err(status) => status.into(),
        }
    }
}
