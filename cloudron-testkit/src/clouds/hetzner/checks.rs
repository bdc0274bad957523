//! Checks of requests: no unknown field, none missing, each of its type.

use serde_json::{Map, Value, json};

use super::{Answer, Call, refused, selector};

/// The answer to a request with a wrong field.
pub(super) fn invalid(field: &str, problem: &str) -> Answer {
    let details = json!({ "fields": [{ "name": field, "messages": [problem] }] });
    refused(422, "invalid_input", &format!("invalid input in field '{field}': {problem}"), details)
}

/// The body as an object with these fields.
pub(super) fn body(call: &Call, needed: &[&str], allowed: &[&str]) -> Result<Map<String, Value>, Answer> {
    let text: &[u8] = if call.body.is_empty() { b"{}" } else { &call.body };
    let Ok(Value::Object(body)) = serde_json::from_slice(text) else {
        return Err(refused(400, "json_error", "the body is no JSON object", Value::Null));
    };
    fields(&body, needed, allowed)?;
    Ok(body)
}

/// Checks which fields an object has.
pub(super) fn fields(body: &Map<String, Value>, needed: &[&str], allowed: &[&str]) -> Result<(), Answer> {
    if let Some(field) = needed.iter().find(|f| body.get(**f).is_none_or(Value::is_null)) {
        return Err(invalid(field, "is required"));
    }
    match body.keys().find(|f| !needed.contains(&f.as_str()) && !allowed.contains(&f.as_str())) {
        Some(field) => Err(invalid(field, "is unknown")),
        None => Ok(()),
    }
}

/// Checks the labels of a body.
pub(super) fn labels(body: &Map<String, Value>) -> Result<(), Answer> {
    match body.get("labels").and_then(selector::problem) {
        Some(problem) => Err(invalid("labels", &problem)),
        None => Ok(()),
    }
}

/// A text of at most `most` characters.
pub(super) fn text<'a>(body: &'a Map<String, Value>, field: &str, most: usize) -> Result<&'a str, Answer> {
    let text = body.get(field).and_then(Value::as_str).ok_or_else(|| invalid(field, "is a text"))?;
    if text.is_empty() || text.len() > most { Err(invalid(field, "has a wrong length")) } else { Ok(text) }
}

/// A host name by RFC 1123.
pub(super) fn host_name(name: &str) -> Result<(), Answer> {
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    if name.len() <= 253 && name.split('.').all(label) {
        Ok(())
    } else {
        Err(invalid("name", "is no host name"))
    }
}

/// An IP network in CIDR notation.
pub(super) fn network(field: &str, value: &Value) -> Result<(), Answer> {
    let valid = value.as_str().and_then(|text| text.split_once('/')).is_some_and(|(address, bits)| {
        let most = match address.parse::<std::net::IpAddr>() {
            Ok(std::net::IpAddr::V4(_)) => 32,
            Ok(std::net::IpAddr::V6(_)) => 128,
            Err(_) => return false,
        };
        bits.parse::<u32>().is_ok_and(|bits| bits <= most)
    });
    if valid { Ok(()) } else { Err(invalid(field, "is no network")) }
}
