//! The front: it keeps the ports open, says who the clients are, and needs no right of root.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cloudron_e2e::{available, until};

use super::scene::{DOMAIN, Scene};

/// Asks the machine as a browser that trusts its authority. Returns curl's exit code, and what it printed.
fn curl(scene: &Scene, authority: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let machine = format!("::{}:", scene.server.ip());
    let output = Command::new("curl")
        .args(["-s", "--max-time", "30", "--noproxy", "*", "--connect-to", &machine, "--cacert", authority])
        .args(arguments)
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A machine, and the file of its authority on the laptop.
fn scene(name: &str) -> (Scene, String) {
    let scene = Scene::bare(name);
    scene.create(&[]);
    let authority = scene.laptop.place("authority.pem");
    scene.server.copy_out("/var/lib/cloudron/secrets/ca.pem", &authority);
    (scene, authority.display().to_string())
}

const STATUS: &str = "https://my.example.com/api/v1/cloudron/status";

#[test]
fn no_connection_is_refused_while_the_front_and_the_interface_are_restarted() {
    if !available() {
        return;
    }
    let (scene, authority) = scene("front-restart");
    let (done, code) = (AtomicBool::new(false), ["-o", "/dev/null", "-w", "%{http_code}", STATUS]);
    let pid = || scene.server.exec_ok("systemctl show -P MainPID cloudron-front");
    let answers: Vec<(Option<i32>, String)> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut answers = Vec::new();
                    while !done.load(Ordering::Relaxed) {
                        answers.push(curl(&scene, &authority, &code));
                    }
                    answers
                })
            })
            .collect();
        for _ in 0..5 {
            let before = pid();
            scene.server.exec_ok("systemctl restart cloudron-front");
            assert_ne!(pid(), before);
            std::thread::sleep(Duration::from_millis(300));
        }
        done.store(true, Ordering::Relaxed);
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    assert!(answers.len() > 40, "only {} requests", answers.len());
    assert!(answers.iter().all(|answer| *answer == (Some(0), "200".to_owned())), "{answers:?}");
    // Killed, it comes back by itself, and the ports were never closed.
    scene.server.exec_ok("systemctl kill --signal=KILL cloudron-front");
    assert_eq!(curl(&scene, &authority, &code), (Some(0), "200".to_owned()));
    // Without the interface there is an answer, and the laptop knows what it means.
    scene.server.exec_ok("systemctl stop cloudron-box");
    assert_eq!(curl(&scene, &authority, &code), (Some(0), "502".to_owned()));
    scene.laptop.ok(&["machine", "start", DOMAIN]);
    assert_eq!(curl(&scene, &authority, &code), (Some(0), "200".to_owned()));
    scene.server.reboot();
    until("it answers after a boot", Duration::from_secs(60), || {
        (curl(&scene, &authority, &code) == (Some(0), "200".to_owned())).then_some(())
    });
    scene.laptop.ok(&["machine", "destroy", DOMAIN, "--delete-backups", "--yes"]);
    assert_eq!(scene.traces(), "");
}

#[test]
fn the_interface_learns_from_the_front_alone_who_a_client_is() {
    if !available() {
        return;
    }
    let (scene, authority) = scene("front-client");
    let activate = "https://my.example.com/api/v1/cloudron/activate";
    let link: serde_json::Value =
        serde_json::from_str(&scene.server.exec_ok("cloudron box setup-link")).unwrap();
    let token = format!("Authorization: Bearer {}", link["token"].as_str().unwrap());
    let body = r#"{"email": "owner@example.com", "password": "kanari-password-of-the-owner"}"#;
    let lie = "X-Forwarded-For: 198.51.100.7";
    let json = "Content-Type: application/json";
    let (_, said) = curl(&scene, &authority, &["-H", lie, "-H", json, "-H", &token, "-d", body, activate]);
    assert!(said.contains("\"token\""), "{said}");
    // Whoever asks the interface past the front is not answered.
    let ask = "perl -e 'use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new(Peer => \"/run/cloudron-box/interface.sock\") \
               or die; print $s \"GET /api/v1/cloudron/status HTTP/1.1\\r\\nhost: x\\r\\nconnection: close\\r\\n\\r\\n\"; $s->flush; print <$s>;'";
    let ask = |user: &str, group: &str| {
        let as_user = format!("setpriv --reuid {user} --regid {group} --clear-groups --");
        scene.server.exec(&format!("{as_user} timeout 3 {ask}")).stdout
    };
    assert_eq!(ask("nobody", "nogroup"), "");
    assert!(ask("cloudron-front", "cloudron-front").starts_with("HTTP/1.1 200 "));
    let redirect = format!("http://{}/x?y", scene.server.ip());
    let host = format!("Host: my.{DOMAIN}");
    let (_, said) = curl(
        &scene,
        &authority,
        &["-H", &host, "-w", "%{http_code} %{redirect_url}", "-o", "/dev/null", &redirect],
    );
    assert_eq!(said, format!("308 https://my.{DOMAIN}/x?y"));
    let events = scene.laptop.ok(&["machine", "eventlog", DOMAIN, "--full", "--output", "json"]).stdout;
    assert!(events.contains(&scene.server.gateway()) && !events.contains("198.51.100.7"), "{events}");
}

/// A program of the machine's owner, which answers with the request that it got.
const BLOG: &str = r#"use IO::Socket::INET;
my $l = IO::Socket::INET->new(LocalAddr => "127.0.0.1:8080", Listen => 5, ReuseAddr => 1) or die;
while (my $c = $l->accept) {
    my $b = "the blog\n";
    while (my $h = <$c>) { last if $h eq "\r\n"; $b .= lc $h }
    print $c "HTTP/1.1 200 OK\r\ncontent-length: " . length($b) . "\r\nconnection: close\r\n\r\n$b";
    close $c;
}
"#;

#[test]
fn a_program_of_the_machine_gets_a_name_and_a_certificate_and_a_backup_brings_them_back() {
    if !available() {
        return;
    }
    let (scene, authority) = scene("front-proxy");
    scene.server.exec_with("cat >/root/blog.pl", BLOG.as_bytes());
    scene.server.exec_ok("systemd-run -q perl /root/blog.pl");
    let (host, url) = ("blog.example.com", "https://blog.example.com/");
    scene.laptop.ok(&["proxy", "add", host, "--to", "127.0.0.1:8080"]);
    let answers = |authority: &str| {
        until("the blog answers", Duration::from_secs(20), || {
            let (code, said) = curl(&scene, authority, &["-H", "X-Forwarded-For: 198.51.100.7", url]);
            (code == Some(0) && said.starts_with("the blog")).then_some(said)
        })
    };
    let said = answers(&authority);
    let gateway = format!("x-forwarded-for: {}\r", scene.server.gateway());
    assert!(said.contains(&gateway) && !said.contains("198.51.100.7"), "{said}");
    assert!(scene.laptop.ok(&["proxy", "list", DOMAIN]).stdout.contains("127.0.0.1:8080"));
    let events = scene.laptop.ok(&["machine", "eventlog", DOMAIN]).stdout;
    assert!(events.contains("proxy.add"), "{events}");
    let refused = scene.laptop.fails(2, &["proxy", "add", "my.example.com", "--to", "127.0.0.1:8080"]);
    assert!(refused.stderr.contains("proxy-host"), "{refused}");
    scene.laptop.fails(3, &["proxy", "remove", "shop.example.com"]);
    scene.back_up();
    let removed = scene.laptop.json(&["proxy", "remove", host]);
    assert_eq!(removed["routes"], serde_json::json!([]));
    until("the name is given up", Duration::from_secs(20), || {
        let (_, status) = curl(&scene, &authority, &["-o", "/dev/null", "-w", "%{http_code}", url]);
        (status == "404").then_some(())
    });
    scene.laptop.ok(&["machine", "destroy", DOMAIN, "--yes"]);
    scene.create(&["--backup", "latest"]);
    let restored = scene.laptop.place("restored.pem");
    scene.server.copy_out("/var/lib/cloudron/secrets/ca.pem", &restored);
    answers(restored.to_str().unwrap());
}
