//! Stable error codes: what kind of failure each one is, and the text that explains it.

/// What class of failure an error is. The command line's exit codes follow from it one to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// It failed, and none of the other kinds says more.
    Failed,
    /// The request itself is wrong: a malformed name, a missing or contradictory option.
    Usage,
    /// The thing acted on does not exist.
    NotFound,
    /// Authentication failed or permission is missing.
    Denied,
    /// Something else holds it, or it exists already.
    Conflict,
    /// An input file or stored data is not what it must be.
    Corrupt,
    /// The network or the other side cannot be reached, or answers that it cannot serve.
    Unavailable,
    /// A deadline passed.
    TimedOut,
    /// Part of it is done, and the same command with `--resume` goes on from there.
    Partial,
    /// Everything was done, and the check afterwards found a difference.
    Unverified,
    /// The user or a signal stopped it.
    Interrupted,
}

impl ErrorKind {
    /// The process exit code for this kind.
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

/// A stable error code. Declared once with [`codes!`](crate::codes!), compared by name.
#[derive(Debug)]
pub struct Code {
    /// The name users see and pass to `cloudron explain`, such as `domain-sublevel`.
    pub name: &'static str,
    /// The class of failure, from which the exit code follows.
    pub kind: ErrorKind,
    /// What it means, why it happens and what helps: a few sentences of plain text.
    pub explanation: &'static str,
}

impl PartialEq for Code {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
impl Eq for Code {}

/// Declares error codes as statics, and `ALL`, the list of them.
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
        /// Every code declared here.
        pub static ALL: &[&$crate::Code] = &[$(&$name),*];
    };
}
