//! The page at `/`: the first-time setup, and afterwards a short notice that the server runs.

use std::sync::LazyLock;

use axum::response::{Html, IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, header};
use sha2::{Digest, Sha256};

const PAGE: &str = include_str!("setup.html");

/// Content security policy: only the page's own script and style, by hash, and connections to this server
/// only.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |tag: &str| STANDARD.encode(Sha256::digest(between(PAGE, tag).as_bytes()));
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; \
         form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
        hash("script"),
        hash("style")
    )
});

/// Returns the content of the only element with this name.
fn between<'a>(page: &'a str, tag: &str) -> &'a str {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let start = page.find(&open).map_or(0, |at| at + open.len());
    let end = page.find(&close).unwrap_or(start);
    &page[start..end]
}

pub(crate) async fn page() -> Response {
    let mut response = Html(PAGE).into_response();
    let policy = HeaderValue::from_str(&POLICY).expect("the policy is plain ASCII");
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_loads_nothing_from_elsewhere_and_has_one_script_and_style() {
        for tag in ["script", "style"] {
            assert_eq!(PAGE.matches(&format!("<{tag}")).count(), 1);
            assert!(!between(PAGE, tag).is_empty());
        }
        assert!(!PAGE.contains("src=") && !PAGE.contains("http:") && !PAGE.contains("https:"));
        // Inline handlers and styles would be blocked by the policy.
        assert!(!PAGE.contains(" style=") && !PAGE.contains(" onclick=") && !PAGE.contains("innerHTML"));
    }
}
