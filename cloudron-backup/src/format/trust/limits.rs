//! Checks the limits in the certificate of a writer.

use crate::format::summary::Summary;
use crate::keys::Certificate;

impl Certificate {
    /// Returns why this writer may not sign a backup, or `None` if it may.
    pub(crate) fn forbids(&self, summary: &Summary) -> Option<&'static str> {
        let other = |limit: &Option<String>, found: &str| limit.as_deref().is_some_and(|l| l != found);
        if other(&self.fqdn, &summary.fqdn) {
            return Some("its domain is not the one in the certificate of its writer");
        }
        if other(&self.host, &summary.host) {
            return Some("its host is not the one in the certificate of its writer");
        }
        let inside = |paths: &[String]| summary.sources.iter().all(|s| is_below(&s.path, paths));
        if self.paths.as_deref().is_some_and(|paths| !inside(paths)) {
            return Some("its folders are not those in the certificate of its writer");
        }
        None
    }
}

/// Checks that a path is one of these folders or lies below one. A path with `..` never does.
fn is_below(path: &str, folders: &[String]) -> bool {
    let path = std::path::Path::new(path);
    let plain = !path.components().any(|c| c == std::path::Component::ParentDir);
    plain && folders.iter().any(|folder| path.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;
    use crate::format::summary::example;
    use crate::keys::WriterLimits;

    fn key(n: u8) -> SigningKey {
        SigningKey::from_bytes(&[n; 32])
    }

    #[test]
    fn a_writer_signs_backups_within_its_limits_only() {
        let certificate = |limits| Certificate::new("w", &key(2).verifying_key(), &limits, &key(1));
        let summary = example();
        assert_eq!(certificate(WriterLimits::default()).forbids(&summary), None);
        assert!(certificate(WriterLimits::of_domain("example.com")).forbids(&summary).is_some());
        let paths = |path: &str| WriterLimits { paths: Some(vec![path.into()]), ..WriterLimits::default() };
        assert_eq!(certificate(paths("/p")).forbids(&summary), None);
        assert_eq!(certificate(paths("/")).forbids(&summary), None);
        assert!(certificate(paths("/pp")).forbids(&summary).is_some());
        assert!(!is_below("/p/../etc", &["/p".into()]));
    }
}
