//! What is known, by name.

use std::collections::{BTreeMap, HashMap};

use prost_reflect::{DescriptorPool, FileDescriptor};
use tonic::Code;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest as Ask;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse as Tell;
use tonic_reflection::pb::v1::{
    ErrorResponse, ExtensionNumberResponse, ExtensionRequest, FileDescriptorResponse, ListServiceResponse, ServerReflectionRequest,
    ServerReflectionResponse, ServiceResponse,
};

/// Served on every port beside our own.
const OTHERS: [&str; 2] = ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"];

/// Files by name and by what they define.
#[derive(Debug)]
pub(super) struct Index {
    services: Vec<String>,
    /// As the compiler wrote them, with options and comments.
    files: HashMap<String, Vec<u8>>,
    /// Which file a service, method, message, enum or extension stands in.
    symbols: HashMap<String, String>,
    /// Which file extends a message, by the extension's number.
    extensions: HashMap<String, BTreeMap<u32, String>>,
}

impl Index {
    pub(super) fn new(pool: &DescriptorPool, services: &[&str]) -> Self {
        let pool = with_others(pool.clone());
        let services: Vec<String> = services.iter().copied().chain(OTHERS).map(ToOwned::to_owned).collect();
        let mut index = Self { services: services.clone(), files: HashMap::new(), symbols: HashMap::new(), extensions: HashMap::new() };
        for service in pool.services().filter(|service| services.iter().any(|name| name == service.full_name())) {
            index.add_file(&service.parent_file());
        }
        index.add_symbols(&pool);
        index.add_extensions(&pool);
        index
    }

    /// With all it imports.
    fn add_file(&mut self, file: &FileDescriptor) {
        if self.files.insert(file.name().to_owned(), file.encode_to_vec()).is_none() {
            file.dependencies().for_each(|import| self.add_file(&import));
        }
    }

    fn add_symbols(&mut self, pool: &DescriptorPool) {
        for service in pool.services() {
            self.add(service.full_name(), &service.parent_file());
            service.methods().for_each(|method| self.add(method.full_name(), &service.parent_file()));
        }
        pool.all_messages().for_each(|message| self.add(message.full_name(), &message.parent_file()));
        pool.all_enums().for_each(|of| self.add(of.full_name(), &of.parent_file()));
    }

    fn add_extensions(&mut self, pool: &DescriptorPool) {
        for extension in pool.all_extensions() {
            let file = extension.parent_file();
            self.add(extension.full_name(), &file);
            if self.files.contains_key(file.name()) {
                let of = self.extensions.entry(extension.containing_message().full_name().to_owned()).or_default();
                of.insert(extension.number(), file.name().to_owned());
            }
        }
    }

    /// A file of internal services is not known, nor what stands in it.
    fn add(&mut self, symbol: &str, file: &FileDescriptor) {
        if self.files.contains_key(file.name()) {
            self.symbols.insert(symbol.to_owned(), file.name().to_owned());
        }
    }

    pub(super) fn answer(&self, asked: ServerReflectionRequest) -> ServerReflectionResponse {
        let told = asked.message_request.as_ref().and_then(|ask| self.tell(ask));
        let told = told.unwrap_or_else(|| Tell::ErrorResponse(not_found()));
        ServerReflectionResponse { valid_host: asked.host.clone(), original_request: Some(asked), message_response: Some(told) }
    }

    fn tell(&self, ask: &Ask) -> Option<Tell> {
        match ask {
            Ask::FileByFilename(name) => self.file(name),
            Ask::FileContainingSymbol(symbol) => self.file(self.symbols.get(symbol)?),
            Ask::FileContainingExtension(ExtensionRequest { containing_type, extension_number }) => {
                let number = u32::try_from(*extension_number).ok()?;
                self.file(self.extensions.get(containing_type)?.get(&number)?)
            }
            Ask::AllExtensionNumbersOfType(name) => self.numbers(name),
            Ask::ListServices(_) => Some(self.list()),
        }
    }

    fn file(&self, name: &str) -> Option<Tell> {
        let file_descriptor_proto = vec![self.files.get(name)?.clone()];
        Some(Tell::FileDescriptorResponse(FileDescriptorResponse { file_descriptor_proto }))
    }

    fn numbers(&self, name: &str) -> Option<Tell> {
        self.symbols.get(name)?;
        let numbers = self.extensions.get(name).into_iter().flat_map(BTreeMap::keys);
        let extension_number = numbers.filter_map(|number| i32::try_from(*number).ok()).collect();
        Some(Tell::AllExtensionNumbersResponse(ExtensionNumberResponse { base_type_name: name.to_owned(), extension_number }))
    }

    fn list(&self) -> Tell {
        let service = self.services.iter().map(|name| ServiceResponse { name: name.clone() }).collect();
        Tell::ListServicesResponse(ListServiceResponse { service })
    }
}

fn with_others(mut pool: DescriptorPool) -> DescriptorPool {
    for others in [tonic_health::pb::FILE_DESCRIPTOR_SET, tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET] {
        pool.decode_file_descriptor_set(others).expect("the crates' own descriptors");
    }
    pool
}

fn not_found() -> ErrorResponse {
    ErrorResponse { error_code: Code::NotFound.into(), error_message: "not known here".to_owned() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const PUBLIC: &str = "one.ontology.v1.ThingService";
    const INTERNAL: &str = "one.internal.v1.AccessService";

    fn tell(ask: Ask) -> Tell {
        let index = Index::new(contract::pool(), &[PUBLIC]);
        index.answer(ServerReflectionRequest { host: String::new(), message_request: Some(ask) }).message_response.unwrap()
    }

    fn pool_of(tell: Tell) -> Option<Vec<u8>> {
        match tell {
            Tell::FileDescriptorResponse(files) => files.file_descriptor_proto.into_iter().next(),
            _ => None,
        }
    }

    #[test]
    fn named_services_are_listed_and_no_other() {
        let Tell::ListServicesResponse(list) = tell(Ask::ListServices(String::new())) else { panic!("a list") };
        let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
        assert_eq!(names, [PUBLIC, OTHERS[0], OTHERS[1]]);
    }

    #[test]
    fn a_file_keeps_the_options_of_its_methods() {
        let file = pool_of(tell(Ask::FileContainingSymbol(format!("{PUBLIC}.CreateThing")))).unwrap();
        let written = contract::pool().get_service_by_name(PUBLIC).unwrap().parent_file().encode_to_vec();
        assert_eq!(file, written);
        let Tell::AllExtensionNumbersResponse(numbers) = tell(Ask::AllExtensionNumbersOfType("google.protobuf.MethodOptions".into())) else {
            panic!("numbers")
        };
        let number = numbers.extension_number[0];
        let containing_type = numbers.base_type_name;
        assert!(pool_of(tell(Ask::FileContainingExtension(ExtensionRequest { containing_type, extension_number: number }))).is_some());
    }

    #[test]
    fn what_a_file_imports_can_be_asked_for() {
        for symbol in ["one.ontology.v1.Thing", "grpc.health.v1.Health", "google.protobuf.Timestamp"] {
            assert!(pool_of(tell(Ask::FileContainingSymbol(symbol.into()))).is_some(), "{symbol}");
        }
        assert!(pool_of(tell(Ask::FileByFilename("google/protobuf/timestamp.proto".into()))).is_some());
    }

    #[test]
    fn internal_services_are_as_unknown_as_those_that_never_were() {
        assert!(contract::pool().get_service_by_name(INTERNAL).is_some(), "the test asks for one that exists");
        for symbol in [INTERNAL, "one.nowhere.v1.NoService"] {
            assert_eq!(tell(Ask::FileContainingSymbol(symbol.into())), Tell::ErrorResponse(not_found()), "{symbol}");
        }
    }
}
