//! v1alpha is v1 under another name: the messages are the same on the wire.

use std::convert::Infallible;
use std::task::{Context, Poll};

use http::uri::PathAndQuery;
use http::{Request, Response, Uri};
use tonic::body::Body;
use tonic::server::NamedService;
use tower::Service;

use super::Server;

/// The service of `grpc.reflection.v1alpha`.
#[derive(Clone, Debug)]
pub struct Alpha(pub(super) Server);

const V1: PathAndQuery = PathAndQuery::from_static("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
const METHOD: &str = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

impl NamedService for Alpha {
    const NAME: &'static str = "grpc.reflection.v1alpha.ServerReflection";
}

impl<B> Service<Request<B>> for Alpha
where
    Server: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = <Server as Service<Request<B>>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<B>>::poll_ready(&mut self.0, context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if request.uri().path() == METHOD {
            *request.uri_mut() = Uri::from(V1);
        }
        self.0.call(request)
    }
}
