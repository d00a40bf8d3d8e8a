//! A wire between two processes that a test can make slow, silent, or cut.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

const CHUNK: usize = 64 * 1024;

/// What a wire does with what is sent over it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// It arrives.
    None,
    /// It arrives so much later, in both directions.
    Slow(Duration),
    /// What the server sends arrives so much later.
    Late(Duration),
    /// It arrives when the fault is over.
    Silent,
    /// Connections end, and new ones too.
    Cut,
}

/// A wire from a port of its own to a server that is named later. It lives as long as the runtime in which it was laid.
#[derive(Clone, Debug)]
pub struct Wire {
    addr: SocketAddr,
    server: Arc<OnceLock<SocketAddr>>,
    fault: watch::Sender<Fault>,
}

impl Wire {
    /// A wire without faults.
    pub async fn lay() -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("it is bound");
        let wire = Wire { addr, server: Arc::default(), fault: watch::Sender::new(Fault::None) };
        tokio::spawn(wire.clone().accept(listener));
        wire
    }

    /// Where clients connect.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where it leads; the first call counts.
    pub(crate) fn leads_to(&self, server: SocketAddr) {
        self.server.get_or_init(|| server);
    }

    /// From now on, also for what is under way.
    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    async fn accept(self, listener: TcpListener) {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(self.clone().connection(client));
        }
    }

    async fn connection(self, client: TcpStream) -> io::Result<()> {
        let Some(server) = self.server.get() else { return Ok(()) };
        let mut fault = self.fault.subscribe();
        if *fault.borrow_and_update() == Fault::Cut {
            return Ok(());
        }
        let server = TcpStream::connect(server).await?;
        for end in [&client, &server] {
            end.set_nodelay(true)?;
        }
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        tokio::select! {
            ended = pump(from_client, to_server, self.fault.subscribe(), false) => ended,
            ended = pump(from_server, to_client, self.fault.subscribe(), true) => ended,
            _ = fault.wait_for(|fault| *fault == Fault::Cut) => Ok(()),
        }
    }
}

/// One direction. What is on its way is kept in order, however late it is.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut fault: watch::Receiver<Fault>, answers: bool) -> io::Result<()> {
    let (sender, mut under_way) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let read = async move {
        loop {
            let mut chunk = vec![0; CHUNK];
            let read = from.read(&mut chunk).await?;
            chunk.truncate(read);
            if read == 0 || sender.send((Instant::now(), chunk)).is_err() {
                return Ok(());
            }
        }
    };
    let write = async move {
        while let Some((sent, chunk)) = under_way.recv().await {
            arrives(sent, &mut fault, answers).await;
            to.write_all(&chunk).await?;
        }
        to.shutdown().await
    };
    tokio::try_join!(read, write).map(drop)
}

/// Waits until what was sent then has arrived.
async fn arrives(sent: Instant, fault: &mut watch::Receiver<Fault>, answers: bool) {
    loop {
        let late = match *fault.borrow_and_update() {
            Fault::None => return,
            Fault::Slow(by) => Some(by),
            Fault::Late(by) => Some(if answers { by } else { Duration::ZERO }),
            Fault::Silent | Fault::Cut => None,
        };
        let arrived = async {
            match late {
                Some(by) => sleep_until(sent + by).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = arrived => return,
            changed = fault.changed() => if changed.is_err() { return },
        }
    }
}
