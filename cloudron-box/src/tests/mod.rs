//! The server as a whole, over TLS on loopback.

mod account;
mod backups;
mod canary;
mod client;
mod database;
mod download;
mod events;
mod health;
mod install;
mod interface;
mod logs;
mod machine;
mod restore;
mod robust;
mod root;
mod sessions;
