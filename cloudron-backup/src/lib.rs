//! Encrypted, deduplicating backups of folders into a store, readable with stock `age` and `zstd`.
//!
//! ```
//! use cloudron_backup::{BackupRequest, InitOptions, Repository, RestoreRequest, Source, open_store};
//! use cloudron_core::{BackupId, Cancel, Progress, Secret, Version};
//!
//! # let dir = tempfile::tempdir().unwrap();
//! # let folder = dir.path().join("folder");
//! # std::fs::create_dir(&folder).unwrap();
//! # std::fs::write(folder.join("note"), "remember").unwrap();
//! # let (store_url, target) = (dir.path().join("store"), dir.path().join("back"));
//! # let store_url = store_url.to_str().unwrap();
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let store = open_store(store_url)?;
//! let backup_key = Secret::new("correct horse battery staple");
//! # let options = InitOptions { work_factor: Some(2), ..InitOptions::default() };
//! let (repository, identity) = Repository::init(store, &backup_key, options).await?;
//!
//! let id = BackupId::new(std::time::SystemTime::now(), &Version::current());
//! let request = BackupRequest::new(id.clone(), vec![Source::new("folder", &folder)]);
//! let keys = identity.writer_keys(); // enough to write backups, not to read them
//! let summary = repository.backup(&keys, request, &Progress::none(), &Cancel::new()).await?;
//! assert_eq!(summary.files, 1);
//!
//! let request = RestoreRequest::under(&target);
//! let report = repository.restore(&identity, &id, &request, &Progress::none(), &Cancel::new()).await?;
//! assert!(report.is_complete());
//! # Ok::<(), cloudron_core::Error>(())
//! # }).unwrap();
//! ```
//!
//! - [`store`]: the stores of objects, such as [`fs`] and [`memory`]. With the feature `conformance`, the module
//!   of that name tests any implementation.
//! - [`lifecycle`]: checks the lifecycle rules of a bucket against the needs of a repository.
//! - [`encrypt`]: encryption of objects, and the trait to replace it; [`keys`]: the keys that open them.
//! - [`repository`]: all operations on a repository: backup, dry run, restore, listing, searching, comparing
//!   and copying backups, changing keys. [`import`] reads backups of the original Cloudron; [`export`] writes a
//!   backup as one file.
//! - [`prune`]: retention policies, and the removal of expired backups.
//!
//! `examples/` has a custom store and a custom encryption. `docs/backup-format.md` describes the format on disk,
//! `docs/backup-keys.md` the rights of each key.

mod backup;
mod browse;
mod buffers;
mod cache;
mod chunk;
pub mod codes;
mod copy;
pub mod encrypt;
pub mod export;
mod files;
mod format;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod import;
mod issue;
pub mod keys;
mod layout;
mod packer;
pub mod prune;
pub mod repository;
mod restore;
mod runtime;
mod snapshot;
pub mod store;
mod upgrade;
mod verify;

pub use backup::{ProgramOutput, under_new_id};
pub use cache::cache_dir;
pub use cloudron_core::{Error, Result};
pub use export::{ExportFormat, ExportReport, SealTo};
pub use files::absolute_path;
pub use files::exclude::read_patterns;
pub use import::{ImportRequest, OldBackup};
pub use issue::{BeforeAfter, Issue};
pub use keys::{
    Certificate, Identity, KeptWriterKeys, Unlock, WriterId, WriterKeys, WriterLimits, generate_backup_key,
};
pub use layout::{is_of_backups, is_of_repository};
pub use prune::{PrunePolicy, PruneReport, PruneRequest, RepairReport, RepairRequest};
pub use repository::whole;
pub use repository::{
    BackupPlan, BackupRequest, Change, ChangeKind, CompareReport, CopyReport, CopyTarget, DiffReport,
    DiffRequest, FileEntry, FileKind, FindReport, Found, InitOptions, Inspection, KeepOfRevoked, KeyInfo,
    KeyKind, ListReport, PaperKey, PlannedFile, Relocation, Repository, RestoreReport, RestoreRequest,
    RestoreTo, RevokeReport, SnapshotFilter, Source, Summary, TransferReport, UnreadableSummary, VerifyDepth,
    VerifyReport, WriterInfo,
};
#[cfg(any(test, feature = "conformance"))]
pub use store::conformance;
pub use store::fs::FsStore;
pub use store::memory::MemoryStore;
#[cfg(feature = "s3")]
pub use store::open_store_with_clock;
pub use store::{BackupStore, ObjectMeta, StoreOptions, open_store, open_store_with};
pub use store::{fs, lifecycle, memory};
pub use upgrade::UpgradeReport;

/// Compiles the examples in README.md as documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
