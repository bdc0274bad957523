//! The meanings of AWS's error names.
//!
//! The names are those of <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>; the interface
//! answers `500` for some that are no failure of the service, so that the name decides before the status does.

use cloudron_core::Code;
use http::StatusCode;

use crate::cloud::codes;

/// The meaning of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Meaning {
    /// The trial (`DryRun`) says that the request would be carried out.
    WouldSucceed,
    /// Too many requests: nothing was done, and the same request succeeds later.
    Throttled,
    /// The service fails or cannot be reached. Whether the request was carried out is not known.
    Down,
    /// The zone or subnet has no room for this: another one may have.
    NoCapacity,
    /// A limit of the account is reached.
    Quota,
    /// The account may not do this yet: it is being verified, is on the free plan, or has not accepted an offer.
    Account,
    /// The credentials are not accepted.
    Credentials,
    /// The credentials are accepted, and may not do this.
    Permission,
    /// The clocks differ too much for the signature to be accepted.
    Clock,
    /// It does not exist, or, within five minutes after it was made, is not visible yet.
    Missing,
    /// Something of that name or effect exists already.
    Exists,
    /// Something else still needs it.
    InUse,
    /// It is in a state in which this is not possible, such as not running yet.
    WrongState,
    /// It is protected from this.
    Protected,
    /// The client token was used before: with other parameters, or for an instance that has ended.
    TokenReused,
    /// The request is refused for another reason.
    Refused,
}

use Meaning::{
    Account, Clock, Credentials, Down, Exists, InUse, Missing, NoCapacity, Permission, Protected, Quota,
    Throttled, TokenReused, WouldSucceed, WrongState,
};

/// The names that do not follow a rule.
const NAMES: &[(&str, Meaning)] = &[
    ("AccessDenied", Permission),
    ("AccessDeniedException", Permission),
    ("AuthFailure", Credentials),
    ("BandwidthLimitExceeded", Throttled),
    ("Blocked", Account),
    ("ConcurrentModification", Throttled),
    ("DeleteConflict", InUse),
    ("DependencyViolation", InUse),
    ("DryRunOperation", WouldSucceed),
    ("EC2ThrottledException", Throttled),
    ("EntityAlreadyExists", Exists),
    ("ExpiredToken", Credentials),
    ("ExpiredTokenException", Credentials),
    ("Gateway.NotAttached", Missing),
    ("IdempotentInstanceTerminated", TokenReused),
    ("IdempotentParameterMismatch", TokenReused),
    ("IncompleteSignature", Credentials),
    ("IncorrectInstanceState", WrongState),
    ("IncorrectState", WrongState),
    ("InsufficientFreeAddressesInSubnet", NoCapacity),
    ("InternalError", Down),
    ("InternalFailure", Down),
    ("InternalServerError", Down),
    ("InvalidAMIID.Unavailable", Missing),
    ("InvalidAccessKeyId", Credentials),
    ("InvalidClientTokenId", Credentials),
    // Without a suffix it says that the instance is not in a state for this.
    ("InvalidInstanceID", WrongState),
    ("InvalidInstanceType", Missing),
    ("InvalidSignatureException", Credentials),
    ("InvalidSubnet.Conflict", Exists),
    ("MissingAuthenticationToken", Credentials),
    ("MissingAuthenticationTokenException", Credentials),
    ("NoSuchEntity", Missing),
    ("NotAuthorized", Permission),
    ("OperationNotPermitted", Protected),
    ("OptInRequired", Account),
    ("ParameterNotFound", Missing),
    ("PendingVerification", Account),
    ("PriorRequestNotComplete", Throttled),
    ("RequestExpired", Clock),
    ("RequestInTheFuture", Clock),
    ("RequestLimitExceeded", Throttled),
    ("RequestThrottled", Throttled),
    ("RequestThrottledException", Throttled),
    ("RequestTimeTooSkewed", Clock),
    ("RequestTimeout", Down),
    ("RequestTimeoutException", Down),
    ("Resource.AlreadyAssociated", Exists),
    ("RouteAlreadyExists", Exists),
    ("ServiceUnavailable", Down),
    ("SignatureDoesNotMatch", Credentials),
    ("SlowDown", Throttled),
    ("SnapshotCreationPerVolumeRateExceeded", Throttled),
    ("ThrottledException", Throttled),
    ("Throttling", Throttled),
    ("ThrottlingException", Throttled),
    ("TooManyRequestsException", Throttled),
    ("UnauthorizedOperation", Permission),
    ("Unavailable", Down),
    ("UnrecognizedClientException", Credentials),
    // The type is not offered in that zone.
    ("Unsupported", NoCapacity),
    ("VolumeInUse", InUse),
];

impl Meaning {
    /// Returns the meaning of an error by its name, message and status.
    pub fn of(name: &str, message: &str, status: StatusCode) -> Self {
        // Some interfaces put a namespace before it.
        let name = name.rsplit(['#', ':']).next().unwrap_or_default();
        if let Ok(at) = NAMES.binary_search_by_key(&name, |(known, _)| known) {
            return NAMES[at].1.refined(message);
        }
        let by_rule = match name {
            _ if name.ends_with(".NotFound") => Some(Missing),
            _ if name.ends_with(".Duplicate") => Some(Exists),
            _ if name.ends_with(".InUse") => Some(InUse),
            _ if name.ends_with("LimitExceeded") => Some(Quota),
            _ if name.starts_with("Insufficient") && name.ends_with("Capacity") => Some(NoCapacity),
            "InvalidParameterCombination" if message.contains("Free Tier") => Some(Account),
            _ => None,
        };
        by_rule.unwrap_or(match status {
            // Without a name it is not AWS that says so, but something in between.
            StatusCode::UNAUTHORIZED if !name.is_empty() => Credentials,
            StatusCode::FORBIDDEN if !name.is_empty() => Permission,
            StatusCode::TOO_MANY_REQUESTS => Throttled,
            status if status.is_server_error() => Down,
            _ => Self::Refused,
        })
    }

    /// Services say in the message that the reason is the time.
    fn refined(self, message: &str) -> Self {
        let late = ["Signature expired", "Signature not yet current"];
        if self == Credentials && late.iter().any(|words| message.contains(words)) { Clock } else { self }
    }

    /// Returns whether the same request may succeed when it is sent again a little later.
    pub fn passes(self) -> bool {
        matches!(self, Throttled | Down)
    }

    /// Returns the error code that it is reported with.
    pub fn code(self) -> &'static Code {
        match self {
            Throttled => &codes::RATE_LIMITED,
            Down => &codes::DOWN,
            NoCapacity => &codes::CAPACITY,
            Quota => &codes::QUOTA,
            Account => &codes::ACCOUNT,
            Credentials => &codes::CREDENTIALS,
            Permission => &codes::PERMISSION,
            Clock => &codes::CLOCK,
            Missing => &codes::NOT_FOUND,
            Exists => &codes::TAKEN,
            InUse => &codes::IN_USE,
            WrongState => &codes::STATE,
            Protected => &codes::PROTECTED,
            WouldSucceed | TokenReused | Self::Refused => &codes::REFUSED,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(name: &str) -> Meaning {
        Meaning::of(name, "", StatusCode::BAD_REQUEST)
    }

    #[test]
    fn the_names_are_sorted() {
        assert!(NAMES.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn each_name_has_its_meaning() {
        for (name, expected) in [
            ("InvalidInstanceID.NotFound", Missing),
            ("InvalidGroup.NotFound", Missing),
            ("InvalidAMIID.NotFound", Missing),
            ("InvalidGroup.Duplicate", Exists),
            ("InvalidPermission.Duplicate", Exists),
            ("InvalidKeyPair.Duplicate", Exists),
            ("InvalidIPAddress.InUse", InUse),
            ("InvalidGroup.InUse", InUse),
            ("VcpuLimitExceeded", Quota),
            ("InstanceLimitExceeded", Quota),
            ("RulesPerSecurityGroupLimitExceeded", Quota),
            ("RequestLimitExceeded", Throttled),
            ("InsufficientInstanceCapacity", NoCapacity),
            ("InsufficientHostCapacity", NoCapacity),
            ("InsufficientFreeAddressesInSubnet", NoCapacity),
            ("InvalidInstanceID", WrongState),
            ("InvalidInstanceID.Malformed", Meaning::Refused),
            ("SomethingNew", Meaning::Refused),
            ("", Meaning::Refused),
            ("com.amazon.coral.service#AccessDeniedException", Permission),
        ] {
            assert_eq!(meaning(name), expected, "{name}");
        }
    }

    #[test]
    fn the_name_decides_before_the_status() {
        let of = |name: &str, status| Meaning::of(name, "", status);
        assert_eq!(of("InsufficientInstanceCapacity", StatusCode::INTERNAL_SERVER_ERROR), NoCapacity);
        assert_eq!(of("RequestLimitExceeded", StatusCode::SERVICE_UNAVAILABLE), Throttled);
        assert_eq!(of("Unknown", StatusCode::BAD_GATEWAY), Down);
        assert_eq!(of("", StatusCode::TOO_MANY_REQUESTS), Throttled);
        assert_eq!(of("Novel", StatusCode::FORBIDDEN), Permission);
        assert_eq!(of("", StatusCode::FORBIDDEN), Meaning::Refused);
        assert_eq!(of("", StatusCode::NOT_FOUND), Meaning::Refused);
    }

    #[test]
    fn the_free_plan_and_the_time_are_told_by_the_message() {
        let free = "The specified instance type is not eligible for Free Tier.";
        assert_eq!(Meaning::of("InvalidParameterCombination", free, StatusCode::BAD_REQUEST), Account);
        let late = "Signature expired: 20261130T000000Z is now earlier than 20261130T120000Z";
        assert_eq!(Meaning::of("SignatureDoesNotMatch", late, StatusCode::FORBIDDEN), Clock);
    }
}
