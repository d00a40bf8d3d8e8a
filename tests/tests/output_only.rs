//! What the proto calls OUTPUT_ONLY no client writes: ZITADEL let a user write `verified` on their own address (CVE-2026-27946).
//!
//! The rpcs and fields are read from the descriptor. A new rpc that takes a resource needs one row in [`honest`].

use crate::{
    hostile::reason,
    support::{never, product},
};
use contract::{
    Access, Reason, identity,
    identity::v1::{Group, Key},
    methods, ontology,
    ontology::v1::Thing,
    pool,
};
use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, ReflectMessage, Value};
use tests::{
    Mesh, Tenant, on_every_mesh,
    raw::{Answer, Raw, frame, frames},
};
use tonic::Code;

on_every_mesh![adv_cve_2026_27946_no_request_writes_a_field_that_is_output_only];

/// OUTPUT_ONLY of google.api.FieldBehavior.
const OUTPUT_ONLY: i32 = 3;

/// An rpc that takes a resource.
struct Write {
    rpc: MethodDescriptor,
    resource: FieldDescriptor,
}

impl Write {
    fn all() -> Vec<Write> {
        let public = methods().iter().filter(|method| method.access != Access::Internal);
        let services = public.filter_map(|method| Some((pool().get_service_by_name(&method.service)?, &method.name)));
        let rpcs = services.filter_map(|(service, name)| service.methods().find(|rpc| rpc.name() == name));
        rpcs.filter_map(|rpc| rpc.input().fields().find(|field| !outputs(field).is_empty()).map(|resource| Write { rpc, resource })).collect()
    }

    /// The request with a field of the resource written, and perhaps a mask.
    fn request(&self, own: &Own, field: &FieldDescriptor, value: Value, mask: Option<&str>) -> DynamicMessage {
        let mut request = DynamicMessage::decode(self.rpc.input(), honest(self.rpc.input().name(), own).as_slice()).expect("a request");
        request.get_field_mut(&self.resource).as_message_mut().expect("a message").set_field(field, value);
        if let Some(path) = mask {
            let mask = request.get_field_by_name_mut("update_mask").expect("a mask");
            mask.as_message_mut().expect("a message").set_field_by_name("paths", Value::List(vec![Value::String(path.to_owned())]));
        }
        request
    }

    /// The resource in an answer.
    fn answered(&self, answer: Answer) -> DynamicMessage {
        let message = DynamicMessage::decode(self.rpc.output(), frames(answer.body)[0].1.clone()).expect("an answer");
        let field = self.rpc.output().fields().find(|field| field.kind() == self.resource.kind());
        field.map(|field| message.get_field(&field).as_message().expect("a message").clone()).unwrap_or(message)
    }
}

/// The fields of a field's message that only the server writes.
fn outputs(field: &FieldDescriptor) -> Vec<FieldDescriptor> {
    let Kind::Message(message) = field.kind() else { return Vec::new() };
    let behaviour = pool().get_extension_by_name("google.api.field_behavior").expect("vendored");
    let marked = |field: &FieldDescriptor| {
        let options = field.options();
        options.get_extension(&behaviour).as_list().is_some_and(|marks| marks.contains(&Value::EnumNumber(OUTPUT_ONLY)))
    };
    message.fields().filter(marked).collect()
}

/// What the tenant has, to be changed.
struct Own {
    team: String,
    parent: String,
    thing: String,
}

/// A request that is answered.
fn honest(request: &str, own: &Own) -> Vec<u8> {
    let group = Group { name: "A".to_owned(), ..Group::default() };
    let key = Key { name: "A".to_owned(), scopes: vec!["things:read".to_owned()], ..Key::default() };
    match request {
        "CreateThingRequest" => ontology::v1::CreateThingRequest { thing: Some(product("A")), ..Default::default() }.encode_to_vec(),
        "UpdateThingRequest" => {
            let thing = Thing { id: own.thing.clone(), ..product("A") };
            ontology::v1::UpdateThingRequest { thing: Some(thing), ..Default::default() }.encode_to_vec()
        }
        "CreateGroupRequest" => {
            identity::v1::CreateGroupRequest { group: Some(group), parent_id: own.parent.clone(), ..Default::default() }.encode_to_vec()
        }
        "UpdateGroupRequest" => {
            let group = Group { id: own.team.clone(), ..group };
            identity::v1::UpdateGroupRequest { group: Some(group), ..Default::default() }.encode_to_vec()
        }
        "CreateKeyRequest" => identity::v1::CreateKeyRequest { key: Some(key), ..Default::default() }.encode_to_vec(),
        other => panic!("{other} takes a resource: say here what an honest one is"),
    }
}

/// What the server would not say of anything.
fn lie(field: &FieldDescriptor) -> Value {
    let one = match field.kind() {
        Kind::String => Value::String(never()),
        Kind::Int64 => Value::I64(777_777),
        Kind::Int32 => Value::I32(777_777),
        Kind::Bool => Value::Bool(true),
        Kind::Enum(values) => Value::EnumNumber(values.values().map(|value| value.number()).max().expect("a value")),
        Kind::Message(message) => Value::Message(lies(&message)),
        other => panic!("{} is of kind {other:?}: say here what a lie is", field.full_name()),
    };
    if field.is_list() { Value::List(vec![one]) } else { one }
}

fn lies(message: &MessageDescriptor) -> DynamicMessage {
    let mut lies = DynamicMessage::new(message.clone());
    message.fields().filter(|field| field.name() != "nanos").for_each(|field| lies.set_field(&field, lie(&field)));
    lies
}

/// No mask, all, and the very field; one of these where the request has none.
fn masks(request: &MessageDescriptor, field: &FieldDescriptor) -> Vec<Option<String>> {
    let named = [Some("*".to_owned()), Some(field.name().to_owned())];
    let takes = request.get_field_by_name("update_mask").is_some();
    std::iter::once(None).chain(named.into_iter().filter(|_| takes)).collect()
}

async fn ask(tenant: &Tenant, rpc: &MethodDescriptor, request: &DynamicMessage) -> Answer {
    let path = format!("/{}/{}", rpc.parent_service().full_name(), rpc.name());
    Raw::call(&path, frame(&request.encode_to_vec())).key(tenant.key()).http2(tenant.gateway()).await
}

/// The resource as it is kept.
async fn kept(tenant: &Tenant, write: &Write, made: &DynamicMessage) -> DynamicMessage {
    let get = format!("Get{}", made.descriptor().name());
    let get = write.rpc.parent_service().methods().find(|rpc| rpc.name() == get).expect("what is written can be read");
    let mut request = DynamicMessage::new(get.input());
    request.set_field_by_name("id", made.get_field_by_name("id").expect("a resource has an id").into_owned());
    let answer = ask(tenant, &get, &request).await;
    DynamicMessage::decode(get.output(), frames(answer.body)[0].1.clone()).expect("the resource")
}

async fn adv_cve_2026_27946_no_request_writes_a_field_that_is_output_only(mesh: Mesh) {
    let tenant = mesh.tenant().await;
    let parent = tenant.group.id.clone();
    let own = Own { team: tenant.create_group("A", &parent).await.id, parent, thing: tenant.create("A").await.id };
    let (mut ignored, mut refused) = (0, 0);
    for write in Write::all() {
        for field in outputs(&write.resource) {
            for mask in masks(&write.rpc.input(), &field) {
                let (lie, what) = (lie(&field), format!("{} of {} with {mask:?}", write.rpc.name(), field.name()));
                let answer = ask(&tenant, &write.rpc, &write.request(&own, &field, lie.clone(), mask.as_deref())).await;
                let expected = match (mask.as_deref() == Some(field.name()), field.name()) {
                    (true, _) => Some(Reason::InvalidUpdateMask),
                    (false, "group_id") => Some(Reason::GroupMismatch),
                    (false, _) => None,
                };
                if let Some(expected) = expected {
                    assert_eq!(reason(&answer), expected, "{what}");
                    refused += 1;
                    continue;
                }
                assert_eq!(answer.code(), Code::Ok, "{what}: {answer:?}");
                let made = write.answered(answer);
                for said in [&made, &kept(&tenant, &write, &made).await] {
                    assert_ne!(*said.get_field(&field), lie, "{what}");
                }
                ignored += 1;
            }
        }
    }
    assert!(ignored >= 50 && refused >= 15, "{ignored} were ignored, {refused} refused");
}
