//! What can be asked of identity.

use super::{Changes, Fresh, Line, Proven};
use contract::{Refusal, id::GroupId};
use std::{future::Future, sync::Arc};
use uuid::Uuid;

/// Who knows credentials and groups. Each answer names the ids whose change makes it old.
///
/// An `Err` outside is no answer, or no proof; the one inside [`Proven`] is how a proven credential stands (revoked, expired),
/// and is kept like any other state.
pub trait Identity: Send + Sync + 'static {
    /// Proves a credential as it was presented: the one question that costs a hash.
    fn verify(&self, presented: &str) -> impl Future<Output = Result<Fresh<Proven>, Refusal>> + Send;

    /// How a credential stands that was proven before.
    fn check(&self, credential: Uuid) -> impl Future<Output = Result<Fresh<Proven>, Refusal>> + Send;

    /// The way from a group up to its organisation; `None` if there is no such group.
    fn group(&self, group: GroupId) -> impl Future<Output = Result<Fresh<Option<Arc<Line>>>, Refusal>> + Send;

    /// What changed after a position, from a read begun after the question.
    fn changes(&self, after: u64) -> impl Future<Output = Result<Changes, Refusal>> + Send;
}
