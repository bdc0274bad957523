//! Watches what each process exposes to all users: arguments and environment.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::{Canary, Leak};

/// Pause between two scans of all processes.
const PAUSE: Duration = Duration::from_millis(1);

pub(super) fn watch<T>(canary: &Canary, work: impl FnOnce() -> T) -> (T, Vec<Leak>) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut leaks = Vec::new();
            while !done.load(Ordering::Relaxed) {
                look(canary, &mut leaks);
                thread::sleep(PAUSE);
            }
            leaks.sort();
            leaks.dedup();
            leaks
        });
        // Also when `work` panics the scope must end, or the test hangs instead of failing.
        let stop = StopOnDrop(&done);
        let value = work();
        drop(stop);
        (value, watcher.join().expect("the watcher does not panic"))
    })
}

struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Scans every process except this one. Processes that end or belong to others are skipped.
fn look(canary: &Canary, leaks: &mut Vec<Leak>) {
    let own = std::process::id();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if pid == own {
            continue;
        }
        for what in ["cmdline", "environ"] {
            let Ok(bytes) = fs::read(entry.path().join(what)) else { continue };
            // The program's name is more useful than the ID of a process that has ended.
            for leak in canary.in_bytes("", &bytes) {
                let program = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
                leaks.push(Leak { place: format!("{what} of process {pid} ({})", program.trim()), ..leak });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn sleep_with(argument: Option<&str>, variable: Option<&str>) -> Vec<Leak> {
        let canary = Canary::new().secret("password", "kanarienvogel-4711");
        let run = || {
            let mut command = Command::new("sh");
            command
                .args(["-c", "sleep 0.3; true"])
                .args(argument)
                .envs(variable.map(|value| ("NAME", value)));
            command.status().unwrap()
        };
        canary.while_watching_processes(run).1
    }

    #[test]
    fn a_secret_in_the_arguments_or_environment_of_a_child_is_seen() {
        let leaks = sleep_with(Some("kanarienvogel-4711"), None);
        assert!(leaks.iter().any(|leak| leak.place.starts_with("cmdline of process")), "{leaks:?}");
        let leaks = sleep_with(None, Some("kanarienvogel-4711"));
        assert!(leaks.iter().any(|leak| leak.place.starts_with("environ of process")), "{leaks:?}");
    }

    #[test]
    fn a_panic_in_the_work_is_passed_on() {
        let canary = Canary::new().secret("password", "kanarienvogel-0815");
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            canary.while_watching_processes(|| panic!("the test failed"))
        }));
        assert!(result.is_err());
    }
}
