//! The DNS servers that the program writes to, with an independent way to read their zones.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use cloudron_testkit::knot::Knot;
use cloudron_testkit::named::Named;
use cloudron_testkit::pdns::Pdns;
use cloudron_testkit::require;

use crate::common::{Home, Run};

enum Server {
    Bind(Named),
    Knot(Knot),
    Pdns(Pdns),
}

/// A server with the empty zone `example.com`, which accepts transfers and updates from this computer.
pub struct Lab {
    pub name: &'static str,
    pub home: Home,
    server: Server,
    http: bool,
}

const APEX: &str = "example.com";

impl Lab {
    fn new(name: &'static str, server: Option<Server>, http: bool) -> Option<Self> {
        require::tools(["dig", "named-compilezone"])?;
        Some(Self { name, home: Home::new(), server: server?, http })
    }

    pub fn bind() -> Option<Self> {
        let clauses = "type primary; allow-update { any; }; allow-transfer { any; };";
        let server = Named::start("", &[(APEX.into(), clauses.into())]);
        Self::new("BIND", server.map(Server::Bind), false)
    }

    pub fn knot() -> Option<Self> {
        let acl = "acl:\n - id: all\n   address: 127.0.0.0/8\n   action: [transfer, update]";
        Self::new("Knot", Knot::start(acl, &[(APEX.into(), "all".into())]).map(Server::Knot), false)
    }

    fn powerdns() -> Option<Server> {
        let settings = "dnsupdate=yes\nallow-dnsupdate-from=127.0.0.0/8\nallow-axfr-ips=127.0.0.0/8\n";
        Pdns::start(settings, &[APEX.into()], "").map(Server::Pdns)
    }

    pub fn pdns() -> Option<Self> {
        Self::new("PowerDNS by update", Self::powerdns(), false)
    }

    pub fn pdns_http() -> Option<Self> {
        Self::new("PowerDNS by HTTP", Self::powerdns(), true)
    }

    pub fn all() -> Vec<Self> {
        [Self::bind(), Self::knot(), Self::pdns(), Self::pdns_http()].into_iter().flatten().collect()
    }

    fn address(&self) -> std::net::SocketAddr {
        match &self.server {
            Server::Bind(server) => server.address(),
            Server::Knot(server) => server.address(),
            Server::Pdns(server) => server.address(),
        }
    }

    /// Returns the address and port for options.
    pub fn server(&self) -> String {
        self.address().to_string()
    }

    /// Writes a zone file with a default TTL of 300 seconds.
    pub fn file(&self, name: &str, text: &str) {
        std::fs::write(self.home.path(name), format!("$TTL 300\n{text}")).unwrap();
    }

    fn command(&self, home: &Home, arguments: &[&str]) -> Command {
        let mut command = home.command();
        command.arg("dns").args(arguments).current_dir(self.home.dir());
        match &self.server {
            Server::Pdns(server) if self.http => command
                .args(["--provider", "powerdns", "--endpoint", &server.endpoint()])
                .env("PDNS_API_KEY", Pdns::API_KEY),
            _ => command.args(["--provider", "rfc2136", "--server", &self.address().to_string()]),
        };
        command
    }

    pub fn command_here(&self, arguments: &[&str]) -> Command {
        self.command(&self.home, arguments)
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command(&self.home, arguments).output().unwrap())
    }

    /// Runs a command on another computer with the same files, but without the ownership files.
    pub fn run_elsewhere(&self, home: &Home, arguments: &[&str]) -> Run {
        Run::of(self.command(home, arguments).output().unwrap())
    }

    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> String {
        let run = self.run(arguments);
        assert_eq!(run.code, 0, "{} {arguments:?}\n{}\n{}", self.name, run.stdout, run.stderr);
        run.stdout
    }

    /// Changes the zone to these records with `apply` and further arguments.
    #[track_caller]
    pub fn apply(&self, zone: &str, more: &[&str]) -> String {
        self.file("zone", zone);
        self.ok(&[&["apply", APEX, "--records", "zone", "--yes"], more].concat())
    }

    /// Returns the records of the zone by transfer, without its SOA record and its own name servers.
    pub fn zone(&self) -> BTreeSet<String> {
        let port = self.address().port().to_string();
        let dig = ["@127.0.0.1", "-p", &port, "+noall", "+answer", "+onesoa", "AXFR", APEX];
        let output = Command::new("dig").args(dig).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("SOA"), "{} gives no zone: {text}", self.name);
        canonical(&text)
    }
}

/// Returns the records of a zone file, as parsed by BIND.
pub fn meaning(zone: &str) -> BTreeSet<String> {
    let text = format!(
        "$ORIGIN {APEX}.\n$TTL 300\n@ SOA ns1.example.net. hostmaster.example.net. 1 3600 600 86400 300\n\
         @ NS ns1.example.net.\n{zone}\n"
    );
    let mut lenient = vec!["-q", "-i", "none", "-s", "full", "-o", "-"];
    for check in ["-k", "-n", "-m", "-M", "-S", "-T", "-r"] {
        lenient.extend([check, "ignore"]);
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let mut command = Command::new("named-compilezone");
    command.args(lenient).arg(APEX).arg(file.path()).stderr(Stdio::piped());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stdout));
    canonical(&String::from_utf8(output.stdout).unwrap())
}

/// Returns one line per record, with normalised spaces and hexadecimal case.
fn canonical(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with(';'));
    let own = |line: &String| {
        line.starts_with(&format!("{APEX}. ")) && (line.contains(" SOA ") || line.contains(" IN NS "))
    };
    lines.map(record).filter(|line| !own(line)).collect()
}

fn record(line: &str) -> String {
    let mut words = line.split_whitespace();
    let head: Vec<&str> = words.by_ref().take(4).collect();
    let rtype = head[3];
    let start =
        line.find(&format!(" {rtype}")).or(line.find(&format!("\t{rtype}"))).unwrap() + 1 + rtype.len();
    let data = line[start..].trim();
    // Base16 and base64 data, which is printed in groups separated by spaces.
    let data = match rtype {
        "DS" | "SSHFP" | "TLSA" | "SMIMEA" => {
            data.split_whitespace().collect::<String>().to_ascii_lowercase()
        }
        "OPENPGPKEY" | "CERT" => data.split_whitespace().collect(),
        _ if rtype.starts_with("TYPE") => data.to_ascii_lowercase(),
        _ => data.to_owned(),
    };
    format!("{} {} {} {rtype} {data}", head[0].to_ascii_lowercase(), head[1], head[2])
}

/// Joins records for a message.
pub fn lines<'a>(records: impl Iterator<Item = &'a String>) -> String {
    records.map(|record| format!("  {record}\n")).collect()
}
