//! The journal's file: one JSON record per line, each written by one call and synced before anything else happens.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use cloudron_core::{Error, Result, ResultExt, atomic};

use super::lock::Lock;
use super::{Record, RunState, Spec};
use crate::{codes, quote};

/// A run's journal, open for writing and locked against other processes.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    length: u64,
    state: RunState,
    broken: bool,
    _lock: Lock,
}

impl Journal {
    /// Begins a run: creates the folder (mode 0700) and the file (mode 0600), and writes the first record.
    ///
    /// # Errors
    /// `run-busy` if another process works on the same name, `io` and similar codes.
    pub fn begin(folder: &Path, spec: Spec, plan: Vec<String>) -> Result<Self> {
        Self::begin_as(&ulid::Ulid::generate().to_string(), folder, spec, plan)
    }

    /// Begins the journal of a run that was begun on another computer, under its ID.
    ///
    /// # Errors
    /// `usage` if that is no ID; `run-exists` if there is a journal of that run; as [`begin`](Self::begin).
    pub fn begin_as(run: &str, folder: &Path, spec: Spec, plan: Vec<String>) -> Result<Self> {
        if ulid::Ulid::from_string(run).is_err() {
            return Err(Error::new(&cloudron_core::codes::USAGE, format!("{run:?} is no run")));
        }
        make_folder(folder)?;
        let lock = Lock::take(folder, &spec.fqdn)?;
        let run = run.to_lowercase();
        let path = file_of(folder, &run);
        // An attempt here that has ended, or not begun, is no obstacle: what it left at the cloud is found by its marks.
        let over = path.exists()
            && match load(&path) {
                Ok((state, _)) => matches!(state.phase(), super::Phase::Ended(_)),
                Err(e) if e.is(&codes::RUN_MISSING) => true,
                Err(e) => return Err(e),
            };
        if over {
            std::fs::remove_file(&path).map_err(|e| Error::io(&path, e))?;
        }
        let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path);
        let file = file.map_err(|e| match e.kind() {
            std::io::ErrorKind::AlreadyExists => {
                Error::new(&codes::RUN_EXISTS, format!("there is a journal of the run {run} already"))
                    .with_detail("domain", &spec.fqdn)
            }
            _ => Error::io(&path, e),
        })?;
        atomic::sync_folder(folder)?;
        let version = env!("CARGO_PKG_VERSION").to_string();
        let first = Record::Begin { schema: super::state::SCHEMA, run, version, plan, spec };
        let state = RunState::fold(std::slice::from_ref(&first)).expect("a `begin` alone is a valid journal");
        let mut journal = Self { path, file, length: 0, state, broken: false, _lock: lock };
        journal.append(&first)?;
        Ok(journal)
    }

    /// Opens a run's journal to continue it. A torn last line, left by a crash while writing, is truncated.
    ///
    /// # Errors
    /// `run-missing`, `run-busy`, `journal-corrupt`, `journal-version`.
    pub fn open(folder: &Path, run: &str) -> Result<Self> {
        let fqdn = Self::read(folder, run)?.spec().fqdn.clone();
        let lock = Lock::take(folder, &fqdn)?;
        let path = file_of(folder, run);
        let (state, length) = load(&path)?;
        let mut file = OpenOptions::new().write(true).open(&path).map_err(|e| Error::io(&path, e))?;
        let cut =
            file.set_len(length).and_then(|()| file.seek(SeekFrom::End(0))).and_then(|_| file.sync_all());
        cut.map_err(|e| Error::io(&path, e))?;
        Ok(Self { path, file, length, state, broken: false, _lock: lock })
    }

    /// Reads the state of a run, without locking it.
    ///
    /// # Errors
    /// As [`open`](Self::open), without `run-busy`.
    pub fn read(folder: &Path, run: &str) -> Result<RunState> {
        let valid = ulid::Ulid::from_string(run).is_ok();
        let path = file_of(folder, run);
        if !valid || !path.exists() {
            let message = format!("there is no run {run} in {}", folder.display());
            return Err(Error::new(&codes::RUN_MISSING, message));
        }
        load(&path).map(|(state, _)| state)
    }

    /// Returns the states of all runs in a folder, newest first. A journal that was torn in its first line is skipped:
    /// nothing was done in that run.
    ///
    /// # Errors
    /// `journal-corrupt` if one of them cannot be read.
    pub fn list(folder: &Path) -> Result<Vec<RunState>> {
        Self::list_of(folder, None)
    }

    /// Returns the states of the runs of one name, newest first. Problems with the journal of another name are ignored.
    ///
    /// # Errors
    /// `journal-corrupt` if one of them cannot be read, or one does not contain its name.
    pub fn list_of(folder: &Path, fqdn: Option<&str>) -> Result<Vec<RunState>> {
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(Error::io(folder, e)),
        };
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(|e| Error::io(folder, e))?.path();
            if path.extension().is_some_and(|e| e == "jsonl") {
                paths.push(path);
            }
        }
        paths.sort();
        let mut states = Vec::new();
        for path in paths.iter().rev() {
            if fqdn.is_some_and(|fqdn| subject(path).is_some_and(|other| other != fqdn)) {
                continue;
            }
            match load(path) {
                Ok((state, _)) => states.push(state),
                Err(e) if e.is(&codes::RUN_MISSING) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(states)
    }

    /// Writes a record and syncs it. If this fails, nothing of the record stays, and the caller must not do what it
    /// announced.
    ///
    /// # Errors
    /// `no-space`, `io`: the file could not be written.
    ///
    /// # Panics
    /// If the record cannot follow those before it: a bug in the caller.
    pub fn write(&mut self, record: &Record) -> Result<()> {
        let mut next = self.state.clone();
        if let Err(problem) = next.apply(record) {
            panic!("{problem}: {record:?}");
        }
        self.append(record)?;
        self.state = next;
        Ok(())
    }

    fn append(&mut self, record: &Record) -> Result<()> {
        if self.broken {
            let message = format!("{} could not be written before", self.path.display());
            return Err(Error::new(&cloudron_core::codes::IO, message));
        }
        let mut line = serde_json::to_vec(record).expect("a record is plain JSON");
        line.push(b'\n');
        if let Err(e) = self.file.write_all(&line).and_then(|()| self.file.sync_data()) {
            let back = self.file.set_len(self.length).and_then(|()| self.file.seek(SeekFrom::End(0)));
            self.broken = back.is_err();
            return Err(Error::io(&self.path, e)).doing(|| "writing the journal".into());
        }
        self.length += line.len() as u64;
        Ok(())
    }

    /// Returns the state of the run.
    pub fn state(&self) -> &RunState {
        &self.state
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn file_of(folder: &Path, run: &str) -> PathBuf {
    folder.join(format!("{}.jsonl", run.to_lowercase()))
}

/// Creates the journals' folder, which only its owner can access.
pub(super) fn make_folder(folder: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|e| Error::io(folder, e))
}

/// Reads a journal: its state, and the length of its complete lines in bytes.
fn load(path: &Path) -> Result<(RunState, u64)> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    let length = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1);
    let mut records = Vec::new();
    for (n, line) in bytes[..length].split_inclusive(|b| *b == b'\n').enumerate() {
        records.push(parse(line).map_err(|problem| corrupt(path, n, &problem))?);
    }
    if records.is_empty() {
        let message = format!("{} ends in its first line: nothing was done in that run", path.display());
        return Err(Error::new(&codes::RUN_MISSING, message));
    }
    if let Record::Begin { schema, .. } = &records[0]
        && *schema > super::state::SCHEMA
    {
        let message = format!("{} has the format {schema}, which a newer version wrote", path.display());
        return Err(Error::new(&codes::JOURNAL_VERSION, message));
    }
    let state = RunState::fold(&records).map_err(|(n, problem)| corrupt(path, n, &problem))?;
    Ok((state, length as u64))
}

fn parse(line: &[u8]) -> Result<Record, String> {
    serde_json::from_slice(line).map_err(|e| e.to_string())
}

/// Returns the name that a journal belongs to, if its first line contains it.
fn subject(path: &Path) -> Option<String> {
    let bytes = std::fs::read(path).ok()?;
    match parse(bytes.split(|b| *b == b'\n').next()?) {
        Ok(Record::Begin { spec, .. }) => Some(spec.fqdn),
        _ => None,
    }
}

fn corrupt(path: &Path, line: usize, problem: &str) -> Error {
    let name = path.to_string_lossy();
    let away = quote::command(&["mv".into(), name.clone().into_owned(), format!("{name}.bad")]);
    Error::new(&codes::JOURNAL_CORRUPT, format!("{name}, line {}: {problem}", line + 1)).with_hint(format!(
        "look at what the run has made on the machine, then move its journal away: `{away}`"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::steps::{Ending, StepState};

    fn spec() -> Spec {
        Spec { op: "create".into(), fqdn: "a.org".into(), provider: "x".into(), inputs: json!({}) }
    }

    #[test]
    fn a_run_of_another_computer_takes_the_place_of_what_is_over_here_and_of_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let run = "01arz3ndektsv4rrffq69g5fav";
        let begin = || Journal::begin_as(run, folder.path(), spec(), vec!["one".into()]);
        let mut journal = begin().unwrap();
        journal.write(&Record::Intent { step: "one".into(), attempt: 1 }).unwrap();
        drop(journal);
        assert!(begin().unwrap_err().is(&codes::RUN_EXISTS));
        assert_eq!(Journal::read(folder.path(), run).unwrap().step_state("one"), StepState::InDoubt);

        let mut journal = Journal::open(folder.path(), run).unwrap();
        journal.write(&Record::End { ending: Ending::Abandoned }).unwrap();
        drop(journal);
        drop(begin().unwrap());
        assert_eq!(Journal::read(folder.path(), run).unwrap().step_state("one"), StepState::Pending);

        // The file of a process that died in its first line.
        std::fs::write(file_of(folder.path(), run), br#"{"begin":"#).unwrap();
        drop(begin().unwrap());
        assert!(Journal::read(folder.path(), run).is_ok());
    }

    #[test]
    fn a_record_that_cannot_be_written_did_not_happen_and_nothing_follows_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::begin(folder.path(), spec(), vec!["one".into()]).unwrap();
        let real = journal.file.try_clone().unwrap();
        journal.file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let intent = Record::Intent { step: "one".into(), attempt: 1 };
        let error = journal.write(&intent).unwrap_err();
        assert!(error.is(&cloudron_core::codes::NO_SPACE), "{error:?}");
        assert_eq!(journal.state().step_state("one"), StepState::Pending);
        // It could not be truncated either, so later records might not be readable.
        journal.file = real;
        journal.write(&intent).unwrap_err();
        let run = journal.state().run().to_string();
        assert_eq!(Journal::read(folder.path(), &run).unwrap().step_state("one"), StepState::Pending);
    }
}
