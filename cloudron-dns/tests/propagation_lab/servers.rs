//! BIND and Knot on port 53 of loopback addresses.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cloudron_dns::propagation::{Lookup, Resolver};
use cloudron_dns::resolve::{Answer, Resolve};
use cloudron_dns::{Name, RecordData, RecordType};
use cloudron_testkit::require;

pub(crate) const ROOT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 10);
pub(crate) const COM: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
pub(crate) const NS1: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 21);
pub(crate) const NS2: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 22);

/// A server process with its own folder; both are removed when it is dropped.
struct Process {
    child: Child,
    folder: PathBuf,
    address: Ipv4Addr,
}

impl Process {
    fn start(program: &str, address: Ipv4Addr, folder: PathBuf, args: &[&str]) -> Self {
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let mut command = Command::new(require::find(program).unwrap());
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Self { child: command.spawn().unwrap(), folder, address }
    }

    fn signal(&self, signal: &str) {
        // The shell's own `kill`: the program of that name is not everywhere.
        let command = format!("kill {signal} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success(), "{command}");
    }

    /// Waits until the server has a zone, with a serial number if one is given.
    async fn until_it_has(&self, zone: &str, serial: Option<u32>) {
        let lookup = Lookup::at([(self.address, 53).into()]).with_query_timeout(Duration::from_millis(300));
        let resolver = Resolver::authoritative(lookup);
        let zone = Name::parse(zone).unwrap();
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(20) {
            if let Answer::Found { values, .. } = resolver.resolve(&zone, RecordType::SOA).await
                && let [RecordData::Unknown { rdata, .. }] = &values[..]
            {
                // Five numbers of four bytes end the data; the serial number is the first of them.
                let found = rdata.len().checked_sub(20).map(|at| &rdata[at..at + 4]);
                if serial.is_none_or(|serial| found == Some(&serial.to_be_bytes())) {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        panic!("the server at {} does not have {zone}: {log}", self.address);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn folder(address: Ipv4Addr) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("cloudron-dns-lab-{}-{address}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn write(folder: &Path, file: &str, text: &str) -> String {
    let path = folder.join(file);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

pub(crate) struct Bind(Process);

impl Bind {
    /// Starts BIND with zones: the name and the zone file of each.
    pub(crate) async fn start(address: Ipv4Addr, zones: &[(&str, &str)]) -> Self {
        let folder = folder(address);
        let path = folder.display();
        let mut config = format!(
            "options {{ directory \"{path}\"; pid-file \"{path}/pid\"; session-keyfile \"{path}/key\"; lock-file none;\n\
             listen-on port 53 {{ {address}; }}; listen-on-v6 {{ none; }}; recursion no; notify no;\n\
             dnssec-validation no; empty-zones-enable no; check-integrity no; allow-transfer {{ any; }};\n\
             managed-keys-directory \"{path}\"; }};\ncontrols {{ }};\n"
        );
        for (zone, text) in zones {
            let file = write(&folder, &format!("{}.zone", zone.replace('.', "_")), text);
            config += &format!("zone \"{zone}\" {{ type primary; file \"{file}\"; }};\n");
        }
        let config = write(&folder, "named.conf", &config);
        let server = Self(Process::start("named", address, folder, &["-g", "-n", "1", "-c", &config]));
        for (zone, _) in zones {
            server.0.until_it_has(zone, None).await;
        }
        server
    }

    /// Replaces the zone file, with a new serial number.
    pub(crate) async fn reload(&self, zone: &str, text: &str) {
        write(&self.0.folder, &format!("{}.zone", zone.replace('.', "_")), text);
        self.0.signal("-HUP");
        let soa = text.lines().find(|line| line.contains(" SOA ")).unwrap();
        let serial = soa.split_ascii_whitespace().nth(4).unwrap().parse().unwrap();
        self.0.until_it_has(zone, Some(serial)).await;
    }
}

pub(crate) struct Knot(Process);

impl Knot {
    /// Starts Knot as a secondary of a zone, and waits until it has fetched the zone.
    pub(crate) async fn secondary(address: Ipv4Addr, zone: &str, primary: Ipv4Addr) -> Self {
        let folder = folder(address);
        let path = folder.display();
        let config = format!(
            "server:\n    listen: {address}@53\n    rundir: {path}\n\
             log:\n  - target: stderr\n    any: info\n\
             database:\n    storage: {path}/db\n\
             remote:\n  - id: primary\n    address: {primary}@53\n\
             zone:\n  - domain: {zone}\n    storage: {path}\n    master: primary\n"
        );
        let config = write(&folder, "knot.conf", &config);
        let socket = folder.join("sock").display().to_string();
        let server = Self(Process::start("knotd", address, folder, &["-c", &config, "-s", &socket]));
        server.0.until_it_has(zone, None).await;
        server
    }

    pub(crate) fn stop(&self) {
        self.0.signal("-STOP");
    }

    pub(crate) fn go_on(&self) {
        self.0.signal("-CONT");
    }

    /// Fetches the zone again.
    pub(crate) fn retransfer(&self, zone: &str) {
        let socket = self.0.folder.join("sock").display().to_string();
        let mut knotc = Command::new(require::find("knotc").unwrap());
        let output = knotc.args(["-s", &socket, "zone-retransfer", zone]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Starts the servers of the root and of `com`, which has these additional lines. The root server has the other zones.
pub(crate) async fn registry(lines: &str, more: &[(&str, &str)]) -> Registry {
    let root = format!(
        "$TTL 300\n. SOA a.root. x. 1 3600 600 86400 900\n. NS a.root.\na.root. A {ROOT}\n\
         com. NS a.gtld.com.\na.gtld.com. A {COM}\n"
    );
    let mut zones = vec![(".", root.as_str())];
    zones.extend_from_slice(more);
    let root = Bind::start(ROOT, &zones).await;
    let com = Bind::start(COM, &[("com", &com(1, lines))]).await;
    Registry { _root: root, com }
}

pub(crate) fn com(serial: u32, lines: &str) -> String {
    format!(
        "$TTL 300\n@ SOA a.gtld.com. x.com. {serial} 3600 600 86400 900\n@ NS a.gtld.com.\na.gtld.com. A {COM}\n{lines}"
    )
}

pub(crate) struct Registry {
    _root: Bind,
    com: Bind,
}

impl Registry {
    pub(crate) async fn reload(&self, zone: &str, text: &str) {
        self.com.reload(zone, text).await;
    }
}
