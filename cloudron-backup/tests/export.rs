//! Exporting a backup as one file, and resuming after an interruption.

mod common;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use cloudron_backup::{BackupStore, ExportFormat, ExportReport, Identity, Repository, SealTo, codes};
use cloudron_core::{BackupId, Cancel, Event, Progress, Result, Secret};
use cloudron_testkit::require;
use common::{Counting, Failing, Fixture, noise};

const PASSPHRASE: &str = "a passphrase that nobody guesses";

/// Returns a fixture with several packs: large files and small ones, a long name, a hole.
async fn fixture() -> (Fixture, BackupId) {
    of_size(5 << 20).await
}

async fn of_size(large: usize) -> (Fixture, BackupId) {
    let f = Fixture::new().await;
    fill(&f, large);
    let id = f.backup().await.id;
    (f, id)
}

fn fill(f: &Fixture, large: usize) {
    for i in 0..4 {
        f.write(&format!("large{i}"), noise(large, i));
        f.write(&format!("{i}/{}", "long name ".repeat(20)), format!("small file {i}"));
        f.write(&format!("small{i}"), noise(50_000, 10 + i));
    }
    std::fs::File::create(f.source().join("hole")).unwrap().set_len(3 << 20).unwrap();
    std::fs::hard_link(f.source().join("small0"), f.source().join("z second name")).unwrap();
}

/// Returns the whole tar, without interruption.
async fn tar_of(f: &Fixture, id: &BackupId) -> Vec<u8> {
    f.repo.export_tar(&f.identity, id, Vec::new(), &Progress::none(), &Cancel::new()).await.unwrap()
}

struct Export<'a> {
    f: &'a Fixture,
    id: &'a BackupId,
    format: ExportFormat,
    path: PathBuf,
}

impl<'a> Export<'a> {
    fn new(f: &'a Fixture, id: &'a BackupId, format: ExportFormat) -> Self {
        let path = f.target("export");
        Self { f, id, format, path }
    }

    async fn with(&self, repo: &Repository, progress: &Progress) -> Result<ExportReport> {
        let (identity, format) = (&self.f.identity, self.format.clone());
        repo.export_to_file(identity, self.id, format, &self.path, progress, &Cancel::new()).await
    }

    async fn run(&self) -> Result<ExportReport> {
        self.with(&self.f.repo, &Progress::none()).await
    }

    fn part(&self) -> PathBuf {
        self.path.with_extension("part")
    }

    /// Returns the tar in the file, and removes the file.
    fn take(&self) -> Vec<u8> {
        assert_eq!(self.path.metadata().unwrap().permissions().mode() & 0o7777, 0o600);
        assert!(!self.part().exists() && !self.path.with_extension("part.new").exists());
        let content = std::fs::read(&self.path).unwrap();
        std::fs::remove_file(&self.path).unwrap();
        if matches!(self.format, ExportFormat::Tar) { content } else { unseal(&content, &self.f.identity) }
    }
}

fn unseal(sealed: &[u8], identity: &Identity) -> Vec<u8> {
    use cloudron_backup::encrypt::{AgeIdentities, AgePassphrase, Decryptor};
    let opened = match AgeIdentities::parse([&identity.to_secret()]).unwrap().open_bytes(sealed) {
        Ok(opened) => opened,
        Err(_) => AgePassphrase::new(Secret::new(PASSPHRASE), 1).open_bytes(sealed).unwrap(),
    };
    zstd::stream::decode_all(&opened[..]).unwrap()
}

fn formats() -> [ExportFormat; 2] {
    [ExportFormat::Tar, ExportFormat::TarZstdAge(SealTo::Repository)]
}

#[tokio::test]
async fn stock_age_zstd_and_tar_read_a_sealed_export() {
    let f = Fixture::new().await;
    cloudron_testkit::tree::generate(&f.source(), 9, 6 << 20).unwrap();
    f.write(&format!("deep/{}/file", "long name ".repeat(20)), "x");
    let id = f.backup().await.id;
    let friend = Identity::generate();
    let to = SealTo::Recipients(vec![friend.recipient()]);
    let export = Export::new(&f, &id, ExportFormat::TarZstdAge(to));
    let report = export.run().await.unwrap();
    assert_eq!(report.bytes, export.path.metadata().unwrap().len());
    assert_eq!(report.tar_bytes, tar_of(&f, &id).await.len() as u64);
    let Some([age, zstd, tar]) = require::tools(["age", "zstd", "tar"]) else { return };
    for (name, identity) in [("friend", &friend), ("own", &f.identity)] {
        let key = f.target(name);
        std::fs::write(&key, identity.to_secret().expose()).unwrap();
        let out = f.target(&format!("out {name}"));
        std::fs::create_dir(&out).unwrap();
        let mut decrypt = Command::new(&age)
            .args(["-d", "-i"])
            .args([&key, &export.path])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut decompress = Command::new(&zstd)
            .args(["-d", "-q"])
            .stdin(decrypt.stdout.take().unwrap())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let unpack = Command::new(&tar)
            .args(["--xattrs", "--xattrs-include=*", "-xpf", "-", "-C"])
            .arg(&out)
            .stdin(decompress.stdout.take().unwrap())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(
            unpack.success() && decrypt.wait().unwrap().success() && decompress.wait().unwrap().success()
        );
        let digest = |path: &Path| cloudron_testkit::tree::digest(path).unwrap();
        let out = out.join(f.source().strip_prefix("/").unwrap());
        let mut differences = cloudron_testkit::tree::compare(&digest(&f.source()), &digest(&out));
        // A tar stores holes as zeros.
        differences.retain(|d| !d.contains("sparse false"));
        assert_eq!(differences, Vec::<String>::new());
    }
}

#[tokio::test]
async fn an_export_cut_off_at_any_call_to_the_store_goes_on_where_it_was() {
    let (f, id) = of_size(9 << 20).await;
    let expected = tar_of(&f, &id).await;
    let packs: u64 = f.store.list("packs/").await.unwrap().iter().map(|o| o.size).sum();
    for format in formats() {
        let export = Export::new(&f, &id, format);
        let counting = Counting::over(&f.store);
        let store: Arc<dyn BackupStore> = counting.clone();
        let (mut calls, mut cuts, mut fetched) = (3, 0, 0);
        let report = loop {
            let failing = Failing::after(&store, calls, &cloudron_core::codes::IO);
            match export.with(&Repository::open(failing).await.unwrap(), &Progress::none()).await {
                Ok(report) => break report,
                Err(error) => {
                    assert!(error.is(&cloudron_core::codes::IO), "{error:?}");
                    assert!(!export.path.exists());
                    if export.part().exists() {
                        assert!(error.hint().unwrap().contains("goes on there"), "{error:?}");
                        cuts += 1;
                    }
                }
            }
            fetched += counting.taken();
            calls += 1;
            assert!(cuts < 40, "it never came to an end");
        };
        fetched += counting.taken();
        assert!(cuts >= 2, "{cuts}");
        assert!(report.resumed_bytes > 12 << 20, "{report:?}");
        // The pack at the interruption is fetched once more each time.
        let again = cuts * (17 << 20);
        assert!(fetched <= packs + again, "{fetched} bytes were fetched of {packs}, with {cuts} cuts");
        assert!(export.take() == expected, "the same tar as without interruption");
    }
}

#[tokio::test]
async fn a_part_of_any_length_is_used_and_nothing_in_it_is_fetched_again() {
    let (f, id) = fixture().await;
    let expected = tar_of(&f, &id).await;
    let counting = Counting::over(&f.store);
    let repo = Repository::open(counting.clone()).await.unwrap();
    for format in formats() {
        let export = Export::new(&f, &id, format);
        export.run().await.unwrap();
        let whole = std::fs::read(&export.path).unwrap();
        assert!(export.take() == expected);
        let length = whole.len();
        let few = [0, 1, 511, 513, 40_000, length / 3, length - 2000, length - 1];
        for cut in few.into_iter().chain([length]) {
            std::fs::write(export.part(), &whole[..cut]).unwrap();
            counting.taken();
            let report = export.with(&repo, &Progress::none()).await.unwrap();
            let kept = report.resumed_bytes;
            // Tar: all but a truncated header. Encrypted: all but the last block of zstd and the last one of age.
            let lost = if matches!(export.format, ExportFormat::Tar) { 2048 } else { 400_000 };
            assert!(kept + lost >= cut as u64, "{kept} of {cut}");
            let rest = length as u64 - kept.min(length as u64);
            let fetched = counting.taken();
            assert!(fetched <= rest + (34 << 20), "{fetched} bytes were fetched for {rest}");
            if cut >= length - 1 {
                assert!(fetched == 0 || !matches!(export.format, ExportFormat::Tar), "{fetched}");
            }
            assert!(export.take() == expected, "cut at {cut} of {length}");
        }
    }
}

#[tokio::test]
async fn damage_in_the_part_is_noticed_and_made_good() {
    let (f, id) = fixture().await;
    let expected = tar_of(&f, &id).await;
    for format in formats() {
        let export = Export::new(&f, &id, format);
        export.run().await.unwrap();
        let whole = std::fs::read(&export.path).unwrap();
        std::fs::remove_file(&export.path).unwrap();
        let sealed = !matches!(export.format, ExportFormat::Tar);
        // In a plain tar, damage at the very start makes it a foreign file.
        let first = if sealed { [100, 600] } else { [2000, 3000] };
        let others = [100_000, 1 << 20, 15 << 20, whole.len() - 70_000];
        for at in first.into_iter().chain(others) {
            let mut damaged = whole[..whole.len() - 2000].to_vec();
            damaged[at] ^= 4;
            std::fs::write(export.part(), &damaged).unwrap();
            let report = export.run().await.unwrap();
            assert!(
                report.resumed_bytes <= at as u64 + (if sealed { 4 << 20 } else { 0 }),
                "{} at {at}",
                report.resumed_bytes
            );
            assert!(export.take() == expected, "damaged at {at}");
        }
        // Damage in the truncated file is found when the rest of it is written, and fixed by the next run.
        let mut cut = whole[..whole.len() / 2].to_vec();
        let at = cut.len() - 1_000_000;
        cut[at] ^= 4;
        std::fs::write(export.part(), &cut).unwrap();
        match export.run().await {
            Err(e) => {
                assert!(e.is(&codes::EXPORT_PART), "{e:?}");
                export.run().await.unwrap();
            }
            Ok(_) => assert!(sealed, "age notices by itself"),
        }
        assert!(export.take() == expected);
    }
}

#[tokio::test]
async fn what_is_there_is_never_replaced() {
    let (f, id) = fixture().await;
    for format in formats() {
        let export = Export::new(&f, &id, format);
        std::fs::write(&export.path, "mine").unwrap();
        assert!(export.run().await.unwrap_err().is(&codes::EXPORT_EXISTS));
        assert_eq!(std::fs::read(&export.path).unwrap(), b"mine");
        std::fs::remove_file(&export.path).unwrap();
        // A foreign file with the name of a partial export.
        std::fs::write(export.part(), "a diary").unwrap();
        assert!(export.run().await.unwrap_err().is(&codes::EXPORT_EXISTS));
        assert_eq!(std::fs::read(export.part()).unwrap(), b"a diary");
        std::fs::remove_file(export.part()).unwrap();
        // A link in place of the partial file.
        std::os::unix::fs::symlink(f.target("elsewhere"), export.part()).unwrap();
        assert!(export.run().await.is_err());
        assert!(!f.target("elsewhere").exists());
        std::fs::remove_file(export.part()).unwrap();
        // A file that appears while the export runs.
        let path = export.path.clone();
        let progress = Progress::to(move |event| {
            if let Event::Finished { .. } = event {
                std::fs::write(&path, "appeared").unwrap();
            }
        });
        let error = export.with(&f.repo, &progress).await.unwrap_err();
        assert!(error.is(&codes::EXPORT_EXISTS), "{error:?}");
        assert_eq!(std::fs::read(&export.path).unwrap(), b"appeared");
        std::fs::remove_file(&export.path).unwrap();
        assert!(export.part().exists(), "the work is not lost");
        assert!(export.run().await.unwrap().resumed_bytes > 15 << 20);
        std::fs::remove_file(&export.path).unwrap();
    }
}

#[tokio::test]
async fn two_exports_to_one_file_do_not_mix() {
    let (f, id) = fixture().await;
    let export = Export::new(&f, &id, ExportFormat::Tar);
    let part = std::fs::File::create(export.part()).unwrap();
    part.lock().unwrap();
    let error = export.run().await.unwrap_err();
    assert!(error.is(&codes::EXPORT_BUSY), "{error:?}");
    drop(part);
    export.run().await.unwrap();
}

#[tokio::test]
async fn an_export_of_a_backup_that_does_not_exist_leaves_nothing() {
    let (f, _) = fixture().await;
    let id = "backup_2001-01-01T00-00-00Z_v1.0.0".parse().unwrap();
    let export = Export::new(&f, &id, ExportFormat::Tar);
    assert!(export.run().await.unwrap_err().is(&codes::BACKUP_UNKNOWN));
    assert!(!export.part().exists());
}

#[tokio::test]
async fn a_passphrase_seals_and_resumes_and_a_part_of_others_is_begun_anew() {
    let (f, id) = fixture().await;
    let expected = tar_of(&f, &id).await;
    let to = SealTo::Passphrase(Secret::new(PASSPHRASE));
    let export = Export::new(&f, &id, ExportFormat::TarZstdAge(to));
    export.run().await.unwrap();
    let whole = std::fs::read(&export.path).unwrap();
    std::fs::remove_file(&export.path).unwrap();
    std::fs::write(export.part(), &whole[..whole.len() / 2]).unwrap();
    assert!(export.run().await.unwrap().resumed_bytes > 5 << 20);
    std::fs::remove_file(&export.path).unwrap();
    std::fs::write(export.part(), &whole[..whole.len() / 2]).unwrap();
    let export = Export::new(&f, &id, ExportFormat::TarZstdAge(SealTo::Repository));
    assert_eq!(export.run().await.unwrap().resumed_bytes, 0);
    assert!(export.take() == expected);
}

/// A writer that is full after this number of bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, content: &[u8]) -> std::io::Result<usize> {
        let length = content.len().min(self.0);
        self.0 -= length;
        if length == 0 { Err(std::io::ErrorKind::StorageFull.into()) } else { Ok(length) }
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn an_output_that_is_full_is_said_to_be_full() {
    let (f, id) = fixture().await;
    for format in formats() {
        for room in [0, 5_000_000] {
            let (progress, cancel) = (Progress::none(), Cancel::new());
            let made = f.repo.export(&f.identity, &id, format.clone(), Full(room), &progress, &cancel).await;
            assert!(made.err().unwrap().is(&cloudron_core::codes::NO_SPACE));
        }
    }
}

const CHILD: &str = "CLOUDRON_EXPORT_CHILD";

/// Not a test itself: the process that the next test kills.
#[tokio::test]
async fn child_that_exports() {
    let Ok(spec) = std::env::var(CHILD) else { return };
    let [store, identity, id, path, limit, kind]: [String; 6] =
        serde_json::from_str(&std::fs::read_to_string(spec).unwrap()).unwrap();
    let limit = limit.parse().unwrap();
    // The system kills a process that writes a longer file.
    let limit = rustix::process::Rlimit { current: Some(limit), maximum: Some(limit) };
    rustix::process::setrlimit(rustix::process::Resource::Fsize, limit).unwrap();
    let repo = Repository::open(cloudron_backup::open_store(&store).unwrap()).await.unwrap();
    let identity = Identity::parse(&Secret::new(identity)).unwrap();
    let format = if kind == "tar" { ExportFormat::Tar } else { ExportFormat::TarZstdAge(SealTo::Repository) };
    let (progress, cancel) = (Progress::none(), Cancel::new());
    let id = id.parse().unwrap();
    repo.export_to_file(&identity, &id, format, &path, &progress, &cancel).await.unwrap();
}

#[tokio::test]
async fn an_export_killed_again_and_again_comes_to_the_same_tar() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store").display().to_string();
    let f = Fixture::on(cloudron_backup::open_store(&store).unwrap()).await;
    fill(&f, 5 << 20);
    let id = f.backup().await.id;
    let expected = tar_of(&f, &id).await;
    for format in formats() {
        let export = Export::new(&f, &id, format);
        let kind = export.format.extension();
        let identity = f.identity.to_secret().expose().to_owned();
        let mut killed = 0;
        for megabytes in [1, 4, 8, 8, 12, 90] {
            let limit = (megabytes << 20) + 4321 * killed;
            let path = export.path.display().to_string();
            let spec =
                [store.clone(), identity.clone(), id.to_string(), path, limit.to_string(), kind.to_owned()];
            let file = f.target("spec");
            std::fs::write(&file, serde_json::to_string(&spec).unwrap()).unwrap();
            let status = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "child_that_exports"])
                .env(CHILD, &file)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .unwrap();
            assert_eq!(
                export.path.exists(),
                status.success(),
                "there is a file only of an export that was done"
            );
            killed += u64::from(!status.success());
        }
        assert_eq!(killed, 5);
        assert!(export.take() == expected);
    }
}
