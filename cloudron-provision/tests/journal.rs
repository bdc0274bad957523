//! Journal files that are torn, damaged or from another version.

use std::path::{Path, PathBuf};

use cloudron_provision::steps::{Ending, Journal, Phase, Record, RunState, StepState};
use cloudron_provision::{Spec, codes};
use proptest::prelude::*;
use serde_json::json;

fn spec() -> Spec {
    Spec {
        op: "create".into(),
        fqdn: "example.com".into(),
        provider: "local".into(),
        inputs: json!({ "a": [1, "ü\n"] }),
    }
}

fn begun(folder: &Path) -> Journal {
    Journal::begin(folder, spec(), vec!["one".into(), "two".into()]).unwrap()
}

fn full(folder: &Path) -> (String, PathBuf) {
    let mut journal = begun(folder);
    for record in [
        Record::Intent { step: "one".into(), attempt: 1 },
        Record::Done { step: "one".into(), output: json!({ "ip": "192.0.2.7" }) },
        Record::Intent { step: "two".into(), attempt: 1 },
        Record::Failed { step: "two".into(), code: "ssh-lost".into(), retryable: true },
        Record::Cancel,
        Record::Adopted { step: "two".into(), output: json!(null) },
        Record::UndoIntent { step: "two".into() },
        Record::UndoFailed { step: "two".into(), code: "ssh-lost".into() },
        Record::UndoIntent { step: "two".into() },
        Record::Undone { step: "two".into(), kept: Some("it is not empty".into()) },
        Record::End { ending: Ending::RolledBack },
    ] {
        journal.write(&record).unwrap();
    }
    (journal.state().run().into(), journal.path().into())
}

#[test]
fn a_journal_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let (run, _) = full(folder.path());
    let state = Journal::read(folder.path(), &run).unwrap();
    assert_eq!(state.spec(), &spec());
    assert_eq!(state.phase(), Phase::Ended(Ending::RolledBack));
    assert_eq!((state.step_state("one"), state.step_state("two")), (StepState::Done, StepState::Undone));
    assert_eq!(state.output("one"), Some(&json!({ "ip": "192.0.2.7" })));
    let age = std::time::SystemTime::now().duration_since(state.summary().started).unwrap();
    assert!(age.as_secs() < 60);
}

#[test]
fn a_journal_cut_at_any_byte_is_read_up_to_its_last_whole_line_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (run, path) = full(folder.path());
    let whole = std::fs::read(&path).unwrap();
    for length in 0..=whole.len() {
        std::fs::write(&path, &whole[..length]).unwrap();
        let lines = whole[..length].iter().filter(|b| **b == b'\n').count();
        if lines == 0 {
            let error = Journal::open(folder.path(), &run).unwrap_err();
            assert!(error.is(&codes::RUN_MISSING), "{length}: {error:?}");
            assert!(Journal::list(folder.path()).unwrap().is_empty());
            continue;
        }
        let mut journal = Journal::open(folder.path(), &run).unwrap_or_else(|e| panic!("{length}: {e:?}"));
        let ended = matches!(journal.state().phase(), Phase::Ended(_));
        assert_eq!(ended, lines == 12);
        // Going on from there is tried at every fifth byte: each try syncs the disk.
        if !ended && length % 5 == 0 {
            journal.write(&Record::Cancel).unwrap();
            drop(journal);
            Journal::read(folder.path(), &run).unwrap();
        }
    }
}

#[test]
fn a_damaged_line_is_refused_with_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let (run, path) = full(folder.path());
    let text = std::fs::read_to_string(&path).unwrap();
    for (from, to, line) in [
        ("\"kind\":\"intent\",\"step\":\"one\"", "\"kind\":\"intent\",\"stap\":\"one\"", 2),
        ("\"kind\":\"done\"", "\"kind\":\"dome\"", 3),
        ("\"kind\":\"done\",\"step\":\"one\"", "\"kind\":\"done\",\"step\":\"two\"", 3),
        ("\"kind\":\"failed\"", "\"kind\":\"begin\"", 5),
        ("{\"kind\":\"cancel\"}", "", 6),
    ] {
        assert!(text.contains(from), "{from}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let error = Journal::open(folder.path(), &run).unwrap_err();
        assert_eq!(error.kind().exit_code(), 6);
        assert!(error.message().contains(&format!("line {line}:")), "{error}");
    }
}

#[test]
fn a_journal_of_a_newer_version_is_refused_as_such_and_new_fields_are_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let (run, path) = full(folder.path());
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("\"schema\":1", "\"schema\":2", 1)).unwrap();
    assert!(Journal::open(folder.path(), &run).unwrap_err().is(&codes::JOURNAL_VERSION));
    std::fs::write(&path, text.replacen("\"attempt\":1", "\"attempt\":1,\"later\":true", 1)).unwrap();
    Journal::open(folder.path(), &run).unwrap();
}

/// Records in any order, as an engine could write them.
fn record() -> impl Strategy<Value = Record> {
    let step = prop_oneof![Just("one".to_string()), Just("two".to_string()), Just("x".to_string())];
    (0..9u8, step, 0..3u32).prop_map(|(kind, step, attempt)| match kind {
        0 => Record::Intent { step, attempt },
        1 => Record::Done { step, output: json!(attempt) },
        2 => Record::Adopted { step, output: json!(attempt) },
        3 => Record::Failed { step, code: "c".into(), retryable: false },
        4 => Record::UndoIntent { step },
        5 => Record::Undone { step, kept: None },
        6 => Record::UndoFailed { step, code: "c".into() },
        7 => Record::Cancel,
        _ => Record::End { ending: Ending::Committed },
    })
}

proptest! {
    #[test]
    fn every_prefix_of_a_valid_journal_is_valid(records in prop::collection::vec(record(), 0..30)) {
        let first = Record::Begin {
            schema: 1, run: "01arz3ndektsv4rrffq69g5fav".into(), version: "0".into(),
            plan: vec!["one".into(), "two".into()], spec: spec(),
        };
        // Keep those that may follow what is there: that is how an engine writes.
        let mut state = RunState::fold(std::slice::from_ref(&first)).unwrap();
        let mut written = vec![first];
        for record in records {
            let mut next = state.clone();
            if next.apply(&record).is_ok() {
                state = next;
                written.push(record);
            }
        }
        for length in 1..=written.len() {
            let folded = RunState::fold(&written[..length]).unwrap();
            // Nothing has an outcome without having been begun.
            for id in ["one", "two"] {
                if folded.step_state(id) == StepState::Done {
                    prop_assert!(folded.output(id).is_some());
                }
            }
        }
        prop_assert_eq!(RunState::fold(&written).unwrap(), state);
    }

    #[test]
    fn a_record_survives_being_written_and_read(record in record()) {
        let text = serde_json::to_string(&record).unwrap();
        prop_assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
    }
}
