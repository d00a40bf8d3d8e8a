//! The strict stack around a service's routes, for ports that speak only gRPC.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use contract::Refusal;
use http::{Request, Response};
use tonic::body::Body;
use tower::{Service, service_fn};

use super::connection::Connection;
use super::{Answer, Deadline, Guarded, Incoming, Limits, Messages, Writer, decoding, front, metadata, refusal};

/// Reflection is client-streaming on every port.
const REFLECTION: &str = "/grpc.reflection.";
/// A probe that failed under load would take this process away and give its load to the others.
const HEALTH: &str = "/grpc.health.v1.";

/// `inner` (a service's [`Routes`](tonic::service::Routes), or layers around them) behind the strict rules of `limits`.
///
/// `long` are the paths of client-streaming methods, whose answer may begin when it likes. A service that takes another
/// body adapts with [`map_request`](tower::ServiceExt::map_request).
pub fn grpc<S, F>(inner: S, limits: &Limits, long: impl IntoIterator<Item = String>) -> impl Answer<Body = Writer<Body>>
where
    S: Service<Request<Guarded<Incoming>>, Response = Response<Body>, Error = Infallible, Future = F>,
    S: Clone + Send + Sync + 'static,
    F: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
{
    let stack = Arc::new(Stack::new(limits, long.into_iter().collect()));
    service_fn(move |request: Request<Incoming>| {
        let (stack, inner) = (stack.clone(), inner.clone());
        async move { Ok(stack.answer(inner, request).await) }
    })
}

/// The rules, in the order of [`Stack::answer`].
struct Stack {
    metadata: u32,
    deadline: Duration,
    long: Vec<String>,
    most_in_flight: usize,
    in_flight: AtomicUsize,
    messages: Messages,
}

impl Stack {
    fn new(limits: &Limits, long: Vec<String>) -> Self {
        Self {
            metadata: limits.metadata,
            deadline: limits.deadline,
            long,
            most_in_flight: limits.in_flight,
            in_flight: AtomicUsize::new(0),
            messages: Messages::new(limits),
        }
    }

    async fn answer<S>(&self, mut inner: S, request: Request<Incoming>) -> Response<Writer<Body>>
    where
        S: Service<Request<Guarded<Incoming>>, Response = Response<Body>, Error = Infallible>,
    {
        if let Some(status) = front::refuse(&request) {
            return front::refused(status).map(Writer::through);
        }
        let (deadline, _place) = match self.admit(&request) {
            Ok(admitted) => admitted,
            Err(refused) => return refused_by(&refused),
        };
        let answer = pin!(inner.call(request.map(|body| self.messages.guard(body))));
        match deadline.bound(answer).await {
            Ok(Ok(answer)) if decoding::answered_undecodable(&answer) => refused_by(&refusal::undecodable()),
            Ok(Ok(answer)) => answer.map(|body| Writer::new(body, deadline)),
            Err(late) => refused_by(&late),
        }
    }

    /// All that is known from the head. Before a byte of the body is read.
    fn admit(&self, request: &Request<Incoming>) -> Result<(Deadline, Option<Place<'_>>), Refusal> {
        metadata::check(request.headers(), self.metadata)?; // costs nothing, so before anything waits
        let path = request.uri().path();
        let long = path.starts_with(REFLECTION) || self.long.iter().any(|long| long == path);
        let connection = request.extensions().get::<Arc<Connection>>().cloned();
        let deadline = Deadline::new(request.headers(), (!long).then_some(self.deadline), connection)?;
        let place = if path.starts_with(HEALTH) { None } else { Some(self.place()?) };
        Ok((deadline, place))
    }

    fn place(&self) -> Result<Place<'_>, Refusal> {
        let before = self.in_flight.fetch_add(1, Relaxed);
        let place = Place(&self.in_flight); // gives back what it took, also when it was too much
        if before >= self.most_in_flight { Err(refusal::overloaded()) } else { Ok(place) }
    }
}

fn refused_by(refused: &Refusal) -> Response<Writer<Body>> {
    refused.status().into_http().map(Writer::through)
}

/// One of the calls whose answer has not begun.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
