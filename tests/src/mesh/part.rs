//! A place for one process in the mesh: it may be killed, and started again where it was.

use super::Role;
use crate::Process;
use std::{
    collections::HashMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

#[derive(Debug)]
pub(super) struct Part {
    name: String,
    /// None is all of them.
    role: Option<Role>,
    settings: Vec<(String, String)>,
    files: Option<usize>,
    data: PathBuf,
    process: Option<Process>,
    /// What the process bound first, for its followers.
    bound: HashMap<&'static str, SocketAddr>,
}

impl Part {
    pub(super) fn new(name: String, role: Option<Role>, data: PathBuf, settings: Vec<(String, String)>, files: Option<usize>) -> Part {
        Part { name, role, settings, files, data, process: None, bound: HashMap::new() }
    }

    pub(super) fn does(&self, role: Role) -> bool {
        self.role.is_none_or(|own| own == role)
    }

    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    pub(super) fn addr(&self, listener: &str) -> SocketAddr {
        *self.bound.get(listener).unwrap_or_else(|| panic!("{} does not listen as {listener}", self.name))
    }

    pub(super) fn process(&self) -> &Process {
        self.process.as_ref().unwrap_or_else(|| panic!("{} was taken away", self.name))
    }

    /// Starts it, and does not wait.
    pub(super) fn spawn(&mut self) {
        let arguments: Vec<&str> = self.role.iter().flat_map(|role| ["--role", role.word()]).collect();
        let mut settings = self.settings.clone();
        for (listener, addr) in &self.bound {
            settings.push((format!("ONE_{}_ADDR", listener.to_uppercase()), addr.to_string()));
        }
        self.process = Some(Process::spawn_with(self.files, &self.name, &arguments, &settings));
    }

    /// Waits until it serves, and keeps where.
    pub(super) fn ready(&mut self) {
        let process = self.take().ready();
        let listener = self.role.unwrap_or(Role::Gateway).word();
        self.bound = ["admin", listener].into_iter().map(|name| (name, process.addr(name))).collect();
        self.process = Some(process);
    }

    pub(super) fn start(&mut self) {
        self.spawn();
        self.ready();
    }

    pub(super) fn take(&mut self) -> Process {
        self.process.take().unwrap_or_else(|| panic!("{} was taken away", self.name))
    }

    pub(super) fn mark(&self) -> usize {
        self.process.as_ref().map_or(0, Process::mark)
    }

    pub(super) fn log_after(&self, mark: usize) -> String {
        self.process.as_ref().map_or_else(String::new, |process| process.log_after(mark))
    }
}
