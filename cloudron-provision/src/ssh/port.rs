//! Moving the SSH server to another port.
