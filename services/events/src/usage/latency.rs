//! Latencies in buckets: sixteen numbers, of any size of traffic, which can be added up over time and over gateways.

/// The upper bounds in microseconds; the last bucket has none.
pub(super) const BOUNDS: [i64; BUCKETS - 1] =
    [500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000, 30_000_000];
pub(super) const BUCKETS: usize = 16;

/// How many fell into each.
pub(super) type Buckets = [i64; BUCKETS];

/// The bucket of a latency: the first one whose bound it does not exceed.
pub(super) fn bucket(micros: i64) -> usize {
    BOUNDS.partition_point(|bound| *bound < micros)
}

/// So many of a hundred were quicker: straight between the bounds of the bucket in which they end. In the last bucket it is its lower bound,
/// as there is no other.
pub(super) fn percentile(buckets: &Buckets, of_hundred: i64) -> i64 {
    let count: i64 = buckets.iter().sum();
    let wanted = count * of_hundred; // in hundredths
    let mut below = 0;
    for (at, held) in buckets.iter().enumerate().filter(|(_, held)| **held > 0) {
        if (below + held) * 100 >= wanted {
            let lower = if at == 0 { 0 } else { BOUNDS[at - 1] };
            let upper = BOUNDS.get(at).copied().unwrap_or(lower);
            return lower + (upper - lower) * (wanted - below * 100) / (held * 100);
        }
        below += held;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(latencies: impl IntoIterator<Item = i64>) -> Buckets {
        let mut buckets = [0; BUCKETS];
        latencies.into_iter().for_each(|micros| buckets[bucket(micros)] += 1);
        buckets
    }

    #[test]
    fn a_latency_falls_into_the_bucket_that_ends_at_it_or_above() {
        for (micros, expected) in [(0, 0), (500, 0), (501, 1), (1_000, 1), (30_000_000, 14), (30_000_001, 15), (i64::MAX, 15)] {
            assert_eq!(bucket(micros), expected, "{micros}");
        }
    }

    #[test]
    fn percentiles_are_read_between_the_bounds() {
        assert_eq!(percentile(&of([]), 50), 0);
        assert_eq!(percentile(&of([700]), 50), 750, "one in the middle of its bucket");
        let hundred = of((1..=100).map(|n| n * 100)); // evenly up to 10 ms
        for (of_hundred, exact) in [(50, 5_000), (95, 9_500), (99, 9_900)] {
            assert_eq!(percentile(&hundred, of_hundred), exact, "p{of_hundred}");
        }
        assert_eq!(percentile(&of([60_000_000; 3]), 99), 30_000_000, "longer than that nobody counts");
        let mixed = of([vec![400; 98], vec![4_000_000; 2]].concat());
        assert!(percentile(&mixed, 95) <= 500 && percentile(&mixed, 99) > 2_000_000);
    }
}
