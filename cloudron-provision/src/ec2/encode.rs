//! The encoding of requests: the parameters of a form, as the protocol `ec2` has them.
//!
//! A field of a struct adds `.Name`, an entry of a list adds `.1`, `.2` and so on. What is absent, and an empty list, is not
//! sent. A list has the name of its entries: `Filter.1.Value.2`.

use serde::Serialize;
use serde_json::Value;

/// Returns the parameters of a request: names and values.
///
/// # Panics
/// If the request is no struct of texts, numbers, lists and structs; every action is.
pub fn parameters(request: &impl Serialize) -> Vec<(String, String)> {
    let value = serde_json::to_value(request).expect("requests are structs of texts and numbers");
    let mut out = Vec::new();
    flatten("", value, &mut out);
    out
}

fn flatten(name: &str, value: Value, out: &mut Vec<(String, String)>) {
    let below = |part: &str| if name.is_empty() { part.to_owned() } else { format!("{name}.{part}") };
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            fields.into_iter().for_each(|(field, value)| flatten(&below(&field), value, out));
        }
        Value::Array(entries) => {
            (1..).zip(entries).for_each(|(n, value)| flatten(&below(&n.to_string()), value, out));
        }
        Value::String(text) => out.push((name.to_owned(), text)),
        Value::Bool(_) | Value::Number(_) => out.push((name.to_owned(), value.to_string())),
    }
}

/// Returns the body of a form with these parameters.
pub fn form<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let pairs = parameters.into_iter().map(|(name, value)| format!("{}={}", percent(name), percent(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// Percent-encodes everything but the unreserved characters (RFC 3986, section 2.3).
pub(super) fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Request {
        flag: bool,
        absent: Option<u8>,
        inner: Inner,
        #[serde(rename = "Entry")]
        entries: Vec<Inner>,
        empty: Vec<Inner>,
    }

    #[derive(Serialize, Clone)]
    #[serde(rename_all = "PascalCase")]
    struct Inner {
        #[serde(rename = "Value")]
        values: Vec<&'static str>,
        number: Option<i64>,
    }

    #[test]
    fn fields_and_entries_are_named_by_their_path() {
        let inner = Inner { values: vec!["a", "b c"], number: Some(-1) };
        let other = Inner { values: vec![""], number: None };
        let request = Request {
            flag: false,
            absent: None,
            inner: other,
            entries: vec![inner.clone(), inner],
            empty: vec![],
        };
        let mut sent = parameters(&request);
        sent.sort();
        let sent: Vec<String> = sent.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            sent,
            [
                "Entry.1.Number=-1",
                "Entry.1.Value.1=a",
                "Entry.1.Value.2=b c",
                "Entry.2.Number=-1",
                "Entry.2.Value.1=a",
                "Entry.2.Value.2=b c",
                "Flag=false",
                "Inner.Value.1=",
            ]
        );
    }

    #[test]
    fn a_form_has_no_character_that_means_something_else() {
        let form = form([("A.1", "a&b=c+d e/ä~"), ("B", "")]);
        assert_eq!(form, "A.1=a%26b%3Dc%2Bd%20e%2F%C3%A4~&B=");
    }
}
