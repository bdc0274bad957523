//! Machines at clouds: doubles of the interfaces, which boot Debian servers with real cloud-init.

mod first_contact;
mod kills;
mod life;
mod office;
mod site;
