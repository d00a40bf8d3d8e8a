//! A request on its way through the stack, and what the layers found out about it.

use crate::{
    address::Address,
    limiter::{Charges, Name, Windows},
    record::Transport,
};
use chassis::{
    acting::Acting,
    changes::Caller,
    principal::Quotas,
    serve::{Connection, Incoming},
    telemetry::Trace,
};
use contract::{Method, Reason, Refusal, id::GroupId};
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Request, header};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
};
use tokio::time::Instant;
use tonic::body::Body;
use uuid::Uuid;

/// One call. Fields instead of the request's extensions: nothing is boxed, hashed or cast to find them again.
pub struct Call {
    /// Head and body; the last layer takes both.
    pub request: Request<Inbound>,
    /// Over which connection it came; `None` in tests.
    pub connection: Option<Arc<Connection>>,
    /// When it came.
    pub begun: Instant,
    /// From where.
    pub address: Address,
    /// In which form.
    pub transport: Transport,
    /// The client's own name.
    pub user_agent: Option<HeaderValue>,
    /// Its id, sent or made.
    pub id: HeaderValue,
    /// The trace it belongs to.
    pub trace: Option<Trace>,
    /// Bytes of the body that were read.
    pub read: Arc<Meter>,
    /// What is called.
    pub route: Option<Route>,
    /// Who calls.
    pub caller: Option<Known>,
    /// In which group the caller wants to act, if not at home.
    pub asked: Option<GroupId>,
    /// Where the caller acts, as what, and with which quotas.
    pub acting: Option<InGroup>,
    /// Why it was refused here.
    pub reason: Option<Reason>,
    /// What it took from the limits, or would have where there is none.
    pub cost: u32,
    /// The limit that refused it.
    pub refused_by: Option<Name>,
    /// The credential that was sent is known and no longer good: its id, and its group.
    pub denied: Option<(Uuid, GroupId)>,
    /// What happens with the answer until its end.
    pub ends: Ends,
}

/// The rpc of a call, and who answers it.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The rpc.
    pub method: &'static Method,
    /// Who answers.
    pub target: Target,
}

/// Who answers a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The gateway itself: health and reflection.
    Own,
    /// The upstream of that number.
    Upstream(usize),
    /// A service for which there is no upstream.
    Nobody,
}

impl Target {
    /// It is behind the gateway.
    #[must_use]
    pub fn is_upstream(self) -> bool {
        matches!(self, Target::Upstream(_))
    }
}

/// A caller and the key under which it is cached.
#[derive(Clone, Debug)]
pub struct Known {
    /// Keyed hash of what was presented.
    pub key: u128,
    /// When the secret was proven, microseconds since 1970.
    pub proved: i64,
    /// Who it is.
    pub caller: Arc<Caller>,
}

/// Somebody in a group, with the group's quotas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InGroup {
    /// The role there.
    pub acting: Acting,
    /// What the credential holds there.
    pub scopes: contract::Scopes,
    /// The group's quotas.
    pub quotas: Quotas,
}

/// What a layer wants of the answer's end.
#[derive(Default)]
pub struct Ends {
    /// The answer ends with the first refusal of these.
    pub until: Vec<BoxFuture<'static, Refusal>>,
    /// Asked before each frame of a stream.
    pub standing: Option<Box<dyn Stands>>,
    /// The whole answer must be there by then.
    pub late: Option<Instant>,
    /// Where the answer's `x-cost` is charged.
    pub charge: Option<(Arc<dyn Charges>, Windows)>,
}

/// Whether the next frame of a stream may still be passed on.
pub trait Stands: Send {
    /// Ready when it may, or the stream must end; pending while nobody knows, and then nothing is passed on. Wakes the task also when
    /// there is no frame and the stream has to end.
    fn poll_stands(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Refusal>>;
}

/// Counts bytes.
#[derive(Debug, Default)]
pub struct Meter(AtomicU64);

impl Meter {
    /// So many more.
    pub fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Relaxed);
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A request's body: hyper's own as long as nobody needs another, so that it is boxed once.
pub enum Inbound {
    /// As it comes from the socket.
    Raw(Incoming),
    /// Any other.
    Boxed(Body),
}

impl Inbound {
    /// Boxed, if it was not.
    #[must_use]
    pub fn into_body(self) -> Body {
        match self {
            Inbound::Raw(incoming) => Body::new(incoming),
            Inbound::Boxed(body) => body,
        }
    }
}

impl Default for Inbound {
    fn default() -> Self {
        Self::Boxed(Body::empty())
    }
}

impl From<Request<Incoming>> for Call {
    fn from(request: Request<Incoming>) -> Self {
        Call::new(request.map(Inbound::Raw))
    }
}

impl From<Request<Body>> for Call {
    fn from(request: Request<Body>) -> Self {
        Call::new(request.map(Inbound::Boxed))
    }
}

impl Call {
    fn new(mut request: Request<Inbound>) -> Self {
        Self {
            connection: request.extensions_mut().remove::<Arc<Connection>>(),
            begun: Instant::now(),
            address: Address::default(),
            transport: Transport::Grpc,
            user_agent: request.headers().get(header::USER_AGENT).cloned(),
            id: HeaderValue::from_static(""),
            trace: None,
            read: Arc::default(),
            route: None,
            caller: None,
            asked: None,
            acting: None,
            reason: None,
            cost: 0,
            refused_by: None,
            denied: None,
            ends: Ends::default(),
            request,
        }
    }

    /// The request's headers.
    pub fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    /// The path of the request.
    pub fn path(&self) -> &str {
        self.request.uri().path()
    }

    /// The rpc; every layer below `route` may ask.
    pub fn method(&self) -> &'static Method {
        self.route().method
    }

    /// The rpc and its target.
    pub fn route(&self) -> Route {
        self.route.expect("the route layer stands above all that ask")
    }
}
