//! Failures of the communication with the server, and the meaning of its codes.

use std::net::SocketAddr;

use super::code::Code;
use super::tsig::Distrust;
use crate::{Error, Name, RecordType, codes};

/// The reason for a missing or invalid response.
#[derive(Debug)]
pub(super) enum Problem {
    /// No message was sent.
    Unreachable(String),
    /// A message was sent, and no complete response arrived.
    Silent(String),
    /// The response is not a DNS message, or does not belong to the request.
    Garbled(&'static str),
    /// The server does not provide required information.
    Undecided(String),
    /// The key was not accepted, or the response is not authenticated.
    Distrust(Distrust, Code),
}

impl Problem {
    /// Returns whether the request may have been executed nevertheless.
    pub(super) fn unknown(&self) -> bool {
        match self {
            Self::Unreachable(_)
            | Self::Undecided(_)
            | Self::Distrust(Distrust::Key(_) | Distrust::Clock(_), _) => false,
            Self::Silent(_) | Self::Garbled(_) | Self::Distrust(Distrust::Answer(_), _) => true,
        }
    }

    pub(super) fn error(&self, server: SocketAddr) -> Error {
        match self {
            Self::Unreachable(why) => {
                Error::new(&codes::NO_ANSWER, format!("{server} cannot be reached: {why}"))
                    .with_hint("check the address and the port, and that it is reached over TCP")
            }
            Self::Silent(why) => Error::new(&codes::NO_ANSWER, format!("{server} gave no answer: {why}")),
            Self::Undecided(why) => Error::new(&codes::UPDATE_REFUSED, format!("{server}: {why}"))
                .with_hint("allow the key to update the zone, or to transfer it"),
            Self::Garbled(why) => Error::new(&codes::PROTOCOL, format!("the answer of {server}: {why}")),
            Self::Distrust(Distrust::Key(code), _) => key_refused(server, *code),
            Self::Distrust(Distrust::Clock(ahead), _) => clock(server, *ahead),
            Self::Distrust(Distrust::Answer(why), code) => {
                let message = format!("{server} answers {code}, and this is not believed: {why}");
                Error::new(&codes::UNSIGNED, message)
                    .with_hint("check that the server knows the key by this name, algorithm and secret")
            }
        }
    }
}

fn key_refused(server: SocketAddr, code: Code) -> Error {
    let (why, hint) = match code {
        Code::BADKEY => (
            "it does not know the key by this name and algorithm, or does not allow it to do this",
            "check the key's name and algorithm against the server's configuration, letter by letter, and what the \
             key is allowed to do",
        ),
        Code::BADSIG => {
            ("the secret is another one", "copy the secret from the server's configuration again")
        }
        Code::BADTRUNC => ("it wants longer signatures", "use a key for hmac-sha256 or hmac-sha512"),
        _ => ("it does not accept the key", "check the key against the server's configuration"),
    };
    Error::new(&codes::KEY_REFUSED, format!("{server} refuses the signature: {why} (NOTAUTH, {code})"))
        .with_hint(hint)
}

fn clock(server: SocketAddr, ahead: i64) -> Error {
    let direction = if ahead < 0 { "behind" } else { "ahead of" };
    let message =
        format!("the clock of {server} is {} seconds {direction} ours (BADTIME)", ahead.unsigned_abs());
    Error::new(&codes::CLOCK, message).with_hint("set both clocks right; signatures allow 300 seconds")
}

/// Returns the meaning of a code as the response to a query or a transfer.
pub(super) fn reading(server: SocketAddr, zone: &Name, code: Code) -> Error {
    match code {
        Code::REFUSED | Code::NOTAUTH | Code::NXDOMAIN => Error::new(
            &codes::ZONE_NOT_FOUND,
            format!("{server} does not serve the zone {zone}, or does not answer this key about it ({code})"),
        )
        .with_hint("check the zone's name, and the key's name, algorithm and secret"),
        code => {
            Error::new(&codes::PROVIDER_DOWN, format!("{server} cannot answer about the zone {zone}: {code}"))
                .with_hint("look into the server's log, whether it could load the zone")
        }
    }
}

/// Returns the error for a refused transfer of a whole zone.
pub(super) fn transfer_refused(server: SocketAddr, zone: &Name, code: Code) -> Error {
    let message = format!("{server} does not let us transfer the zone {zone} ({code})");
    Error::new(&codes::TRANSFER_REFUSED, message)
        .with_hint("allow the key to transfer the zone (BIND: allow-transfer { key \"NAME\"; };)")
}

/// Returns the meaning of a code as the response to an update, except for a failed precondition.
pub(super) fn writing(server: SocketAddr, zone: &Name, code: Code) -> Error {
    match code {
        Code::REFUSED => {
            let message = format!("{server} refuses to change the zone {zone} (REFUSED)");
            Error::new(&codes::UPDATE_REFUSED, message).with_hint(
                "allow the key to update the zone (BIND: update-policy, Knot: an acl with `action: update`), and ask \
                 the primary server, not a secondary one; BIND also refuses a mail server in the zone that has no address",
            )
        }
        Code::NOTAUTH => Error::new(
            &codes::ZONE_NOT_FOUND,
            format!(
                "{server} is not the primary server of a zone {zone}, or does not accept the key (NOTAUTH)"
            ),
        )
        .with_hint("check the zone's name, and the key's name, algorithm and secret"),
        Code::NOTZONE => {
            Error::new(&codes::UNSUPPORTED, format!("{server}: a name is not in the zone {zone} (NOTZONE)"))
        }
        Code::NOTIMP => {
            let message = format!("{server} takes no dynamic updates for the zone {zone} (NOTIMP)");
            Error::new(&codes::UPDATE_REFUSED, message)
                .with_hint("turn on dynamic updates (RFC 2136) on the server")
        }
        Code::FORMERR => Error::new(
            &codes::REFUSED,
            format!("{server} does not understand the change of the zone {zone} (FORMERR)"),
        ),
        code => {
            Error::new(&codes::PROVIDER_DOWN, format!("{server} cannot change the zone {zone} now ({code})"))
                .with_hint("look into the server's log for the reason, then run the command again")
        }
    }
}

/// Handles a server such as PowerDNS, which does not distinguish an unknown type from an invalid message.
pub(super) fn no_such_type(server: SocketAddr, zone: &Name, rtype: RecordType) -> Error {
    let message =
        format!("{server} refuses the change of the zone {zone} (FORMERR), most likely because of {rtype}");
    Error::new(&codes::UNSUPPORTED, message)
        .with_hint("leave the record out, or write it in the server's own way")
}

/// Handles a server such as BIND, which does not distinguish an unacceptable name from a key without permission.
pub(super) fn no_host_name(server: SocketAddr, name: &Name) -> Error {
    let message =
        format!("{server} refuses the change (REFUSED), most likely because {name} is no host name");
    Error::new(&codes::UNSUPPORTED, message)
        .with_hint("use letters, digits and hyphens, or turn the check off (BIND: check-names)")
}
