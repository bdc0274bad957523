//! Version numbers of the server.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, codes};

/// A version according to semver.org 2.0.0. Pre-releases order before their release.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version(semver::Version);

/// Maximum length of a parsed version, in bytes.
const LONGEST: usize = 128;

impl Version {
    /// Returns the version of this program.
    pub fn current() -> Self {
        env!("CARGO_PKG_VERSION").parse().expect("cargo only builds packages with a valid version")
    }

    /// Returns whether this is a pre-release such as `1.0.0-rc.1`.
    pub fn is_prerelease(&self) -> bool {
        !self.0.pre.is_empty()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for Version {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.to_string()
    }
}

impl FromStr for Version {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.len() > LONGEST {
            return Err(Error::new(
                &codes::VERSION_INVALID,
                format!("a version has at most {LONGEST} characters"),
            ));
        }
        semver::Version::parse(text)
            .map(Self)
            .map_err(|e| Error::new(&codes::VERSION_INVALID, format!("{text:?} is not a version: {e}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number_and_prerelease() {
        let v = |t: &str| t.parse::<Version>().unwrap();
        assert!(v("0.9.0") < v("0.10.0"));
        assert!(v("1.0.0-rc.1") < v("1.0.0"));
        assert!(v("1.0.0-rc.1").is_prerelease());
        let long = format!("1.0.0-{}", "a".repeat(200));
        assert!(long.parse::<Version>().is_err() && serde_json::from_value::<Version>(long.into()).is_err());
        assert!("1.0".parse::<Version>().unwrap_err().is(&codes::VERSION_INVALID));
    }
}
