#![allow(clippy::unwrap_used)]

//! Each case runs on both engines. Requests pass the field rules first, as they do in the codec.

mod create;
mod delete;
mod list;
mod packs;
mod races;
mod rooms;
mod update;

use super::{read, write};
use crate::{MIGRATIONS, load, types::Types};
use ::store::testing::{self, Case};
use chassis::principal::Principal;
use contract::{
    Reason, Refusal, Role, Scopes,
    id::{GroupId, ThingId},
    json,
    ontology::v1::{CreateThingRequest, DeleteThingRequest, GetThingRequest, ListThingsRequest, ListThingsResponse, Thing, UpdateThingRequest},
    rules,
};
use futures::FutureExt;
use prost::Message;
use prost_types::{FieldMask, Struct};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicI64, Ordering};
use tonic_types::StatusExt;
use uuid::Uuid;

/// A store, and a caller in a group of its own.
struct World<'c> {
    case: &'c Case,
    who: Principal,
    types: &'static Types,
    /// The last event that [`World::events`] has seen.
    told: AtomicI64,
}

type Answer = Result<Thing, Refusal>;

/// Runs the case on each engine, as owner of a new group; then no statement of it may have read a whole table.
async fn both(case: impl AsyncFn(World<'_>)) {
    testing::both(MIGRATIONS, async |open| {
        case(World::new(open)).await;
        open.explain_all().await;
    })
    .await;
}

impl<'c> World<'c> {
    fn new(case: &'c Case) -> Self {
        let group = GroupId::new(case.clock.micros());
        Self::of(case, Principal::test(group, Role::GroupOwner, Scopes::ALL))
    }

    fn of(case: &'c Case, who: Principal) -> Self {
        Self { case, who, types: load::core(), told: AtomicI64::new(0) }
    }

    /// Somebody else in the same group.
    fn user(&self) -> Self {
        let mut who = Principal::test(self.who.group, Role::GroupUser, Scopes::ALL);
        who.actor.id = contract::id::ActorId::new(0);
        Self::of(self.case, who)
    }

    async fn create(&self, request: CreateThingRequest) -> Answer {
        rules::check(&request)?;
        let types = self.types;
        self.case.db.change(&self.who, request, move |who, tx, input| write::create(types, who, tx, input).boxed()).await
    }

    async fn update(&self, request: UpdateThingRequest) -> Answer {
        rules::check(&request)?;
        let types = self.types;
        self.case.db.change(&self.who, request, move |who, tx, input| write::update(types, who, tx, input).boxed()).await
    }

    async fn delete(&self, request: DeleteThingRequest) -> Answer {
        rules::check(&request)?;
        let types = self.types;
        self.case.db.change(&self.who, request, move |who, tx, input| write::delete(types, who, tx, input).boxed()).await
    }

    async fn get(&self, id: &str) -> Answer {
        let request = GetThingRequest { id: id.to_owned() };
        rules::check(&request)?;
        read::get(self.types, &self.who, &self.case.db, request).await
    }

    async fn list(&self, request: ListThingsRequest) -> Result<ListThingsResponse, Refusal> {
        rules::check(&request)?;
        read::list(self.types, &self.who, &self.case.db, request).await
    }

    /// A new note of that name.
    async fn note(&self, name: &str) -> Thing {
        self.create(creation(note(name))).await.unwrap()
    }

    /// What was told since the last call: (type, target, revision, metadata).
    async fn events(&self) -> Vec<(String, String, i64, Value)> {
        let outbox = self.case.db.system("test");
        let sql = outbox.sql("select number, type, target_id, revision, metadata, group_id from outbox where number > $1 order by number");
        let rows: Vec<(i64, String, Uuid, i64, Vec<u8>, Uuid)> = sql.bind(self.told.load(Ordering::Relaxed)).all().await.unwrap();
        self.told.fetch_max(rows.last().map_or(0, |row| row.0), Ordering::Relaxed);
        let own = rows.into_iter().filter(|row| row.5 == *self.who.group);
        own.map(|(_, kind, target, revision, metadata, _)| {
            let metadata = json::from_struct(Struct::decode(metadata.as_slice()).unwrap()).unwrap();
            (kind, target.to_string(), revision, Value::Object(metadata))
        })
        .collect()
    }
}

/// A type that demands nothing.
fn note(name: &str) -> Thing {
    Thing { r#type: "note".to_owned(), name: name.to_owned(), ..Default::default() }
}

fn with(thing: Thing, properties: Value) -> Thing {
    Thing { properties: Some(object(properties)), ..thing }
}

fn object(value: Value) -> Struct {
    json::to_struct(value.as_object().unwrap())
}

fn properties(thing: &Thing) -> Value {
    Value::Object(json::from_struct(thing.properties.clone().unwrap()).unwrap())
}

fn creation(thing: Thing) -> CreateThingRequest {
    CreateThingRequest { thing: Some(thing), ..Default::default() }
}

/// An update with this mask; without paths there is none.
fn change(thing: Thing, paths: &[&str]) -> UpdateThingRequest {
    let update_mask = (!paths.is_empty()).then(|| FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() });
    UpdateThingRequest { thing: Some(thing), update_mask, ..Default::default() }
}

fn removal(id: &str, etag: &str) -> DeleteThingRequest {
    DeleteThingRequest { id: id.to_owned(), etag: etag.to_owned(), ..Default::default() }
}

/// The fields that a refusal names.
fn fields(refusal: &Refusal) -> Vec<String> {
    let details = refusal.status().get_details_bad_request();
    details.map(|details| details.field_violations.into_iter().map(|violation| violation.field).collect()).unwrap_or_default()
}

fn nested(levels: usize) -> Value {
    (1..levels).fold(json!({}), |inner, _| json!({ "a": inner }))
}

/// A UUID that never was.
const NOBODY: &str = "0199a0d2-7a5c-7000-8000-000000000001";

fn request_id() -> String {
    contract::id::at(0).to_string()
}

fn reason(answer: &Answer) -> Option<Reason> {
    answer.as_ref().err().map(Refusal::reason)
}
