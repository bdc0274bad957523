//! Forged backups of somebody with a writer's keys: with any manifest.

use cloudron_backup::encrypt::{AgeIdentities, AgeRecipients, Decryptor, Encryptor};
use cloudron_core::BackupId;
use ed25519_dalek::{Signer, SigningKey};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Fixture;

/// Returns the lines of a manifest.
pub async fn manifest(f: &Fixture, id: &BackupId) -> Vec<Value> {
    let (key, _) = place(f, id).await;
    let identity = AgeIdentities::parse([&f.identity.to_secret()]).unwrap();
    let plain = identity.open_bytes(&f.store.get(&key).await.unwrap()).unwrap();
    let text = zstd::decode_all(&plain[..]).unwrap();
    text.split(|b| *b == b'\n')
        .filter(|l| !l.is_empty())
        .map(|l| serde_json::from_slice(l).unwrap())
        .collect()
}

/// Replaces the lines of a manifest, and signs the summary again.
pub async fn replace(f: &Fixture, id: &BackupId, lines: &[Value]) {
    let text: String = lines.iter().map(|l| format!("{l}\n")).collect();
    replace_text(f, id, text.as_bytes()).await;
}

/// Replaces the text of a manifest, and signs the summary again.
pub async fn replace_text(f: &Fixture, id: &BackupId, text: &[u8]) {
    let (_, mut summary) = place(f, id).await;
    let sealed = AgeRecipients::parse([&f.keys.recipient])
        .unwrap()
        .seal_bytes(&zstd::encode_all(text, 3).unwrap())
        .unwrap();
    let hash = hex::encode(Sha256::digest(&sealed));
    summary["manifest"] = serde_json::json!({"size": sealed.len(), "sha256": hash});
    f.store.put(&key_of(id, &summary), &sealed.into()).await.unwrap();
    let object = serde_json::to_vec(&signed(f, summary)).unwrap();
    f.store.put(&format!("snapshots/{id}.json"), &object.into()).await.unwrap();
}

fn signed(f: &Fixture, summary: Value) -> Value {
    let mut seed = [0; 32];
    hex::decode_to_slice(f.keys.signing_seed.expose(), &mut seed).unwrap();
    let context = format!("summary v{}", summary["schema"]);
    sign(summary, &context, &SigningKey::from_bytes(&seed))
}

/// Returns the object with a signature.
pub fn sign(mut object: Value, context: &str, key: &SigningKey) -> Value {
    object.as_object_mut().unwrap().remove("signature");
    let text = format!("cloudron-backup {context}\n{}", canonical(&object));
    object["signature"] = hex::encode(key.sign(text.as_bytes()).to_bytes()).into();
    object
}

/// Returns JSON with sorted keys, whatever order this build keeps them in.
fn canonical(value: &Value) -> String {
    let joined = |parts: Vec<String>| parts.join(",");
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            let member =
                |(name, value): (&String, &Value)| format!("{}:{}", Value::from(&**name), canonical(value));
            format!("{{{}}}", joined(sorted.into_iter().map(member).collect()))
        }
        Value::Array(items) => format!("[{}]", joined(items.iter().map(canonical).collect())),
        other => other.to_string(),
    }
}

async fn place(f: &Fixture, id: &BackupId) -> (String, Value) {
    let object = f.store.get(&format!("snapshots/{id}.json")).await.unwrap();
    let summary: Value = serde_json::from_slice(&object).unwrap();
    (key_of(id, &summary), summary)
}

fn key_of(id: &BackupId, summary: &Value) -> String {
    match summary["schema"].as_u64() {
        Some(1) => format!("snapshots/{id}.age"),
        _ => format!("snapshots/{}.age", summary["manifest"]["sha256"].as_str().unwrap()),
    }
}
