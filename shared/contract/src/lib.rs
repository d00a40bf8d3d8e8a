//! The law of onemesh as code. Everything that two crates must agree on is read from the protos here, once.
//!
//! * messages, clients and servers, generated ([`identity`], [`ontology`], [`events`], [`internal`], [`policy`]);
//! * the descriptor set with its options kept ([`DESCRIPTOR`], [`pool`]);
//! * what each rpc demands of its caller ([`Method`], [`methods`]), [`Scopes`] and [`Role`]s;
//! * why a call is refused ([`Refusal`], [`Reason`]): one catalogue, one builder of statuses;
//! * field rules, run while a request is decoded ([`codec`], [`rules`]): no handler checks what a rule can say;
//! * small conversions that must be the same everywhere: [`id`], [`json`], [`mask`], [`time`].
//!
//! It imports nothing of ours.

pub mod codec;
pub mod id;
pub mod json;
pub mod mask;
mod method;
mod reason;
mod refusal;
mod request;
mod role;
pub mod rules;
mod scope;
pub mod time;

pub use method::{Method, Methods, methods};
pub use policy::v1::{Access, Reason, Role, Scope};
pub use refusal::{DOMAIN, Refusal};
pub use request::{Mutation, Page, Paged};
pub use scope::Scopes;

use prost_reflect::{DescriptorPool, EnumValueDescriptor};
use std::sync::LazyLock;

/// The compiled protos with options and comments, as the compiler wrote them.
pub const DESCRIPTOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));

/// [`DESCRIPTOR`], decoded once.
pub fn pool() -> &'static DescriptorPool {
    static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| DescriptorPool::decode(DESCRIPTOR).expect("the compiler's own bytes"));
    &POOL
}

macro_rules! packages {
    ($($domain:ident = $package:tt),+ $(,)?) => {$(
        #[allow(missing_docs, unreachable_pub, clippy::all, rustdoc::all)]
        pub mod $domain {
            pub mod v1 {
                tonic::include_proto!($package);
            }
        }
    )+};
}

/// Generated from `proto/one`.
#[allow(missing_docs)]
pub mod one {
    packages!(
        policy = "one.policy.v1",
        identity = "one.identity.v1",
        ontology = "one.ontology.v1",
        events = "one.events.v1",
        internal = "one.internal.v1",
    );
}
pub use one::{events, identity, internal, ontology, policy};

#[allow(missing_docs, unreachable_pub, clippy::all, rustdoc::all)]
mod google {
    pub mod rpc {
        tonic::include_proto!("google.rpc");
    }
}

#[allow(clippy::useless_conversion)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/rules.rs"));
    include!(concat!(env!("OUT_DIR"), "/requests.rs"));
}

/// The option `name` of each value of the enum `of` that has it, with the value's number.
fn options_of<O: prost::Message + Default>(of: &str, name: &str) -> Vec<(i32, O)> {
    let option = pool().get_extension_by_name(name).expect("an option of ours");
    let read = |value: EnumValueDescriptor| {
        let options = value.options();
        let info = options.has_extension(&option).then(|| options.get_extension(&option).as_message()?.transcode_to().ok())??;
        Some((value.number(), info))
    };
    pool().get_enum_by_name(of).expect("an enum of ours").values().filter_map(read).collect()
}
