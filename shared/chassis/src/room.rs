//! The layers around a service's routes, the same in one process and in many: tonic's own server is bypassed by a call in process.
//!
//! In the order a call meets them: its trace ([`Call`]), who calls ([`Opener`]), whether they may
//! ([`Principal::authorize`](crate::principal::Principal::authorize)), until when ([`Deadline`]), what of a panic ([`panics`]), and whether the
//! answer says why ([`mend`]).

mod body;
mod call;
#[cfg(test)]
pub(crate) mod fake;
mod mend;
mod panics;
#[cfg(test)]
mod tests;

use crate::{
    principal::{self, Opener, Signer},
    serve::Deadline,
    telemetry::{Calls, Trace},
};
use body::Stream;
use bytes::Bytes;
use call::Call;
use contract::{Method, Reason, Refusal, methods};
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body::Body as _;
use std::{
    convert::Infallible,
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
};
use tonic::{body::Body, codegen::StdError, service::Routes};
use tower::Service;

/// A service with its layers. Clones are cheap.
#[derive(Clone)]
pub struct Room {
    routes: Routes,
    opener: Arc<Opener>,
    open: &'static [&'static str],
    calls: Option<Calls>,
}

/// What [`Room::answer`] takes: any body of a request.
pub trait Incoming: http_body::Body<Data = Bytes, Error: Into<StdError>> + Send + 'static {}
impl<B: http_body::Body<Data = Bytes, Error: Into<StdError>> + Send + 'static> Incoming for B {}

impl Room {
    /// Answers only calls that were signed for `audience`.
    #[must_use]
    pub fn new(routes: Routes, audience: &'static str, signer: Signer) -> Self {
        // Prepared, or each clone would build its router anew.
        Self { routes: routes.prepare(), opener: Arc::new(Opener::new(signer, audience)), open: &[], calls: None }
    }

    /// These services answer anybody: health and reflection, on ports where they may.
    #[must_use]
    pub fn open(self, services: &'static [&'static str]) -> Self {
        Self { open: services, ..self }
    }

    /// Counts its calls; not in the process of the gateway, which counts them.
    #[must_use]
    pub fn counted(self, calls: Calls) -> Self {
        Self { calls: Some(calls), ..self }
    }

    /// The answer to a call; a refusal is an answer too.
    pub async fn answer<B: Incoming>(&self, mut request: Request<B>) -> Response<Body> {
        let path = request.uri().path();
        let (open, method) = (self.is_open(path), methods().get(path));
        let mut call = Call::begin(method, request.headers(), self.calls.as_ref());
        let admitted = if open { Ok(()) } else { self.admit(&mut request, method, call.trace.as_ref()) };
        // Pinned here, as all futures of the way: who takes one by value holds it twice, and the future of each call grows with it.
        let work = pin!(self.work(request, method, admitted));
        let done = match call.trace.clone() {
            Some(trace) => trace.run(work).await,
            None => work.await,
        };
        let (answer, deadline) = done.unwrap_or_else(|refusal| (refusal.status().into_http(), None));
        match deadline {
            // One message and its trailers, or only these: nothing in it can wait or fail.
            None => call.ended(answer.headers()),
            Some(_) if answer.body().is_end_stream() => call.ended(answer.headers()),
            Some(deadline) => return answer.map(|body| Body::new(Stream::new(body, deadline, call))),
        }
        answer
    }

    /// The answer of the routes, with its deadline if it streams.
    async fn work<B: Incoming>(&self, request: Request<B>, method: Option<&Method>, admitted: Result<(), Refusal>) -> Result<Answer, Refusal> {
        admitted?;
        let deadline = Deadline::new(request.headers(), method.and_then(|method| method.deadline), None)?;
        let mut routes = self.routes.clone();
        let answer = pin!(async move { routes.call(request).await });
        let answer = pin!(panics::caught(answer));
        let Ok(mut answer) = deadline.bound(answer).await??;
        mend::head(&mut answer);
        let streams = method.is_none_or(|method| method.server_streaming);
        Ok((answer, streams.then_some(deadline)))
    }

    /// Who calls, and whether they may; handlers find it in the extensions.
    fn admit<B>(&self, request: &mut Request<B>, method: Option<&Method>, trace: Option<&Trace>) -> Result<(), Refusal> {
        let path = request.uri().path();
        let mut principal = self.opener.verify(request.headers(), path).ok_or_else(principal::refused)?;
        principal.authorize(method.ok_or_else(|| unknown(path))?)?;
        if let Some(trace) = trace {
            if !principal.group.is_nil() {
                trace.in_group(principal.group);
            }
            principal.traceparent = trace.parent().to_string(); // what follows from this call hangs below its own span
        }
        request.headers_mut().remove(principal::HEADER);
        request.extensions_mut().insert(Arc::new(principal));
        Ok(())
    }

    fn is_open(&self, path: &str) -> bool {
        let service = path.split('/').nth(1).unwrap_or_default();
        self.open.contains(&service)
    }
}

type Answer = (Response<Body>, Option<Deadline>);

/// The answer for a path that is no method.
pub(crate) fn unknown(path: &str) -> Refusal {
    Refusal::new(Reason::MethodNotFound, format!("there is no method {path}"))
}

impl<B: Incoming> Service<Request<B>> for Room {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let room = self.clone();
        Box::pin(async move { Ok(room.answer(request).await) })
    }
}
