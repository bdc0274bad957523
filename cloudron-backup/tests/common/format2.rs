//! A repository of format 2, converted from the stored one of format 1 according to docs/backup-format.md,
//! without using the program's code for it: a second implementation, for reading and for attacks.

use std::path::{Path, PathBuf};

use cloudron_backup::encrypt::{AgeIdentities, AgeRecipients, Decryptor, Encryptor};
use cloudron_core::Secret;
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::forge::sign;

/// The backup key of the stored repository.
pub const KEY: &str = "f1sampleabcdefghijkmnopqrstuvwxyz0123456";
/// Its backups, oldest first.
pub const BACKUPS: [&str; 3] = [
    "backup_2026-11-30T16-26-57Z_v0.1.0",
    "backup_2026-11-30T16-26-59Z_v0.1.0",
    "backup_2026-11-30T16-27-04Z_v0.1.0",
];

/// A signer: the owner, without a certificate, or a writer.
#[derive(Clone)]
pub struct Signing {
    pub key: SigningKey,
    pub certificate: Option<Value>,
}

/// The repository, in a folder.
pub struct Repository {
    pub dir: tempfile::TempDir,
    pub id: String,
    pub recipient: String,
    pub identity: Secret,
    secret: Vec<u8>,
    pub owner: Signing,
    pub main: Signing,
}

pub fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples/format-1")
}

fn sha256(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}

/// Copies a tree of plain files.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).unwrap()),
        }
    }
}

/// Formats a line of a manifest or an index, with the fields first that a writer puts first.
pub fn line_of(line: &Value) -> String {
    let Some(members) = line.as_object() else { return format!("{line}\n") };
    let first = ["type", "path", "path64", "pack", "size"];
    let rest = members.keys().map(String::as_str).filter(|name| !first.contains(name));
    let named = first.into_iter().filter(|name| members.contains_key(*name)).chain(rest);
    let text: Vec<String> = named.map(|name| format!("{}:{}", Value::from(name), members[name])).collect();
    format!("{{{}}}\n", text.join(","))
}

impl Repository {
    /// Returns a copy of the stored repository of format 1.
    pub fn first() -> Self {
        let dir = tempfile::tempdir().unwrap();
        copy(&sample().join("repository"), &dir.path().join("store"));
        for name in ["recover.py", "recover.sh"] {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("recover").join(name);
            std::fs::copy(script, dir.path().join("store").join(name)).unwrap();
        }
        std::fs::write(dir.path().join("key"), format!("{KEY}\n")).unwrap();
        let paper = Secret::new(std::fs::read_to_string(sample().join("paper-key")).unwrap().trim());
        let object = sample().join("repository/keys/paper-c188a96cf68d1df0.age");
        let plain =
            AgeIdentities::parse([&paper]).unwrap().open_bytes(&std::fs::read(object).unwrap()).unwrap();
        let text = String::from_utf8(plain).unwrap();
        let identity = text.lines().find(|l| l.starts_with("AGE-SECRET-KEY-1")).unwrap().to_owned();
        let secret = bech32::decode(&identity).unwrap().1;
        let config: Value =
            serde_json::from_slice(&std::fs::read(dir.path().join("store/cloudron-backup.json")).unwrap())
                .unwrap();
        let seed = blake3::derive_key("cloudron-backup 2026-11 v1 owner signing seed", &secret);
        let owner = Signing { key: SigningKey::from_bytes(&seed), certificate: None };
        Self {
            dir,
            id: config["id"].as_str().unwrap().to_owned(),
            recipient: config["recipients"]["data"][0].as_str().unwrap().to_owned(),
            identity: Secret::new(identity),
            secret,
            main: owner.clone(),
            owner,
        }
    }

    /// Returns the same backups in format 2, made by the writer `main`, whose index lists the packs.
    pub fn new() -> Self {
        let mut this = Self::first();
        this.main = this.writer("main", json!({}));
        let config = this.json("cloudron-backup.json");
        let (mut index, mut backups) = (Vec::new(), Vec::new());
        for folder in ["index", "condemned"] {
            for path in this.paths(folder) {
                index.extend(this.lines(&path));
            }
        }
        for id in BACKUPS {
            let manifest = this.lines(&this.path(&format!("snapshots/{id}.age")));
            backups.push((id, this.json(&format!("snapshots/{id}.json")), manifest));
        }
        for folder in ["index", "condemned", "forgotten", "snapshots"] {
            std::fs::remove_dir_all(this.path(folder)).unwrap();
        }
        this.describe(config);
        this.index("index", &this.main, &index);
        for (id, mut summary, mut manifest) in backups {
            manifest[0]["manifest"] = 2.into();
            summary["schema"] = 2.into();
            this.backup(id, &this.main, summary, &manifest);
        }
        this
    }

    fn describe(&self, mut config: Value) {
        config["version"] = 2.into();
        config.as_object_mut().unwrap().remove("signing_keys");
        config["owner"] = hex::encode(self.owner.key.verifying_key().as_bytes()).into();
        let config = sign(config, "config v2", &self.owner.key);
        for name in ["cloudron-backup.json", "copies/cloudron-backup.json"] {
            self.put_json(name, &config);
        }
        for path in self.paths("keys") {
            let (name, content) =
                (path.file_name().unwrap().to_str().unwrap(), std::fs::read(&path).unwrap());
            let statement = json!({"key": 1, "repository": self.id, "object": sha256(&content)});
            let statement = sign(statement, "key v2", &self.owner.key);
            self.put_json(&format!("keys/{}", name.replace(".age", ".json")), &statement);
            self.put(&format!("copies/keys/{name}"), &content);
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("store").join(name)
    }

    pub fn paths(&self, folder: &str) -> Vec<PathBuf> {
        let mut paths: Vec<_> =
            std::fs::read_dir(self.path(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    }

    pub fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(name)).unwrap()).unwrap()
    }

    pub fn put(&self, name: &str, content: &[u8]) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), content).unwrap();
    }

    pub fn put_json(&self, name: &str, value: &Value) {
        self.put(name, format!("{value:#}\n").as_bytes());
    }

    /// Writes an object named by its hash. Returns the name.
    pub fn put_hashed(&self, folder: &str, content: &[u8], ending: &str) -> String {
        let name = format!("{folder}/{}{ending}", sha256(content));
        self.put(&name, content);
        name
    }

    /// Returns the JSON lines in an encrypted object.
    pub fn lines(&self, path: &Path) -> Vec<Value> {
        let identity = AgeIdentities::parse([&self.identity]).unwrap();
        let plain = identity.open_bytes(&std::fs::read(path).unwrap()).unwrap();
        let text = zstd::decode_all(&plain[..]).unwrap();
        text.split(|b| *b == b'\n')
            .filter(|l| !l.is_empty())
            .map(|l| serde_json::from_slice(l).unwrap())
            .collect()
    }

    pub fn seal(&self, plain: &[u8]) -> Vec<u8> {
        AgeRecipients::parse([&self.recipient]).unwrap().seal_bytes(plain).unwrap()
    }

    pub fn seal_text(&self, text: &[u8]) -> Vec<u8> {
        self.seal(&zstd::encode_all(text, 3).unwrap())
    }

    /// Certifies a writer with limits.
    pub fn writer(&self, name: &str, limits: Value) -> Signing {
        let named = [&self.secret[..], name.as_bytes()].concat();
        let key = SigningKey::from_bytes(&blake3::derive_key(
            "cloudron-backup 2026-11 v2 writer signing seed",
            &named,
        ));
        let mut certificate = json!({
            "certificate": 1, "repository": self.id, "name": name, "created": "2026-11-30T00:00:00Z",
            "key": hex::encode(key.verifying_key().as_bytes()),
        });
        certificate.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
        let certificate = sign(certificate, "certificate v2", &self.owner.key);
        self.put_hashed("writers", format!("{certificate:#}\n").as_bytes(), ".json");
        Signing { key, certificate: Some(certificate) }
    }

    /// Revokes a writer, except for some summaries.
    pub fn revoke(&self, writer: &Signing, keep: &[&str]) {
        let id = &sha256(writer.key.verifying_key().as_bytes())[..16];
        let keep: Vec<String> =
            keep.iter().map(|name| sha256(&std::fs::read(self.path(name)).unwrap())).collect();
        let revocation = json!({
            "revocation": 1, "repository": self.id, "writer": id, "time": "2026-11-30T00:00:00Z", "keep": keep,
        });
        let revocation = sign(revocation, "revocation v2", &self.owner.key);
        self.put_hashed("writers", format!("{revocation:#}\n").as_bytes(), ".json");
    }

    /// Writes an index object. Returns its name.
    pub fn index(&self, kind: &str, signing: &Signing, lines: &[Value]) -> String {
        let mut header = json!({"index": 2, "kind": kind, "repository": self.id});
        if let Some(certificate) = &signing.certificate {
            header["certificate"] = certificate.clone();
        }
        let mut text = format!("{header}\n");
        lines.iter().for_each(|line| text.push_str(&line_of(line)));
        let signed = [&b"cloudron-backup index v2\n"[..], &Sha256::digest(text.as_bytes())].concat();
        let signature = hex::encode(signing.key.sign(&signed).to_bytes());
        text.push_str(&format!("{}\n", json!({"signature": signature})));
        self.put_hashed(kind, &self.seal_text(text.as_bytes()), ".age")
    }

    /// Writes a backup: a manifest, and a summary based on another one.
    pub fn backup(&self, id: &str, signing: &Signing, summary: Value, manifest: &[Value]) {
        let mut manifest = manifest.to_vec();
        manifest[0]["id"] = id.into();
        let text: String = manifest.iter().map(line_of).collect();
        self.backup_text(id, signing, summary, text.as_bytes());
    }

    pub fn backup_text(&self, id: &str, signing: &Signing, mut summary: Value, manifest: &[u8]) {
        let sealed = self.seal_text(manifest);
        self.put_hashed("snapshots", &sealed, ".age");
        summary["id"] = id.into();
        summary["manifest"] = json!({"size": sealed.len(), "sha256": sha256(&sealed)});
        if let Some(certificate) = &signing.certificate {
            summary["certificate"] = certificate.clone();
        }
        self.put_json(&format!("snapshots/{id}.json"), &sign(summary, "summary v2", &signing.key));
    }

    /// Returns the summary and the manifest of a backup.
    pub fn read_backup(&self, id: &str) -> (Value, Vec<Value>) {
        let summary = self.json(&format!("snapshots/{id}.json"));
        let hash = summary["manifest"]["sha256"].as_str().unwrap();
        let manifest = self.lines(&self.path(&format!("snapshots/{hash}.age")));
        (summary, manifest)
    }
}
