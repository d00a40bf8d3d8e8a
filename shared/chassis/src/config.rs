//! Settings in four layers: the defaults compiled in, a file, `ONE_…` variables, the command line; the later wins.
//!
//! The defaults are TOML and hold **every** setting: what is not there is unknown, and its type decides how the text
//! of a variable is read. So `gateway.addr` is `ONE_GATEWAY_ADDR`, a list is comma-separated, and a misspelt name
//! stops the start instead of being ignored. Every error is one sentence that names the setting and where it was set.
//!
//! ```
//! use chassis::config::{self, Layers};
//!
//! #[derive(serde::Deserialize)]
//! struct Settings {
//!     roles: Vec<String>,
//!     #[serde(with = "config::duration")]
//!     gather: std::time::Duration,
//! }
//! let settings: Settings = Layers::new("roles = []\ngather = \"20ms\"")
//!     .environment([("ONE_ROLES".to_owned(), "gateway,events".to_owned())])?
//!     .set("gather", "1s")?
//!     .settings()?;
//! assert_eq!(settings.roles, ["gateway", "events"]);
//! assert_eq!(settings.gather.as_secs(), 1);
//! # Ok::<(), config::Error>(())
//! ```

pub mod duration;
mod environment;
mod error;
mod layers;
pub mod size;

pub use error::Error;
pub use layers::Layers;
