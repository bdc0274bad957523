//! The firewall, the hardened SSH server and the updates of a real Debian server.

mod docker;
mod hardening;
mod host;
mod lockout;
mod quirks;
mod reach;
mod table;
