//! `UsageService`: a group's requests as its people see them.

use crate::request_log::RequestLog;
use chassis::principal;
use contract::events::v1::{GetUsageRequest, ListRequestsRequest, ListRequestsResponse, Usage, usage_service_server::UsageService};
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
        Ok(Response::new(self.0.usage(principal.group, request.get_ref()).await?))
    }
}
