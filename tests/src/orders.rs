//! A server that a script of ours keeps: it takes orders on its standard input, and ends with it.

use crate::tools;
use std::{
    fmt,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Mutex, PoisonError},
};

/// The script, and what it said first.
pub(crate) struct Orders {
    said: String,
    keeper: Child,
    pipes: Mutex<Option<(ChildStdin, BufReader<ChildStdout>)>>,
}

impl fmt::Debug for Orders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Orders").field(&self.said).finish()
    }
}

impl Orders {
    /// Starts it, and waits for its first line, which must begin like that.
    pub(crate) fn to(script: &str, arguments: &[&str], begins: &str) -> Orders {
        let mut keeper = Command::new(tools::repository().join(script));
        let mut keeper = keeper.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the script is there");
        let orders = keeper.stdin.take().expect("it is piped");
        let mut answers = BufReader::new(keeper.stdout.take().expect("it is piped"));
        let mut said = String::new();
        answers.read_line(&mut said).expect("it says where it listens");
        assert!(said.starts_with(begins), "{script} did not start: run tests/install");
        Orders { said: said.trim().to_owned(), keeper, pipes: Mutex::new(Some((orders, answers))) }
    }

    /// Its first line.
    pub(crate) fn said(&self) -> &str {
        &self.said
    }

    /// Waits until it is done.
    pub(crate) fn order(&self, order: &str) {
        let mut pipes = self.pipes.lock().unwrap_or_else(PoisonError::into_inner);
        let (orders, answers) = pipes.as_mut().expect("it is taken when this is dropped");
        writeln!(orders, "{order}").expect("the script lives as long as we do");
        let mut line = String::new();
        answers.read_line(&mut line).expect("an answer");
        assert_eq!(line, "done\n", "{order}");
    }
}

impl Drop for Orders {
    fn drop(&mut self) {
        drop(self.pipes.get_mut().unwrap_or_else(PoisonError::into_inner).take());
        let _ = self.keeper.wait();
    }
}
