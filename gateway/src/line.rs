//! Who is worked for and who waits: so many calls at once go on to a service, the others stand in line.
//!
//! Each organisation has a line of its own, and places go round among those in which somebody stands (fair queueing by organisation): who
//! sends ten times as much waits in a longer line, and lengthens nobody else's. A line is bounded, and shorter the more there are, so that
//! the next organisation always finds room; nobody stands in it longer than [`PATIENCE`]. Waiting is also what holds a client back that
//! comes again as soon as it was refused: it has a hundred streams on a connection, and those that wait it cannot use.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::oneshot, time::timeout};

/// A line is deep when so many times more wait in it than there are places.
const DEEP: usize = 4;

/// Who has waited so long is refused: a client would rather ask again than not know.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// The line before one service.
#[derive(Debug)]
pub struct Line {
    state: Mutex<State>,
    places: usize,
    room: usize,
}

#[derive(Debug, Default)]
struct State {
    /// Places that are taken.
    working: usize,
    /// How many stand in all lines.
    waiting: usize,
    /// Those who wait, by organisation. No line in it is empty.
    lines: HashMap<u128, VecDeque<oneshot::Sender<Place>>>,
    /// The organisations in `lines`, that whose turn it is first.
    turns: VecDeque<u128>,
}

/// The right to be worked for, as long as it lives.
#[derive(Debug)]
pub struct Place(Arc<Line>);

/// There was no room in the line, or the wait was too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overloaded;

impl Line {
    /// So many places, and room for so many who wait.
    #[must_use]
    pub fn new(places: usize, room: usize) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), places, room })
    }

    /// A place, at once or after a wait. Who waits in a deep line holds `aside` meanwhile.
    ///
    /// # Errors
    /// The organisation's line is full, or the wait was too long.
    pub async fn enter<A>(self: &Arc<Self>, organisation: u128, aside: impl FnOnce() -> A) -> Result<Place, Overloaded> {
        match self.join(organisation)? {
            Joined::Works => Ok(Place(self.clone())),
            Joined::Waits { turn, deep } => {
                let _aside = deep.then(aside);
                timeout(PATIENCE, turn).await.ok().and_then(Result::ok).ok_or(Overloaded)
            }
        }
    }

    fn join(&self, organisation: u128) -> Result<Joined, Overloaded> {
        let mut state = self.state();
        if state.working < self.places {
            state.working += 1;
            return Ok(Joined::Works);
        }
        let turn = state.wait(organisation, self.room)?;
        Ok(Joined::Waits { turn, deep: state.waiting > DEEP * self.places })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Joined {
    Works,
    Waits { turn: oneshot::Receiver<Place>, deep: bool },
}

impl State {
    fn wait(&mut self, organisation: u128, room: usize) -> Result<oneshot::Receiver<Place>, Overloaded> {
        let share = room / (self.lines.len() + 1); // one more than there are, for the next to come
        let line = self.lines.entry(organisation).or_default();
        if line.is_empty() {
            self.turns.push_back(organisation);
        } else if line.len() >= share {
            return Err(Overloaded);
        }
        let (sender, turn) = oneshot::channel();
        line.push_back(sender);
        self.waiting += 1;
        Ok(turn)
    }

    /// Who has the place next; whoever has left the line is passed over.
    fn next(&mut self) -> Option<oneshot::Sender<Place>> {
        while let Some(organisation) = self.turns.pop_front() {
            let Some(line) = self.lines.get_mut(&organisation) else { continue };
            let stood = line.len();
            let waits = std::iter::from_fn(|| line.pop_front()).find(|waits| !waits.is_closed());
            self.waiting -= stood - line.len();
            if line.is_empty() {
                self.lines.remove(&organisation);
            } else {
                self.turns.push_back(organisation);
            }
            if waits.is_some() {
                return waits;
            }
        }
        None
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let next = {
            let mut state = self.0.state();
            let next = state.next();
            if next.is_none() {
                state.working -= 1;
            }
            next
        };
        if let Some(next) = next {
            let _ = next.send(Place(self.0.clone())); // who leaves at this moment drops it, and so passes it on
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use futures::{FutureExt, future::BoxFuture, poll};
    use std::task::Poll;

    fn entering(line: &Arc<Line>, organisation: u128) -> BoxFuture<'static, Result<Place, Overloaded>> {
        let line = line.clone();
        async move { line.enter(organisation, || ()).await }.boxed()
    }

    /// Those of these organisations who wait, in the order in which places come to them.
    async fn order(places: usize, organisations: &[u128]) -> Vec<u128> {
        let line = Line::new(places, 1_000);
        let mut working: Vec<Place> = Vec::new();
        for _ in 0..places {
            working.push(line.enter(0, || ()).await.unwrap());
        }
        let mut waiting: Vec<_> = organisations.iter().map(|organisation| (*organisation, entering(&line, *organisation))).collect();
        for (_, entering) in &mut waiting {
            assert!(poll!(entering).is_pending());
        }
        let mut order = Vec::new();
        while !waiting.is_empty() {
            working.pop();
            for index in (0..waiting.len()).rev() {
                if let Poll::Ready(place) = poll!(&mut waiting[index].1) {
                    working.push(place.unwrap());
                    order.push(waiting.remove(index).0);
                }
            }
        }
        order
    }

    #[tokio::test(start_paused = true)]
    async fn places_go_round_among_organisations_however_many_each_has_sent() {
        assert_eq!(order(1, &[1, 1, 1, 1, 1, 2, 3, 3]).await, [1, 2, 3, 1, 3, 1, 1, 1]);
        assert_eq!(order(3, &[7]).await, [7]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_is_bounded_and_the_next_organisation_finds_room() {
        let line = Line::new(1, 12);
        let _works = line.enter(0, || ()).await.unwrap();
        let mut waiting = Vec::new();
        for organisation in 1..=3 {
            let before = waiting.len();
            loop {
                let mut entering = entering(&line, organisation);
                match poll!(&mut entering) {
                    Poll::Pending => waiting.push(entering),
                    Poll::Ready(refused) => break assert_eq!(refused.unwrap_err(), Overloaded),
                }
            }
            assert_eq!(waiting.len() - before, [6, 4, 3][usize::try_from(organisation).unwrap() - 1]);
        }
        let mut crowded = Vec::new();
        for organisation in 10..30 {
            let mut entering = entering(&line, organisation);
            assert!(poll!(&mut entering).is_pending(), "one at least of each");
            crowded.push(entering);
        }
        assert_eq!(entering(&line, 10).now_or_never().unwrap().unwrap_err(), Overloaded);
    }

    #[tokio::test(start_paused = true)]
    async fn who_joins_a_deep_line_lies_aside_until_the_wait_is_over() {
        let line = Line::new(2, 100);
        let works = [line.enter(0, || ()).await.unwrap(), line.enter(0, || ()).await.unwrap()];
        let aside = Arc::new(());
        let mut waiting: Vec<_> = (0..12).map(|organisation| Box::pin(line.enter(organisation, || aside.clone()))).collect();
        for (joined, entering) in waiting.iter_mut().enumerate() {
            assert!(poll!(entering).is_pending());
            assert_eq!(Arc::strong_count(&aside) - 1, (joined + 1).saturating_sub(DEEP * 2));
        }
        drop(works);
        for (left, entering) in waiting.into_iter().enumerate() {
            assert!(entering.await.is_ok());
            assert_eq!(Arc::strong_count(&aside) - 1, (11 - left).min(12 - DEEP * 2));
        }
        assert_eq!(line.state().waiting, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_is_refused_and_who_leaves_is_passed_over() {
        let line = Line::new(1, 100);
        let works = line.enter(0, || ()).await.unwrap();
        assert_eq!(line.enter(1, || ()).await.unwrap_err(), Overloaded, "after a while");
        let mut leaves = entering(&line, 1);
        let mut stays = entering(&line, 2);
        assert!(poll!(&mut leaves).is_pending() && poll!(&mut stays).is_pending());
        drop(leaves);
        drop(works);
        let place = stays.await.unwrap();
        assert!(entering(&line, 3).now_or_never().is_none());
        drop(place);
        assert!(line.enter(4, || ()).now_or_never().unwrap().is_ok(), "and all is as before");
        let state = line.state();
        assert_eq!((state.working, state.waiting, state.lines.len(), state.turns.len()), (0, 0, 0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_comes_to_one_who_leaves_at_that_moment_goes_on() {
        let line = Line::new(1, 100);
        let works = line.enter(0, || ()).await.unwrap();
        let (mut leaves, mut stays) = (entering(&line, 1), entering(&line, 1));
        assert!(poll!(&mut leaves).is_pending() && poll!(&mut stays).is_pending());
        drop(works); // the place is with the first, who has not seen it
        drop(leaves);
        assert!(matches!(poll!(&mut stays), Poll::Ready(Ok(_))));
    }
}
