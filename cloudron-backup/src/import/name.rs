//! Names of backups of the original Cloudron.

use cloudron_core::{BackupId, Error, Result};

use crate::codes;

/// The known file extensions.
const ENDINGS: [&str; 4] = [".tar.gz.enc", ".tar.gz", ".tgz", ".tar"];

/// A backup of the original Cloudron, described by its file name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OldBackup {
    /// The name without folders and without `.tar.gz`.
    pub name: String,
    /// The new id, with the old time (to the second) and the old version.
    pub id: BackupId,
}

impl OldBackup {
    /// Parses a file name, with or without folders. Known formats are
    ///
    /// - `backup_<time>-v<version>.tar.gz` and `appbackup_<app>_<time>-v<version>.tar.gz`, where the time is
    ///   `2016-12-01T03:00:00.123Z`, of 2016 and 2017;
    /// - `<folder>/box_<time>_v<version>.tar.gz[.enc]` and `<folder>/app_<app>_<time>_v<version>.tar.gz[.enc]`,
    ///   where the time is `2018-12-01-030000-123`, of later ones.
    ///
    /// The separators in the time and before the version may be any characters: programs that downloaded the
    /// files replaced colons by others. A version of one or two numbers is padded with zeros.
    ///
    /// # Errors
    /// `old-backup-name`.
    pub fn parse(file_name: &str) -> Result<Self> {
        let file = file_name.rsplit('/').next().unwrap_or_default();
        let name = ENDINGS.iter().find_map(|ending| file.strip_suffix(ending)).unwrap_or(file);
        let id = id_of(name).ok_or_else(|| {
            let text = format!("{file:?} is not the name of a backup of the original Cloudron");
            Error::new(&codes::OLD_BACKUP_NAME, text)
        })?;
        Ok(Self { name: name.to_owned(), id })
    }
}

fn id_of(name: &str) -> Option<BackupId> {
    let (kind, rest) = name.split_once('_')?;
    let (app, rest) = match kind {
        "backup" | "box" => (None, rest),
        "appbackup" | "app" => {
            let (app, rest) = rest.split_once('_')?;
            (Some(app), rest)
        }
        _ => return None,
    };
    let (time, version) = rest.rsplit_once(['v', 'V'])?;
    let time = time_of(time.strip_suffix(['-', '_'])?)?;
    let version = full_version(version);
    let id = match app {
        Some(app) => format!("appbackup_{app}_{time}_v{version}"),
        None => format!("backup_{time}_v{version}"),
    };
    // Checks each part, such as that the day exists.
    id.parse().ok()
}

/// Returns the time in the format of ids: from fourteen digits, with or without separators, and optional milliseconds.
fn time_of(text: &str) -> Option<String> {
    let text = text.replace("%3A", ":").replace("%3a", ":");
    if !text.chars().all(|c| c.is_ascii_digit() || "-_:.TZ ".contains(c)) {
        return None;
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    if !(14..=17).contains(&digits.len()) {
        return None;
    }
    let part = |from: usize, to: usize| &digits[from..to];
    Some(format!(
        "{}-{}-{}T{}-{}-{}Z",
        part(0, 4),
        part(4, 6),
        part(6, 8),
        part(8, 10),
        part(10, 12),
        part(12, 14)
    ))
}

/// Returns a version of three numbers: old apps had versions of one or two.
fn full_version(version: &str) -> String {
    let end = version.find(['-', '+']).unwrap_or(version.len());
    let (numbers, rest) = version.split_at(end);
    let missing = 2usize.saturating_sub(numbers.matches('.').count());
    format!("{numbers}{}{rest}", ".0".repeat(missing))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_names_of_every_age_keep_their_time_and_version() {
        let app = "5f9b9c3e-2b1c-4c1e-8f0e-0123456789ab";
        for (old, id) in [
            ("backup_2016-12-01T03:04:05.678Z-v0.94.0.tar.gz", "backup_2016-12-01T03-04-05Z_v0.94.0"),
            ("backup_2016-12-01-03:04:05-v0.130.3.tar.gz", "backup_2016-12-01T03-04-05Z_v0.130.3"),
            (
                "example.com/backup_2016-12-01T03%3A04%3A05.6Z_v0.130.3.tar.gz",
                "backup_2016-12-01T03-04-05Z_v0.130.3",
            ),
            ("backup_2016-12-01T03_04_05.678Z-v0.94.0-rc.1.tgz", "backup_2016-12-01T03-04-05Z_v0.94.0-rc.1"),
            (
                "2018-12-01-030405-678/box_2018-12-01-030405-678_v3.4.1.tar.gz.enc",
                "backup_2018-12-01T03-04-05Z_v3.4.1",
            ),
            (
                &format!("appbackup_{app}_2016-12-01T03:04:05.678Z-v1.2.tar.gz"),
                &format!("appbackup_{app}_2016-12-01T03-04-05Z_v1.2.0"),
            ),
            (
                &format!("app_{app}_2018-12-01-030405-678_v2.tar.gz"),
                &format!("appbackup_{app}_2018-12-01T03-04-05Z_v2.0.0"),
            ),
        ] {
            assert_eq!(OldBackup::parse(old).unwrap().id.as_str(), id, "{old}");
        }
    }

    #[test]
    fn other_names_are_refused() {
        for name in [
            "",
            "backup",
            "backup_.tar.gz",
            "photos.tar.gz",
            "backup_2016-13-01T03:04:05Z-v1.0.0.tar.gz",
            "backup_2016-12-01-v1.0.0.tar.gz",
            "app_x_v1.tar.gz",
            "backup_2016-12-01T03:04:05Z-vx.tar.gz",
        ] {
            assert!(OldBackup::parse(name).unwrap_err().is(&codes::OLD_BACKUP_NAME), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_name_makes_the_parser_panic(name in "(app|backup|box)?_?\\PC*") {
            let _ = OldBackup::parse(&name);
        }
    }
}
