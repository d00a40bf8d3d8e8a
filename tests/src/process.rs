//! One process of onemesh.

use crate::{reaper, tools};
use serde_json::Value;
use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(40);

/// A running process. Dropped, it is killed.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    said: Arc<Said>,
    readers: Vec<JoinHandle<()>>,
}

/// How a process ended, and all it said.
#[derive(Debug)]
pub struct Exit {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

#[derive(Debug, Default)]
struct Said {
    words: Mutex<Words>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct Words {
    listening: HashMap<String, SocketAddr>,
    ready: bool,
    closed: usize,
    stdout: String,
    stderr: String,
}

impl Said {
    fn words(&self) -> MutexGuard<'_, Words> {
        self.words.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self, line: &str, stdout: bool) {
        let mut words = self.words();
        if stdout && let Ok(said) = serde_json::from_str::<Value>(line) {
            if let (Some(name), Some(Ok(addr))) = (said["listening"].as_str(), said["addr"].as_str().map(str::parse)) {
                words.listening.insert(name.to_owned(), addr);
            }
            words.ready |= said["ready"] == true;
        }
        let text = if stdout { &mut words.stdout } else { &mut words.stderr };
        text.push_str(line);
        text.push('\n');
        self.news.notify_all();
    }

    fn read(self: &Arc<Self>, pipe: impl Read + Send + 'static, stdout: bool) -> JoinHandle<()> {
        let said = Arc::clone(self);
        thread::spawn(move || {
            let mut lines = BufReader::new(pipe);
            let mut line = Vec::new();
            while lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                said.line(String::from_utf8_lossy(&line).trim_end(), stdout);
                line.clear();
            }
            said.words().closed += 1;
            said.news.notify_all();
        })
    }
}

/// The binary, which may raise its limit of open files no higher than that.
fn binary(files: Option<usize>) -> Command {
    let Some(most) = files else { return Command::new(tools::binary()) };
    let mut command = Command::new("prlimit"); // becomes what it starts, so the process is ours
    command.arg(format!("--nofile={most}:{most}")).arg(tools::binary());
    command
}

impl Process {
    /// Starts the binary with those arguments and `ONE_…` settings, and with nothing else of our environment that it would read.
    pub fn spawn(name: &str, arguments: &[&str], settings: &[(String, String)]) -> Process {
        Process::spawn_with(None, name, arguments, settings)
    }

    /// The same, with so many open files at most.
    pub(crate) fn spawn_with(files: Option<usize>, name: &str, arguments: &[&str], settings: &[(String, String)]) -> Process {
        let mut command = binary(files);
        for (variable, _) in std::env::vars().filter(|(name, _)| name.starts_with("ONE_") || name.starts_with("OTEL_")) {
            command.env_remove(variable);
        }
        command.args(arguments).envs(settings.iter().map(|(name, value)| (name, value)));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        reaper::process(child.id());
        let said = Arc::<Said>::default();
        let out = child.stdout.take().expect("it is piped");
        let err = child.stderr.take().expect("it is piped");
        let readers = vec![said.read(out, true), said.read(err, false)];
        Process { name: name.to_owned(), child, said, readers }
    }

    /// Waits until it serves.
    ///
    /// # Panics
    /// If it ends, or takes a minute.
    pub fn ready(self) -> Process {
        let begun = Instant::now();
        let mut words = self.said.words();
        while !words.ready {
            let wrong = if words.closed == self.readers.len() { "ended" } else { "is not ready after a minute" };
            let alive = words.closed < self.readers.len() && begun.elapsed() < START;
            assert!(alive, "{} {wrong}:\n{}{}", self.name, words.stdout, words.stderr);
            words = self.said.news.wait_timeout(words, Duration::from_millis(100)).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(words);
        self
    }

    /// Where a listener of it is: `gateway`, `identity`, `ontology`, `events` or `admin`.
    ///
    /// # Panics
    /// If it has said nothing of that listener.
    pub fn addr(&self, listener: &str) -> SocketAddr {
        let words = self.said.words();
        *words.listening.get(listener).unwrap_or_else(|| panic!("{} does not listen as {listener}: {:?}", self.name, words.listening))
    }

    /// kill -9.
    pub fn kill(mut self) -> Exit {
        self.end();
        self.wait()
    }

    /// Ctrl-C.
    pub fn interrupt(self) -> Exit {
        self.signal("INT");
        self.wait()
    }

    /// What a supervisor sends first.
    pub fn terminate(self) -> Exit {
        self.signal("TERM");
        self.wait()
    }

    /// Sends a signal by name, and does not wait.
    ///
    /// # Panics
    /// If there is no such process any more.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "{} can't be sent {name}", self.name);
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// If it does not within 40 seconds.
    pub fn wait(mut self) -> Exit {
        let begun = Instant::now();
        let mut words = self.said.words();
        while words.closed < self.readers.len() {
            assert!(begun.elapsed() < STOP, "{} does not end:\n{}", self.name, words.stderr);
            words = self.said.news.wait_timeout(words, Duration::from_millis(100)).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(words);
        let status = self.child.wait().expect("it is our child");
        reaper::ended(self.child.id());
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        let words = self.said.words();
        Exit { code: status.code(), stdout: words.stdout.clone(), stderr: words.stderr.clone() }
    }

    /// Waits until its standard output contains the words; whether it ever did before its end.
    pub fn said_until(&self, text: &str) -> bool {
        let begun = Instant::now();
        let mut words = self.said.words();
        while !words.stdout.contains(text) && words.closed < self.readers.len() && begun.elapsed() < START {
            words = self.said.news.wait_timeout(words, Duration::from_millis(100)).unwrap_or_else(PoisonError::into_inner).0;
        }
        words.stdout.contains(text)
    }

    /// How much it has said so far, as a place in [`Process::log`].
    pub fn mark(&self) -> usize {
        self.said.words().stderr.len()
    }

    /// What it logged after a mark, with its name above.
    pub fn log_after(&self, mark: usize) -> String {
        let words = self.said.words();
        format!("--- {} (process {})\n{}", self.name, self.child.id(), words.stderr.get(mark..).unwrap_or_default())
    }

    /// All it logged.
    pub fn log(&self) -> String {
        self.log_after(0)
    }

    /// All it logged, and all it wrote to standard output.
    pub fn all(&self) -> String {
        let words = self.said.words();
        format!("{}{}", words.stderr, words.stdout)
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        reaper::ended(self.child.id());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.readers.is_empty() {
            return; // it was waited for
        }
        self.end();
        if thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}
