//! What is reached from outside: all ports of TCP, some of UDP, SSH over a new connection.

use std::net::{IpAddr, SocketAddr, SocketAddrV6, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use cloudron_box::firewall::{self, Policy, Seat};
use cloudron_e2e::Server;

use crate::host::Inside;

/// Time for a connection; the server is on this machine.
const LIMIT: Duration = Duration::from_millis(1500);

/// Returns the ports from 1 to 65535 that accept TCP connections.
pub(crate) fn scan(server: &Server) -> Vec<u16> {
    let address: IpAddr = server.ip().parse().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let places = Arc::new(tokio::sync::Semaphore::new(3000));
        let mut tasks = Vec::new();
        for port in 1..=u16::MAX {
            let place = places.clone().acquire_owned().await.unwrap();
            tasks.push(tokio::spawn(async move {
                let _place = place;
                let connection = tokio::net::TcpStream::connect(SocketAddr::new(address, port));
                match tokio::time::timeout(LIMIT, connection).await {
                    Ok(Ok(_)) => Some(port),
                    Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => None,
                    Err(_) => None,
                    // Such as too many open files: then the result would mean nothing.
                    Ok(Err(error)) => panic!("port {port}: {error}"),
                }
            }));
        }
        let mut open = Vec::new();
        for task in tasks {
            open.extend(task.await.unwrap());
        }
        open
    })
}

/// Returns whether a port accepts TCP connections at the server's link-local address of IPv6, which needs no router.
pub(crate) fn accepts_ipv6(server: &Server, port: u16) -> bool {
    let listed = server.exec_ok("ip -6 -br addr show dev eth0 scope link");
    let address = listed.split_whitespace().nth(2).and_then(|a| a.split('/').next()).unwrap();
    let interface = std::fs::read_to_string("/sys/class/net/docker0/ifindex").unwrap();
    let address = SocketAddrV6::new(address.parse().unwrap(), port, 0, interface.trim().parse().unwrap());
    TcpStream::connect_timeout(&address.into(), LIMIT).is_ok()
}

/// Returns whether what is sent to a UDP port comes back.
pub(crate) fn echoes(server: &Server, port: u16) -> bool {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    (0..3).any(|_| {
        socket.send_to(b"hello", server.address(port)).unwrap();
        socket.recv(&mut [0; 16]).is_ok()
    })
}

/// Logs in over a new connection, and returns its other end; nothing if nobody answers.
pub(crate) fn login(server: &Server, port: u16) -> Option<Seat> {
    let mut ssh = Command::new("ssh");
    ssh.args([
        "-F",
        "none",
        "-o",
        "BatchMode=yes",
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/dev/null",
    ]);
    ssh.args(["-o", "ConnectTimeout=2", "-o", "IdentitiesOnly=yes", "-p", &port.to_string(), "-i"])
        .arg(server.key_path());
    let output = ssh.arg(format!("root@{}", server.ip())).arg("echo $SSH_CONNECTION").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut words = text.split_whitespace();
    let (address, port) = (words.next()?, words.next()?);
    Some(Seat::Connection(SocketAddr::new(address.parse().unwrap(), port.parse().unwrap())))
}

/// Puts a policy in force, and confirms it over a new connection.
pub(crate) fn put_in_force(server: &Server, policy: &Policy) {
    let host = Inside::of(server);
    let seat = login(server, 22).expect("SSH answers");
    let trial = firewall::begin(&host, policy, Duration::from_secs(120), seat).unwrap();
    let seat = login(server, 22).expect("SSH answers under the new rules");
    firewall::confirm(&host, &trial.ticket, seat).unwrap();
}

/// Has the server listen on many ports, now and after each boot: TCP 80, 443, 993, 3306, 9000, and UDP 3478 and 5353.
pub(crate) fn listeners(server: &Server) {
    let program = "use IO::Socket::IP; use IO::Select;
my ($all, @any) = (IO::Select->new, LocalHost => '::', V6Only => 0);
$all->add(IO::Socket::IP->new(@any, LocalPort => $_, Type => SOCK_STREAM, Listen => 50, ReuseAddr => 1) or die \"$_: $!\") for 80, 443, 993, 3306, 9000;
$all->add(IO::Socket::IP->new(@any, LocalPort => $_, Type => SOCK_DGRAM) or die \"$_: $!\") for 3478, 5353;
while (1) { for my $s ($all->can_read) {
  if ($s->socktype == SOCK_DGRAM) { $s->recv(my $t, 100) // next; $s->send($t); }
  else { my $c = $s->accept; close $c if $c; } } }
";
    server.exec_with("cat >/usr/local/lib/listeners.pl", program.as_bytes());
    let unit = "[Service]\nExecStart=/usr/bin/perl /usr/local/lib/listeners.pl\n[Install]\nWantedBy=multi-user.target\n";
    server.exec_with("cat >/etc/systemd/system/listeners.service", unit.as_bytes());
    server.exec_ok("systemctl daemon-reload && systemctl enable --now -q listeners");
    cloudron_e2e::until("the listeners listen", Duration::from_secs(10), || {
        server.listens(9000).then_some(())
    });
}
