//! Backups of a stream.

mod common;

use std::io::Read;

use cloudron_backup::{BackupRequest, Summary, codes};
use cloudron_core::{Cancel, Progress, Result};
use common::{Fixture, noise};

async fn store(f: &Fixture, name: &str, reader: impl Read + Send + 'static) -> Result<Summary> {
    let request = BackupRequest::new(f.next_id(), Vec::new());
    f.repo.backup_stream(&f.keys, request, name, reader, &Progress::none(), &Cancel::new()).await
}

async fn listed(f: &Fixture) -> usize {
    f.repo.snapshots().await.unwrap().summaries.len()
}

/// A reader of this number of zeros that then fails.
struct Breaks(u64);

impl Read for Breaks {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = buffer.len().min(self.0 as usize);
        buffer[..length].fill(0);
        self.0 -= length as u64;
        if length == 0 { Err(std::io::Error::other("the dump program failed")) } else { Ok(length) }
    }
}

#[tokio::test]
async fn a_stream_of_any_length_restores_as_one_private_file() {
    use std::os::unix::fs::PermissionsExt;
    let f = Fixture::new().await;
    for (i, length) in [0, 1, 100_000, 9 << 20].into_iter().enumerate() {
        let content = noise(length, i as u8);
        let summary = store(&f, "dump.sql", std::io::Cursor::new(content.clone())).await.unwrap();
        assert_eq!((summary.files, summary.bytes, summary.errors), (1, length as u64, 0));
        assert_eq!(summary.warnings, u64::from(length == 0), "an empty stream is warned of");
        assert_eq!(summary.sources[0].path, "/stdin/dump.sql");
        let target = format!("out{i}");
        assert!(f.restore(&summary.id, &target).await.unwrap().is_complete());
        let file = f.target(&target).join("stdin/dump.sql");
        assert_eq!(std::fs::read(&file).unwrap(), content);
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o7777, 0o600);
        assert!(f.compare(&summary.id, &target).await.is_identical());
    }
}

#[tokio::test]
async fn the_same_stream_with_an_insertion_adds_little() {
    let f = Fixture::new().await;
    let mut content = noise(24 << 20, 7);
    store(&f, "dump", std::io::Cursor::new(content.clone())).await.unwrap();
    content.splice(5_000_000..5_000_000, *b"a row more");
    let summary = store(&f, "dump", std::io::Cursor::new(content)).await.unwrap();
    assert!(summary.added_bytes < 9 << 20, "{} bytes were added", summary.added_bytes);
}

#[tokio::test]
async fn a_producer_that_fails_before_the_end_makes_no_backup() {
    let f = Fixture::new().await;
    for length in [0, 1, 20 << 20] {
        let error = store(&f, "dump", Breaks(length)).await.unwrap_err();
        assert!(error.is(&codes::STREAM_FAILED), "{error}");
        assert!(error.to_string().contains("the dump program failed"), "{error}");
        assert_eq!(listed(&f).await, 0);
    }
}

#[tokio::test]
async fn a_stream_that_never_goes_on_can_be_cancelled() {
    let f = Fixture::new().await;
    let (reader, _writer) = std::io::pipe().unwrap();
    let cancel = Cancel::new();
    let request = BackupRequest::new(f.next_id(), Vec::new());
    let progress = Progress::none();
    let backup = f.repo.backup_stream(&f.keys, request, "dump", reader, &progress, &cancel);
    let stop = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        cancel.cancel();
    };
    let (made, ()) = tokio::join!(backup, stop);
    assert!(made.unwrap_err().is(&cloudron_core::codes::INTERRUPTED));
    assert_eq!(listed(&f).await, 0);
}

#[tokio::test]
async fn a_name_that_is_not_a_plain_file_name_is_refused() {
    let f = Fixture::new().await;
    let long = "x".repeat(256);
    for name in ["", ".", "..", "a/b", "a\0b", &long] {
        let error = store(&f, name, std::io::empty()).await.unwrap_err();
        assert!(error.is(&codes::SOURCE_INVALID), "{name:?}");
    }
    let (progress, cancel) = (Progress::none(), Cancel::new());
    let made = f.repo.backup_stream(&f.keys, f.request(), "x", std::io::empty(), &progress, &cancel);
    assert!(made.await.unwrap_err().is(&codes::SOURCE_INVALID), "folders beside a stream");
}
