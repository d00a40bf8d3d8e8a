//! Path → rpc. Later layers ask its policy, never the path.

use crate::{
    call::{Call, Route, Target},
    spread::Seed,
    stack::{Answer, Layer, Next},
};
use contract::{Access, Method, Reason, Refusal, Role, Scopes, methods};
use std::{collections::HashMap, sync::LazyLock, time::Duration};

/// Services that the gateway answers itself.
pub const OWN: [&str; 3] = ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];

/// The layer: all rpcs that strangers may name.
pub struct Router(HashMap<&'static str, Route, Seed>);

impl Router {
    /// The public rpcs of the contract, each with the number of its service in `services`; and the gateway's own.
    #[must_use]
    pub fn new(services: &[&str]) -> Self {
        let target = |method: &Method| services.iter().position(|service| *service == method.service).map_or(Target::Nobody, Target::Upstream);
        // An internal one is as unknown.
        let public = methods().iter().filter(|method| method.access != Access::Internal);
        let public = public.map(|method| Route { method, target: target(method) });
        let own = own().iter().map(|method| Route { method, target: Target::Own });
        Self(public.chain(own).map(|route| (route.method.path.as_str(), route)).collect())
    }

    /// The rpc of that path.
    #[must_use]
    pub fn route(&self, path: &str) -> Option<Route> {
        self.0.get(path).copied()
    }

    /// It is the path of an rpc.
    #[must_use]
    pub fn knows(path: &str) -> bool {
        methods().get(path).is_some_and(|method| method.access != Access::Internal) || own().iter().any(|method| method.path == path)
    }
}

/// The rpcs of [`OWN`]. They stand in protos of others, which know nothing of our policy.
fn own() -> &'static [Method] {
    static METHODS: LazyLock<[Method; 4]> = LazyLock::new(|| {
        let [health, reflection, alpha] = OWN;
        [
            rpc(health, "Check", false, false),
            rpc(health, "Watch", false, true),
            rpc(reflection, "ServerReflectionInfo", true, true),
            rpc(alpha, "ServerReflectionInfo", true, true),
        ]
    });
    &*METHODS
}

/// `Check` of `grpc.health.v1`, of whomever it is asked.
pub(crate) fn check() -> &'static Method {
    &own()[0]
}

fn rpc(service: &str, name: &str, client_streaming: bool, server_streaming: bool) -> Method {
    Method {
        path: format!("/{service}/{name}"),
        service: service.to_owned(),
        name: name.to_owned(),
        access: Access::Public,
        scopes: Scopes::NONE,
        min_role: Role::Unspecified,
        cost: 1,
        proof: false,
        fresh_auth: false,
        tells_limits: false,
        event_types: Vec::new(),
        reads: true,
        client_streaming,
        server_streaming,
        deadline: (!server_streaming).then_some(Duration::from_secs(30)),
    }
}

fn unknown(path: &str) -> Refusal {
    let shown: String = path.chars().take(200).collect();
    let sentence = format!("there is no method {shown}; list the methods with reflection");
    Refusal::new(Reason::MethodNotFound, sentence).with("method", shown)
}

impl Layer for Router {
    async fn call(&self, call: &mut Call, next: &impl Next) -> Answer {
        call.route = Some(self.route(call.path()).ok_or_else(|| unknown(call.path()))?);
        next.call(call).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::testing::{call, ok};

    async fn target(path: &str) -> Result<Target, Reason> {
        let router = Router::new(&["one.ontology.v1.ThingService"]);
        let mut call = call(path, &[]);
        let answer = router.call(&mut call, &|_: &mut Call| ok()).await;
        answer.map(|_| call.route().target).map_err(|refusal| refusal.reason())
    }

    #[tokio::test]
    async fn a_path_is_an_rpc_of_ours_or_unknown() {
        for (path, expected) in [
            ("/one.ontology.v1.ThingService/GetThing", Ok(Target::Upstream(0))),
            ("/one.identity.v1.KeyService/GetKey", Ok(Target::Nobody)),
            ("/grpc.health.v1.Health/Check", Ok(Target::Own)),
            ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Ok(Target::Own)),
            ("/one.internal.v1.AccessService/VerifyCredential", Err(Reason::MethodNotFound)),
            ("/one.ontology.v1.ThingService/getThing", Err(Reason::MethodNotFound)),
            ("/one.ontology.v1.ThingService/GetThing/", Err(Reason::MethodNotFound)),
            ("//one.ontology.v1.ThingService/GetThing", Err(Reason::MethodNotFound)),
            ("/one.ontology.v1.ThingService/%47etThing", Err(Reason::MethodNotFound)),
            ("/", Err(Reason::MethodNotFound)),
        ] {
            assert_eq!(target(path).await, expected, "{path}");
        }
    }

    #[tokio::test]
    async fn an_internal_method_is_refused_as_one_that_never_was() {
        let router = Router::new(&[]);
        let refusal = async |path: &str| router.call(&mut call(path, &[]), &|_: &mut Call| ok()).await.expect_err("unknown");
        let internal = refusal("/one.internal.v1.LogService/Append").await.status();
        let unknown = refusal("/one.internal.v1.LogService/Appenx").await.status();
        assert_eq!(internal.message().replace("Append", "Appenx"), unknown.message());
        assert_eq!(internal.code(), unknown.code());
    }
}
