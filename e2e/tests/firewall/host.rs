//! The server's system, for the libraries that change it.

use std::cell::Cell;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use cloudron_box::host::{Host, Output};
use cloudron_core::{Error, Result, codes};
use cloudron_e2e::Server;

/// The server's programs and files.
pub(crate) struct Inside<'a> {
    server: &'a Server,
    /// The calls after which the program is killed.
    left: Mutex<Cell<Option<usize>>>,
}

impl<'a> Inside<'a> {
    pub(crate) fn of(server: &'a Server) -> Self {
        Self { server, left: Mutex::default() }
    }

    /// A program that is killed after so many calls.
    pub(crate) fn dying(server: &'a Server, calls: usize) -> Self {
        Self { server, left: Mutex::new(Cell::new(Some(calls))) }
    }

    fn shell(&self, line: &str, input: &str) -> Result<Output> {
        let left = self.left.lock().unwrap();
        match left.get() {
            Some(0) => return Err(Error::new(&codes::FAILED, "the program was killed")),
            Some(n) => left.set(Some(n - 1)),
            None => {}
        }
        let output = self.server.exec_with(line, input.as_bytes());
        Ok(Output { code: output.code, stdout: output.stdout, stderr: output.stderr })
    }

    fn done(&self, line: &str, input: &str) -> Result<()> {
        let output = self.shell(line, input)?;
        if output.is_success() { Ok(()) } else { Err(Error::new(&codes::IO, output.stderr)) }
    }
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

fn path(path: &Path) -> String {
    quoted(&path.display().to_string())
}

impl Host for Inside<'_> {
    fn run_within(&self, limit: Duration, program: &str, arguments: &[&str], input: &str) -> Result<Output> {
        let words: Vec<String> =
            std::iter::once(&program).chain(arguments).map(|word| quoted(word)).collect();
        let line = format!("LC_ALL=C.UTF-8 exec timeout {} {}", limit.as_secs().max(1), words.join(" "));
        let output = self.shell(&line, input)?;
        if output.code == 127 { Err(Error::new(&codes::FILE_MISSING, program)) } else { Ok(output) }
    }

    fn read(&self, file: &Path) -> Result<Option<String>> {
        let output = self.shell(&format!("[ -e {0} ] || exit 44; cat {0}", path(file)), "")?;
        match output.code {
            0 => Ok(Some(output.stdout)),
            44 => Ok(None),
            _ => Err(Error::new(&codes::IO, output.stderr)),
        }
    }

    fn names(&self, folder: &Path) -> Result<Vec<String>> {
        let output = self.shell(&format!("ls -A {} 2>/dev/null || true", path(folder)), "")?;
        Ok(output.stdout.lines().map(str::to_owned).collect())
    }

    fn write(&self, file: &Path, mode: u32, content: &str) -> Result<()> {
        let to = path(file);
        let line = format!(
            "mkdir -p $(dirname {to}) && cat >{to}.tmp && chmod {mode:o} {to}.tmp && mv -T {to}.tmp {to}"
        );
        self.done(&line, content)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<bool> {
        let output =
            self.shell(&format!("[ -e {0} ] || exit 44; mv -T {0} {1}", path(from), path(to)), "")?;
        match output.code {
            0 => Ok(true),
            44 => Ok(false),
            _ => Err(Error::new(&codes::IO, output.stderr)),
        }
    }

    fn remove(&self, file: &Path) -> Result<()> {
        self.done(&format!("rm -f {}", path(file)), "")
    }

    fn accepts(&self, address: SocketAddr, limit: Duration) -> bool {
        let program = "IO::Socket::INET->new(PeerAddr => $ARGV[0], PeerPort => $ARGV[1]) or exit 1";
        let line = format!(
            "timeout {} perl -MIO::Socket::INET -e {} {} {}",
            limit.as_secs().max(1),
            quoted(program),
            address.ip(),
            address.port()
        );
        self.shell(&line, "").is_ok_and(|output| output.is_success())
    }
}
