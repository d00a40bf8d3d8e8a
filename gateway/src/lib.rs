//! The one door for strangers: a stack of small layers, each of which passes a call on or refuses it with a typed reason.
//!
//! [`build`] makes the stack out of its [`Options`]; the list of layers, outside first and each with the reason for its place, stands in
//! `gateway.rs`. A layer is `async fn call(&self, call, next)` ([`stack`]): by `&self` nothing is cloned, the call is lent down and seen
//! again on the way back, no future is boxed between two layers, and a test passes a closure as `next`. tower stands at the edges only.
//!
//! It decodes no message. What an rpc demands is an option in its proto, so a new rpc changes nothing here. Who calls is asked of identity
//! once and then only cached ([`callers`]), under the lease of the change feed ([`chassis::changes`]).
//!
//! What a call costs: one hash of the credential, three looks into tables, two RateLimit headers, one look whether the same principal was
//! signed a moment ago. The boxes: the stack's future, the call, the request's body, the answer's body.

pub mod address;
mod bounded;
pub mod call;
pub mod callers;
pub mod credential;
mod gateway;
pub mod guard;
mod ids;
pub mod layer;
pub mod limiter;
pub mod line;
mod page;
mod probe;
mod quota;
pub mod record;
pub mod redis;
pub mod ship;
mod signed;
mod spread;
pub mod stack;
mod standing;
mod tail;

pub use gateway::{Error, Gateway, Options, build};
pub use layer::Service;
