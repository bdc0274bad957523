//! A repository can be read without this program: stock age, zstd and Python are enough.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cloudron_testkit::require;
use common::{Fixture, KEY, noise};

fn tools() -> Option<[PathBuf; 3]> {
    require::tools(["age", "zstd", "python3"])
}

async fn repository() -> (Fixture, tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let f = Fixture::on(cloudron_backup::open_store(path.to_str().unwrap()).unwrap()).await;
    std::fs::write(dir.path().join("key"), format!("{KEY}\n")).unwrap();
    (f, dir, path)
}

fn recover(python: &Path, store: &Path, key: &Path, id: &str, target: &Path) -> Output {
    Command::new(python)
        .arg("recover.py")
        .args([id.as_ref(), target.as_os_str()])
        .env("CLOUDRON_BACKUP_KEY_FILE", key)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(store)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn recover_py_restores_the_same_tree() {
    let Some([_, _, python]) = tools() else { return };
    let (f, dir, store) = repository().await;
    cloudron_testkit::tree::generate(&f.source(), 11, 12 << 20).unwrap();
    f.write("media", noise(9 << 20, 3));
    let first = f.backup().await.id;
    f.write("media", noise(9 << 20, 4));
    f.backup().await;
    let out = recover(&python, &store, &dir.path().join("key"), "latest", &f.target("out"));
    assert!(out.status.success(), "{}", said(&out));
    cloudron_testkit::tree::assert_same(&f.source(), &f.restored("out"));
    assert!(f.repo.find("latest").await.unwrap().id != first);
    let out = recover(&python, &store, &dir.path().join("key"), first.as_str(), &f.target("first"));
    assert!(out.status.success(), "{}", said(&out));
    assert_eq!(std::fs::read(f.restored("first").join("media")).unwrap(), noise(9 << 20, 3));
    assert!(!said(&out).contains(KEY));
}

#[tokio::test]
async fn recover_py_takes_for_the_latest_backup_the_one_that_was_made_last() {
    let Some([_, _, python]) = tools() else { return };
    let (f, dir, store) = repository().await;
    f.write("file", "early");
    f.backup_as("backup_2099-01-02T03-04-05Z_v1.0.0").await;
    f.write("file", "newest");
    f.backup().await;
    f.bring("backup_2020-01-02T03-04-05Z_v1.0.0").await;
    std::fs::write(store.join("snapshots/backup_2098-01-02T03-04-05Z_v1.0.0.json"), "cut").unwrap();
    let out = recover(&python, &store, &dir.path().join("key"), "latest", &f.target("out"));
    assert!(out.status.success(), "{}", said(&out));
    assert_eq!(std::fs::read(f.restored("out").join("file")).unwrap(), b"newest");
}

#[tokio::test]
async fn recover_py_names_what_is_damaged_and_restores_the_rest() {
    let Some([_, _, python]) = tools() else { return };
    let (f, dir, store) = repository().await;
    for i in 0..4 {
        f.write(&format!("large{i}"), noise(9 << 20, i));
    }
    let id = f.backup().await.id;
    let key = dir.path().join("key");
    let pack = store.join(f.keys_under("packs/").await.remove(0));
    let content = std::fs::read(&pack).unwrap();
    let mut changed = content.clone();
    changed[1000] ^= 1;
    std::fs::write(&pack, changed).unwrap();
    let out = recover(&python, &store, &key, "latest", &f.target("out"));
    assert!(!out.status.success());
    assert!(said(&out).contains("FAILED") && said(&out).contains("large"), "{}", said(&out));
    let restored = std::fs::read_dir(f.restored("out")).unwrap().count();
    assert!((1..4).contains(&restored), "{restored}");
    std::fs::write(&pack, content).unwrap();

    let out = recover(&python, &store, &key, "backup_2026-01-02T03-04-05Z_v1.0.0", &f.target("none"));
    assert!(!out.status.success() && said(&out).contains(id.as_str()), "{}", said(&out));
    std::fs::write(&key, "a wrong backup key\n").unwrap();
    let out = recover(&python, &store, &key, "latest", &f.target("wrong"));
    assert!(!out.status.success() && said(&out).contains("does not open"), "{}", said(&out));
    assert!(!f.target("wrong").exists());
}

#[tokio::test]
async fn stock_age_and_zstd_read_a_pack() {
    let Some([age, zstd, _]) = tools() else { return };
    let (f, dir, store) = repository().await;
    f.write("file", "what the pack holds, once and for all");
    f.backup().await;
    let identity = dir.path().join("identity");
    std::fs::write(&identity, f.identity.to_secret().expose()).unwrap();
    let pack = store.join(f.keys_under("packs/").await.remove(0));
    let plain = Command::new(age).args(["-d", "-i"]).args([&identity, &pack]).output().unwrap();
    assert!(plain.status.success(), "{}", said(&plain));
    std::fs::write(dir.path().join("frames"), plain.stdout).unwrap();
    let chunks = Command::new(zstd).args(["-dcq"]).arg(dir.path().join("frames")).output();
    let chunks = chunks.unwrap();
    // zstd takes a file without the usual suffix from standard output mode only as a stream of frames.
    assert!(said(&chunks).contains("what the pack holds, once and for all"), "{}", said(&chunks));
}

#[tokio::test]
async fn recover_py_takes_a_paper_key_or_the_identity_itself() {
    let Some([_, _, python]) = tools() else { return };
    let (f, dir, store) = repository().await;
    f.write("file", "kept");
    let paper = f.repo.add_paper_key(&f.identity, "paper", None).await.unwrap().secret.unwrap();
    f.backup().await;
    let stranger = cloudron_backup::Identity::generate().to_secret();
    for (name, secret, opens) in
        [("paper", &paper, true), ("own", &f.identity.to_secret(), true), ("stranger", &stranger, false)]
    {
        let key = dir.path().join(name);
        std::fs::write(&key, format!("{}\n", secret.expose())).unwrap();
        let out = recover(&python, &store, &key, "latest", &f.target(name));
        assert_eq!(out.status.success(), opens, "{name}: {}", said(&out));
        assert_eq!(f.restored(name).join("file").exists(), opens);
        assert!(!said(&out).contains(secret.expose()) && !said(&out).contains("Traceback"), "{}", said(&out));
    }
}

#[tokio::test]
async fn recover_py_passes_over_tombstones() {
    let Some([_, _, python]) = tools() else { return };
    let (f, dir, store) = repository().await;
    f.write("file", "kept");
    let made = f.backup().await;
    let id = "backup_2099-01-02T03-04-05Z_v1.0.0";
    let tombstone = format!("{{\n  \"aborted\": true,\n  \"id\": \"{id}\"\n}}\n");
    std::fs::write(store.join(format!("snapshots/{id}.json")), tombstone).unwrap();
    let out = recover(&python, &store, &dir.path().join("key"), "latest", &f.target("out"));
    assert!(out.status.success() && said(&out).contains(made.id.as_str()), "{}", said(&out));
    assert_eq!(std::fs::read(f.restored("out").join("file")).unwrap(), b"kept");
}

/// The first vectors of RFC 8032, 7.1, and of BLAKE3's own test vectors; the second of these spans three chunks.
const VECTORS: &str = r#"
import recover
seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
key = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
signature = (
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
    "d25bf5f0595bbe24655141438e7a100b"
)
assert recover.public_key(seed) == key
assert recover.is_signed(b"", signature, key)
assert not recover.is_signed(b"x", signature, key)
for at in range(128):
    changed = signature[:at] + "%x" % (int(signature[at], 16) ^ 1) + signature[at + 1 :]
    assert not recover.is_signed(b"", changed, key), at
# The same signature with the order of the group added to its number, and one that fits any text.
number = int.from_bytes(bytes.fromhex(signature[64:]), "little") + recover.L
assert not recover.is_signed(b"", signature[:64] + number.to_bytes(32, "little").hex(), key)
small = recover.encode(recover.NEUTRAL)
assert not recover.is_signed(b"any", small.hex() + bytes(32).hex(), small)
for text in (None, "", "zz", "00" * 63, 7):
    assert not recover.is_signed(b"", text, key)

import struct
def hex(words): return struct.pack("<8I", *words).hex()
def data(length): return bytes(i % 251 for i in range(length))
assert hex(recover.blake3(b"")) == "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
KEYED = "KEYED_VECTORS"
for line in KEYED.split(";"):
    length, expected = line.split(":")
    key = struct.unpack("<8I", b"whats the Elvish word for friend")
    assert hex(recover.blake3(data(int(length)), key, recover.KEYED)) == expected, length
assert recover.derive_key("DERIVE_CONTEXT", data(32)).hex() == "DERIVED"
"#;

#[test]
fn recover_py_computes_what_the_standards_say() {
    let Some(python) = cloudron_testkit::require::tool("python3") else { return };
    let key = b"whats the Elvish word for friend";
    let data = |length: usize| (0..length).map(|i| (i % 251) as u8).collect::<Vec<_>>();
    let keyed = [0, 1, 64, 65, 1023, 1024, 1025, 2048, 2049, 3073, 5120, 8193]
        .map(|length| format!("{length}:{}", blake3::keyed_hash(key, &data(length)).to_hex()));
    let context = "cloudron-backup 2026-11 v1 chunk id key";
    let derived = hex::encode(blake3::derive_key(context, &data(32)));
    let script = VECTORS
        .replace("KEYED_VECTORS", &keyed.join(";"))
        .replace("DERIVE_CONTEXT", context)
        .replace("DERIVED", &derived);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("recover");
    let out = Command::new(python).args(["-B", "-c", &script]).current_dir(folder).output().unwrap();
    assert!(out.status.success(), "{}", said(&out));
}
