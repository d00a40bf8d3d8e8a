//! What most tests do first, in a word each. All of it must succeed, so all of it panics.

use crate::Caller;
use contract::{
    events::v1::{Event, ListEventsRequest, WatchEventsRequest, WatchEventsResponse, watch_events_request::From as Start},
    identity::v1::{CreateGroupRequest, CreateKeyRequest, CreateKeyResponse, GetCallerRequest, Group, Key},
    ontology::v1::{CreateThingRequest, GetThingRequest, Thing, UpdateThingRequest},
};
use prost_types::Struct;
use serde_json::Value;
use tonic::{Response, Status, Streaming};

/// The thing a test needs when it does not matter which.
pub(crate) fn product(name: &str) -> Thing {
    Thing { r#type: "product".to_owned(), name: name.to_owned(), properties: Some(Struct::default()), ..Thing::default() }
}

fn ok<T>(what: &str, answer: Result<Response<T>, Status>) -> T {
    answer.unwrap_or_else(|status| panic!("{what}: {status:?}")).into_inner()
}

impl Caller {
    /// A new product.
    pub async fn create(&self, name: &str) -> Thing {
        self.create_thing(product(name)).await
    }

    /// A new product with properties.
    pub async fn create_with(&self, name: &str, properties: Value) -> Thing {
        let properties = properties.as_object().map(contract::json::to_struct);
        self.create_thing(Thing { properties, ..product(name) }).await
    }

    /// A new thing.
    pub async fn create_thing(&self, thing: Thing) -> Thing {
        ok("CreateThing", self.things().create_thing(CreateThingRequest { thing: Some(thing), ..Default::default() }).await)
    }

    /// The thing of that id.
    pub async fn get(&self, id: &str) -> Thing {
        ok("GetThing", self.things().get_thing(GetThingRequest { id: id.to_owned() }).await)
    }

    /// The thing with another name.
    pub async fn rename(&self, id: &str, name: &str) -> Thing {
        let thing = Thing { id: id.to_owned(), name: name.to_owned(), ..Thing::default() };
        ok("UpdateThing", self.things().update_thing(UpdateThingRequest { thing: Some(thing), ..Default::default() }).await)
    }

    /// A new group below `parent`.
    pub async fn create_group(&self, name: &str, parent: &str) -> Group {
        let group = Group { name: name.to_owned(), ..Group::default() };
        let request = CreateGroupRequest { group: Some(group), parent_id: parent.to_owned(), ..Default::default() };
        ok("CreateGroup", self.groups().create_group(request).await)
    }

    /// A new key with its secret, in the acting group.
    pub async fn create_key(&self, name: &str, role: &str, scopes: &[&str]) -> CreateKeyResponse {
        let scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
        let key = Key { name: name.to_owned(), role: role.to_owned(), scopes, ..Key::default() };
        ok("CreateKey", self.keys().create_key(CreateKeyRequest { key: Some(key), ..Default::default() }).await)
    }

    /// A caller with a new key of the acting group.
    pub async fn colleague(&self, role: &str, scopes: &[&str]) -> Caller {
        self.with_key(&self.create_key("a colleague", role, scopes).await.secret)
    }

    /// Who the mesh thinks is calling.
    pub async fn who_am_i(&self) -> contract::identity::v1::Caller {
        ok("GetCaller", self.keys().get_caller(GetCallerRequest {}).await)
    }

    /// The events about a target that have arrived, newest first.
    pub async fn events_about(&self, target: &str) -> Vec<Event> {
        let request = ListEventsRequest { target_id: target.to_owned(), ..Default::default() };
        ok("ListEvents", self.events().list_events(request).await).events
    }

    /// The log as it grows, from there on.
    pub async fn watch(&self, from: Start) -> Streaming<WatchEventsResponse> {
        let request = WatchEventsRequest { from: Some(from), ..Default::default() };
        ok("WatchEvents", self.events().watch_events(request).await)
    }
}
