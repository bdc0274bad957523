//! Conversion of libssh2's errors.

use cloudron_core::Error;
use ssh2::ErrorCode;

use crate::codes;

fn number(error: &ssh2::Error) -> i32 {
    match error.code() {
        ErrorCode::Session(n) | ErrorCode::SFTP(n) => n,
    }
}

/// Returns whether a non-blocking call has to be repeated later.
pub(super) fn is_again(error: &ssh2::Error) -> bool {
    number(error) == libssh2_sys::LIBSSH2_ERROR_EAGAIN
}

/// Returns whether the connection is lost.
pub(super) fn is_lost(error: &ssh2::Error) -> bool {
    matches!(
        number(error),
        libssh2_sys::LIBSSH2_ERROR_SOCKET_SEND
            | libssh2_sys::LIBSSH2_ERROR_SOCKET_RECV
            | libssh2_sys::LIBSSH2_ERROR_SOCKET_DISCONNECT
            | libssh2_sys::LIBSSH2_ERROR_TIMEOUT
    )
}

/// Returns whether a private key could not be read or decrypted, so that nothing was sent.
pub(super) fn is_unreadable_key(error: &ssh2::Error) -> bool {
    matches!(number(error), libssh2_sys::LIBSSH2_ERROR_FILE | libssh2_sys::LIBSSH2_ERROR_KEYFILE_AUTH_FAILED)
        || error.message().contains("Unable to extract public key")
}

/// Returns whether the two sides have no algorithm in common.
pub(super) fn is_no_method(error: &ssh2::Error) -> bool {
    matches!(number(error), libssh2_sys::LIBSSH2_ERROR_KEX_FAILURE | libssh2_sys::LIBSSH2_ERROR_METHOD_NONE)
}

/// Converts the error of an open session.
pub(super) fn of(error: &ssh2::Error, doing: &str) -> Error {
    if is_lost(error) {
        return lost(error.message());
    }
    Error::new(&codes::SSH_PROTOCOL, format!("{doing}: {}", error.message()))
}

/// Returns the error for a broken connection.
pub(super) fn lost(why: &str) -> Error {
    Error::new(&codes::SSH_LOST, format!("the SSH connection broke ({why})"))
}
