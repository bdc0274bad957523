//! Diagnoses the mail setup of a domain, using a name server that is given by address.
//!
//! Run: `cargo run -p cloudron-examples --bin check_mail example.com 203.0.113.7 9.9.9.9:53 recursive`, with the
//! address of the machine and of a recursive resolver; or with `authoritative` and the address of the zone's own name
//! server.

use std::net::{IpAddr, SocketAddr};

use cloudron_core::{Domain, Result};
use cloudron_dns::check::{Expected, Status, diagnose};
use cloudron_dns::propagation::{Lookup, Resolver};
use cloudron_dns::{Addresses, MailSettings};

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [domain, address, server, kind] = &arguments[..] else {
        println!("check_mail DOMAIN ADDRESS NAME-SERVER:PORT recursive|authoritative");
        return Ok(());
    };
    let (Ok(address), Ok(server)) = (address.parse::<IpAddr>(), server.parse::<SocketAddr>()) else {
        println!("{address} or {server} is no address");
        return Ok(());
    };
    let resolver = match kind.as_str() {
        "recursive" => Resolver::recursive([server]),
        _ => Resolver::authoritative(Lookup::at([server])),
    };

    let expected = Expected::new(&Domain::parse(domain)?, &Addresses::from(address), &MailSettings::on())?;
    let findings = diagnose(&resolver, &expected).await;
    for finding in &findings {
        println!("{finding}");
    }
    let failed = findings.iter().filter(|finding| finding.status == Status::Fail).count();
    println!("{failed} of {} checks fail", findings.len());
    Ok(())
}
