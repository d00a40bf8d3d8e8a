//! A connection of which many calls wait is read no further until some of them go on.
//!
//! What is not read costs this process nothing, and makes its peer wait without a word. What is read and waits has left every cache when
//! its turn comes, and a refusal costs a third of an answer. grpc-go stops reading, too, when it has enough of a connection's calls.
//!
//! Who shares a connection waits with the others there. So calls are laid aside only where it is the process itself that cannot keep up, and
//! never for long.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, ready};

use futures::task::AtomicWaker;
use tokio::io::{AsyncRead, ReadBuf};

/// With so many of its calls aside a connection is read no further.
const MOST: usize = 8;
/// Bytes that are read at a time while any is: a few calls.
const BITE: usize = 1 << 10;

/// How many calls of a connection are laid aside. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Backpressure(Arc<Counted>);

#[derive(Debug, Default)]
struct Counted {
    aside: AtomicUsize,
    reader: AtomicWaker,
}

impl Backpressure {
    pub(super) fn lay_aside(&self) -> Aside {
        self.0.aside.fetch_add(1, SeqCst);
        Aside(self.0.clone())
    }
}

/// A call that waits, as long as this lives.
#[derive(Debug)]
pub struct Aside(Arc<Counted>);

impl Drop for Aside {
    fn drop(&mut self) {
        if self.0.aside.fetch_sub(1, SeqCst) == MOST {
            self.0.reader.wake();
        }
    }
}

/// Reads a connection, unless it has enough.
pub(super) struct Reader {
    backpressure: Backpressure,
    /// What was read before has had its turn: its calls are aside or are worked on.
    settled: bool,
}

impl Reader {
    pub(super) fn new(backpressure: Backpressure) -> Self {
        Self { backpressure, settled: false }
    }

    pub(super) fn poll_read(
        &mut self,
        socket: &mut (impl AsyncRead + Unpin),
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.backpressure.0.aside.load(SeqCst) == 0 {
            return Pin::new(socket).poll_read(context, buffer);
        }
        ready!(self.poll_relieved(context));
        let mut bite = [0; BITE];
        let mut bite = ReadBuf::new(&mut bite[..BITE.min(buffer.remaining())]);
        ready!(Pin::new(socket).poll_read(context, &mut bite))?;
        buffer.put_slice(bite.filled());
        self.settled = false;
        Poll::Ready(Ok(()))
    }

    /// Ready when the connection may be read on.
    fn poll_relieved(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !self.settled {
            self.settled = true;
            context.waker().wake_by_ref(); // h2 reads until there is nothing, before any call it has read is so much as looked at
            return Poll::Pending;
        }
        let Counted { aside, reader } = &*self.backpressure.0;
        reader.register(context.waker()); // before the look, or the last to leave might miss us
        if aside.load(SeqCst) < MOST { Poll::Ready(()) } else { Poll::Pending }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::AtomicBool;

    use futures::task::{ArcWake, waker};

    use super::*;

    /// A socket in which there is always more to read.
    struct Endless;

    impl AsyncRead for Endless {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            buffer.put_slice(&[7; 16 << 10][..buffer.remaining()]);
            Poll::Ready(Ok(()))
        }
    }

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl ArcWake for Woken {
        fn wake_by_ref(this: &Arc<Self>) {
            this.0.store(true, SeqCst);
        }
    }

    /// A connection's task.
    struct Task {
        backpressure: Backpressure,
        reader: Reader,
        woken: Arc<Woken>,
    }

    impl Task {
        fn new() -> Self {
            let backpressure = Backpressure::default();
            Self { reader: Reader::new(backpressure.clone()), backpressure, woken: Arc::default() }
        }

        fn lay_aside(&self, calls: usize) -> Vec<Aside> {
            (0..calls).map(|_| self.backpressure.lay_aside()).collect()
        }

        /// Bytes it reads into room for so many.
        fn read(&mut self, room: usize) -> Option<usize> {
            let mut buffer = vec![0; room];
            let mut buffer = ReadBuf::new(&mut buffer);
            match self.reader.poll_read(&mut Endless, &mut Context::from_waker(&waker(self.woken.clone())), &mut buffer) {
                Poll::Ready(read) => read.map(|()| Some(buffer.filled().len())).unwrap(),
                Poll::Pending => None,
            }
        }

        fn was_woken(&self) -> bool {
            self.woken.0.swap(false, SeqCst)
        }
    }

    #[test]
    fn while_none_is_aside_it_reads_what_there_is() {
        let mut task = Task::new();
        drop(task.lay_aside(2 * MOST));
        for room in [8 << 10, 100, 16 << 10] {
            assert_eq!(task.read(room), Some(room));
        }
    }

    #[test]
    fn while_some_are_aside_it_reads_a_bite_after_those_of_the_last_had_their_turn() {
        let mut task = Task::new();
        let _aside = task.lay_aside(MOST - 1);
        for (room, bytes) in [(8 << 10, BITE), (100, 100), (BITE, BITE)] {
            assert_eq!((task.read(room), task.was_woken()), (None, true));
            assert_eq!((task.read(room), task.was_woken()), (Some(bytes), false));
        }
    }

    #[test]
    fn while_many_are_aside_it_reads_nothing_and_is_woken_when_enough_have_gone_on() {
        let mut task = Task::new();
        let mut aside = task.lay_aside(MOST + 2);
        assert_eq!((task.read(1), task.was_woken()), (None, true));
        while aside.len() >= MOST {
            assert_eq!((task.read(1), task.was_woken()), (None, false));
            aside.pop();
        }
        assert!(task.was_woken());
        assert_eq!(task.read(1), Some(1));
    }
}
