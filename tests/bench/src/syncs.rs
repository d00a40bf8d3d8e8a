//! How often a process has the disk write, counted by strace while a load runs.

use crate::process::Process;
use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

/// strace, attached.
pub(crate) struct Syncs {
    strace: Child,
    errors: BufReader<std::process::ChildStderr>,
}

impl Syncs {
    pub(crate) fn of(process: &Process) -> Syncs {
        let mut strace = Command::new("strace")
            .args(["-f", "-c", "-e", "trace=fsync,fdatasync", "-p", &process.id().to_string()])
            .stderr(Stdio::piped())
            .spawn()
            .expect("strace is installed (make bench does it)");
        let mut errors = BufReader::new(strace.stderr.take().expect("piped"));
        let mut line = String::new();
        errors.read_line(&mut line).expect("text");
        assert!(line.contains("attached"), "{line}");
        Syncs { strace, errors }
    }

    /// How many there were.
    pub(crate) fn count(mut self) -> u64 {
        let interrupted = Command::new("kill").args(["-INT", &self.strace.id().to_string()]).status().expect("kill is there");
        assert!(interrupted.success());
        let calls = self.errors.lines().map_while(Result::ok).filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let sync = fields.last().is_some_and(|name| matches!(*name, "fsync" | "fdatasync"));
            sync.then(|| fields[3].parse::<u64>().expect("the column of calls"))
        });
        let sum = calls.sum();
        let _ = self.strace.wait();
        sum
    }
}
