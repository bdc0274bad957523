//! The program as a user runs it: with its own home, and a record of its output.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use cloudron_testkit::canary::{Canary, Leak};

/// Time after which a command counts as hung and is killed.
const LIMIT: Duration = Duration::from_secs(600);

/// A laptop: the program, a home folder, and files with secrets outside that home.
#[derive(Debug)]
pub struct Cloudron {
    program: PathBuf,
    folder: tempfile::TempDir,
    variables: Vec<(String, String)>,
    log: Mutex<Vec<u8>>,
}

/// The outcome of a command.
#[derive(Debug, Clone)]
pub struct Run {
    /// The arguments, for messages.
    pub arguments: String,
    /// The exit code; -1 after a signal.
    pub code: i32,
    /// The data that it printed.
    pub stdout: String,
    /// Progress, questions and errors.
    pub stderr: String,
    /// Its duration.
    pub took: Duration,
}

/// A command that is still running; killed when dropped.
#[derive(Debug)]
pub struct Running<'a> {
    laptop: &'a Cloudron,
    child: Child,
    arguments: String,
    /// Both streams go to files: nothing reads pipes while the program runs, and a full pipe would block it.
    output: PathBuf,
    errors: PathBuf,
    started: Instant,
}

impl Cloudron {
    /// Creates a laptop without any servers, with the program that was built with this test.
    ///
    /// # Panics
    ///
    /// If the program has not been built: `cargo build -p cloudron-cli`, or name it in `CLOUDRON_BIN`.
    #[must_use]
    pub fn new() -> Self {
        Self::with_program(program())
    }

    /// Creates a laptop like [`Self::new`], with another program, such as an older version.
    ///
    /// # Panics
    ///
    /// If the file does not exist.
    #[must_use]
    pub fn with_program(program: PathBuf) -> Self {
        assert!(program.is_file(), "{} is missing: build it, or name it in CLOUDRON_BIN", program.display());
        let folder = tempfile::Builder::new().prefix("e2e-laptop-").tempdir().expect("a temporary folder");
        for name in ["home", "secrets", "output"] {
            fs::DirBuilder::new().mode(0o700).create(folder.path().join(name)).expect("the folder is new");
        }
        Self { program, folder, variables: Vec::new(), log: Mutex::default() }
    }

    /// Sets an environment variable for every command from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Returns the program under test.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Returns the home folder, which contains the XDG folders.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// Returns a path outside the home folder for the user's own files. It does not exist yet.
    #[must_use]
    pub fn place(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a secret to a file with mode 0600 outside the home folder, and returns the reference `file:PATH`.
    ///
    /// # Panics
    ///
    /// If `name` was used before.
    #[must_use]
    pub fn secret(&self, name: &str, value: &str) -> String {
        let path = self.folder.path().join("secrets").join(name);
        let mut file =
            File::options().write(true).create_new(true).mode(0o600).open(&path).expect("a new file");
        writeln!(file, "{value}").expect("the folder is ours");
        format!("file:{}", path.display())
    }

    /// Runs a command to its end, without a terminal.
    ///
    /// # Panics
    ///
    /// If it takes longer than ten minutes.
    pub fn run(&self, arguments: &[&str]) -> Run {
        self.spawn(arguments).wait()
    }

    /// Runs a command like [`Self::run`], which must succeed.
    ///
    /// # Panics
    ///
    /// If it fails, with all its output.
    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> Run {
        let run = self.run(arguments);
        assert_eq!(run.code, 0, "{run}");
        run
    }

    /// Runs a command like [`Self::run`], which must fail with this exit code.
    ///
    /// # Panics
    ///
    /// If it ends with another code, with all its output.
    #[track_caller]
    pub fn fails(&self, code: i32, arguments: &[&str]) -> Run {
        let run = self.run(arguments);
        assert_eq!(run.code, code, "{run}");
        run
    }

    /// Runs a command with `--output json` and parses its output.
    ///
    /// # Panics
    ///
    /// If it fails or prints anything other than JSON.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let run = self.ok(&[arguments, &["--output", "json"]].concat());
        serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error} in {run}"))
    }

    /// Returns the IDs in the order of `machine backup list`.
    ///
    /// # Panics
    ///
    /// If the list is not available.
    #[track_caller]
    pub fn backups(&self, domain: &str) -> Vec<String> {
        let list = self.json(&["machine", "backup", "list", domain]);
        let backups = list["backups"].as_array().expect("a list of backups");
        backups.iter().map(|backup| backup["id"].as_str().expect("an id").to_owned()).collect()
    }

    /// Runs a command on its own terminal and types `answer` each time that it prints `question`, like a user who is
    /// asked for a passphrase. A terminal has one stream: all output is in `stdout`.
    ///
    /// # Panics
    ///
    /// If it takes longer than ten minutes, or `script` (Debian: bsdutils) is missing.
    pub fn run_on_terminal(&self, question: &str, answer: &str, arguments: &[&str]) -> Run {
        let line: Vec<String> = std::iter::once(self.program.to_str().expect("the path is text"))
            .chain(arguments.iter().copied())
            .map(|word| format!("'{}'", word.replace('\'', "'\\''")))
            .collect();
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--echo", "never", "--command", &line.join(" "), "/dev/null"]);
        script.stdin(Stdio::piped());
        let mut running = self.start(script, arguments);
        let mut keyboard = running.child.stdin.take().expect("it is piped");
        let mut answered = 0;
        while running.runs() && running.started.elapsed() < LIMIT {
            let asked = read(&running.output).matches(question).count();
            for _ in answered..asked {
                let _ = writeln!(keyboard, "{answer}");
            }
            answered = asked;
            std::thread::sleep(Duration::from_millis(50));
        }
        running.wait()
    }

    /// Starts a command.
    ///
    /// # Panics
    ///
    /// If the program cannot be run.
    #[must_use]
    pub fn spawn(&self, arguments: &[&str]) -> Running<'_> {
        let mut command = Command::new(&self.program);
        command.args(arguments).stdin(Stdio::null());
        self.start(command, arguments)
    }

    /// Starts a prepared command in this laptop's environment.
    fn start(&self, mut command: Command, arguments: &[&str]) -> Running<'_> {
        let unique = format!("{:?}", Instant::now()).replace(|c: char| !c.is_ascii_digit(), "");
        let outputs = self.folder.path().join("output");
        let (output, errors) = (outputs.join(format!("{unique}.out")), outputs.join(format!("{unique}.err")));
        let home = self.home();
        command.env_clear().env("HOME", &home).env("NO_COLOR", "1").env("LANG", "C.UTF-8");
        for (name, folder) in [
            ("XDG_STATE_HOME", ".local/state"),
            ("XDG_DATA_HOME", ".local/share"),
            ("XDG_CONFIG_HOME", ".config"),
            ("XDG_CACHE_HOME", ".cache"),
        ] {
            command.env(name, home.join(folder));
        }
        command.envs(
            ["PATH", "RUST_BACKTRACE", "DEBUG"]
                .iter()
                .filter_map(|name| Some((name, std::env::var_os(name)?))),
        );
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdout(File::create_new(&output).expect("a new file"));
        command.stderr(File::create_new(&errors).expect("a new file"));
        let child = command.spawn().expect("the program runs");
        Running {
            laptop: self,
            child,
            arguments: arguments.join(" "),
            output,
            errors,
            started: Instant::now(),
        }
    }

    /// Returns arguments, output and errors of every command so far.
    #[must_use]
    pub fn log(&self) -> Vec<u8> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns where the program wrote or printed a secret: in its home folder, or in any output.
    ///
    /// # Panics
    ///
    /// If the home folder cannot be read.
    #[must_use]
    pub fn leaks(&self, canary: &Canary) -> Vec<Leak> {
        let mut leaks = canary.in_bytes("what the program printed", &self.log());
        leaks.extend(canary.in_tree(&self.home()).expect("the home folder is ours"));
        leaks
    }

    /// Records a command, and shows it with the test's output if the test fails.
    #[expect(clippy::print_stderr, reason = "a test harness talks to the person who reads a failure")]
    fn note(&self, run: &Run) {
        eprintln!("{run}");
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.extend(run.to_string().into_bytes());
    }
}

impl Default for Cloudron {
    fn default() -> Self {
        Self::new()
    }
}

impl Running<'_> {
    /// Waits for the end.
    ///
    /// # Panics
    ///
    /// If it takes longer than ten minutes.
    pub fn wait(mut self) -> Run {
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                break status;
            }
            if self.started.elapsed() > LIMIT {
                let _ = self.child.kill();
                let stderr = read(&self.errors);
                panic!("`cloudron {}` has hung for {LIMIT:?}:\n{stderr}", self.arguments);
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let run = Run {
            arguments: std::mem::take(&mut self.arguments),
            code: status.code().unwrap_or(-1),
            stdout: read(&self.output),
            stderr: read(&self.errors),
            took: self.started.elapsed(),
        };
        self.laptop.note(&run);
        run
    }

    /// Ends it with SIGKILL, as a crash does, and returns its output so far.
    pub fn kill(mut self) -> Run {
        let _ = self.child.kill();
        self.wait()
    }

    /// Returns whether it is still running.
    ///
    /// # Panics
    ///
    /// Never: the child is ours.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_none()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let _ = (self.child.kill(), self.child.wait());
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { arguments, code, stdout, stderr, took } = self;
        writeln!(f, "$ cloudron {arguments}\nexit code {code} after {took:.1?}\n{stdout}\nstderr:\n{stderr}")
    }
}

/// Returns the program under test: `CLOUDRON_BIN`, or the one next to this test in the target folder.
fn program() -> PathBuf {
    if let Some(named) = std::env::var_os("CLOUDRON_BIN") {
        return named.into();
    }
    let test = std::env::current_exe().expect("a test knows its own path");
    let profile = test.parent().and_then(Path::parent).expect("tests are in target/PROFILE/deps");
    profile.join("cloudron")
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell() -> Cloudron {
        Cloudron::with_program("/bin/sh".into())
    }

    #[test]
    fn what_a_command_says_and_its_exit_code_are_kept_apart_and_logged() {
        let laptop = shell();
        let run = laptop.fails(3, &["-c", "echo data; echo trouble >&2; exit 3"]);
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("data\n", "trouble\n"));
        let log = String::from_utf8(laptop.log()).unwrap();
        assert!(log.contains("data") && log.contains("trouble") && log.contains("exit code 3"));
    }

    #[test]
    fn a_command_sees_its_own_home_and_nothing_else_of_this_process() {
        let laptop = shell();
        let environment = laptop.ok(&["-c", "env"]).stdout;
        assert!(environment.contains(&format!("HOME={}\n", laptop.home().display())), "{environment}");
        assert!(!environment.contains("CARGO"), "{environment}");
    }

    #[test]
    fn a_question_on_a_terminal_is_answered_each_time_without_an_echo() {
        if cloudron_testkit::require::tool("script").is_none() {
            return;
        }
        let ask = "printf 'Passphrase: ' >/dev/tty; stty -echo; read one </dev/tty; stty echo; ";
        let line = format!("{ask}{ask}test \"$one\" = 'kanari vogel' || exit 9; echo thanks; exit 4");
        let run = shell().run_on_terminal("assphrase", "kanari vogel", &["-c", &line]);
        assert_eq!(run.code, 4, "{run}");
        assert!(run.stdout.contains("thanks") && !run.stdout.contains("kanari"), "{run}");
    }

    #[test]
    fn a_killed_command_is_gone_and_what_it_said_is_kept() {
        let laptop = shell();
        let mut running = laptop.spawn(&["-c", "echo begun; sleep 60"]);
        crate::until("it has begun", Duration::from_secs(5), || {
            read(&running.output).contains("begun").then_some(())
        });
        assert!(running.runs());
        let run = running.kill();
        assert_eq!((run.code, run.stdout.as_str()), (-1, "begun\n"));
    }
}
