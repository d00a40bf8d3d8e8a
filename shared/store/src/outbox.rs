//! Events on their way to the log: written with the change they tell of, shipped by the [`Relay`](crate::Relay).

use crate::{At, Record, Result, Row, Tx, Weight, engine::Dialect, powers, remember::Claim};
use bytes::Bytes;
use contract::{Reason, Refusal, id::GroupId, identity::v1::ActorKind, internal::v1::LogEvent};
use prost::Message;
use prost_types::{Struct, Value, value::Kind};
use uuid::{Builder, Uuid};

/// A change, as its handler tells it. Who, when and in which call is the transaction's to say.
#[derive(Clone, Debug)]
pub struct NewEvent<'a> {
    /// The group that owns the target; its log the event stands in.
    pub group: GroupId,
    /// A type of the packs: `entity_created`.
    pub kind: &'a str,
    /// What changed.
    pub target: Target,
    /// `changes`, `previousValues` and the like.
    pub metadata: Option<Struct>,
}

/// What changed, and what it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// `group`, `key`, `thing`.
    pub kind: &'static str,
    /// Its id.
    pub id: Uuid,
    /// Its revision after the change.
    pub revision: i64,
}

/// The largest event.
const LARGEST: usize = 256 << 10;
/// The longest type: it stands in an index, and Postgres refuses an index row of more than 2.7 kB.
const LONGEST: usize = 200;

impl Tx {
    /// Tells of a change that was just made, after the statement that made it. It is written with the COMMIT, under the locks the change
    /// took: that orders the numbers of one target's events as its revisions.
    ///
    /// # Errors
    /// `INVALID_FIELD`: more than 256 KiB, a type of more than 200 bytes, a NUL. What the outbox took the log must take.
    pub fn emit(&mut self, event: NewEvent<'_>) -> Result<(), Refusal> {
        let metadata = event.metadata.as_ref();
        let size = metadata.map_or(0, Message::encoded_len);
        if size + event.kind.len() > LARGEST || event.kind.len() > LONGEST {
            return Err(Refusal::new(Reason::InvalidField, "the change is too large for its event: at most 256 KiB"));
        }
        if event.kind.contains('\0') || metadata.is_some_and(|fields| fields.fields.iter().any(|(name, value)| name.contains('\0') || has_nul(value)))
        {
            return Err(Refusal::new(Reason::InvalidField, "an event cannot hold a NUL character"));
        }
        let (now, place, author) = (self.now(), self.events.len(), &self.author);
        self.events.push(LogEvent {
            group_id: bytes(*event.group),
            id: bytes(id(now, place)),
            r#type: event.kind.to_owned(),
            actor_kind: author.kind.into(),
            actor_id: author.id.clone(),
            key_id: author.key.clone(),
            on_behalf_of_id: author.on_behalf_of.clone(),
            target_kind: event.target.kind.to_owned(),
            target_id: bytes(event.target.id),
            revision: event.target.revision,
            create_micros: now.0,
            call_id: author.call_id.clone(),
            traceparent: author.traceparent.clone(),
            metadata: event.metadata.map(|fields| fields.encode_to_vec().into()),
        });
        Ok(())
    }

    /// Writes the events and the remembered answer, with as few statements as each engine lets us.
    pub(crate) async fn flush(&mut self, answer: Option<(&Claim, Vec<u8>)>) -> Result<()> {
        let events = std::mem::take(&mut self.events);
        if events.is_empty() {
            return match answer {
                Some((claim, answer)) => self.remember(claim, answer).await,
                None => Ok(()),
            };
        }
        let groups: Vec<GroupId> = events.iter().filter_map(|event| GroupId::from_slice(&event.group_id)).collect();
        self.reach(&groups).await?;
        self.wake(self.shared().news.clone());
        match (answer, <[LogEvent; 1]>::try_from(events)) {
            (Some((claim, answer)), Ok([event])) => self.both(claim, answer, event).await,
            (None, Ok([event])) => self.one(&event).await,
            (None, Err(events)) => self.queue(&events).await,
            (Some((claim, answer)), Err(events)) => {
                self.remember(claim, answer).await?;
                self.queue(&events).await
            }
        }
    }

    /// Keeps the answer, in the record that stands there already or with it.
    async fn remember(&mut self, claim: &Claim, answer: Vec<u8>) -> Result<()> {
        match self.transaction.dialect() {
            Dialect::Sqlite => self.claim_answered(claim, answer).await,
            Dialect::Postgres => {
                let text = "update remembered set answer = $1, held_until = null where group_id = $2 and request = $3";
                self.sql(text).bind(answer).bind(claim.group).bind(claim.request).run().await.map(drop)
            }
        }
    }

    /// The usual change: one event, one answer, one round trip.
    async fn both(&mut self, claim: &Claim, answer: Vec<u8>, event: LogEvent) -> Result<()> {
        if self.transaction.dialect() == Dialect::Sqlite {
            self.claim_answered(claim, answer).await?;
            return self.one(&event).await;
        }
        let text = concat!(
            "with kept as (update remembered set answer = $1, held_until = null where group_id = $2 and request = $3) ",
            "insert into outbox (group_id, event_id, type, actor_kind, actor_id, key_id, on_behalf_of_id, target_kind, target_id, ",
            "revision, create_time, call_id, traceparent, metadata) ",
            "values ($4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)"
        );
        let statement = self.sql(text).bind(answer).bind(claim.group).bind(claim.request);
        bind(statement, &event).run().await.map(drop)
    }

    async fn one(&mut self, event: &LogEvent) -> Result<()> {
        let statement = self.sql(
            "insert into outbox (group_id, event_id, type, actor_kind, actor_id, key_id, on_behalf_of_id, target_kind, target_id, \
             revision, create_time, call_id, traceparent, metadata) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        );
        bind(statement, event).later().await
    }

    async fn queue(&mut self, events: &[LogEvent]) -> Result<()> {
        for some in powers(events) {
            self.sql(
                "insert into outbox (group_id, event_id, type, actor_kind, actor_id, key_id, on_behalf_of_id, target_kind, target_id, \
                 revision, create_time, call_id, traceparent, metadata) values ",
            )
            .rows(some, 14, bind)
            .run()
            .await?;
        }
        Ok(())
    }
}

fn bind<'c>(statement: crate::Sql<'c>, event: &LogEvent) -> crate::Sql<'c> {
    let uuid = |bytes: &Bytes| Uuid::from_slice(bytes).ok();
    statement
        .bind(uuid(&event.group_id))
        .bind(uuid(&event.id))
        .bind(event.r#type.as_str())
        .bind(i64::from(event.actor_kind))
        .bind(uuid(&event.actor_id))
        .bind(uuid(&event.key_id))
        .bind(uuid(&event.on_behalf_of_id))
        .bind(event.target_kind.as_str())
        .bind(uuid(&event.target_id))
        .bind(event.revision)
        .bind(At(event.create_micros))
        .bind(event.call_id.as_str())
        .bind(event.traceparent.as_str())
        .bind(event.metadata.as_deref())
}

/// A UUIDv7 of that time. Its first twelve bits after the time count the events of one transaction, so that their ids sort as they happened.
fn id(now: At, place: usize) -> Uuid {
    let mut random = [0; 10];
    random.copy_from_slice(&Uuid::new_v4().as_bytes()[6..]);
    let place = u16::try_from(place.min(0xfff)).unwrap_or(0xfff);
    random[..2].copy_from_slice(&place.to_be_bytes());
    Builder::from_unix_timestamp_millis(now.millis(), &random).into_uuid()
}

fn bytes(id: Uuid) -> Bytes {
    Bytes::copy_from_slice(id.as_bytes())
}

fn has_nul(value: &Value) -> bool {
    match &value.kind {
        Some(Kind::StringValue(text)) => text.contains('\0'),
        Some(Kind::ListValue(list)) => list.values.iter().any(has_nul),
        Some(Kind::StructValue(fields)) => fields.fields.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        Some(Kind::NullValue(_) | Kind::NumberValue(_) | Kind::BoolValue(_)) | None => false,
    }
}

/// A row of the outbox.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Queued {
    pub(crate) number: i64,
    pub(crate) event: LogEvent,
}

impl Record for Queued {
    fn read(row: &Row<'_>) -> sqlx::Result<Self> {
        let id = |column: &str| row.get::<Option<Uuid>>(column).map(|id| id.map(bytes).unwrap_or_default());
        let kind: i64 = row.get("actor_kind")?;
        let event = LogEvent {
            group_id: id("group_id")?,
            id: id("event_id")?,
            r#type: row.get("type")?,
            actor_kind: i32::try_from(kind).unwrap_or(ActorKind::Unspecified.into()),
            actor_id: id("actor_id")?,
            key_id: id("key_id")?,
            on_behalf_of_id: id("on_behalf_of_id")?,
            target_kind: row.get("target_kind")?,
            target_id: id("target_id")?,
            revision: row.get("revision")?,
            create_micros: row.get::<At>("create_time")?.0,
            call_id: row.get("call_id")?,
            traceparent: row.get("traceparent")?,
            metadata: row.get::<Option<Vec<u8>>>("metadata")?.map(Bytes::from),
        };
        Ok(Self { number: row.get("number")?, event })
    }
}

impl Weight for Queued {
    fn weight(&self) -> usize {
        let texts = [&self.event.r#type, &self.event.call_id, &self.event.traceparent];
        300 + texts.map(String::len).iter().sum::<usize>() + self.event.metadata.as_ref().map_or(0, Bytes::len)
    }
}
