//! Labels and label selectors, as Hetzner documents them.

use serde_json::{Map, Value};

/// Returns the problem with labels, if there is one.
pub(super) fn problem(labels: &Value) -> Option<String> {
    let Some(labels) = labels.as_object() else { return Some("labels are a map".into()) };
    labels.iter().find_map(|(key, value)| {
        let name = match key.split_once('/') {
            Some((prefix, name)) => {
                let fits = (1..=253).contains(&prefix.len()) && !prefix.contains("hetzner.cloud");
                if fits { name } else { "" }
            }
            None => key,
        };
        if name.is_empty() || !segment(name) {
            return Some(format!("invalid label key {key:?}"));
        }
        match value.as_str() {
            Some(value) if segment(value) => None,
            _ => Some(format!("invalid label value of {key}: {value}")),
        }
    })
}

/// At most 63 characters, alphanumeric at both ends, and `-_.` in between; may be empty.
fn segment(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    text.len() <= 63
        && edge(text.chars().next())
        && edge(text.chars().next_back())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// Returns whether labels meet a selector; `None` when it is none.
pub(super) fn meets(labels: &Map<String, Value>, selector: &str) -> Option<bool> {
    let mut all = true;
    for term in terms(selector) {
        all &= meets_one(labels, term.trim())?;
    }
    Some(all)
}

/// Splits at commas that are not in parentheses.
fn terms(selector: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (0_i32, 0, Vec::new());
    for (at, c) in selector.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                found.push(&selector[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(&selector[start..]);
    found
}

fn meets_one(labels: &Map<String, Value>, term: &str) -> Option<bool> {
    let value = |key: &str| labels.get(key.trim()).and_then(Value::as_str);
    if let Some((key, list)) = term.split_once(" notin ") {
        return Some(value(key).is_none_or(|v| !listed(list, v)));
    }
    if let Some((key, list)) = term.split_once(" in ") {
        return Some(value(key).is_some_and(|v| listed(list, v)));
    }
    if let Some((key, wanted)) = term.split_once("!=") {
        return Some(value(key) != Some(wanted.trim()));
    }
    if let Some((key, wanted)) = term.split_once("==").or_else(|| term.split_once('=')) {
        return Some(value(key) == Some(wanted.trim()));
    }
    let (absent, key) = term.strip_prefix('!').map_or((false, term), |key| (true, key));
    let name = key.rsplit('/').next().unwrap_or_default();
    (!name.is_empty() && segment(name)).then(|| labels.contains_key(key) != absent)
}

fn listed(list: &str, value: &str) -> bool {
    list.trim().trim_start_matches('(').trim_end_matches(')').split(',').any(|v| v.trim() == value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn selectors_are_those_of_the_documentation() {
        let labels = json!({ "env": "prod", "a.b/c": "" });
        let labels = labels.as_object().unwrap();
        for (selector, expected) in [
            ("env==prod", Some(true)),
            ("env=prod,a.b/c", Some(true)),
            ("env!=prod", Some(false)),
            ("!env", Some(false)),
            ("env in (dev,prod)", Some(true)),
            ("env notin (dev, prod),x", Some(false)),
            ("other", Some(false)),
            ("env==prod,?", None),
        ] {
            assert_eq!(meets(labels, selector), expected, "{selector}");
        }
    }

    #[test]
    fn labels_are_refused_that_hetzner_refuses() {
        assert_eq!(problem(&json!({ "cloudron-fqdn": "a.example.com", "x": "" })), None);
        for bad in
            [json!({ "a": "-x" }), json!({ "a": "b c" }), json!({ "": "x" }), json!({ "a": 1 }), json!([])]
        {
            assert!(problem(&bad).is_some(), "{bad}");
        }
        assert!(problem(&json!({ "a": "x".repeat(64) })).is_some());
    }
}
