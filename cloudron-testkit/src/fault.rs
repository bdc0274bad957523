//! Faults of calls to a double, on request of a test.

/// A fault of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It has no effect, and is answered with that status and code.
    Refused(u16, &'static str),
    /// It has its effect, and is answered with that status and code.
    Misreported(u16, &'static str),
    /// The connection breaks before the call has an effect.
    Lost,
    /// The connection breaks after the effect.
    Unanswered,
}

impl Fault {
    /// Carries out a call as its fault allows, and returns what it is answered with; `None` breaks the connection.
    pub(crate) fn carry_out<T>(
        fault: Option<Self>,
        call: impl FnOnce() -> T,
        refusal: impl FnOnce(u16, &str) -> T,
    ) -> Option<T> {
        match fault {
            None => Some(call()),
            Some(Self::Refused(status, code)) => Some(refusal(status, code)),
            Some(Self::Misreported(status, code)) => {
                call();
                Some(refusal(status, code))
            }
            Some(Self::Lost) => None,
            Some(Self::Unanswered) => {
                call();
                None
            }
        }
    }
}
