//! Takes away what a test binary leaves behind: statics are never dropped, and a run may be killed.
//!
//! A shell waits at the end of a pipe that only this process holds. When the pipe closes, for whatever reason, it kills the processes and
//! removes the folders that it was told of and that were not taken back.

use std::{
    fmt::Display,
    io::Write,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{LazyLock, Mutex, PoisonError},
};

const SCRIPT: &str = r#"
trap '' INT TERM HUP
declare -A pids folders
while IFS= read -r line; do
    case $line in
        "+pid "*) pids[${line#* }]=1 ;;
        "-pid "*) unset "pids[${line#* }]" ;;
        "+folder "*) folders[${line#* }]=1 ;;
    esac
done
for pid in "${!pids[@]}"; do kill -9 "$pid"; done
for folder in "${!folders[@]}"; do rm -rf "$folder"; done
"#;

static SHELL: LazyLock<Mutex<Child>> = LazyLock::new(|| {
    let mut shell = Command::new("bash");
    shell.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    Mutex::new(shell.spawn().expect("bash is there"))
});

fn tell(what: &str, of: impl Display) {
    let mut shell = SHELL.lock().unwrap_or_else(PoisonError::into_inner);
    let pipe = shell.stdin.as_mut().expect("it is piped");
    writeln!(pipe, "{what} {of}").expect("the reaper lives as long as we do");
}

/// The process is to end with this one.
pub fn process(pid: u32) {
    tell("+pid", pid);
}

/// The process has ended: its number may soon be another's.
pub fn ended(pid: u32) {
    tell("-pid", pid);
}

/// The folder is to go with this process.
pub fn folder(path: &Path) {
    tell("+folder", path.display());
}
