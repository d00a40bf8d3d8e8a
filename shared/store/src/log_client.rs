//! The log at the end of a channel: what relays and consumers of every service hold.

use crate::{
    Append,
    consumer::{Batch, Source},
};
use contract::internal::v1::{AppendRequest, LogEvent, ReadRequest, event_log_service_client::EventLogServiceClient};
use tonic::{
    Status,
    body::Body,
    client::GrpcService,
    codegen::{Body as HttpBody, Bytes, StdError},
};

/// A page of the log is about 1 MiB; a larger answer must not stop its reader for good.
const LARGEST: usize = 64 << 20;

/// `EventLogService` over any channel; clones share it.
#[derive(Clone, Debug)]
pub struct LogClient<T>(EventLogServiceClient<T>);

impl<T> LogClient<T>
where
    T: GrpcService<Body>,
    T::Error: Into<StdError>,
    T::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    <T::ResponseBody as HttpBody>::Error: Into<StdError> + Send,
{
    /// Over this channel.
    pub fn new(channel: T) -> Self {
        Self(EventLogServiceClient::new(channel).max_decoding_message_size(LARGEST))
    }
}

impl<T> Append for LogClient<T>
where
    T: GrpcService<Body> + Clone + Send + Sync + 'static,
    T::Error: Into<StdError>,
    T::Future: Send,
    T::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    <T::ResponseBody as HttpBody>::Error: Into<StdError> + Send,
{
    async fn append(&self, events: Vec<LogEvent>) -> Result<(), Status> {
        self.0.clone().append(AppendRequest { events }).await.map(drop)
    }
}

impl<T> Source for LogClient<T>
where
    T: GrpcService<Body> + Clone + Send + Sync + 'static,
    T::Error: Into<StdError>,
    T::Future: Send,
    T::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    <T::ResponseBody as HttpBody>::Error: Into<StdError> + Send,
{
    async fn read(&self, after: i64, floor: i64) -> Result<Batch, Status> {
        let answer = self.0.clone().read(ReadRequest { after, floor }).await?.into_inner();
        Ok(Batch { entries: answer.entries, floor: answer.floor })
    }
}
