//! The backend that the settings name.

use super::{Charges, Limiter, Memory, Shared, Taken, Windows};
use contract::Refusal;
use tokio_util::sync::CancellationToken;

/// One of them.
#[derive(Debug)]
pub enum Backend {
    /// This gateway counts for itself.
    Memory(Memory),
    /// All gateways count together.
    Shared(Shared),
}

impl Limiter for Backend {
    async fn take(&self, windows: &Windows, cost: u32) -> Result<Taken, Refusal> {
        match self {
            Backend::Memory(memory) => memory.take(windows, cost).await,
            Backend::Shared(shared) => shared.take(windows, cost).await,
        }
    }

    async fn run(&self, stop: CancellationToken) {
        match self {
            Backend::Memory(memory) => memory.run(stop).await,
            Backend::Shared(shared) => shared.run(stop).await,
        }
    }
}

impl Charges for Backend {
    fn charge(&self, windows: &Windows, cost: u32) {
        match self {
            Backend::Memory(memory) => memory.charge(windows, cost),
            Backend::Shared(shared) => shared.charge(windows, cost),
        }
    }
}
