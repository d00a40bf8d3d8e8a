//! A bare service: answers GetThing with a thing of about 200 bytes, from memory.

use crate::load::properties;
use contract::ontology::v1::{
    CreateThingRequest, DeleteThingRequest, GetThingRequest, ListThingsRequest, ListThingsResponse, Thing, UpdateThingRequest,
    thing_service_server::{ThingService, ThingServiceServer},
};
use tonic::{Request, Response, Status, async_trait};

pub(crate) struct Echo;

impl Echo {
    pub(crate) fn server() -> ThingServiceServer<Echo> {
        ThingServiceServer::new(Echo)
    }
}

type Answer<T> = Result<Response<T>, Status>;

fn none<T>() -> Answer<T> {
    Err(Status::unimplemented("the bench asks only for one thing"))
}

#[async_trait]
impl ThingService for Echo {
    async fn get_thing(&self, request: Request<GetThingRequest>) -> Answer<Thing> {
        let thing = Thing { id: request.into_inner().id, name: "Echo".to_owned(), properties: Some(properties()), ..Default::default() };
        Ok(Response::new(thing))
    }

    async fn create_thing(&self, _: Request<CreateThingRequest>) -> Answer<Thing> {
        none()
    }

    async fn list_things(&self, _: Request<ListThingsRequest>) -> Answer<ListThingsResponse> {
        none()
    }

    async fn update_thing(&self, _: Request<UpdateThingRequest>) -> Answer<Thing> {
        none()
    }

    async fn delete_thing(&self, _: Request<DeleteThingRequest>) -> Answer<Thing> {
        none()
    }
}
