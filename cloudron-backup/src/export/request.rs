//! The file that a backup is exported to.

use cloudron_core::Secret;

/// The file that a backup is exported to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ExportFormat {
    /// A plain tar (POSIX pax), in clear.
    Tar,
    /// The same, compressed by zstd and encrypted by age.
    TarZstdAge(SealTo),
}

impl ExportFormat {
    /// What the name of such a file ends in, without a dot in front.
    pub fn extension(&self) -> &'static str {
        match self {
            Self::Tar => "tar",
            Self::TarZstdAge(_) => "tar.zst.age",
        }
    }
}

/// Who can open a sealed export.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SealTo {
    /// The repository's own identity.
    Repository,
    /// These age recipients, `age1…`, and the repository's own identity, which has it all anyway and by which an
    /// export that was cut off is resumed.
    Recipients(Vec<String>),
    /// Whoever has this passphrase, for which `age -d` asks: the backup key, for example.
    Passphrase(Secret),
}
