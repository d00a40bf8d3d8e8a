//! ThingService: the nouns of a group.

mod events;
mod patch;
mod read;
mod row;
mod store;
#[cfg(test)]
mod tests;
mod write;

use crate::{Ontology, check::Properties};
use chassis::principal;
use contract::{
    Reason, Refusal,
    id::ThingId,
    json,
    ontology::v1::{
        CreateThingRequest, DeleteThingRequest, GetThingRequest, ListThingsRequest, ListThingsResponse, Thing, UpdateThingRequest,
        thing_service_server::ThingService,
    },
};
use futures::FutureExt;
use prost_types::Struct;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl ThingService for Ontology {
    async fn create_thing(&self, request: Request<CreateThingRequest>) -> Result<Response<Thing>, Status> {
        let types = self.types;
        self.db.mutate(request, move |principal, tx, input| write::create(types, principal, tx, input).boxed()).await
    }

    async fn get_thing(&self, request: Request<GetThingRequest>) -> Result<Response<Thing>, Status> {
        let principal = principal::of(&request)?;
        Ok(Response::new(read::get(self.types, &principal, &self.db, request.into_inner()).await?))
    }

    async fn list_things(&self, request: Request<ListThingsRequest>) -> Result<Response<ListThingsResponse>, Status> {
        let principal = principal::of(&request)?;
        Ok(Response::new(read::list(self.types, &principal, &self.db, request.into_inner()).await?))
    }

    async fn update_thing(&self, request: Request<UpdateThingRequest>) -> Result<Response<Thing>, Status> {
        let types = self.types;
        self.db.mutate(request, move |principal, tx, input| write::update(types, principal, tx, input).boxed()).await
    }

    async fn delete_thing(&self, request: Request<DeleteThingRequest>) -> Result<Response<Thing>, Status> {
        let types = self.types;
        self.db.mutate(request, move |principal, tx, input| write::delete(types, principal, tx, input).boxed()).await
    }
}

/// A field that breaks a rule which the contract's options cannot say.
fn invalid(field: &'static str, what: &'static str) -> Refusal {
    Refusal::new(Reason::InvalidField, format!("{field} {what}")).field(field, what)
}

fn named(name: &str) -> Result<(), Refusal> {
    if name.is_empty() { Err(invalid("thing.name", "must not be empty")) } else { Ok(()) }
}

fn read_properties(sent: Option<Struct>) -> Result<Properties, Refusal> {
    json::from_struct(sent.unwrap_or_default()).map_err(|wrong| wrong_properties(&wrong.path, wrong.what))
}

/// Names the property. A key may be as long as all the properties; a refusal travels in headers.
fn wrong_properties(path: &str, what: &'static str) -> Refusal {
    let shown: String = path.chars().take(200).collect();
    let cut = if shown.len() < path.len() { "…" } else { "" };
    let path = if path.is_empty() { "properties".to_owned() } else { format!("properties.{shown}{cut}") };
    Refusal::new(Reason::InvalidProperties, format!("{path} {what}")).field(format!("thing.{path}"), what)
}

/// The same words for an id of another group and for one that never was.
fn not_found(id: ThingId) -> Refusal {
    let name = id.to_string();
    Refusal::new(Reason::ThingNotFound, format!("there is no thing {name} in the acting group")).resource("thing", name)
}
