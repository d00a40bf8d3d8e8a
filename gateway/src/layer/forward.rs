//! The end of the stack: signs who calls, and sends the call to the service it names.

use super::deadline::shorten;
use crate::{
    address::FORWARDED_FOR,
    call::{Call, Inbound, Target},
    signed::Signed,
    stack::{Answer, Next},
};
use chassis::{
    clock::Clock,
    principal::{HEADER, Signer},
    serve::Connection,
    telemetry::Outgoing,
    upstream::Upstream,
};
use contract::{Method, Reason, Refusal};
use futures::{FutureExt, future::BoxFuture};
use http::{Request, header};
use std::{mem, time::Duration};
use tonic::body::Body;

/// A service behind the gateway.
#[derive(Clone)]
pub struct Service {
    /// Its full name, `one.ontology.v1.ThingService`.
    pub name: &'static str,
    /// For whom its calls are signed, `ontology`.
    pub audience: &'static str,
    /// The way to it.
    pub upstream: Upstream,
}

/// The end of the stack.
pub struct Forward {
    own: Upstream,
    services: Vec<Service>,
    signed: Signed,
}

impl Forward {
    /// `own` answers what the gateway answers itself. The services are numbered as the router numbers them.
    #[must_use]
    pub fn new(own: Upstream, services: Vec<Service>, signer: Signer, clock: Clock) -> Self {
        Self { own, services, signed: Signed::new(signer, clock) }
    }

    fn upstream(&self, call: &mut Call) -> Result<&Upstream, Refusal> {
        let service = match call.route().target {
            Target::Own => return Ok(&self.own),
            Target::Upstream(number) => self.services.get(number),
            Target::Nobody => None,
        };
        let service = service.ok_or_else(|| away(&call.method().service))?;
        let principal = self.signed.sign(call, service.audience);
        call.request.headers_mut().insert(HEADER, principal);
        Ok(&service.upstream)
    }
}

fn away(service: &str) -> Refusal {
    let sentence = "the service does not answer now; try again in a second";
    Refusal::new(Reason::UpstreamUnavailable, sentence).with("service", service).retry(Duration::from_secs(1))
}

/// The request as the service gets it: no extension of ours, nothing about the way here.
fn request(call: &mut Call) -> Request<Body> {
    shorten(call);
    let mut request = mem::take(&mut call.request).map(Inbound::into_body);
    for name in [FORWARDED_FOR, header::ORIGIN] {
        request.headers_mut().remove(name);
    }
    request.extensions_mut().clear();
    request
}

/// With its CLIENT span and its duration. On the heap, for most gateways export nothing and shall not carry it in the future of each call.
async fn followed(upstream: &Upstream, mut request: Request<Body>, method: &Method, outgoing: Outgoing) -> Answer {
    outgoing.trace().parent().inject(request.headers_mut());
    match outgoing.trace().clone().run(upstream.send(request, method)).await {
        Ok(answer) => Ok(outgoing.follow(answer)),
        Err(refusal) => {
            outgoing.refused(refusal.code());
            Err(refusal)
        }
    }
}

/// Who drains asks its streams to end; what a watch needs to go on elsewhere, its client has: the last cursor.
fn drained(connection: &Connection) -> BoxFuture<'static, Refusal> {
    let ending = connection.ending().clone();
    async move {
        ending.cancelled_owned().await;
        let sentence = "the server ends this connection; connect again, and resume a watch with the last cursor";
        Refusal::new(Reason::ShuttingDown, sentence).retry(Duration::from_secs(1))
    }
    .boxed()
}

impl Next for Forward {
    async fn call(&self, call: &mut Call) -> Answer {
        let upstream = self.upstream(call)?;
        let (method, connection) = (call.method(), call.connection.clone());
        let outgoing = call.route().target.is_upstream().then(|| Outgoing::begin(&method.path[1..])).flatten();
        let request = request(call);
        let answer = match outgoing {
            None => upstream.send(request, method).await?,
            Some(outgoing) => Box::pin(followed(upstream, request, method, outgoing)).await?,
        };
        if let Some(connection) = connection.filter(|_| method.server_streaming) {
            call.ends.until.push(drained(&connection));
        }
        Ok(answer)
    }
}
