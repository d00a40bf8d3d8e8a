//! What a peer sends, frame by frame, as far as a flood of empty talk must be told from calls.
//!
//! h2 ends floods of resets, CONTINUATION and empty DATA by itself. PING, SETTINGS, PRIORITY, WINDOW_UPDATE and frames of unknown kinds it
//! answers or ignores for ever (200,000 PINGs in HARDENING.md §1): each costs us CPU, and the peer next to none.

use std::time::Duration;

use tokio::time::Instant;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEAD: usize = 9;

/// Frames that h2 counts, or that carry what was asked for.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const CONTINUATION: u8 = 9;

/// What a call explains: WINDOW_UPDATEs for stream and connection, and a PING to measure the way.
const EACH_CALL: u64 = 10;
/// Bytes of ours that explain one more: clients ping and open windows as they read. The answer to a PING has 17 and must not pay for it.
const EACH_BYTES: u64 = 32;
/// The part of the allowance that comes back in a second.
const A_SECOND: u32 = 10;

/// The peer sends more that carries nothing than its calls explain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many HTTP/2 frames that carry nothing")]
pub(super) struct Flood;

/// Walks the heads of a peer's frames, and skips what they carry.
pub(super) struct Frames {
    state: State,
    allowance: Allowance,
}

#[derive(Clone, Copy)]
enum State {
    /// So many bytes of the preface have come.
    Preface(usize),
    /// So many bytes of a head.
    Head([u8; HEAD], usize),
    /// So many bytes of a payload are to come.
    Payload(usize),
    /// Another protocol, or nobody wants to know.
    Other,
}

impl State {
    const HEAD: Self = Self::Head([0; HEAD], 0);
}

impl Frames {
    /// At most `control` frames that carry nothing, beyond what is explained; `None` follows nothing.
    pub(super) fn new(control: Option<u32>) -> Self {
        let state = if control.is_some() { State::Preface(0) } else { State::Other };
        Self { state, allowance: Allowance::new(control.unwrap_or(0)) }
    }

    /// What came in, cut anywhere. After a flood nothing more is followed: the connection ends.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) -> Result<(), Flood> {
        while !bytes.is_empty() {
            let taken = match self.state {
                State::Other => return Ok(()),
                State::Preface(came) => self.preface(came, bytes),
                State::Head(head, came) => self.head(head, came, bytes)?,
                State::Payload(left) => self.payload(left, bytes),
            };
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    /// How many of these bytes belong to the preface; so with the others.
    fn preface(&mut self, came: usize, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(PREFACE.len() - came);
        self.state = match came + taken {
            _ if bytes[..taken] != PREFACE[came..][..taken] => State::Other,
            all if all == PREFACE.len() => State::HEAD,
            some => State::Preface(some),
        };
        taken
    }

    fn head(&mut self, mut head: [u8; HEAD], came: usize, bytes: &[u8]) -> Result<usize, Flood> {
        let taken = bytes.len().min(HEAD - came);
        head[came..][..taken].copy_from_slice(&bytes[..taken]);
        if came + taken < HEAD {
            self.state = State::Head(head, came + taken);
        } else {
            self.begin(head)?;
        }
        Ok(taken)
    }

    fn payload(&mut self, left: usize, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(left);
        self.state = if taken == left { State::HEAD } else { State::Payload(left - taken) };
        taken
    }

    /// So many bytes went out.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.allowance.wrote += bytes as u64;
    }

    /// A frame.
    fn begin(&mut self, [a, b, c, kind, ..]: [u8; HEAD]) -> Result<(), Flood> {
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        self.state = if length == 0 { State::HEAD } else { State::Payload(length) };
        match kind {
            HEADERS => self.allowance.calls += 1,
            DATA | RST_STREAM | CONTINUATION => {}
            _ => return self.allowance.spend(),
        }
        Ok(())
    }
}

/// Reckoned only when it is used up: a connection that sends calls never looks at a clock for it.
struct Allowance {
    most: u32,
    left: u32,
    since: Instant,
    calls: u64,
    wrote: u64,
}

impl Allowance {
    fn new(most: u32) -> Self {
        Self { most, left: most, since: Instant::now(), calls: 0, wrote: 0 }
    }

    fn spend(&mut self) -> Result<(), Flood> {
        if self.left == 0 {
            self.left = self.earned();
        }
        self.left = self.left.checked_sub(1).ok_or(Flood)?;
        Ok(())
    }

    /// Since the last time it was used up; never more than at the beginning.
    fn earned(&mut self) -> u32 {
        let explained = std::mem::take(&mut self.calls) * EACH_CALL + std::mem::take(&mut self.wrote) / EACH_BYTES;
        let now = Instant::now();
        let passed = now.duration_since(std::mem::replace(&mut self.since, now)).min(Duration::from_secs(A_SECOND.into()));
        let regained = u128::from(self.most / A_SECOND) * passed.as_millis() / 1_000;
        let all = explained.saturating_add(u64::try_from(regained).unwrap_or(u64::MAX));
        u32::try_from(all).unwrap_or(u32::MAX).min(self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: u8 = 4;
    const PING: u8 = 6;

    fn frame(kind: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).expect("a short payload").to_be_bytes();
        [&length[1..], &[kind, 0, 0, 0, 0, 0], &vec![PING; payload]].concat()
    }

    /// How many of these frames are taken before the flood is seen.
    fn taken(frames: &mut Frames, frame: &[u8]) -> usize {
        (0..100_000).take_while(|_| frames.follow(frame).is_ok()).count()
    }

    fn begun(control: u32) -> Frames {
        let mut frames = Frames::new(Some(control));
        frames.follow(PREFACE).expect("a preface is no frame");
        frames
    }

    #[tokio::test(start_paused = true)]
    async fn frames_that_carry_nothing_have_an_end_of_each_kind() {
        for (kind, payload) in [(PING, 8), (SETTINGS, 0), (SETTINGS, 36), (2, 5), (8, 4), (0xbe, 16_384)] {
            assert_eq!(taken(&mut begun(100), &frame(kind, payload)), 100, "kind {kind}");
        }
        for (kind, payload) in [(DATA, 16_384), (RST_STREAM, 4), (CONTINUATION, 9), (HEADERS, 60)] {
            assert_eq!(taken(&mut begun(100), &frame(kind, payload)), 100_000, "kind {kind}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_carried_is_no_frame_however_it_is_cut() {
        let bytes = [PREFACE.to_vec(), frame(HEADERS, 70), frame(DATA, 500), frame(PING, 8), frame(DATA, 0), frame(PING, 8)].concat();
        for size in 1..=bytes.len() {
            let mut frames = Frames::new(Some(2));
            assert!(bytes.chunks(size).all(|piece| frames.follow(piece).is_ok()), "in pieces of {size}");
            assert_eq!(frames.allowance.left, 0, "in pieces of {size}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn calls_and_what_is_read_explain_more() {
        let mut frames = begun(100);
        for _ in 0..1_000 {
            assert_eq!(frames.follow(&frame(HEADERS, 60)), Ok(()));
            frames.wrote(64);
            for _ in 0..12 {
                assert_eq!(frames.follow(&frame(PING, 8)), Ok(()));
            }
        }
        assert!(taken(&mut frames, &frame(PING, 8)) <= 200);
    }

    #[tokio::test(start_paused = true)]
    async fn the_answers_to_a_flood_do_not_pay_for_it() {
        let mut frames = begun(100);
        let taken = (0..100_000).take_while(|_| {
            frames.wrote(17);
            frames.follow(&frame(PING, 8)).is_ok()
        });
        assert!(taken.count() < 300);
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_time_gives_back_a_tenth_a_second() {
        let mut allowance = Allowance::new(100);
        for (seconds, back) in [(0, 100), (0, 0), (1, 10), (3, 30), (3_600, 100)] {
            tokio::time::advance(Duration::from_secs(seconds)).await;
            assert_eq!((0..1_000).take_while(|_| allowance.spend().is_ok()).count(), back, "after {seconds} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_http2_is_not_followed() {
        let other = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n".repeat(1_000);
        assert_eq!(Frames::new(Some(1)).follow(&other), Ok(()));
        assert_eq!(Frames::new(None).follow(&[PREFACE.to_vec(), frame(PING, 8).repeat(1_000)].concat()), Ok(()));
    }
}
