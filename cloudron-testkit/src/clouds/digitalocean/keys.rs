//! SSH keys. The fingerprint is unique; the name is not.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use serde_json::{Value, json};

use super::state::{Outcome, State, missing};
use super::{Call, checks, ok, unprocessable};

impl State {
    pub(super) fn create_key(&mut self, call: &Call) -> Outcome {
        let body = checks::body(call, &["name", "public_key"], &[])?;
        let (name, key) = (checks::text(&body, "name", 255)?, checks::text(&body, "public_key", 16_384)?);
        let blob = key.split_whitespace().nth(1).and_then(|b| STANDARD.decode(b).ok());
        let blob = blob
            .ok_or_else(|| unprocessable("Key invalid, key should be of the format `type key [comment]`"))?;
        let fingerprint: Vec<String> = Md5::digest(&blob).iter().map(|b| format!("{b:02x}")).collect();
        let fingerprint = fingerprint.join(":");
        if self.keys.values().any(|key| key["fingerprint"] == fingerprint.as_str()) {
            return Err(unprocessable("SSH Key is already in use on your account"));
        }
        let id = self.fresh();
        let value = json!({ "id": id, "name": name, "public_key": key, "fingerprint": fingerprint });
        self.keys.insert(id, value.clone());
        Ok(ok(201, json!({ "ssh_key": value })))
    }

    /// Finds a key by its ID or fingerprint.
    pub(super) fn key(&self, wanted: &Value) -> Option<(u64, &Value)> {
        let text = wanted.as_str().map(str::to_owned).or_else(|| wanted.as_u64().map(|n| n.to_string()))?;
        let same = |(id, key): &(&u64, &Value)| id.to_string() == text || key["fingerprint"] == text.as_str();
        self.keys.iter().find(same).map(|(id, key)| (*id, key))
    }

    pub(super) fn one_key(&mut self, call: &Call, wanted: &str) -> Outcome {
        let (id, key) = self.key(&json!(wanted)).ok_or_else(missing)?;
        match &*call.method {
            "GET" => Ok(ok(200, json!({ "ssh_key": key }))),
            "PUT" => {
                let body = checks::body(call, &["name"], &[])?;
                let name = checks::text(&body, "name", 255)?;
                let key = self.keys.get_mut(&id).ok_or_else(missing)?;
                key["name"] = json!(name);
                Ok(ok(200, json!({ "ssh_key": key })))
            }
            "DELETE" => {
                self.keys.remove(&id);
                Ok(ok(204, Value::Null))
            }
            _ => Err(missing()),
        }
    }
}
