//! What a service calls another with.

use super::Upstream;
use crate::{
    header::{GRPC_TIMEOUT, REQUEST_ID, TRACE_PARENT},
    principal::{self, Principal, Signer},
    room::unknown,
    serve::Deadline,
    telemetry::{Outgoing, Trace, TraceParent},
};
use contract::{Method, Refusal, methods};
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use std::{
    convert::Infallible,
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tonic::body::Body;
use tower::Service;

/// The transport of a generated client (`KeyServiceClient::new(client)`): signs a principal for its audience and the path of each call, passes
/// the trace on, and bounds the call by the method's deadline, or less if the request says so.
#[derive(Clone)]
pub struct Client {
    upstream: Upstream,
    audience: &'static str,
    signer: Signer,
    principal: Arc<Principal>,
}

impl Client {
    /// Calls as the platform itself.
    #[must_use]
    pub fn new(upstream: Upstream, audience: &'static str, signer: Signer) -> Self {
        Self { upstream, audience, signer, principal: Arc::new(Principal::system()) }
    }

    /// Calls for a caller, who is checked again where the call arrives.
    #[must_use]
    pub fn acting_for(&self, principal: Arc<Principal>) -> Self {
        Self { principal, ..self.clone() }
    }

    async fn send(&self, mut request: Request<Body>) -> Result<Response<Body>, Refusal> {
        let path = request.uri().path();
        let method = methods().get(path).ok_or_else(|| unknown(path))?;
        let deadline = Deadline::new(request.headers(), method.deadline, None)?;
        self.head(request.headers_mut(), method);
        let trace = self.trace(request.headers_mut(), method);
        let outgoing = Outgoing::below(&trace, &method.path[1..]);
        let sent = trace.run(deadline.bound(pin!(self.upstream.send(request, method)))).await;
        let answer = sent.and_then(|answer| answer);
        match (outgoing, answer) {
            (None, answer) => answer,
            (Some(outgoing), Ok(answer)) => Ok(outgoing.follow(answer)),
            (Some(outgoing), Err(refusal)) => {
                outgoing.refused(refusal.code());
                Err(refusal)
            }
        }
    }

    fn head(&self, headers: &mut HeaderMap, method: &Method) {
        headers.insert(principal::HEADER, self.signer.sign(&self.principal, self.audience, &method.path));
        beside(headers, REQUEST_ID, &self.principal.call_id);
        if let Some(timeout) = method.deadline
            && !headers.contains_key(GRPC_TIMEOUT)
        {
            headers.insert(GRPC_TIMEOUT, timeout_header(timeout));
        }
    }

    /// A part of the call this task works on; outside of one, of the caller's.
    fn trace(&self, headers: &mut HeaderMap, method: &'static Method) -> Trace {
        let outside = Trace::current().is_none();
        beside(headers, TRACE_PARENT, &self.principal.traceparent);
        let callers = outside.then(|| TraceParent::of(headers)).flatten();
        let trace = callers.map_or_else(|| Trace::client(&method.path[1..]), |parent| Trace::called_from(parent, &method.path[1..]));
        trace.parent().inject(headers);
        trace
    }
}

/// What the caller's call is known by goes on, unless the request brings its own.
fn beside(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if !value.is_empty()
        && !headers.contains_key(&name)
        && let Ok(value) = HeaderValue::from_str(value)
    {
        headers.insert(name, value);
    }
}

/// In milliseconds, of which a header holds eight digits: a day is the most anybody reads.
fn timeout_header(timeout: Duration) -> HeaderValue {
    let millis = timeout.as_millis().min(86_400_000);
    HeaderValue::try_from(format!("{millis}m")).expect("digits and a letter")
}

impl Service<Request<Body>> for Client {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let client = self.clone();
        Box::pin(async move { Ok(client.send(request).await.unwrap_or_else(|refusal| refusal.status().into_http())) })
    }
}
