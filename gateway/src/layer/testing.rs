//! What tests of layers share: calls, answers, an identity of five groups, and a caller.

#![allow(clippy::unwrap_used)]

use crate::{
    call::{Call, Known},
    callers::Callers,
    credential::tests::key,
    guard::Guard,
    layer::Router,
    stack::{Answer, Next},
};
use bytes::Bytes;
use chassis::{
    acting::GroupState,
    changes::{Caller, Changes, Feed, Fresh, Identity, Line, Proven, Rate, unavailable, unproven},
    clock::Clock,
    principal::{Actor, ActorKind, Credential, CredentialKind, Grant, Quotas},
};
use contract::{
    Reason, Refusal, Role, Scopes,
    id::{ActorId, GroupId, KeyId},
};
use futures::stream;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tonic::{Status, body::Body};
use uuid::Uuid;

/// A call of that path with these headers.
pub(crate) fn call(path: &str, headers: &[(&'static str, &str)]) -> Call {
    let mut request = Request::post(path).body(Body::empty()).unwrap();
    for (name, value) in headers {
        request.headers_mut().append(*name, HeaderValue::from_str(value).unwrap());
    }
    Call::from(request)
}

/// The same below the route layer.
pub(crate) fn routed(mut call: Call) -> Call {
    call.route = Router::new(&["one.ontology.v1.ThingService"]).route(call.path());
    assert!(call.route.is_some(), "{} is an rpc", call.path());
    call
}

/// An answer without anything.
pub(crate) fn ok() -> Answer {
    Ok(Response::new(Body::empty()))
}

/// One that never comes.
pub(crate) struct Never;

impl Next for Never {
    async fn call(&self, _: &mut Call) -> Answer {
        std::future::pending().await
    }
}

/// An answer as services give it; without trailers it never ends.
pub(crate) fn answer_with_trailers(data: &'static [u8], trailers: Option<&Status>, cost: Option<u32>) -> Response<Body> {
    let mut frames: Vec<Result<Frame<Bytes>, Status>> = vec![Ok(Frame::data(Bytes::from_static(data)))];
    if let Some(status) = trailers {
        let mut headers = HeaderMap::new();
        status.add_header(&mut headers).unwrap();
        if let Some(cost) = cost {
            headers.insert("x-cost", cost.into());
        }
        frames.push(Ok(Frame::trailers(headers)));
    }
    let mut answer = Response::new(Body::new(StreamBody::new(stream::iter(frames))));
    answer.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    answer
}

/// A header as text.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

pub(crate) fn group(number: u128) -> GroupId {
    GroupId(Uuid::from_u128(number))
}

/// The owner of group 1, as a key with that number; changed as told.
pub(crate) fn caller(number: u128, change: impl FnOnce(&mut Caller)) -> Known {
    let id = Uuid::from_u128(number);
    let mut caller = Caller {
        credential: Credential { kind: CredentialKind::Key, id },
        actor: Actor { kind: ActorKind::Key, id: ActorId(id), key_id: Some(KeyId(id)), on_behalf_of: None },
        home: group(1),
        root: group(1),
        grants: vec![Grant { group: group(1), role: Role::GroupOwner }],
        scopes: Scopes::ALL,
        rate: Rate::NONE,
        root_rate: Rate::NONE,
    };
    change(&mut caller);
    Known { key: number, proved: 1, caller: Arc::new(caller) }
}

/// Group 1 is an organisation; 2 stands below it, 3 below 2; 4 is another's; 5 is archived. 2 allows access from above.
const LINES: [&[u128]; 5] = [&[1], &[2, 1], &[3, 2, 1], &[4], &[5, 1]];

/// An identity that knows one key, `key('a')`, and groups 1 to 5.
#[derive(Default)]
pub(crate) struct Fake {
    verified: AtomicUsize,
    checked: AtomicUsize,
    away: AtomicBool,
    silent: AtomicBool,
    revoked: AtomicBool,
    archived: Mutex<Vec<u128>>,
}

impl Fake {
    /// How many proofs, how many states were asked.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.verified.load(SeqCst), self.checked.load(SeqCst))
    }

    pub(crate) fn revoke(&self) {
        self.revoked.store(true, SeqCst);
    }

    pub(crate) fn leave(&self) {
        self.away.store(true, SeqCst);
    }

    /// It takes questions and answers none, or goes on.
    pub(crate) fn silence(&self, silent: bool) {
        self.silent.store(silent, SeqCst);
    }

    pub(crate) fn archive(&self, group: u128) {
        self.archived.lock().unwrap().push(group);
    }

    async fn speaks(&self) {
        while self.silent.load(SeqCst) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn here(&self) -> Result<(), Refusal> {
        if self.away.load(SeqCst) { Err(unavailable()) } else { Ok(()) }
    }

    fn proven(&self) -> Fresh<Proven> {
        let known = caller(1, |_| ());
        let revoked = self.revoked.load(SeqCst);
        let state = if revoked { Err(Refusal::new(Reason::KeyRevoked, "revoked")) } else { Ok(known.caller) };
        Fresh {
            value: Proven { credential: Uuid::from_u128(1), home: GroupId(Uuid::from_u128(100)), proved: 1, state },
            ids: vec![Uuid::from_u128(1)],
            expires: None,
        }
    }
}

impl Identity for Fake {
    async fn verify(&self, presented: &str) -> Result<Fresh<Proven>, Refusal> {
        self.here()?;
        self.verified.fetch_add(1, SeqCst);
        tokio::task::yield_now().await;
        self.speaks().await;
        if presented == key('a') { Ok(self.proven()) } else { Err(unproven()) }
    }

    async fn check(&self, _: Uuid) -> Result<Fresh<Proven>, Refusal> {
        self.speaks().await;
        self.here()?;
        self.checked.fetch_add(1, SeqCst);
        Ok(self.proven())
    }

    async fn group(&self, group: GroupId) -> Result<Fresh<Option<Arc<Line>>>, Refusal> {
        self.here()?;
        let archived = self.archived.lock().unwrap().clone();
        let state = |number: &u128| GroupState {
            id: self::group(*number),
            archived: *number == 5 || archived.contains(number),
            allow_parent_access: *number == 2,
        };
        let line = LINES.iter().find(|line| line[0] == group.as_u128());
        let line = line.map(|line| Arc::new(Line { groups: line.iter().map(state).collect(), quotas: Quotas { groups: 10, things: 1_000 } }));
        Ok(Fresh { value: line, ids: (1..=5).map(Uuid::from_u128).collect(), expires: None })
    }

    async fn changes(&self, after: u64) -> Result<Changes, Refusal> {
        self.here()?;
        tokio::time::sleep(Duration::from_millis(200)).await;
        self.here()?;
        Ok(Changes { after, head: after, ids: vec![], reset: false })
    }
}

/// A gateway's caches over the fake, on a clock that stands still.
pub(crate) struct House {
    pub(crate) clock: Clock,
    pub(crate) identity: Arc<Fake>,
    pub(crate) callers: Arc<Callers<Fake>>,
    feed: Arc<Feed>,
}

impl House {
    pub(crate) fn new() -> Self {
        let clock = Clock::still(Duration::from_secs(1_700_000_000));
        let (feed, identity) = (Feed::new(clock.clone()), Arc::new(Fake::default()));
        let callers = Arc::new(Callers::new(identity.clone(), &feed, Guard::new(clock.clone(), None), [3; 32]));
        Self { clock, identity, callers, feed }
    }

    /// Everything has changed, and the feed says so.
    pub(crate) fn news(&self) {
        let after = self.feed.position();
        let ids = (1..=5).map(Uuid::from_u128).collect();
        self.feed.answered(self.clock.now(), &Changes { after, head: after + 5, ids, reset: false });
    }

    /// Who presents `key('a')`.
    pub(crate) async fn known(&self) -> Known {
        let text = key('a');
        let presented = crate::credential::owned(&text);
        self.callers.prove(self.callers.key(&text), &presented, Default::default()).await.unwrap()
    }
}
