//! Checks of requests: no unknown field, none missing, each of its type.

use serde_json::{Map, Value};

use super::{Answer, Call, refused, unprocessable};

/// The body as an object with these fields.
pub(super) fn body(call: &Call, needed: &[&str], allowed: &[&str]) -> Result<Map<String, Value>, Answer> {
    let text: &[u8] = if call.body.is_empty() { b"{}" } else { &call.body };
    let Ok(Value::Object(body)) = serde_json::from_slice(text) else {
        return Err(refused(400, "bad_request", "the body is no JSON object"));
    };
    fields(&body, needed, allowed)?;
    Ok(body)
}

/// Checks which fields an object has.
pub(super) fn fields(body: &Map<String, Value>, needed: &[&str], allowed: &[&str]) -> Result<(), Answer> {
    if let Some(field) = needed.iter().find(|f| body.get(**f).is_none_or(Value::is_null)) {
        return Err(unprocessable(&format!("{field} is missing")));
    }
    match body.keys().find(|f| !needed.contains(&f.as_str()) && !allowed.contains(&f.as_str())) {
        Some(field) => Err(unprocessable(&format!("{field} is unknown"))),
        None => Ok(()),
    }
}

/// A text of at most `most` characters.
pub(super) fn text<'a>(body: &'a Map<String, Value>, field: &str, most: usize) -> Result<&'a str, Answer> {
    let text = body.get(field).and_then(Value::as_str);
    let text = text.ok_or_else(|| unprocessable(&format!("{field} is no text")))?;
    if text.is_empty() || text.len() > most {
        return Err(unprocessable(&format!("{field} has a wrong length")));
    }
    Ok(text)
}

/// A truth value, if it is given.
pub(super) fn flag(body: &Map<String, Value>, field: &str) -> Result<bool, Answer> {
    match body.get(field) {
        None => Ok(false),
        Some(value) => value.as_bool().ok_or_else(|| unprocessable(&format!("{field} is no truth value"))),
    }
}

/// The texts of a list, if it is given.
pub(super) fn texts(body: &Map<String, Value>, field: &str) -> Result<Vec<String>, Answer> {
    let wrong = || unprocessable(&format!("{field} is no list of texts"));
    let list = match body.get(field) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(list) => list.as_array().ok_or_else(wrong)?,
    };
    list.iter().map(|entry| entry.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
}

/// The name of a droplet.
pub(super) fn host_name(name: &str) -> Result<(), Answer> {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'-';
    let last = name.bytes().last().is_some_and(|b| b.is_ascii_alphanumeric());
    if last && name.bytes().all(inner) {
        return Ok(());
    }
    Err(unprocessable("Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)"))
}

/// The name of a tag.
pub(super) fn tag(name: &str) -> Result<(), Answer> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_-:".contains(&b);
    if (1..=255).contains(&name.len()) && name.bytes().all(fits) {
        return Ok(());
    }
    Err(unprocessable("Name only allows letters, numbers, colons, dashes and underscores"))
}

/// An IP address or network.
pub(super) fn network(text: &str) -> Result<(), Answer> {
    let (address, bits) = text.split_once('/').unwrap_or((text, "0"));
    let most = match address.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(_)) => 32,
        Ok(std::net::IpAddr::V6(_)) => 128,
        Err(_) => return Err(unprocessable("an address is invalid")),
    };
    match bits.parse::<u32>() {
        Ok(bits) if bits <= most => Ok(()),
        _ => Err(unprocessable("a network is invalid")),
    }
}
