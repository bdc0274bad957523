//! How an error looks.

use cloudron_core::Error;
use serde_json::{Value, json};

use super::{BOLD, RED, paint};

/// For people: what went wrong, why, what next, and the code to look up.
pub(super) fn text(error: &Error) -> String {
    let mut lines = vec![format!("{} {error}", paint("error:", RED))];
    if let Some(id) = error.request_id() {
        lines.push(format!("  the service's request id: {id}"));
    }
    if let Some(hint) = error.hint() {
        lines.push(format!("  {} {hint}", paint("next:", BOLD)));
    }
    lines.push(format!("  code: {0} (`cloudron explain {0}`)", error.code().name));
    lines.join("\n")
}

/// For programs.
pub(super) fn json(error: &Error) -> Value {
    json!({
        "schema": 1,
        "error": {
            "code": error.code().name,
            "exitCode": error.kind().exit_code(),
            "message": error.to_string(),
            "hint": error.hint(),
            "requestId": error.request_id(),
        }
    })
}

#[cfg(test)]
mod tests {
    use cloudron_core::codes;

    use super::*;

    #[test]
    fn an_error_says_what_happened_what_next_and_its_code() {
        let error =
            Error::new(&codes::FAILED, "the lamp is off").while_doing("reading").with_hint("switch it on");
        assert_eq!(
            text(&error),
            "error: reading: the lamp is off\n  next: switch it on\n  code: failed (`cloudron explain failed`)"
        );
        assert_eq!(json(&error)["error"]["exitCode"], 1);
    }
}
