//! The entries of a data file of texts: `KEY: TEXT`, where indented lines continue the text and # begins a comment.

/// The keys and the texts of a file, in its order.
pub(crate) fn entries(file: &'static str) -> Vec<(&'static str, String)> {
    let mut entries: Vec<(&str, String)> = Vec::new();
    for line in file.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match (line.strip_prefix("    "), entries.last_mut()) {
            (Some(more), Some((_, text))) => *text = format!("{text} {more}"),
            _ => entries.extend(line.split_once(": ").map(|(key, text)| (key, text.to_owned()))),
        }
    }
    entries
}
