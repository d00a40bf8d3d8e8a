//! What is logged, kept for a test.
#![allow(clippy::unwrap_used)]

use std::io;
use std::sync::{Arc, Mutex};

use tracing::Subscriber;
use tracing_subscriber::layer::SubscriberExt;

use super::Format;

/// The log of one thread. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    /// To be the default of whoever logs.
    pub(crate) fn subscriber(&self, format: Format) -> impl Subscriber + Send + Sync + use<> {
        let sink = self.clone();
        tracing_subscriber::registry().with(tracing_subscriber::fmt::layer().event_format(format).with_writer(move || sink.clone()))
    }

    /// All that was logged.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
