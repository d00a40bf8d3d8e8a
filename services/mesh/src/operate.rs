//! Commands that do one thing and end.

use crate::{failure::Failure, role::Role, settings::Settings, stores};
use chassis::clock::Clock;
use std::time::Duration;
use store::migrate::Mode;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Brings the tables up to date.
pub(crate) async fn migrate(settings: &Settings) -> Result<(), Failure> {
    visit(settings, Mode::Apply).await
}

/// Settings were read already; the secret and the tables must fit.
pub(crate) async fn check(settings: &Settings) -> Result<(), Failure> {
    visit(settings, Mode::Check).await
}

async fn visit(settings: &Settings, mode: Mode) -> Result<(), Failure> {
    let (secrets, clock) = (stores::secrets(settings)?, Clock::system());
    for role in Role::SERVICES.into_iter().filter(|role| settings.roles().has(*role)) {
        stores::open(settings, role, &secrets, &clock, mode).await?.close().await;
    }
    Ok(())
}

/// Asks the admin port, as an orchestrator without curl would.
pub(crate) async fn healthcheck(settings: &Settings) -> Result<(), Failure> {
    let addr = settings.admin_addr().map_err(Failure::Setting)?;
    let ask = async {
        let mut tcp = TcpStream::connect(addr).await?;
        tcp.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).await.map(|_| answer)
    };
    let answer = timeout(Duration::from_secs(5), ask).await.map_err(|_| Failure::start(format!("{addr} does not answer")))?;
    let answer = answer.map_err(|error| Failure::start(format!("{addr} does not answer: {error}")))?;
    if answer.starts_with("HTTP/1.1 200 ") {
        return Ok(());
    }
    Err(Failure::start(format!("not ready: {}", answer.rsplit("\r\n").next().unwrap_or_default().trim())))
}
