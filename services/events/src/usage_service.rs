//! `UsageService`: a group's requests as its people see them.

use crate::request_log::RequestLog;
use chassis::{
    left::{self, Left},
    principal,
};
use contract::events::v1::{GetUsageRequest, LimitState, ListRequestsRequest, ListRequestsResponse, Usage, usage_service_server::UsageService};
use tonic::{Request, Response, Status};

/// Answers clients.
pub(crate) struct UsageApi(pub(crate) RequestLog);

#[tonic::async_trait]
impl UsageService for UsageApi {
    async fn list_requests(&self, request: Request<ListRequestsRequest>) -> Result<Response<ListRequestsResponse>, Status> {
        let principal = principal::of(&request)?;
        Ok(Response::new(self.0.list(principal.group, request.get_ref()).await?))
    }

    async fn get_usage(&self, request: Request<GetUsageRequest>) -> Result<Response<Usage>, Status> {
        let principal = principal::of(&request)?;
        let mut usage = self.0.usage(principal.group, request.get_ref()).await?;
        let asked = &request.get_ref().key_id;
        if asked.is_empty() || principal.actor.key_id.is_some_and(|own| asked.eq_ignore_ascii_case(&own.to_string())) {
            usage.limits = left::of(request.metadata().as_ref()).into_iter().map(limit).collect();
        }
        Ok(Response::new(usage))
    }
}

fn limit(left: Left<'_>) -> LimitState {
    let shown = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    LimitState {
        name: left.name.to_owned(),
        remaining: shown(left.requests),
        reset_time: Some(prost_types::Timestamp { seconds: shown(left.resets), nanos: 0 }),
    }
}
