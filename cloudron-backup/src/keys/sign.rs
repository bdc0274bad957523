//! Signatures over JSON objects: ed25519 (RFC 8032) over a canonical text.

use std::collections::BTreeMap;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::Serialize;
use serde_json::{Map, Value};

/// The field of the signature in the object.
const SIGNATURE: &str = "signature";

/// Returns the object with its signature, formatted for people. The context prevents a signature from being
/// used for an object of another kind.
pub(crate) fn signed_json(object: &impl Serialize, context: &[u8], key: &SigningKey) -> Vec<u8> {
    let mut text =
        serde_json::to_vec_pretty(&signed(object, context, key)).expect("the object is plain JSON");
    text.push(b'\n');
    text
}

/// Returns the object with its signature.
pub(crate) fn signed(object: &impl Serialize, context: &[u8], key: &SigningKey) -> Value {
    let mut value = serde_json::to_value(object).expect("the object is plain JSON");
    let signature = key.sign(&signed_text(&value, context));
    if let Some(object) = value.as_object_mut() {
        object.insert(SIGNATURE.to_owned(), Value::String(hex::encode(signature.to_bytes())));
    }
    value
}

/// Checks that an object has a valid signature of the key over all of its other fields.
pub(crate) fn is_signed(value: &Value, context: &[u8], key: &VerifyingKey) -> bool {
    let signature = value.get(SIGNATURE).and_then(Value::as_str).unwrap_or_default();
    checks(&signed_text(value, context), signature, key)
}

/// Checks a signature in hex over a text.
pub(crate) fn checks(text: &[u8], signature: &str, key: &VerifyingKey) -> bool {
    let mut bytes = [0; 64];
    hex::decode_to_slice(signature, &mut bytes).is_ok()
        && key.verify_strict(text, &Signature::from_bytes(&bytes)).is_ok()
}

/// Returns the signed text: the context and the object without its signature, with sorted keys and no whitespace.
fn signed_text(value: &Value, context: &[u8]) -> Vec<u8> {
    let mut text = context.to_vec();
    let mut object = value.as_object().cloned().unwrap_or_default();
    object.remove(SIGNATURE);
    canonical(&Value::Object(object), &mut text);
    text
}

/// Writes JSON with sorted keys and no whitespace. Sorted explicitly, because the map keeps the order of
/// insertion if another crate of the program enables that feature of serde_json.
fn canonical(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(object) => canonical_object(object, out),
        Value::Array(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                canonical(item, out);
            }
            out.push(b']');
        }
        other => out.extend_from_slice(other.to_string().as_bytes()),
    }
}

fn canonical_object(object: &Map<String, Value>, out: &mut Vec<u8>) {
    let sorted: BTreeMap<&String, &Value> = object.iter().collect();
    out.push(b'{');
    for (i, (key, value)) in sorted.into_iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.extend_from_slice(Value::String(key.clone()).to_string().as_bytes());
        out.push(b':');
        canonical(value, out);
    }
    out.push(b'}');
}

/// Parses an ed25519 key in hex.
pub(crate) fn verifying_key(hex: &str) -> Option<VerifyingKey> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(hex, &mut bytes).ok()?;
    VerifyingKey::from_bytes(&bytes).ok()
}
