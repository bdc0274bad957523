//! Importing backups of the original Cloudron.

mod common;

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use aes::Aes256;
use aes::cipher::generic_array::GenericArray;
use aes::cipher::{BlockEncryptMut, KeyIvInit};
use base64::Engine;
use cloudron_backup::{ExportFormat, ImportRequest, OldBackup, Summary, codes};
use cloudron_core::{Cancel, Code, Progress, Result, Secret};
use cloudron_testkit::require;
use common::trees::{name, node, plant};
use common::{Fixture, noise};
use md5::Digest;
use proptest::prelude::*;

const NAME: &str = "backup_2016-12-01T03:00:00.123Z-v0.94.0.tar.gz";
const KEY: &str = "the-old-backup-key";

/// A backup from a server of 2016, made by `tar -czf - -C snapshot . | openssl aes-256-cbc -e -pass
/// pass:KEY` with OpenSSL 1.0.2.
const OF_2016: &str = "U2FsdGVkX1+BNOpF8QX+mtc8h5zrOV5pJhZ405yx8ionufUQpZypRWh7r1CmgfD8Q85curEdi2a+yOoRJLOyVKDV\
    CeW0pCSLH9Fvkqf0WbSX5N//pKNNdJkthk4uwu/tOudzmv1DHy8H/VYgPumCrSYowjG9bmS98avi5Ulb0YUtDgdc7qeuQcpTDnIcYSGPh0F8DdmM\
    DT6+PWK85ywmUdHZ3QGLxV4bEuoYdQk4ux7EZV716/NtUwgEoJCWFYwObzXaAvHVtWEzSUZULn8P31qYm9r6MlVxNXoS9TgvgMeX\
    OyttEMmDQAC3S7C9SgVT";

fn of_2016() -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(OF_2016).unwrap()
}

fn request(key: Option<&str>) -> ImportRequest {
    let mut request = ImportRequest::new(&OldBackup::parse(NAME).unwrap());
    request.key = key.map(Secret::new);
    request
}

async fn import_as(f: &Fixture, request: ImportRequest, file: Vec<u8>) -> Result<Summary> {
    f.repo.import(&f.keys, request, Cursor::new(file), &Progress::none(), &Cancel::new()).await
}

async fn import(f: &Fixture, key: Option<&str>, file: Vec<u8>) -> Result<Summary> {
    import_as(f, request(key), file).await
}

/// Checks that the import fails with this code, and no backup is listed.
async fn assert_refused(f: &Fixture, key: Option<&str>, file: Vec<u8>, code: &Code, what: &str) {
    let error = import(f, key, file).await.expect_err(what);
    assert!(error.is(code), "{what}: {error:?}");
    assert!(!error.to_string().contains(KEY), "{error}");
    assert!(f.repo.snapshots().await.unwrap().summaries.is_empty(), "{what}");
}

/// Restores a backup, and returns the path of its tree.
async fn restored(f: &Fixture, summary: &Summary, target: &str) -> PathBuf {
    let report = f.restore(&summary.id, target).await.unwrap();
    assert!(report.is_complete(), "{:?}", report.failed);
    assert!(f.compare(&summary.id, target).await.is_identical());
    f.target(target).join(Path::new(&summary.sources[0].path).strip_prefix("/").unwrap())
}

/// Returns a tar with one file.
fn tar_with(name: &str, content: &[u8]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    add(&mut tar, tar::EntryType::Regular, name, "", content);
    tar.into_inner().unwrap()
}

/// Adds a member with an unchecked name.
fn add(tar: &mut tar::Builder<Vec<u8>>, kind: tar::EntryType, name: &str, target: &str, content: &[u8]) {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(0o640);
    header.set_mtime(1_480_000_000);
    header.set_size(content.len() as u64);
    let fields = header.as_ustar_mut().unwrap();
    fields.name[..name.len()].copy_from_slice(name.as_bytes());
    fields.linkname[..target.len()].copy_from_slice(target.as_bytes());
    header.set_cksum();
    tar.append(&header, content).unwrap();
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(content).unwrap();
    gzip.finish().unwrap()
}

/// Encrypts like `openssl enc -md md5`, or like Node.js without a salt.
fn encrypt(content: &[u8], key: &str, salt: Option<[u8; 8]>) -> Vec<u8> {
    let (mut derived, mut last) = (Vec::new(), Vec::new());
    while derived.len() < 48 {
        let salt = salt.as_ref().map_or(&[][..], |s| &s[..]);
        last = md5::Md5::digest([&last[..], key.as_bytes(), salt].concat()).to_vec();
        derived.extend_from_slice(&last);
    }
    let (key, iv) = (GenericArray::from_slice(&derived[..32]), GenericArray::from_slice(&derived[32..48]));
    let mut cipher = cbc::Encryptor::<Aes256>::new(key, iv);
    let filler = 16 - content.len() % 16;
    let mut sealed = content.to_vec();
    sealed.resize(content.len() + filler, filler as u8);
    for block in sealed.chunks_exact_mut(16) {
        cipher.encrypt_block_mut(GenericArray::from_mut_slice(block));
    }
    match salt {
        Some(salt) => [b"Salted__", &salt[..], &sealed].concat(),
        None => sealed,
    }
}

#[tokio::test]
async fn a_backup_of_2016_comes_back_with_its_time_its_version_and_its_owners() {
    let f = Fixture::new().await;
    let mut request = request(Some(KEY));
    request.config = Some(b"{\"manifest\": 1}".to_vec());
    let summary = import_as(&f, request, of_2016()).await.unwrap();
    assert_eq!(summary.id.as_str(), "backup_2016-12-01T03-00-00Z_v0.94.0");
    assert_eq!(summary.time.to_string(), "2016-12-01T03:00:00Z");
    assert_eq!(summary.version, "0.94.0");
    assert_eq!(summary.sources[0].path, "/imported/backup_2016-12-01T03:00:00.123Z-v0.94.0");
    assert_eq!((summary.files, summary.errors, summary.warnings), (2, 0, 0));
    let origin = summary.origin.as_ref().unwrap();
    assert_eq!((origin.repository.as_str(), origin.sequence), ("", 0));
    let out = restored(&f, &summary, "out").await;
    assert_eq!(std::fs::read(out.join("box/box.mysqldump")).unwrap(), b"INSERT INTO users;\n");
    assert_eq!(std::fs::read_link(out.join("box/latest")).unwrap(), Path::new("box.mysqldump"));
    let time = out.join("box/box.mysqldump").metadata().unwrap().modified().unwrap();
    assert_eq!(jiff::Timestamp::try_from(time).unwrap().to_string(), "2016-12-01T03:00:00Z");
    let config = format!("{}.json", out.display());
    assert_eq!(std::fs::read(config).unwrap(), b"{\"manifest\": 1}");
    let (progress, cancel) = (Progress::none(), Cancel::new());
    let tar = f.repo.export_tar(&f.identity, &summary.id, Vec::new(), &progress, &cancel).await.unwrap();
    assert!(tar.windows(10).any(|w| w == b"yellowtent"), "the owner's name is kept");
}

#[tokio::test]
async fn what_openssl_encrypts_is_read_with_both_derivations_and_with_an_empty_key() {
    let Some([openssl, tar]) = require::tools(["openssl", "tar"]) else { return };
    let f = Fixture::new().await;
    cloudron_testkit::tree::generate(&f.source(), 5, 6 << 20).unwrap();
    f.write("large", noise(5 << 20, 1));
    let archive = f.target("old.tar.gz");
    let run = |command: &mut Command| assert!(command.stderr(Stdio::null()).status().unwrap().success());
    run(Command::new(&tar).arg("-czf").arg(&archive).arg("-C").arg(f.source()).arg("."));
    std::fs::create_dir(f.target("expected")).unwrap();
    run(Command::new(&tar).arg("-xpzf").arg(&archive).arg("-C").arg(f.target("expected")));
    for (i, (digest, key)) in
        [("md5", KEY), ("sha256", KEY), ("md5", ""), ("md5", "ключ \"with\" $odd 'signs'")]
            .into_iter()
            .enumerate()
    {
        let sealed = f.target("old.enc");
        let mut command = Command::new(&openssl);
        command.args(["enc", "-aes-256-cbc", "-e", "-md", digest, "-pass", "stdin", "-in"]).arg(&archive);
        let mut child =
            command.arg("-out").arg(&sealed).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(format!("{key}\n").as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
        let mut request = request(Some(key));
        request.id = f.next_id();
        request.target = PathBuf::from(format!("/old/{i}"));
        let summary = import_as(&f, request, std::fs::read(&sealed).unwrap()).await.unwrap();
        assert_eq!((summary.errors, summary.warnings), (0, 0));
        let out = restored(&f, &summary, &format!("out{i}")).await;
        cloudron_testkit::tree::assert_same(&f.target("expected"), &out);
        if i > 0 {
            assert!(summary.added_bytes < 100_000, "the same archive adds nothing: {}", summary.added_bytes);
        }
    }
}

#[tokio::test]
async fn later_servers_encrypted_without_a_salt_or_not_at_all() {
    let tar = tar_with("./note", b"kept");
    for (key, file) in [
        (Some(KEY), encrypt(&gzip(&tar), KEY, None)),
        (Some(KEY), encrypt(&gzip(&tar), KEY, Some(*b"saltsalt"))),
        (None, encrypt(&gzip(&tar), "", Some(*b"saltsalt"))),
        (Some("a key that is not needed"), encrypt(&gzip(&tar), "", Some(*b"saltsalt"))),
        (None, gzip(&tar)),
        (None, tar),
    ] {
        let f = Fixture::new().await;
        let summary = import(&f, key, file).await.unwrap();
        let out = restored(&f, &summary, "out").await;
        assert_eq!(std::fs::read(out.join("note")).unwrap(), b"kept");
    }
}

#[tokio::test]
async fn a_wrong_key_is_said_to_be_wrong() {
    let f = Fixture::new().await;
    let unsalted = encrypt(&gzip(&tar_with("x", b"x")), KEY, None);
    let wrong = &codes::OLD_BACKUP_KEY;
    assert_refused(&f, Some("another key"), of_2016(), wrong, "another key").await;
    assert_refused(&f, None, of_2016(), wrong, "no key").await;
    assert_refused(&f, Some("another key"), unsalted.clone(), wrong, "another key, without a salt").await;
    assert_refused(&f, None, unsalted, &codes::OLD_BACKUP_CORRUPT, "it cannot be told from noise").await;
    assert_refused(&f, None, b"hello".to_vec(), &codes::OLD_BACKUP_CORRUPT, "something else").await;
    assert_refused(&f, None, Vec::new(), &codes::OLD_BACKUP_CORRUPT, "nothing").await;
}

#[tokio::test]
async fn a_file_that_is_cut_anywhere_is_no_backup() {
    let f = Fixture::new().await;
    let sealed = of_2016();
    for length in 0..sealed.len() {
        let error = import(&f, Some(KEY), sealed[..length].to_vec()).await.unwrap_err();
        assert!(error.is(&codes::OLD_BACKUP_CORRUPT), "cut at {length}: {error:?}");
    }
    // Truncated before it was compressed: the archive itself lacks its end.
    let mut tar = tar::Builder::new(Vec::new());
    add(&mut tar, tar::EntryType::Regular, "zeros", "", &[0; 4096]);
    add(&mut tar, tar::EntryType::Regular, "more", "", &[1; 700]);
    let tar = tar.into_inner().unwrap();
    for length in (0..tar.len() - 1023).step_by(256) {
        let error = import(&f, None, gzip(&tar[..length])).await.unwrap_err();
        assert!(error.is(&codes::OLD_BACKUP_CORRUPT), "cut at {length}: {error:?}");
    }
    let text = import(&f, None, gzip(&tar[..3000])).await.unwrap_err().to_string();
    assert!(text.contains("zeros") && text.contains("at byte 3000"), "it says where: {text}");
    assert!(f.repo.snapshots().await.unwrap().summaries.is_empty());
}

#[tokio::test]
async fn a_file_with_a_flipped_bit_is_no_backup() {
    let f = Fixture::new().await;
    for at in 0..of_2016().len() {
        let mut sealed = of_2016();
        sealed[at] ^= 1 << (at % 8);
        assert!(import(&f, Some(KEY), sealed).await.is_err(), "byte {at}");
    }
    assert!(f.repo.snapshots().await.unwrap().summaries.is_empty());
}

#[tokio::test]
async fn names_that_leave_the_tree_are_refused() {
    use tar::EntryType as T;
    let f = Fixture::new().await;
    let cases: [&[(T, &str, &str)]; 6] = [
        &[(T::Regular, "../outside", "")],
        &[(T::Regular, "a/../../outside", "")],
        &[(T::Symlink, "link", "/etc"), (T::Regular, "link/passwd", "")],
        &[(T::Regular, "file", ""), (T::Regular, "file/below", "")],
        &[(T::Regular, "file", ""), (T::Link, "other", "../../etc/passwd")],
        &[(T::Directory, "folder", ""), (T::Link, "other", "folder")],
    ];
    for case in cases {
        let mut tar = tar::Builder::new(Vec::new());
        case.iter().for_each(|(kind, name, target)| add(&mut tar, *kind, name, target, b""));
        let tar = tar.into_inner().unwrap();
        assert_refused(&f, None, tar, &codes::OLD_BACKUP_CORRUPT, &format!("{case:?}")).await;
    }
    // A leading slash is removed, as tar does.
    let summary = import(&f, None, tar_with("/etc/passwd", b"root")).await.unwrap();
    let out = restored(&f, &summary, "out").await;
    assert_eq!(std::fs::read(out.join("etc/passwd")).unwrap(), b"root");
}

#[tokio::test]
async fn members_in_any_order_make_the_tree_that_tar_makes() {
    use tar::EntryType as T;
    let f = Fixture::new().await;
    let mut tar = tar::Builder::new(Vec::new());
    add(&mut tar, T::Regular, "z/first", "", b"one");
    add(&mut tar, T::Link, "a/second", "z/first", b"");
    add(&mut tar, T::Regular, "z/twice", "", b"old");
    add(&mut tar, T::Regular, "z/twice", "", b"new");
    add(&mut tar, T::Link, "gone", "nowhere", b"");
    add(&mut tar, T::Directory, "z/", "", b"");
    let summary = import(&f, None, tar.into_inner().unwrap()).await.unwrap();
    assert_eq!((summary.errors, summary.warnings), (1, 1), "the link to nowhere");
    let out = restored(&f, &summary, "out").await;
    assert_eq!(std::fs::read(out.join("a/second")).unwrap(), b"one");
    assert_eq!(std::fs::read(out.join("z/twice")).unwrap(), b"new");
    use std::os::unix::fs::MetadataExt;
    let inode = |path: &str| out.join(path).metadata().unwrap().ino();
    assert_eq!(inode("a/second"), inode("z/first"));
    assert_eq!(out.join("z").metadata().unwrap().mode() & 0o7777, 0o640);
    assert!(!out.join("gone").exists());
}

#[tokio::test]
async fn holes_are_kept_in_every_way_that_gnu_tar_writes_them() {
    let Some(tar) = require::tool("tar") else { return };
    let f = Fixture::new().await;
    use std::os::unix::fs::{FileExt, MetadataExt};
    let file = std::fs::File::create(f.source().join("sparse")).unwrap();
    file.set_len(40 << 20).unwrap();
    for i in 0..40 {
        file.write_all_at(&noise(5000, i), u64::from(i) << 20).unwrap();
    }
    file.set_len(48 << 20).unwrap();
    for (i, format) in [
        &["--format=gnu"][..],
        &["--format=pax", "--sparse-version=0.0"],
        &["--format=pax", "--sparse-version=0.1"],
        &["--format=pax", "--sparse-version=1.0"],
    ]
    .iter()
    .enumerate()
    {
        let out = Command::new(&tar)
            .args(*format)
            .args(["-Scf", "-", "-C"])
            .arg(f.source())
            .arg(".")
            .output()
            .unwrap();
        assert!(out.status.success());
        assert!(out.stdout.len() < 2 << 20, "tar found the holes");
        let mut request = request(None);
        request.id = f.next_id();
        let summary = import_as(&f, request, out.stdout).await.unwrap();
        let out = restored(&f, &summary, &format!("out{i}")).await.join("sparse");
        assert!(
            std::fs::read(&out).unwrap() == std::fs::read(f.source().join("sparse")).unwrap(),
            "{format:?}"
        );
        let (was, is) = (file.metadata().unwrap(), out.metadata().unwrap());
        assert!(is.blocks() <= was.blocks() + 1024, "{format:?}: {} {}", was.blocks(), is.blocks());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_survives_an_export_and_an_import(tree in proptest::collection::vec((name(), node()), 0..8)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let f = Fixture::new().await;
            let mut first = None;
            tree.iter().for_each(|(name, node)| plant(&f.source(), name, node, &mut first));
            let id = f.backup().await.id;
            let (progress, cancel) = (Progress::none(), Cancel::new());
            let tar = f.repo.export(&f.identity, &id, ExportFormat::Tar, Vec::new(), &progress, &cancel).await.unwrap();
            let summary = import(&f, None, tar).await.unwrap();
            assert_eq!((summary.errors, summary.warnings), (0, 0));
            let out = restored(&f, &summary, "out").await.join(f.source().strip_prefix("/").unwrap());
            let digest = |path: &Path| cloudron_testkit::tree::digest(path).unwrap();
            let mut differences = cloudron_testkit::tree::compare(&digest(&f.source()), &digest(&out));
            // The tar of an export stores holes as zeros.
            differences.retain(|d| !d.contains("sparse false"));
            assert_eq!(differences, Vec::<String>::new());
        });
    }

    #[test]
    fn a_tar_that_was_changed_anywhere_never_makes_the_reader_panic(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        pax in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let f = Fixture::new().await;
            let mut tar = tar::Builder::new(Vec::new());
            if pax {
                let records = [("GNU.sparse.major", &b"1"[..]), ("GNU.sparse.realsize", b"9999"), ("mtime", b"-1.5")];
                tar.append_pax_extensions(records).unwrap();
            }
            let mut content = b"1\n100\n412\n".to_vec();
            content.resize(if pax { 512 + 412 } else { 700 }, 0);
            add(&mut tar, tar::EntryType::Regular, "file", "", &content);
            let mut tar = tar.into_inner().unwrap();
            for (at, value) in &changes {
                let at = at.index(tar.len());
                tar[at] = *value;
            }
            let _ = import(&f, None, tar).await;
        });
    }
}
