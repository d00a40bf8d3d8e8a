//! One injected time: nothing in the mesh asks the operating system by itself, so that a test moves every
//! deadline, lease and retention by one call.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Tells the time. All clones of one clock are the same clock: who moves one moves all.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Source,
    moved: Arc<Moved>,
}

/// Where the time comes from before it is moved.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// The operating system's clocks; monotonic time counts from here.
    System(Instant),
    /// Stands at this wall time.
    Still(Duration),
}

/// What [`Clock::advance`] and [`Clock::set_wall_back`] added, in nanoseconds.
#[derive(Debug, Default)]
struct Moved {
    both: AtomicU64,
    wall: AtomicI64,
}

impl Clock {
    /// The operating system's clocks.
    #[must_use]
    pub fn system() -> Self {
        Self::of(Source::System(Instant::now()))
    }

    /// A clock that stands still until somebody moves it; begins at `wall` since 1970.
    #[must_use]
    pub fn still(wall: Duration) -> Self {
        Self::of(Source::Still(wall))
    }

    fn of(source: Source) -> Self {
        Self { source, moved: Arc::default() }
    }

    /// Monotonic: never goes back, means nothing outside this process. For leases, deadlines and ages of what is
    /// kept in memory.
    #[must_use]
    pub fn now(&self) -> Duration {
        let moved = Duration::from_nanos(self.moved.both.load(Ordering::Relaxed));
        match self.source {
            Source::System(start) => start.elapsed() + moved,
            Source::Still(_) => moved,
        }
    }

    /// The time of day since 1970. It may jump; for what is stored or shown.
    #[must_use]
    pub fn wall(&self) -> Duration {
        let base = match self.source {
            Source::System(_) => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            Source::Still(wall) => wall,
        };
        let later = base + Duration::from_nanos(self.moved.both.load(Ordering::Relaxed));
        let jump = self.moved.wall.load(Ordering::Relaxed);
        let distance = Duration::from_nanos(jump.unsigned_abs());
        if jump < 0 { later.saturating_sub(distance) } else { later + distance }
    }

    /// [`Clock::wall`] in microseconds, as stores keep it.
    #[must_use]
    pub fn micros(&self) -> i64 {
        i64::try_from(self.wall().as_micros()).unwrap_or(i64::MAX)
    }

    /// Moves both times forward, for all clones.
    pub fn advance(&self, by: Duration) {
        self.moved.both.fetch_add(saturated(by), Ordering::Relaxed);
    }

    /// Sets the time of day back, as a correction of the host's clock does; monotonic time goes on.
    pub fn set_wall_back(&self, by: Duration) {
        let by = i64::try_from(saturated(by)).unwrap_or(i64::MAX);
        self.moved.wall.fetch_sub(by, Ordering::Relaxed);
    }
}

fn saturated(by: Duration) -> u64 {
    u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn a_move_is_seen_by_every_clone_and_by_both_times() {
        let clock = Clock::still(DAY);
        let other = clock.clone();
        clock.advance(Duration::from_secs(5));
        assert_eq!(other.now(), Duration::from_secs(5));
        assert_eq!(other.wall(), DAY + Duration::from_secs(5));
        assert_eq!(other.micros(), 86_405_000_000);
    }

    #[test]
    fn the_day_may_go_back_while_monotonic_time_goes_on() {
        let clock = Clock::still(DAY);
        clock.advance(Duration::from_secs(9));
        clock.set_wall_back(Duration::from_secs(60));
        assert_eq!(clock.now(), Duration::from_secs(9));
        assert_eq!(clock.wall(), DAY - Duration::from_secs(51));
    }

    #[test]
    fn the_system_clock_runs_and_can_be_moved() {
        let clock = Clock::system();
        let (now, wall) = (clock.now(), clock.wall());
        clock.advance(DAY);
        assert!(clock.now() >= now + DAY);
        assert!(clock.wall() >= wall + DAY);
        assert!(wall.as_secs() > 1_700_000_000, "the host's clock is set");
    }
}
