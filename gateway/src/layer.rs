//! The layers, a file each.

mod authenticate;
mod authorize;
mod deadline;
mod edge;
mod forward;
mod limit;
mod receive;
mod respond;
mod route;
mod shed;
mod sizes;
#[cfg(test)]
pub(crate) mod testing;
mod trace;

pub use authenticate::Authenticate;
pub use authorize::Authorize;
pub use deadline::Deadline;
pub use edge::{BadOrigin, Edge};
pub use forward::{Forward, Service};
pub use limit::Limit;
pub use receive::Receive;
pub use respond::Respond;
pub(crate) use route::check;
pub use route::{OWN, Router};
pub use shed::Shed;
pub use sizes::Sizes;
pub use trace::Tracing;
