//! Machines at clouds: doubles of the interfaces, which boot Debian servers with real cloud-init.

mod first_contact;
mod killed;
mod life;
mod scene;
