//! Whether this process should be sent calls.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// What must hold before the process is ready; clones are the same. Without a need it is ready until it leaves.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    leaving: AtomicBool,
    needs: Mutex<Vec<Need>>,
}

/// One thing that must hold. Begins as not.
#[derive(Clone, Debug)]
pub struct Need {
    name: &'static str,
    holds: Arc<AtomicBool>,
}

impl Need {
    /// It holds now, or no longer.
    pub fn set(&self, holds: bool) {
        self.holds.store(holds, Relaxed);
    }
}

impl Readiness {
    /// Readiness also needs this from now on.
    #[must_use]
    pub fn needs(&self, name: &'static str) -> Need {
        let need = Need { name, holds: Arc::default() };
        self.0.needs.lock().unwrap_or_else(PoisonError::into_inner).push(need.clone());
        need
    }

    /// The process drains: never ready again.
    pub fn leave(&self) {
        self.0.leaving.store(true, Relaxed);
    }

    /// Why it is not ready, as a sentence; `None`: it is.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        if self.0.leaving.load(Relaxed) {
            return Some("draining".to_owned());
        }
        let needs = self.0.needs.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = needs.iter().find(|need| !need.holds.load(Relaxed))?;
        Some(format!("waiting for {}", missing.name))
    }
}
