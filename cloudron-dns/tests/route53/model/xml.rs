//! The part of XML that the model needs.

pub(super) const NS: &str = r#"xmlns="https://route53.amazonaws.com/doc/2013-04-01/""#;

pub(super) fn all_between(text: &str, tag: &str) -> Vec<String> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    text.split(&open).skip(1).filter_map(|t| t.split(&close).next()).map(str::to_owned).collect()
}

pub(super) fn between(text: &str, tag: &str) -> Option<String> {
    all_between(text, tag).into_iter().next()
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

pub(super) fn unescape(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
    text.replace("&#34;", "\"").replace("&#39;", "'").replace("&amp;", "&")
}
