//! BIND, Knot and PowerDNS, each with many empty zones and a key.

use std::net::SocketAddr;

use cloudron_dns::Name;
use cloudron_dns::rfc2136::{Rfc2136Options, Rfc2136Provider, TsigKey};
use cloudron_testkit::knot::Knot;
use cloudron_testkit::named::Named;
use cloudron_testkit::pdns::Pdns;

use crate::name;

pub const SECRET: &str = "Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5LWNhbmE=";

/// Number of zones `z0.example.com` and so on, for checks that need a fresh one each.
pub const ZONES: usize = 200;

/// The zone whose transfer is refused.
pub const CLOSED: &str = "closed.example.com";

pub enum Server {
    Bind(Named),
    Knot(Knot),
    Pdns(Pdns),
}

pub fn key(algorithm: &str) -> TsigKey {
    TsigKey::parse(&format!("hmac-{algorithm}:{algorithm}.key:{SECRET}")).unwrap()
}

const ALGORITHMS: [&str; 4] = ["sha1", "sha256", "sha384", "sha512"];

pub fn zones() -> Vec<String> {
    (0..ZONES)
        .map(|n| format!("z{n}.example.com"))
        .chain([CLOSED.to_owned(), "example.com".to_owned()])
        .collect()
}

pub fn bind() -> Option<Server> {
    let key = |a: &str| format!("key {a}.key {{ algorithm hmac-{a}; secret \"{SECRET}\"; }};\n");
    let names: String = ALGORITHMS.iter().map(|a| format!("key {a}.key; ")).collect();
    let clauses = |zone: &String| {
        let transfer = if zone == CLOSED { "none;" } else { &names };
        format!("type primary; allow-update {{ {names} }}; allow-transfer {{ {transfer} }};")
    };
    let zones: Vec<(String, String)> = zones().iter().map(|zone| (zone.clone(), clauses(zone))).collect();
    Named::start(&ALGORITHMS.map(key).concat(), &zones).map(Server::Bind)
}

pub fn knot() -> Option<Server> {
    let mut top = String::from("key:\n");
    for a in ALGORITHMS {
        top += &format!(" - id: {a}.key\n   algorithm: hmac-{a}\n   secret: {SECRET}\n");
    }
    let names = ALGORITHMS.map(|a| format!("{a}.key")).join(", ");
    top += &format!(
        "acl:\n - id: all\n   key: [{names}]\n   action: [transfer, update]\n - id: write\n   key: [{names}]\n   action: update\n"
    );
    let rule = |zone: &String| if zone == CLOSED { "write" } else { "all" };
    let zones: Vec<(String, String)> = zones().iter().map(|zone| (zone.clone(), rule(zone).into())).collect();
    Knot::start(&top, &zones).map(Server::Knot)
}

pub fn pdns() -> Option<Server> {
    let mut sql = String::new();
    for a in ALGORITHMS {
        sql += &format!(
            "INSERT INTO tsigkeys (name, algorithm, secret) VALUES ('{a}.key', 'hmac-{a}', '{SECRET}');\n"
        );
        sql += &format!(
            "INSERT INTO domainmetadata (domain_id, kind, content) SELECT id, 'TSIG-ALLOW-DNSUPDATE', '{a}.key' FROM domains;\n"
        );
        sql += &format!(
            "INSERT INTO domainmetadata (domain_id, kind, content) SELECT id, 'TSIG-ALLOW-AXFR', '{a}.key' FROM domains \
             WHERE name <> '{CLOSED}';\n"
        );
    }
    let settings = "dnsupdate=yes\nallow-dnsupdate-from=127.0.0.0/8\nallow-axfr-ips=\n";
    Pdns::start(settings, &zones(), &sql).map(Server::Pdns)
}

impl Server {
    pub fn address(&self) -> SocketAddr {
        match self {
            Self::Bind(server) => server.address(),
            Self::Knot(server) => server.address(),
            Self::Pdns(server) => server.address(),
        }
    }

    pub fn log(&mut self) -> String {
        match self {
            Self::Bind(server) => server.daemon().log(),
            Self::Knot(server) => server.daemon().log(),
            Self::Pdns(server) => server.daemon().log(),
        }
    }

    /// Returns the options of a client of a zone.
    pub fn options(&self, zone: &str) -> Rfc2136Options {
        Rfc2136Options::new(self.address()).with_key(key("sha256")).with_zone(name(zone))
    }

    pub fn provider(&self, zone: &str) -> Rfc2136Provider {
        Rfc2136Provider::new(self.options(zone))
    }
}

pub fn zone(apex: &str) -> cloudron_dns::Zone {
    let apex: Name = name(apex);
    cloudron_dns::Zone::new(apex.to_string(), apex)
}
