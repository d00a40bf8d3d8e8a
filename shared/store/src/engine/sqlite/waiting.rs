//! Who waits for the writer, first come first served.

use super::{
    due::Due,
    joined::TOGETHER,
    loan::{Ack, Loan},
};
use crate::engine::{Error, Result};
use std::{collections::VecDeque, mem};
use tokio::sync::{mpsc, oneshot};

/// How many of those who wait are looked at for jobs of the same text.
const LOOK: usize = 64;

/// What the writer is asked for.
pub(super) enum Asked {
    /// The connection, until the loan ends.
    Loan(oneshot::Sender<Result<Loan>>),
    /// To run these statements as a transaction, and to say when they are kept.
    Job(Due, Ack),
    /// To finish.
    Close,
}

impl Asked {
    /// Nobody waits for it any more.
    fn is_gone(&self) -> bool {
        match self {
            Self::Loan(waiter) => waiter.is_closed(),
            Self::Job(_, ack) => ack.is_closed(),
            Self::Close => false,
        }
    }

    pub(super) fn refuse(self, error: Error) {
        match self {
            Self::Loan(waiter) => drop(waiter.send(Err(error))),
            Self::Job(_, ack) => drop(ack.send(Err(error))),
            Self::Close => {}
        }
    }
}

/// The line, as the writer sees it.
pub(super) struct Waiting {
    queue: mpsc::Receiver<Asked>,
    /// Out of the queue, still to be served.
    taken: VecDeque<Asked>,
}

impl Waiting {
    pub(super) fn new(queue: mpsc::Receiver<Asked>) -> Self {
        Self { queue, taken: VecDeque::new() }
    }

    /// Until somebody waits; false: nobody will.
    pub(super) async fn anybody(&mut self) -> bool {
        self.look();
        if self.taken.is_empty() {
            self.taken.extend(self.queue.recv().await);
        }
        !self.taken.is_empty()
    }

    /// Nobody may ask any more; who did is served.
    fn close(&mut self) {
        self.taken.pop_front();
        self.queue.close();
    }

    /// Takes in who waits by now.
    pub(super) fn look(&mut self) {
        while self.taken.len() < LOOK
            && let Ok(asked) = self.queue.try_recv()
        {
            self.taken.push_back(asked);
        }
    }

    /// The next in line who is still there; the last of all ends the line.
    pub(super) fn next(&mut self) -> Option<Asked> {
        loop {
            match self.taken.front()? {
                Asked::Close => self.close(),
                gone if gone.is_gone() => drop(self.taken.pop_front()),
                _ => return self.taken.pop_front(),
            }
        }
    }

    /// Takes jobs of the same text out of the line, so that there are two, four, eight or sixteen of them.
    pub(super) fn alike(&mut self, dues: &mut Vec<Due>, waiters: &mut Vec<Ack>) {
        let same = |asked: &Asked| matches!(asked, Asked::Job(due, ack) if due.text() == dues[0].text() && !ack.is_closed());
        let count = self.taken.iter().filter(|asked| same(asked)).count();
        let total = 1 << (count + 1).min(TOGETHER).ilog2();
        let mut rest = VecDeque::with_capacity(self.taken.len());
        for asked in mem::take(&mut self.taken) {
            match asked {
                Asked::Job(due, ack) if dues.len() < total && due.text() == dues[0].text() && !ack.is_closed() => {
                    dues.push(due);
                    waiters.push(ack);
                }
                other => rest.push_back(other),
            }
        }
        self.taken = rest;
    }
}
