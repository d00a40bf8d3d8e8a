//! What requests of one shape have in common. The implementations are generated from the descriptor.

/// A request that changes something: it may carry an idempotency key, and may only be tried.
pub trait Mutation {
    /// The request's full name; each rpc has a request type of its own, so it names the rpc too.
    const NAME: &'static str;
    /// A UUID, or empty: not remembered.
    fn request_id(&self) -> &str;
    /// Run every check, keep nothing.
    fn validate_only(&self) -> bool;
}

/// A request for a page of a list.
pub trait Paged {
    /// The request's full name.
    const NAME: &'static str;
    /// The fields that all lists share.
    fn page(&self) -> Page<'_>;
}

/// The fields that all lists share, as they were sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Page<'a> {
    /// Rows on the page: 0 is 50, above 1000 is 1000.
    pub size: i32,
    /// Where the page before ended; empty at the first.
    pub token: &'a str,
    /// AIP-160.
    pub filter: &'a str,
    /// AIP-132.
    pub order_by: &'a str,
    /// Archived rows too.
    pub show_archived: bool,
}
