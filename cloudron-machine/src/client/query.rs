//! Query strings.

use std::fmt::Display;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Unreserved characters, which are not encoded (RFC 3986, section 2.3).
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A path with a query, built step by step.
pub struct Query(String);

impl Query {
    /// Returns the path without a query.
    pub fn new(path: &str) -> Self {
        Self(path.to_owned())
    }

    /// Adds a percent-encoded value, if there is one (RFC 3986, section 2).
    pub fn with(mut self, name: &str, value: Option<impl Display>) -> Self {
        let Some(value) = value else { return self };
        self.0.push(if self.0.contains('?') { '&' } else { '?' });
        self.0.push_str(name);
        self.0.push('=');
        self.0.extend(utf8_percent_encode(&value.to_string(), PLAIN));
        self
    }

    /// Returns the path with its query.
    pub fn build(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_encoded_and_missing_ones_left_out() {
        let query = Query::new("/a").with("x", Some("ü &=")).with("y", None::<u8>).with("z", Some(1)).build();
        assert_eq!(query, "/a?x=%C3%BC%20%26%3D&z=1");
    }
}
