//! What was refused, told in the log: at most one event for each key or address, reason and minute, with a count.
//!
//! Refusals are gathered by the minute, in the transaction that keeps their requests, and told once the minute is over. It is the minute in
//! which their records arrive, so none comes too late to be counted, however long a gateway had to wait. The event's id is made of what it
//! tells of, so whoever tells it again, another replica or one that died half-way, adds nothing to the log.
//!
//! Who is refused without a key that is known is told of in the platform's log, by address: no tenant is concerned, and the platform's
//! owner wants to know who is guessing.

use crate::{
    log::Log,
    request_log::{self, Row},
};
use bytes::Bytes;
use contract::{Reason, identity::v1::ActorKind, internal::v1::LogEvent, methods};
use prost::Message;
use prost_types::{Struct, Value, value::Kind};
use std::{collections::BTreeMap, time::Duration};
use store::{At, Db, Result, Tx, powers};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::{Builder, Uuid};

const MINUTE: Duration = Duration::from_secs(60);
/// After the end of a minute, transactions that began in it may still be open; and the clocks of replicas differ a little.
const LATE: Duration = Duration::from_secs(5);
/// How often it is looked whether a minute is over.
const LOOK: Duration = Duration::from_secs(1);

/// One refusal, as it is gathered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Refused {
    group: Uuid,
    kind: &'static str,
    reason: &'static str,
    key: Uuid,
    /// Of the client, where there is no key.
    address: String,
    rpc: String,
    limited_by: String,
    seen_from: String,
    call_id: String,
}

/// All refusals of a minute that are told together.
#[derive(Clone, Debug)]
struct Gathered {
    minute: At,
    group_id: Uuid,
    kind: String,
    reason: String,
    key_id: Uuid,
    address: String,
    requests: i64,
    rpc: String,
    limited_by: String,
    seen_from: String,
    call_id: String,
}

store::record!(Gathered { minute, group_id, kind: "type", reason, key_id, address, requests, rpc, limited_by, seen_from, call_id });

/// The event that tells of a reason; most refusals are nobody's business but the caller's.
fn kind(reason: Reason) -> Option<&'static str> {
    match reason {
        Reason::InvalidApiKey | Reason::KeyRevoked | Reason::KeyExpired | Reason::TooManyFailures => Some("api_auth_failed"),
        Reason::InsufficientScopes | Reason::InsufficientRole => Some("api_scope_denied"),
        Reason::RateLimited | Reason::QuotaExceeded => Some("quota_exceeded"),
        _ => None,
    }
}

impl Refused {
    /// If the request was refused in a way that is told.
    pub(crate) fn of(row: &Row, address: impl FnOnce() -> String) -> Option<Self> {
        let record = &row.record;
        let kind = kind(Reason::try_from(record.reason).ok()?)?;
        Some(Self {
            group: row.group_id,
            kind,
            reason: request_log::reason(record),
            key: row.key_id,
            address: if row.key_id.is_nil() { address() } else { String::new() },
            rpc: record.rpc.clone(),
            limited_by: record.refused_by.clone(),
            seen_from: request_log::address(&record.address),
            call_id: record.call_id.clone(),
        })
    }

    fn told_with(&self) -> (Uuid, &'static str, &str, Uuid, &str) {
        (self.group, self.kind, self.reason, self.key, &self.address)
    }
}

/// Adds to what was gathered of this minute; of the call itself the first one is kept.
pub(crate) async fn gather(tx: &mut Tx, refused: impl Iterator<Item = Refused>) -> Result<()> {
    let all: Vec<Refused> = refused.collect();
    let now = tx.now();
    let minute = At(now.0 - now.0.rem_euclid(60_000_000));
    let mut counts = BTreeMap::new();
    for one in &all {
        counts.entry(one.told_with()).or_insert((one, 0i64)).1 += 1;
    }
    let counts: Vec<(&Refused, i64)> = counts.into_values().collect();
    for some in powers(&counts) {
        tx.sql(
            "insert into request_refusal (minute, group_id, type, reason, key_id, address, requests, rpc, limited_by, seen_from, call_id) values ",
        )
        .rows(some, 11, |sql, (one, count)| {
            let sql = sql.bind(minute).bind(one.group).bind(one.kind).bind(one.reason).bind(one.key).bind(one.address.as_str());
            sql.bind(*count).bind(one.rpc.as_str()).bind(one.limited_by.as_str()).bind(one.seen_from.as_str()).bind(one.call_id.as_str())
        })
        .push(
            " on conflict (minute, group_id, type, reason, key_id, address) \
             do update set requests = request_refusal.requests + excluded.requests",
        )
        .run()
        .await?;
    }
    Ok(())
}

/// Tells of each minute that is over, until `stop`.
pub(crate) async fn run(db: &Db, log: &Log, stop: &CancellationToken) {
    while stop.run_until_cancelled(sleep(LOOK)).await.is_some() {
        if let Some(Err(error)) = stop.run_until_cancelled(tell(db, log)).await {
            tracing::warn!(%error, "refusals could not be told of in the log");
        }
    }
}

/// Tells of all minutes that are over.
pub(crate) async fn tell(db: &Db, log: &Log) -> Result<()> {
    loop {
        let over = At(db.clock().micros()).earlier(MINUTE + LATE);
        let some: Vec<Gathered> = db
            .system("refusals are gathered over all groups")
            .sql("select * from request_refusal where minute <= $1 order by minute limit 500")
            .bind(over)
            .all()
            .await?;
        if some.is_empty() {
            return Ok(());
        }
        log.append(some.iter().map(Gathered::event).collect()).await?;
        forget(db, &some).await?;
    }
}

/// Only after the log has taken them: what is told twice stands there once.
async fn forget(db: &Db, told: &[Gathered]) -> Result<()> {
    let mut tx = db.system("refusals are gathered over all groups").begin().await?;
    for one in told {
        tx.sql("delete from request_refusal where minute = $1 and group_id = $2 and type = $3 and reason = $4 and key_id = $5 and address = $6")
            .bind(one.minute)
            .bind(one.group_id)
            .bind(one.kind.as_str())
            .bind(one.reason.as_str())
            .bind(one.key_id)
            .bind(one.address.as_str())
            .later()
            .await?;
    }
    tx.commit().await
}

impl Gathered {
    fn event(&self) -> LogEvent {
        let known = !self.key_id.is_nil();
        let (actor_kind, target_kind, target) =
            if known { (ActorKind::Key, "key", self.key_id) } else { (ActorKind::System, "group", self.group_id) };
        let key = if known { bytes(self.key_id) } else { Bytes::new() };
        LogEvent {
            group_id: bytes(self.group_id),
            id: bytes(self.id()),
            r#type: self.kind.clone(),
            actor_kind: actor_kind.into(),
            actor_id: key.clone(),
            key_id: key,
            target_kind: target_kind.to_owned(),
            target_id: bytes(target),
            create_micros: self.end().0,
            call_id: self.call_id.clone(),
            metadata: Some(self.metadata().encode_to_vec().into()),
            ..LogEvent::default()
        }
    }

    fn end(&self) -> At {
        self.minute.later(MINUTE)
    }

    /// A UUIDv7 of the minute's end; the rest is a digest of what is told together, so that it is told once.
    fn id(&self) -> Uuid {
        let mut digest = blake3::Hasher::new_derive_key("one.events.refusal");
        for part in
            [self.group_id.as_bytes().as_slice(), self.key_id.as_bytes(), self.kind.as_bytes(), self.reason.as_bytes(), self.address.as_bytes()]
        {
            digest.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        let mut rest = [0; 10];
        rest.copy_from_slice(&digest.finalize().as_bytes()[..10]);
        Builder::from_unix_timestamp_millis(self.end().millis(), &rest).into_uuid()
    }

    /// As the pack names it; `count` is how many there were.
    fn metadata(&self) -> Struct {
        let text = |text: &str| Some(Kind::StringValue(text.to_owned())).filter(|_| !text.is_empty());
        let scopes = || methods().get(&format!("/{}", self.rpc)).map(|method| method.scopes.words().join(" ")).unwrap_or_default();
        let denied = self.kind == "api_scope_denied";
        #[allow(clippy::cast_precision_loss)] // a minute has fewer than 2^53 requests
        let count = Some(Kind::NumberValue(self.requests as f64));
        let fields = [
            ("reason", text(&self.reason)),
            ("count", count.clone()),
            ("attempted", count.filter(|_| self.kind == "quota_exceeded")),
            ("ipAddress", text(&self.seen_from)),
            ("keyId", text(&request_log::text(self.key_id))),
            ("endpoint", text(&self.rpc)),
            ("requiredScope", text(&scopes()).filter(|_| denied)),
            ("limitType", text(self.limited_by.trim_start_matches("organisation-"))),
            ("limit", text(&self.limited_by)),
        ];
        let fields = fields.into_iter().filter_map(|(name, kind)| Some((name.to_owned(), Value { kind: Some(kind?) })));
        Struct { fields: fields.collect() }
    }
}

fn bytes(id: Uuid) -> Bytes {
    Bytes::copy_from_slice(id.as_bytes())
}
