//! What each rpc demands of its caller, read from the method options once.

use crate::{Access, DESCRIPTOR, Role, Scopes, policy::v1::Policy};
use prost_reflect::{DescriptorPool, ExtensionDescriptor, MethodDescriptor};
use std::{collections::HashMap, sync::LazyLock, time::Duration};

/// Where the policy says nothing, a call may take so long.
const DEADLINE: Duration = Duration::from_secs(30);

/// An rpc and its policy.
#[derive(Debug, PartialEq)]
pub struct Method {
    /// `/one.ontology.v1.ThingService/GetThing`.
    pub path: String,
    /// `one.ontology.v1.ThingService`.
    pub service: String,
    /// `GetThing`.
    pub name: String,
    /// The kind of credential that is needed.
    pub access: Access,
    /// Scopes, all of them needed.
    pub scopes: Scopes,
    /// The least role in the acting group.
    pub min_role: Role,
    /// Units, at least 1.
    pub cost: u32,
    /// It proves or spends a secret.
    pub proof: bool,
    /// A session's proof must be young.
    pub fresh_auth: bool,
    /// The service is told what is left of the caller's windows of requests.
    pub tells_limits: bool,
    /// What it may emit.
    pub event_types: Vec<String>,
    /// It changes nothing.
    pub reads: bool,
    /// Its request is a stream.
    pub client_streaming: bool,
    /// Its answer is a stream.
    pub server_streaming: bool,
    /// Default and upper bound until the answer; streams have none.
    pub deadline: Option<Duration>,
}

impl Method {
    /// It streams in either direction.
    pub fn streams(&self) -> bool {
        self.client_streaming || self.server_streaming
    }

    /// Roles in groups above the acting one count here in any case, not only where the group allows it.
    pub fn counts_parents(&self) -> bool {
        matches!(self.service.as_str(), "one.identity.v1.GroupService" | "one.identity.v1.KeyService")
    }
}

/// All rpcs by path.
#[derive(Debug)]
pub struct Methods(HashMap<String, Method>);

impl Methods {
    /// Reads the policies out of a descriptor set. The error names an rpc without `access`.
    pub fn read(descriptor: &[u8]) -> Result<Methods, String> {
        let pool = DescriptorPool::decode(descriptor).map_err(|e| e.to_string())?;
        let option = pool.get_extension_by_name("one.policy.v1.policy").ok_or("the descriptor has no one.policy.v1.policy")?;
        let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
        methods.map(|method| read(&method, &option).map(|method| (method.path.clone(), method))).collect::<Result<_, _>>().map(Methods)
    }

    /// The rpc of that path.
    pub fn get(&self, path: &str) -> Option<&Method> {
        self.0.get(path)
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Method> {
        self.0.values()
    }

    /// Full names of the services with an rpc that the gateway may route, sorted.
    pub fn public_services(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.iter().filter(|method| method.access != Access::Internal).map(|method| method.service.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

fn read(method: &MethodDescriptor, option: &ExtensionDescriptor) -> Result<Method, String> {
    let service = method.parent_service().full_name().to_owned();
    let path = format!("/{service}/{}", method.name());
    let options = method.options();
    let value = options.get_extension(option);
    let policy: Policy = value.as_message().ok_or("the policy is not a message")?.transcode_to().map_err(|e| e.to_string())?;
    if policy.access() == Access::Unspecified {
        return Err(format!("{path} has no policy: set (one.policy.v1.policy).access in its proto"));
    }
    let own = policy.deadline.map(|of| Duration::new(u64::try_from(of.seconds).unwrap_or(0), u32::try_from(of.nanos).unwrap_or(0)));
    let streams = method.is_client_streaming() || method.is_server_streaming();
    Ok(Method {
        service,
        name: method.name().to_owned(),
        access: policy.access(),
        scopes: policy.scopes().map(Scopes::of).sum(),
        min_role: policy.min_role(),
        cost: policy.cost.max(1),
        proof: policy.proof,
        fresh_auth: policy.fresh_auth,
        tells_limits: policy.tells_limits,
        // 1 is NO_SIDE_EFFECTS of google.protobuf.MethodOptions.IdempotencyLevel.
        reads: options.get_field_by_name("idempotency_level").and_then(|level| level.as_enum_number()) == Some(1),
        client_streaming: method.is_client_streaming(),
        server_streaming: method.is_server_streaming(),
        deadline: (!streams).then(|| own.unwrap_or(DEADLINE)),
        event_types: policy.event_types,
        path,
    })
}

/// The rpcs of [`DESCRIPTOR`]. The first use is at boot, so that a proto without policy stops it.
///
/// # Panics
/// If an rpc has no `access`.
pub fn methods() -> &'static Methods {
    static METHODS: LazyLock<Methods> = LazyLock::new(|| Methods::read(DESCRIPTOR).unwrap_or_else(|e| panic!("{e}")));
    &METHODS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scope;
    use prost_reflect::prost::Message;

    #[test]
    fn policies_are_those_of_the_protos() {
        let create = methods().get("/one.ontology.v1.ThingService/CreateThing").expect("an rpc");
        assert_eq!(
            (create.access, create.scopes, create.min_role, create.cost),
            (Access::Caller, Scopes::of(Scope::ThingsWrite), Role::GroupUser, 1)
        );
        assert!(!create.reads && !create.streams() && create.deadline == Some(DEADLINE) && create.event_types == ["entity_created"]);
        let watch = methods().get("/one.events.v1.EventService/WatchEvents").expect("an rpc");
        assert!(watch.reads && watch.server_streaming && watch.deadline.is_none());
    }

    #[test]
    fn a_set_whose_options_were_lost_is_refused() {
        let stripped = prost_types::FileDescriptorSet::decode(DESCRIPTOR).expect("a set").encode_to_vec();
        let refused = Methods::read(&stripped).expect_err("prost drops unknown options");
        assert!(refused.contains("has no policy"), "{refused}");
    }

    #[test]
    fn internal_services_are_not_public() {
        assert_eq!(
            methods().public_services(),
            [
                "one.events.v1.EventService",
                "one.events.v1.UsageService",
                "one.identity.v1.GroupService",
                "one.identity.v1.KeyService",
                "one.ontology.v1.ThingService"
            ]
        );
    }
}
