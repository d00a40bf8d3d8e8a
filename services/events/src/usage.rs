//! Requests counted: by minute, hour and day, of each group, key, rpc, route and code.
//!
//! Each batch adds to all three at once, so that a day's count is one row and not 1,440, and the three always agree. How many rows there
//! can be is bounded by what there is in the contract: a path that names no rpc counts as none.

mod count;
mod latency;
mod read;
mod sums;

pub(crate) use count::count;

/// A minute, an hour and a day, in microseconds.
pub(crate) const SPANS: [i64; 3] = [60_000_000, 3_600_000_000, 86_400_000_000];
