//! Requests counted: by minute, hour and day, of each group, key, rpc, route and code.
//!
//! A batch adds to its minutes in `usage_recent`. Once a minute is over, what stands there moves into `usage`, to its minute, hour and day
//! ([`fold`]); late ones move later. So a day's count is one row and not 1,440, all three agree, and a batch of many tenants writes to one
//! small table: in the large one each tenant's rows lie on pages of their own. Who reads adds both up, in one statement.
//!
//! How many rows there can be is bounded by what there is in the contract: a path that names no rpc counts as none.

mod count;
mod counts;
pub(crate) mod fold;
mod latency;
mod read;
mod sums;

pub(crate) use count::count;

/// A minute, an hour and a day, in microseconds.
pub(crate) const SPANS: [i64; 3] = [60_000_000, 3_600_000_000, 86_400_000_000];
