//! What one process does of the whole.

use serde::Deserialize;
use std::collections::BTreeSet;

/// A part of the mesh.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    Gateway,
    Identity,
    Ontology,
    Events,
}

impl Role {
    pub(crate) const ALL: [Role; 4] = [Role::Gateway, Role::Identity, Role::Ontology, Role::Events];

    /// The services, in the order in which they start.
    pub(crate) const SERVICES: [Role; 3] = [Role::Events, Role::Identity, Role::Ontology];

    /// As it is written in settings, and as services are addressed in signatures.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Role::Gateway => "gateway",
            Role::Identity => "identity",
            Role::Ontology => "ontology",
            Role::Events => "events",
        }
    }

    /// The admin port where none is set.
    pub(crate) fn admin_port(self) -> u16 {
        match self {
            Role::Gateway => 9090,
            Role::Identity => 9001,
            Role::Ontology => 9002,
            Role::Events => 9003,
        }
    }
}

/// The roles of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Roles(BTreeSet<Role>);

impl Roles {
    /// None named is all.
    pub(crate) fn of(named: &[Role]) -> Roles {
        let named = if named.is_empty() { &Role::ALL } else { named };
        Roles(named.iter().copied().collect())
    }

    pub(crate) fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }

    /// Other processes do a part of the work.
    pub(crate) fn is_split(&self) -> bool {
        self.0.len() < Role::ALL.len()
    }

    /// The one that names the process: the gateway, if it is there.
    pub(crate) fn first(&self) -> Role {
        self.0.first().copied().unwrap_or(Role::Gateway)
    }

    /// For the telemetry: `onemesh`, or `onemesh-identity-events`.
    pub(crate) fn service_name(&self) -> String {
        if !self.is_split() {
            return "onemesh".to_owned();
        }
        self.0.iter().fold("onemesh".to_owned(), |name, role| format!("{name}-{}", role.word()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_role_is_every_role() {
        let all = Roles::of(&[]);
        assert!(Role::ALL.iter().all(|role| all.has(*role)) && !all.is_split());
        assert_eq!(all.service_name(), "onemesh");
    }

    #[test]
    fn a_part_is_named_by_its_roles() {
        let part = Roles::of(&[Role::Events, Role::Identity, Role::Events]);
        assert!(part.is_split() && !part.has(Role::Gateway));
        assert_eq!((part.service_name().as_str(), part.first()), ("onemesh-identity-events", Role::Identity));
    }
}
