//! How much a listener gives its peers.

use std::time::Duration;

/// The bounds of one listener. Begin with [`Limits::public`], [`Limits::internal`] or [`Limits::admin`].
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections of all peers; the process's limit of open files may lower it.
    pub connections: usize,
    /// Connections of one address; an IPv6 /64 is one. Behind a balancer all peers are one.
    pub connections_per_ip: usize,
    /// For the HTTP/2 preface, and for an HTTP/1 head, also between two requests.
    pub preface: Duration,
    /// An HTTP/2 PING after so long a silence.
    pub ping: Duration,
    /// And the end when it is not answered for so long.
    pub pong: Duration,
    /// A connection without an open stream for so long is sent away.
    pub idle: Duration,
    /// So old a connection is sent away (give or take a tenth, so that who came together need not return together).
    pub age: Duration,
    /// From GOAWAY to the hard close, at shutdown as at `age`.
    pub grace: Duration,
    /// Streams open at once on one connection.
    pub streams: u32,
    /// How many streams a peer may reset before we took them up; `None` is h2's own 20, which ends rapid resets.
    pub resets: Option<usize>,
    /// Frames that carry nothing (PING, SETTINGS, PRIORITY, WINDOW_UPDATE, unknown ones), beyond what calls and answers explain; a tenth comes
    /// back in a second. More end the connection with ENHANCE_YOUR_CALM; `None` is no limit.
    pub control: Option<u32>,
    /// Bytes of request metadata, as HTTP/2 counts them.
    pub metadata: u32,
    /// Bytes of one request message.
    pub message: u32,
    /// For the arrival of one message, and then as long as its size takes at 16 KiB a second.
    pub message_read: Duration,
    /// Bytes of all messages together that are half-received, or long and not yet used.
    pub receiving: usize,
    /// Calls whose answer has not begun.
    pub in_flight: usize,
    /// Until the answer begins; not for client-streaming methods.
    pub deadline: Duration,
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Limits {
    /// For strangers.
    #[must_use]
    pub const fn public() -> Self {
        Self {
            connections: 10_000,
            connections_per_ip: 100,
            preface: seconds(10),
            ping: seconds(30),
            pong: seconds(10),
            idle: seconds(300),
            age: seconds(1_800),
            grace: seconds(25),
            streams: 100,
            resets: None,
            control: Some(1_000),
            metadata: 16 << 10,
            message: 4 << 20,
            message_read: seconds(10),
            receiving: 256 << 20,
            in_flight: 1_000,
            deadline: seconds(30),
        }
    }

    /// For other parts of the mesh: a gateway carries the streams of many callers on one connection, and one that
    /// drops a thousand of them must not end the others'.
    #[must_use]
    pub const fn internal() -> Self {
        Self {
            connections_per_ip: usize::MAX,
            streams: 10_000,
            resets: Some(1 << 20),
            control: None,
            metadata: 64 << 10,
            in_flight: 10_000,
            ..Self::public()
        }
    }

    /// For who operates the process: few connections, since the files that [`serve`](super::serve) leaves to the rest of it are few.
    #[must_use]
    pub const fn admin() -> Self {
        Self { connections: 32, connections_per_ip: 16, streams: 10, ..Self::public() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// HARDENING.md §1. Other tests shorten what takes minutes.
    #[test]
    fn strangers_have_as_much_as_a_careful_team_gives_them() {
        let limits = Limits::public();
        let times = [limits.preface, limits.message_read, limits.ping, limits.pong, limits.idle, limits.age, limits.deadline, limits.grace];
        assert_eq!(times.map(|time| time.as_secs()), [10, 10, 30, 10, 5 * 60, 30 * 60, 30, 25]);
        assert_eq!((limits.streams, limits.connections_per_ip, limits.message), (100, 100, 4 << 20));
        assert_eq!((limits.metadata, limits.resets, limits.control), (16 << 10, None, Some(1_000)));
    }

    #[test]
    fn who_operates_waits_for_nobody_longer_than_strangers_do() {
        let (admin, public) = (Limits::admin(), Limits::public());
        assert_eq!((admin.preface, admin.idle, admin.age), (public.preface, public.idle, public.age));
        assert!(2 * admin.connections_per_ip <= admin.connections, "one address leaves room for another");
    }
}
