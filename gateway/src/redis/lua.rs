//! Scripts: each is one atomic step, on Redis's own clock.

use redis::{Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, Script, ServerErrorKind, aio::MultiplexedConnection};
use std::sync::OnceLock;

/// A script, by its hash; its text is sent when a connection is made, and when Redis has forgotten it.
pub(crate) struct Lua {
    text: &'static str,
    script: OnceLock<Script>,
}

impl Lua {
    pub(crate) const fn new(text: &'static str) -> Self {
        Self { text, script: OnceLock::new() }
    }

    fn script(&self) -> &Script {
        self.script.get_or_init(|| Script::new(self.text))
    }

    /// Redis knows it from then on.
    pub(crate) async fn load(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        self.script().load_async(connection).await.map(drop)
    }

    /// To be run over so many keys, which are the first arguments.
    pub(crate) fn over(&self, keys: usize) -> Call<'_> {
        let mut command = redis::cmd("EVALSHA");
        command.arg(self.script().get_hash()).arg(keys);
        Call { lua: self, command }
    }
}

/// A script and its arguments.
pub(crate) struct Call<'a> {
    lua: &'a Lua,
    command: Cmd,
}

impl Call<'_> {
    /// One more key or argument.
    pub(crate) fn arg(&mut self, argument: impl redis::ToRedisArgs) -> &mut Self {
        self.command.arg(argument);
        self
    }

    /// Runs it; a second time if Redis was told to forget its scripts.
    pub(crate) async fn run<T: FromRedisValue>(&self, connection: &mut MultiplexedConnection) -> RedisResult<T> {
        match self.command.query_async(connection).await {
            Err(error) if is_forgotten(&error) => {
                self.lua.load(connection).await?;
                self.command.query_async(connection).await
            }
            answer => answer,
        }
    }
}

fn is_forgotten(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}
