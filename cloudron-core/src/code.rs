//! Stable error codes: the kind of each failure, and the text that explains it.

/// The class of a failure. Each kind maps to one exit code of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A failure that fits no other kind.
    Failed,
    /// An invalid request: a malformed name, a missing or contradictory option.
    Usage,
    /// The object of the operation does not exist.
    NotFound,
    /// Authentication failed or permission is missing.
    Denied,
    /// The object exists already, or another process holds it.
    Conflict,
    /// An input file or stored data is damaged or has an invalid format.
    Corrupt,
    /// The network or the remote service cannot be reached, or the service reports that it is unavailable.
    Unavailable,
    /// A deadline passed.
    TimedOut,
    /// The work is partly done. The same command with `--resume` continues it.
    Partial,
    /// The work is done, but the final check found a difference.
    Unverified,
    /// The user or a signal stopped the work.
    Interrupted,
}

impl ErrorKind {
    /// Returns the process exit code for this kind.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Denied => 4,
            Self::Conflict => 5,
            Self::Corrupt => 6,
            Self::Unavailable => 7,
            Self::TimedOut => 8,
            Self::Partial => 9,
            Self::Unverified => 10,
            Self::Interrupted => 130,
        }
    }
}

/// A stable error code. Declare codes once with [`codes!`](crate::codes!); they are compared by name.
#[derive(Debug)]
pub struct Code {
    /// The name that users see and pass to `cloudron explain`, such as `domain-sublevel`.
    pub name: &'static str,
    /// The class of failure, which determines the exit code.
    pub kind: ErrorKind,
    /// Meaning, causes and remedies: a few sentences of plain text.
    pub explanation: &'static str,
}

impl PartialEq for Code {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
impl Eq for Code {}

/// Declares error codes as statics, and `ALL`, the list of these codes.
///
/// ```
/// cloudron_core::codes! {
///     /// The lamp is off.
///     LAMP_OFF = ("lamp-off", Failed, "The lamp is off. Switch it on.");
/// }
/// assert_eq!(ALL[0].name, "lamp-off");
/// ```
#[macro_export]
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = ($code:literal, $kind:ident, $text:expr);)*) => {
        $($(#[$doc])* pub static $name: $crate::Code =
            $crate::Code { name: $code, kind: $crate::ErrorKind::$kind, explanation: $text };)*
        /// All codes that are declared here.
        pub static ALL: &[&$crate::Code] = &[$(&$name),*];
    };
}
