//! All settings of a process, read once and checked before any port is open.

use crate::{
    command::Arguments,
    role::{Role, Roles},
};
use chassis::{
    config::{self, Layers, duration},
    telemetry::Format,
};
use identity::tiers::Tier;
use serde::Deserialize;
use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

const DEFAULTS: &str = include_str!("../defaults.toml");

/// As in `defaults.toml`, which holds the meaning of each.
#[derive(Debug, Deserialize)]
pub(crate) struct Settings {
    pub(crate) data_dir: PathBuf,
    roles: Vec<Role>,
    pub(crate) database_url: String,
    migrate_database_url: String,
    pub(crate) migrate: bool,
    secret_file: PathBuf,
    bootstrap_tier: String,
    pub(crate) gateway: Gateway,
    admin: Admin,
    identity: Service,
    ontology: Service,
    events: Service,
    pub(crate) redis: Redis,
    pub(crate) relay: Relay,
    pub(crate) drain: Drain,
    pub(crate) log: Log,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Gateway {
    pub(crate) addr: SocketAddr,
    pub(crate) cors_origins: Vec<String>,
    pub(crate) trusted_proxies: Vec<String>,
    pub(crate) in_flight: usize,
    pub(crate) waiting: usize,
    pub(crate) anonymous_per_minute: i64,
    pub(crate) anonymous_per_day: i64,
    pub(crate) reflection: bool,
    #[serde(with = "duration")]
    pub(crate) gather_requests: Duration,
}

#[derive(Debug, Deserialize)]
struct Admin {
    addr: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Service {
    pub(crate) addr: SocketAddr,
    url: String,
}

#[derive(Deserialize)]
pub(crate) struct Redis {
    pub(crate) url: String,
    #[serde(with = "duration")]
    pub(crate) timeout: Duration,
    pub(crate) away: Away,
}

/// The URL may hold a password.
impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("timeout", &self.timeout).field("away", &self.away).finish_non_exhaustive()
    }
}

/// What a gateway does without its Redis.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Away {
    Local,
    Closed,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Relay {
    #[serde(with = "duration")]
    pub(crate) gather: Duration,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Drain {
    #[serde(with = "duration")]
    pub(crate) linger: Duration,
    #[serde(with = "duration")]
    pub(crate) grace: Duration,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Log {
    /// Of the log, and of what is announced on standard output.
    pub(crate) format: Format,
    pub(crate) filter: String,
}

impl Settings {
    /// The four layers, and the rules between settings. The error is a sentence for the operator.
    pub(crate) fn read(arguments: &Arguments, environment: impl Iterator<Item = (String, String)>) -> Result<Settings, String> {
        let layered = || -> Result<Settings, config::Error> {
            let mut layers = Layers::new(DEFAULTS);
            if let Some(file) = &arguments.config {
                layers = layers.file(file)?;
            }
            layers = layers.environment(environment)?;
            if !arguments.role.is_empty() {
                layers = layers.set("roles", &arguments.role.join(","))?;
            }
            layers.settings()
        };
        let settings = layered().map_err(|error| error.to_string())?;
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), String> {
        let refuse = |sentence: String| Err(sentence);
        if self.roles().is_split() && self.secret_file.as_os_str().is_empty() {
            return refuse("secret_file is not set: the processes of a split mesh must share one root secret; set ONE_SECRET_FILE".to_owned());
        }
        for (name, url) in [("database_url", &self.database_url), ("migrate_database_url", &self.migrate_database_url)] {
            if !url.is_empty() && !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
                return refuse(format!("{name} must begin with postgres://, or be empty for SQLite files in data_dir"));
            }
        }
        if Tier::parse(&self.bootstrap_tier).is_none() {
            return refuse(format!("bootstrap_tier is {:?}; it must be starter, pro or enterprise", self.bootstrap_tier));
        }
        if self.gateway.in_flight == 0 {
            return refuse("gateway.in_flight must be at least 1".to_owned());
        }
        if self.redis.timeout.is_zero() {
            return refuse("redis.timeout must be longer than nothing".to_owned());
        }
        for role in Role::SERVICES {
            self.urls(role)?;
        }
        self.admin_addr().map(drop)
    }

    pub(crate) fn roles(&self) -> Roles {
        Roles::of(&self.roles)
    }

    pub(crate) fn bootstrap_tier(&self) -> Tier {
        Tier::parse(&self.bootstrap_tier).expect("checked when it was read")
    }

    pub(crate) fn service(&self, role: Role) -> &Service {
        match role {
            Role::Identity => &self.identity,
            Role::Ontology => &self.ontology,
            Role::Events => &self.events,
            Role::Gateway => unreachable!("the gateway is no service"),
        }
    }

    /// `host:port` of each replica of a service.
    pub(crate) fn urls(&self, role: Role) -> Result<Vec<String>, String> {
        let text = &self.service(role).url;
        let authority = |url: &str| {
            let authority = url.trim().strip_prefix("http://")?.trim_end_matches('/');
            let (host, port) = authority.rsplit_once(':')?;
            (!host.is_empty() && port.parse::<u16>().is_ok()).then(|| authority.to_owned())
        };
        let all: Option<Vec<String>> = text.split(',').map(authority).collect();
        all.ok_or_else(|| format!("{}.url is {text:?}; it must be http://host:port, several with commas", role.word()))
    }

    pub(crate) fn admin_addr(&self) -> Result<SocketAddr, String> {
        if self.admin.addr.is_empty() {
            return Ok((Ipv4Addr::LOCALHOST, self.roles().first().admin_port()).into());
        }
        self.admin.addr.parse().map_err(|_| format!("admin.addr is {:?}; it must be an address and a port, like 127.0.0.1:9090", self.admin.addr))
    }

    /// The root secret's file, and whether it may be made if it is missing.
    pub(crate) fn secret_file(&self) -> (PathBuf, bool) {
        if self.secret_file.as_os_str().is_empty() {
            (self.data_dir.join("secret"), true)
        } else {
            (self.secret_file.clone(), !self.roles().is_split())
        }
    }

    /// Whether this process has stores in files.
    pub(crate) fn is_on_sqlite(&self) -> bool {
        self.database_url.is_empty() && Role::SERVICES.iter().any(|role| self.roles().has(*role))
    }

    /// The database whose role owns the tables.
    pub(crate) fn migration_url(&self) -> &str {
        if self.migrate_database_url.is_empty() { &self.database_url } else { &self.migrate_database_url }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn read(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Settings, String> {
        let arguments = Arguments::try_parse_from([&["onemesh"], arguments].concat()).map_err(|e| e.to_string())?;
        Settings::read(&arguments, environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn the_defaults_are_one_process_on_sqlite() {
        let settings = read(&[], &[]).expect("defaults");
        assert!(!settings.roles().is_split() && settings.database_url.is_empty() && settings.migrate && settings.is_on_sqlite());
        assert!(!read(&["--role", "gateway"], &[("ONE_SECRET_FILE", "s")]).expect("valid").is_on_sqlite());
        assert_eq!(settings.gateway.addr.to_string(), "127.0.0.1:8080");
        assert_eq!(settings.admin_addr().expect("an address").to_string(), "127.0.0.1:9090");
        assert_eq!(settings.secret_file(), (PathBuf::from("data/secret"), true));
    }

    #[test]
    fn roles_of_the_command_line_stand_over_the_environment() {
        let settings = read(&["--role", "identity", "--role", "events"], &[("ONE_ROLES", "gateway"), ("ONE_SECRET_FILE", "s")]).expect("valid");
        assert!(settings.roles().has(Role::Identity) && settings.roles().has(Role::Events) && !settings.roles().has(Role::Gateway));
        assert_eq!(settings.admin_addr().expect("an address").port(), 9001);
        assert_eq!(settings.secret_file(), (PathBuf::from("s"), false));
    }

    #[test]
    fn replicas_are_listed_with_commas() {
        let settings = read(&[], &[("ONE_IDENTITY_URL", "http://10.0.0.1:7001, http://identity:7001/")]).expect("valid");
        assert_eq!(settings.urls(Role::Identity).expect("two"), ["10.0.0.1:7001", "identity:7001"]);
    }

    #[test]
    fn a_bad_setting_is_a_sentence_that_names_it() {
        for (arguments, environment, names) in [
            (&[][..], &[("ONE_GATEWAY_ADDR", "8080")][..], "gateway.addr"),
            (&[], &[("ONE_GATEWAY_ADRR", "127.0.0.1:1")], "ONE_GATEWAY_ADRR"),
            (&[], &[("ONE_DATABASE_URL", "mysql://x")], "database_url"),
            (&[], &[("ONE_BOOTSTRAP_TIER", "gold")], "bootstrap_tier"),
            (&[], &[("ONE_RELAY_GATHER", "soon")], "relay.gather"),
            (&[], &[("ONE_EVENTS_URL", "https://events")], "events.url"),
            (&[], &[("ONE_ADMIN_ADDR", "x")], "admin.addr"),
            (&["--role", "cook"], &[("ONE_SECRET_FILE", "s")], "roles"),
            (&["--role", "gateway"], &[], "secret_file"),
            (&[], &[("ONE_GATEWAY_IN_FLIGHT", "0")], "gateway.in_flight"),
            (&[], &[("ONE_REDIS_TIMEOUT", "0s")], "redis.timeout"),
            (&[], &[("ONE_REDIS_AWAY", "open")], "redis.away"),
            (&["--config", "/nowhere.toml"], &[], "/nowhere.toml"),
        ] {
            let sentence = read(arguments, environment).expect_err(names);
            assert!(sentence.contains(names) && !sentence.contains('\n'), "{sentence}");
        }
    }
}
