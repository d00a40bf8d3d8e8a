//! A server in a process of its own, and what the operating system says it used.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// How long it must have had nothing to do: longer than a gateway gathers what is to be kept on record. And how often that is looked for at
/// most.
const REST: Duration = Duration::from_millis(1_200);
const LOOKS: usize = 25;

/// Killed when dropped.
pub(crate) struct Process {
    child: Child,
    /// Where it listens.
    pub(crate) addr: String,
    /// Where its admin port is, if it has one.
    pub(crate) admin: String,
}

impl Process {
    /// Starts `command` and waits for the line in which it says where `listener` listens, and the one in which it is ready.
    pub(crate) fn start(command: &mut Command, listener: &str) -> Process {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let (mut addr, mut admin) = (String::new(), String::new());
        for line in lines.by_ref() {
            let line = line.expect("text");
            let Ok(said) = serde_json::from_str::<serde_json::Value>(&line) else { continue };
            let at = || said["addr"].as_str().unwrap_or_default().to_owned();
            if said["listening"] == listener {
                addr = at();
            }
            if said["listening"] == "admin" {
                admin = at();
            }
            if said["ready"] == true {
                break;
            }
        }
        assert!(!addr.is_empty(), "the server ended before it listened");
        std::thread::spawn(move || lines.for_each(drop)); // it must never block on a full pipe
        Process { child, addr, admin }
    }

    /// A Redis with nothing in it, as `tests/install` installs it.
    pub(crate) fn redis() -> Process {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port().to_string();
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no"]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("tests/install installs it");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("Ready to accept connections")), "Redis ended before it listened");
        std::thread::spawn(move || lines.for_each(drop));
        Process { child, addr: format!("127.0.0.1:{port}"), admin: String::new() }
    }

    /// CPU time of all its threads so far.
    pub(crate) fn cpu(&self) -> Duration {
        cpu(&self.proc("stat"))
    }

    /// Waits until it has done what was left to do, and uses less than a twentieth of a core.
    pub(crate) async fn rests(&self) {
        for _ in 0..LOOKS {
            let before = self.cpu();
            tokio::time::sleep(REST).await;
            if self.cpu() - before < REST / 20 {
                return;
            }
        }
    }

    /// Resident memory in MiB.
    pub(crate) fn resident(&self) -> f64 {
        let status = self.proc("status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a live process");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).expect("KiB") / 1024.0
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).expect("a live process")
    }
}

/// All threads of a process run on these cores from now on, as taskset writes them.
pub(crate) fn pin(process: u32, cores: &str) {
    let pinned = Command::new("taskset").args(["--all-tasks", "--cpu-list", "--pid", cores, &process.to_string()]).stdout(Stdio::null()).status();
    assert!(pinned.expect("util-linux has it").success());
}

/// CPU time of this process so far.
pub(crate) fn own_cpu() -> Duration {
    cpu(&std::fs::read_to_string("/proc/self/stat").expect("Linux"))
}

fn cpu(stat: &str) -> Duration {
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = [11, 12].iter().map(|at| fields[*at].parse::<u64>().expect("a number")).sum(); // utime, stime
    Duration::from_millis(ticks * 10) // USER_HZ is 100 on every Linux
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
