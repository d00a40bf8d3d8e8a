//! Reflection v1 and v1alpha, for the services that are named and no other.
//!
//! tonic-reflection decodes the descriptor with prost, which drops our options, and finds internal symbols that it
//! does not list. So the index is our own: files as the compiler wrote them, of public services and what they import.

mod alpha;
mod index;

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use prost_reflect::DescriptorPool;
use tonic::{Request, Response, Status, Streaming};
use tonic_reflection::pb::v1::server_reflection_server::{ServerReflection, ServerReflectionServer};
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

pub use alpha::Alpha;
use index::Index;

/// The service of `grpc.reflection.v1`.
pub type Server = ServerReflectionServer<Reflection>;

/// Answers what a client asks about our services.
#[derive(Debug)]
pub struct Reflection(Arc<Index>);

/// Both versions, to add to a server's routes. `services` are full names out of `pool`; health and reflection join
/// them.
#[must_use]
pub fn servers(pool: &DescriptorPool, services: &[&str]) -> (Server, Alpha) {
    let index = Arc::new(Index::new(pool, services));
    let server = || ServerReflectionServer::new(Reflection(index.clone()));
    (server(), Alpha(server()))
}

type Answers = Pin<Box<dyn Stream<Item = Result<ServerReflectionResponse, Status>> + Send>>;

#[tonic::async_trait]
impl ServerReflection for Reflection {
    type ServerReflectionInfoStream = Answers;

    async fn server_reflection_info(&self, request: Request<Streaming<ServerReflectionRequest>>) -> Result<Response<Answers>, Status> {
        let index = self.0.clone();
        let answers = request.into_inner().map(move |asked| asked.map(|asked| index.answer(asked)));
        Ok(Response::new(Box::pin(answers)))
    }
}
