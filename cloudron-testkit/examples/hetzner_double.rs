//! Runs the double of Hetzner Cloud until it is killed, so that other clients can be pointed at it:
//!
//! ```console
//! $ cargo run -p cloudron-testkit --example hetzner_double
//! http://127.0.0.1:40123/v1
//! $ HCLOUD_TOKEN=token HCLOUD_ENDPOINT=http://127.0.0.1:40123/v1 hcloud server list
//! ```
#![allow(clippy::print_stdout, reason = "a program")]

use std::net::Ipv4Addr;

use cloudron_testkit::clouds::Boot;
use cloudron_testkit::clouds::hetzner::Hetzner;

fn main() {
    let double = Hetzner::start("token", |boot: &Boot| {
        println!("boots {} with {} bytes of user-data", boot.name, boot.user_data.len());
        Ipv4Addr::LOCALHOST
    });
    println!("{}", double.endpoint());
    loop {
        std::thread::park();
    }
}
