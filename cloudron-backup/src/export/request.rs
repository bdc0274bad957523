//! The format of an export.

use cloudron_core::Secret;

/// The format of an export.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ExportFormat {
    /// A plain tar (POSIX pax), not encrypted.
    Tar,
    /// A tar, compressed by zstd and encrypted by age.
    TarZstdAge(SealTo),
}

impl ExportFormat {
    /// Returns the file name extension, without a leading dot.
    pub fn extension(&self) -> &'static str {
        match self {
            Self::Tar => "tar",
            Self::TarZstdAge(_) => "tar.zst.age",
        }
    }
}

/// The keys that can open an encrypted export.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SealTo {
    /// The repository's own identity.
    Repository,
    /// These age recipients, `age1…`, and the repository's own identity, which can read the backup anyway and
    /// is needed to resume an interrupted export.
    Recipients(Vec<String>),
    /// A passphrase, which `age -d` asks for: the backup key, for example.
    Passphrase(Secret),
}
