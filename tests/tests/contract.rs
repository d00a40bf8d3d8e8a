//! The descriptor keeps the rules that every proto of ours follows. It needs no server.

use contract::{Access, Method, methods, pool};
use prost_reflect::{Cardinality, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor};

/// Fields with the name of a method that every Ruby object has can't be read in Ruby.
const RUBY: &[&str] = &[
    "class",
    "clone",
    "define",
    "display",
    "dup",
    "extend",
    "freeze",
    "hash",
    "inspect",
    "instance_of",
    "itself",
    "method",
    "methods",
    "nil",
    "object_id",
    "private_methods",
    "public_send",
    "respond_to",
    "send",
    "singleton_class",
    "tap",
    "then",
    "to_enum",
    "to_s",
    "trust",
    "type_of",
];

fn rpcs() -> impl Iterator<Item = (MethodDescriptor, &'static Method)> {
    let all = pool().services().filter(|service| service.package_name().starts_with("one."));
    all.flat_map(|service| service.methods().collect::<Vec<_>>()).map(|rpc| {
        let path = format!("/{}/{}", rpc.parent_service().full_name(), rpc.name());
        let policy = methods().get(&path).unwrap_or_else(|| panic!("{path} has no policy"));
        (rpc, policy)
    })
}

fn public() -> impl Iterator<Item = (MethodDescriptor, &'static Method)> {
    rpcs().filter(|(_, policy)| policy.access != Access::Internal)
}

fn messages() -> impl Iterator<Item = MessageDescriptor> {
    pool().all_messages().filter(|message| message.package_name().starts_with("one.") && !message.is_map_entry())
}

fn is_string(field: &FieldDescriptor) -> bool {
    field.kind() == Kind::String && field.cardinality() != Cardinality::Repeated
}

/// What breaks a rule, all at once.
#[track_caller]
fn none(rule: &str, broken: impl Iterator<Item = String>) {
    let broken: Vec<String> = broken.collect();
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

#[test]
fn every_rpc_has_a_policy_and_an_internal_package_is_internal() {
    assert!(rpcs().count() > 15);
    none(
        "access says where it lives",
        rpcs()
            .filter(|(rpc, policy)| (rpc.parent_service().package_name() == "one.internal.v1") != (policy.access == Access::Internal))
            .map(|(rpc, _)| rpc.full_name().to_owned()),
    );
}

#[test]
fn a_mutation_has_events_and_an_idempotency_key() {
    let lacks = |rpc: &MethodDescriptor, policy: &Method| {
        let has = |name: &str| rpc.input().get_field_by_name(name).is_some();
        policy.event_types.is_empty() || !(policy.proof || has("request_id") && has("validate_only"))
    };
    none(
        "event_types, request_id, validate_only",
        public().filter(|(_, policy)| !policy.reads).filter(|(rpc, policy)| lacks(rpc, policy)).map(|(rpc, _)| rpc.full_name().to_owned()),
    );
    none(
        "a read emits nothing",
        public().filter(|(_, policy)| policy.reads && !policy.event_types.is_empty()).map(|(rpc, _)| rpc.full_name().to_owned()),
    );
}

#[test]
fn event_types_are_those_of_the_core_pack() {
    let pack = std::fs::read_to_string(tests::tools::repository().join("services/ontology/packs/core.yaml")).expect("the pack");
    let unknown = |kind: &&String| !pack.contains(&format!("name: {kind},")) && !pack.contains(&format!("name: {kind}\n"));
    none("in the pack", public().flat_map(|(_, policy)| &policy.event_types).filter(unknown).cloned());
}

#[test]
fn lists_have_one_shape() {
    for (rpc, _) in public().filter(|(rpc, _)| rpc.name().starts_with("List")) {
        let name = rpc.full_name().to_owned();
        let answer = rpc.output();
        let at = |number: u32| answer.get_field(number).unwrap_or_else(|| panic!("{name} answers no field {number}"));
        assert!(at(1).is_list() && matches!(at(1).kind(), Kind::Message(_)), "{name}: field 1 is the repeated resource");
        assert!(at(2).name() == "next_page_token" && is_string(&at(2)), "{name}: field 2 is next_page_token");
        assert!(at(3).name() == "total_size" && at(3).supports_presence() && at(3).kind() == Kind::Int64, "{name}: field 3 is total_size");
        for (number, field) in ["page_size", "page_token", "filter", "order_by", "show_archived"].into_iter().enumerate() {
            let number = u32::try_from(number + 1).expect("five");
            assert_eq!(rpc.input().get_field(number).map(|of| of.name().to_owned()).as_deref(), Some(field), "{name}: field {number} it takes");
        }
    }
}

#[test]
fn watches_have_one_shape() {
    for (rpc, _) in public().filter(|(rpc, _)| rpc.name().starts_with("Watch")) {
        let from = rpc.input().oneofs().find(|oneof| oneof.name() == "from").unwrap_or_else(|| panic!("{} has no from", rpc.full_name()));
        let names: Vec<String> = from.fields().map(|field| field.name().to_owned()).collect();
        assert_eq!(names, ["beginning", "now", "cursor"], "{}", rpc.full_name());
        assert!(rpc.is_server_streaming() && rpc.output().get_field_by_name("cursor").is_some_and(|field| is_string(&field)), "{}", rpc.full_name());
    }
}

#[test]
fn standard_methods_answer_the_resource() {
    for (rpc, _) in public() {
        let Some(noun) = ["Get", "Update", "Delete"].iter().find_map(|verb| rpc.name().strip_prefix(verb)) else { continue };
        assert_eq!(rpc.output().name(), noun, "{}", rpc.full_name());
    }
}

#[test]
fn every_resource_has_the_common_fields() {
    let resources = public().filter(|(rpc, _)| rpc.name().starts_with("Create")).filter_map(|(rpc, _)| {
        let noun = rpc.name().trim_start_matches("Create").to_owned();
        pool().get_message_by_name(&format!("{}.{noun}", rpc.input().package_name()))
    });
    for resource in resources {
        for field in ["id", "group_id", "etag", "revision", "creator", "create_time", "update_time", "archive_time"] {
            assert!(resource.get_field_by_name(field).is_some(), "{} has no {field}", resource.full_name());
        }
    }
}

#[test]
fn names_of_rpcs_are_unique_over_all_public_services() {
    let mut names: Vec<String> = public().map(|(rpc, _)| rpc.name().to_owned()).collect();
    names.sort();
    none("unique", names.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0].clone()));
}

#[test]
fn every_public_rpc_has_a_canonical_http_path() {
    let http = pool().get_extension_by_name("google.api.http").expect("vendored");
    for (rpc, _) in public() {
        let options = rpc.options();
        let rule = options.get_extension(&http);
        let rule = rule.as_message().unwrap_or_else(|| panic!("{} has no google.api.http", rpc.full_name()));
        let path = ["get", "post", "patch", "delete"]
            .iter()
            .find_map(|verb| Some(rule.get_field_by_name(verb)?.as_str()?.to_owned()).filter(|path| !path.is_empty()));
        assert!(path.is_some_and(|path| path.starts_with("/api/v1/")), "{} has no path", rpc.full_name());
    }
}

#[test]
fn no_field_is_named_like_a_method_of_every_ruby_object() {
    let fields = messages().flat_map(|message| message.fields().collect::<Vec<_>>());
    none("another name", fields.filter(|field| RUBY.contains(&field.name())).map(|field| field.full_name().to_owned()));
}

#[test]
fn everything_in_the_protos_has_a_comment() {
    let files = pool().files().filter(|file| file.package_name().starts_with("one."));
    for file in files {
        let proto = file.file_descriptor_proto();
        let info = proto.source_code_info.as_ref().expect("compiled with source info");
        let commented =
            |path: &[i32]| info.location.iter().any(|at| at.path == path && at.leading_comments.as_ref().is_some_and(|text| !text.trim().is_empty()));
        let mut bare = Vec::new();
        let mut look = |path: &[i32], name: String| {
            if !commented(path) {
                bare.push(name);
            }
        };
        // The numbers are those of descriptor.proto: message 4, enum 5, service 6; field 2, value 2, method 2.
        for (at, message) in (0..).zip(&proto.message_type) {
            look(&[4, at], message.name().to_owned());
            (0..).zip(&message.field).for_each(|(field, of)| look(&[4, at, 2, field], format!("{}.{}", message.name(), of.name())));
        }
        for (at, kind) in (0..).zip(&proto.enum_type) {
            look(&[5, at], kind.name().to_owned());
            (0..).zip(&kind.value).for_each(|(value, of)| look(&[5, at, 2, value], of.name().to_owned()));
        }
        for (at, service) in (0..).zip(&proto.service) {
            look(&[6, at], service.name().to_owned());
            (0..).zip(&service.method).for_each(|(rpc, of)| look(&[6, at, 2, rpc], format!("{}.{}", service.name(), of.name())));
        }
        assert!(bare.is_empty(), "{}: without a comment: {bare:?}", file.name());
    }
}

#[test]
fn what_only_the_server_writes_says_so() {
    let behaviour = pool().get_extension_by_name("google.api.field_behavior").expect("vendored");
    let server_writes = ["group_id", "revision", "creator", "create_time", "update_time", "archive_time"];
    let resources = messages().filter(|message| server_writes.iter().all(|name| message.get_field_by_name(name).is_some()));
    for resource in resources {
        for name in &server_writes[1..] {
            let field = resource.get_field_by_name(name).expect("it has all of them");
            let options = field.options();
            let marks = options.get_extension(&behaviour);
            let output_only = marks.as_list().is_some_and(|list| list.iter().any(|mark| mark.as_enum_number() == Some(3)));
            assert!(output_only, "{} is not OUTPUT_ONLY", field.full_name());
        }
    }
}
