//! What identity says of credentials and groups, cached, and kept true by one feed of changes.
//!
//! - [`Identity`] is what can be asked, [`Access`] asks it over the generated client, several questions at a time;
//! - [`Feed`] follows the ids of what changed, and holds a lease as long as it hears of them in time;
//! - [`Leased`] is a cache whose values are trusted only under that lease.
//!
//! So a revoked key, an archived group, a lowered role hold in every process within a second, and without a broker: when
//! identity is away, what is cached grows too old to trust, and the answer is [`unavailable`], never OK.

mod access;
mod batch;
mod caller;
mod feed;
mod identity;
mod leased;

pub use access::Access;
pub use caller::{Caller, Line, Proven, Rate, unproven};
pub use feed::{Changes, Feed, LEASE};
pub use identity::Identity;
pub use leased::{Fresh, Leased};

use contract::{Reason, Refusal};
use std::time::Duration;

/// Nobody can be asked, and what is known is too old to trust.
#[must_use]
pub fn unavailable() -> Refusal {
    Refusal::new(Reason::IdentityUnavailable, "who is calling cannot be checked now, try again").retry(Duration::from_secs(1))
}
