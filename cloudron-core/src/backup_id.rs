//! IDs of backups.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Error, Version, codes};

/// The ID of a backup: `backup_<UTC time>_v<version>`, or `appbackup_<app>_<UTC time>_v<version>` for a single app. The
/// time is `YYYY-MM-DDTHH-MM-SSZ`, so IDs of one kind sort by age as text, and an ID is a valid file name on every
/// system.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BackupId {
    text: String,
    time: Timestamp,
    version: Version,
    app: Option<String>,
}

impl BackupId {
    /// Creates the ID of a backup of the whole machine, with the time in whole seconds.
    pub fn new(time: SystemTime, version: &Version) -> Self {
        let time = whole_second(time);
        let text = format!("backup_{}_v{version}", stamp(time));
        Self { text, time, version: version.clone(), app: None }
    }

    /// Returns the ID of the same backup in another slot: with `+number` after the version, for when the location of
    /// the ID itself is taken. Returns `None` if the ID becomes too long.
    pub fn slot(&self, number: u32) -> Option<Self> {
        let separator = if self.text.contains('+') { '.' } else { '+' };
        format!("{}{separator}{number}", self.text).parse().ok()
    }

    /// Returns whether this is the other ID or a [`slot`](Self::slot) of it.
    pub fn is_slot_of(&self, other: &Self) -> bool {
        let Some(rest) = self.text.strip_prefix(&other.text) else { return false };
        let separator = if other.text.contains('+') { '.' } else { '+' };
        rest.is_empty() || rest.strip_prefix(separator).is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
    }

    /// Returns the ID as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the time at which the backup started.
    pub fn time(&self) -> SystemTime {
        let second = u64::try_from(self.time.as_second()).unwrap_or(0);
        SystemTime::UNIX_EPOCH + Duration::from_secs(second)
    }

    /// Returns the version of the program that made the backup.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// Returns the app, for a backup of a single app.
    pub fn app(&self) -> Option<&str> {
        self.app.as_deref()
    }
}

fn whole_second(time: SystemTime) -> Timestamp {
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    Timestamp::from_second(time.as_second()).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn stamp(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H-%M-%SZ").to_string()
}

impl Ord for BackupId {
    /// Orders by time, then by text.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.time, &self.text).cmp(&(other.time, &other.text))
    }
}

impl PartialOrd for BackupId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for BackupId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = || Error::new(&codes::BACKUP_ID_INVALID, format!("{text:?} is not a backup id"));
        if text.len() > 200 {
            return Err(Error::new(&codes::BACKUP_ID_INVALID, "the backup id is too long"));
        }
        let (rest, version) = text.rsplit_once("_v").ok_or_else(invalid)?;
        let version: Version = version.parse().map_err(|_| invalid())?;
        let (head, time) = rest.rsplit_once('_').ok_or_else(invalid)?;
        let parsed = jiff::civil::DateTime::strptime("%Y-%m-%dT%H-%M-%SZ", time).map_err(|_| invalid())?;
        let parsed = jiff::tz::Offset::UTC.to_timestamp(parsed).map_err(|_| invalid())?;
        let app = match head {
            "backup" => None,
            _ => Some(head.strip_prefix("appbackup_").ok_or_else(invalid)?.to_owned()),
        };
        let app_ok = |app: &String| {
            !app.is_empty() && app.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
        };
        // Only the canonical notation is accepted, so that equal IDs are equal texts.
        if !app.as_ref().is_none_or(app_ok) || stamp(parsed) != time {
            return Err(invalid());
        }
        Ok(Self { text: text.to_owned(), time: parsed, version, app })
    }
}

impl Serialize for BackupId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for BackupId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_id_tells_its_time_and_version() {
        let id = BackupId::new(SystemTime::UNIX_EPOCH + Duration::from_secs(86_400), &Version::current());
        assert_eq!(id.as_str(), format!("backup_1970-01-02T00-00-00Z_v{}", Version::current()));
        assert_eq!(id.as_str().parse::<BackupId>().unwrap(), id);
    }

    #[test]
    fn a_slot_is_the_same_backup_in_another_place() {
        for text in ["backup_2026-01-02T03-04-05Z_v1.2.3", "backup_2026-01-02T03-04-05Z_v1.2.3+build"] {
            let id: BackupId = text.parse().unwrap();
            let slot = id.slot(7).unwrap();
            assert_eq!(slot.time(), id.time());
            assert!(slot.is_slot_of(&id) && id.is_slot_of(&id) && !id.is_slot_of(&slot));
            assert_ne!(slot, id);
        }
        let other: BackupId = "backup_2026-01-02T03-04-05Z_v1.2.33".parse().unwrap();
        assert!(!other.is_slot_of(&"backup_2026-01-02T03-04-05Z_v1.2.3".parse().unwrap()));
    }

    #[test]
    fn an_apps_own_backup_names_the_app() {
        let id: BackupId = "appbackup_blog.1_2026-01-02T03-04-05Z_v1.2.3".parse().unwrap();
        assert_eq!(id.app(), Some("blog.1"));
    }

    #[test]
    fn what_is_not_an_id_is_refused() {
        for text in [
            "",
            "latest",
            "backup_",
            "backup_2026-13-02T03-04-05Z_v1.2.3",
            "backup_2026-01-02T03-04-05Z_v1",
            "backup_../../etc/passwd_v1.0.0",
            "appbackup_a/b_2026-01-02T03-04-05Z_v1.2.3",
            "appbackup__2026-01-02T03-04-05Z_v1.2.3",
        ] {
            assert!(text.parse::<BackupId>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_second_makes_an_id_that_reads_back(second in 0u64..4_000_000_000) {
            let id = BackupId::new(SystemTime::UNIX_EPOCH + Duration::from_secs(second), &Version::current());
            prop_assert_eq!(id.as_str().parse::<BackupId>().unwrap(), id);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC*") {
            let _ = text.parse::<BackupId>();
        }
    }
}
