//! What is counted of some requests together.

use super::latency::{Buckets, bucket, percentile};
use crate::request_log::{Row, duration};
use contract::events::v1::Measures;
use store::sqlx;

/// Times are microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    pub(super) requests: i64,
    pub(super) cost: i64,
    pub(super) latency: i64,
    pub(super) bytes_in: i64,
    pub(super) bytes_out: i64,
    pub(super) buckets: Buckets,
}

impl Sums {
    /// From 21 columns, the first of which stands there.
    pub(super) fn read(row: &store::Row<'_>, at: usize) -> sqlx::Result<Self> {
        let mut buckets = Buckets::default();
        for (bucket, held) in buckets.iter_mut().enumerate() {
            *held = row.get(at + 5 + bucket)?;
        }
        let (requests, cost, latency) = (row.get(at)?, row.get(at + 1)?, row.get(at + 2)?);
        Ok(Self { requests, cost, latency, bytes_in: row.get(at + 3)?, bytes_out: row.get(at + 4)?, buckets })
    }

    /// One request more.
    pub(super) fn count(&mut self, row: &Row) {
        let record = &row.record;
        self.requests += 1;
        self.cost += record.cost;
        self.latency += record.latency_micros;
        self.bytes_in += record.bytes_in;
        self.bytes_out += record.bytes_out;
        self.buckets[bucket(record.latency_micros)] += 1;
    }

    /// Those of the other, too.
    pub(super) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.cost += other.cost;
        self.latency += other.latency;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.buckets.iter_mut().zip(other.buckets).for_each(|(sum, held)| *sum += held);
    }

    /// As they are told.
    pub(super) fn measures(&self) -> Measures {
        let quicker = |of_hundred| Some(duration(percentile(&self.buckets, of_hundred)));
        Measures {
            count: self.requests,
            cost: self.cost,
            average: Some(duration(self.latency / self.requests.max(1))),
            p50: quicker(50),
            p95: quicker(95),
            p99: quicker(99),
            buckets: self.buckets.to_vec(),
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
        }
    }
}
