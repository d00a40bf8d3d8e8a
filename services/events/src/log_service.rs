//! `EventLogService`: the log as the services see it.

use crate::log::{Log, Part};
use contract::{
    Refusal,
    internal::v1::{AppendRequest, AppendResponse, Entry, ReadRequest, ReadResponse, event_log_service_server::EventLogService},
};
use std::time::Duration;
use store::Carried;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

/// How long a read waits for news; well below the deadline of the call.
const WAIT: Duration = Duration::from_secs(10);

/// Says the log to relays and consumers.
pub(crate) struct LogApi {
    log: Log,
    drain: CancellationToken,
}

impl LogApi {
    pub(crate) fn new(log: Log, drain: CancellationToken) -> Self {
        Self { log, drain }
    }
}

#[tonic::async_trait]
impl EventLogService for LogApi {
    async fn append(&self, request: Request<AppendRequest>) -> Result<Response<AppendResponse>, Status> {
        let mut events = request.into_inner().events;
        let _spans = Carried::all("log.append", &mut events);
        self.log.append(events).await.map_err(Refusal::from)?;
        Ok(Response::new(AppendResponse {}))
    }

    async fn read(&self, request: Request<ReadRequest>) -> Result<Response<ReadResponse>, Status> {
        let ReadRequest { after, floor } = *request.get_ref();
        let read = self.drain.run_until_cancelled(self.log.read(after, floor, WAIT)).await;
        // At the end of the process nothing came, and nobody has begun with it.
        let Part { rows, floor } = read.unwrap_or(Ok(Part { rows: Vec::new(), floor: 0 })).map_err(Refusal::from)?;
        Ok(Response::new(ReadResponse { entries: rows.into_iter().map(Entry::from).collect(), floor }))
    }
}
