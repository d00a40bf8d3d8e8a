//! What [`serve`](super::serve) serves.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use tower::Service;

use super::{BoxError, Incoming};

/// A tower service that is always ready and answers every request; implemented by all that are.
///
/// It gets hyper's own body, hardly wrapped, so that who needs no box makes none. Finds its peer, an
/// [`Arc<Connection>`](super::Connection), in the request's extensions.
pub trait Answer:
    Service<Request<Incoming>, Response = Response<Self::Body>, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static
{
    /// The body of its answers.
    type Body: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Unpin + Send + 'static;
}

impl<S, B> Answer for S
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Unpin + Send + 'static,
{
    type Body = B;
}
