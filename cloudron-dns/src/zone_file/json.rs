//! Record sets in JSON.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{MAX_BYTES, without_bom};
use crate::{Error, RecordSet, Result, codes};

/// A list, or an object that contains it as `records`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Form {
    List(Vec<serde_json::Value>),
    Object { records: Vec<serde_json::Value> },
}

/// Parses `[{"name": "my.example.com", "type": "A", "ttl": 300, "values": ["192.0.2.1"]}]`, or an object that contains
/// such a list as `records`. Names are absolute, with or without their final dot.
///
/// # Errors
/// `dns-zone-file` with the position and the problem; a duplicate set is an error.
pub fn from_json(bytes: &[u8]) -> Result<Vec<RecordSet>> {
    let wrong = |why: String| Error::new(&codes::ZONE_FILE, why);
    if bytes.len() > MAX_BYTES {
        return Err(wrong(format!(
            "the file has {} bytes, more than the {MAX_BYTES} that are read",
            bytes.len()
        )));
    }
    let value: serde_json::Value =
        serde_json::from_slice(without_bom(bytes)).map_err(|e| wrong(format!("it is not JSON: {e}")))?;
    let list = match serde_json::from_value(value) {
        Ok(Form::List(list) | Form::Object { records: list }) => list,
        Err(_) => {
            return Err(wrong("expected a list of record sets, or an object with one as `records`".into()));
        }
    };
    let mut sets: Vec<RecordSet> = Vec::with_capacity(list.len());
    let mut seen = BTreeSet::new();
    for (at, value) in list.into_iter().enumerate() {
        let set: RecordSet = serde_json::from_value(value).map_err(|e| {
            let form = r#"expected {"name": …, "type": …, "ttl": …, "values": [...]}"#;
            wrong(format!("record set {}: {e}: {form}", at + 1))
        })?;
        if !seen.insert(set.key().clone()) {
            return Err(wrong(format!("record set {}: {} is there twice", at + 1, set.key())));
        }
        sets.push(set);
    }
    sets.sort();
    Ok(sets)
}
