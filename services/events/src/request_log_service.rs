//! `RequestLogService`: the request log as the gateways see it.

use crate::request_log::RequestLog;
use contract::internal::v1::{AppendRequestsRequest, AppendRequestsResponse, request_log_service_server::RequestLogService};
use tonic::{Request, Response, Status};

/// Takes what gateways tell.
pub(crate) struct RequestLogApi(pub(crate) RequestLog);

#[tonic::async_trait]
impl RequestLogService for RequestLogApi {
    async fn append_requests(&self, request: Request<AppendRequestsRequest>) -> Result<Response<AppendRequestsResponse>, Status> {
        self.0.append(request.into_inner()).await?;
        Ok(Response::new(AppendRequestsResponse {}))
    }
}
