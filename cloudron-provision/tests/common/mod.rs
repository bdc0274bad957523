//! Common functions of the tests.
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use cloudron_provision::ssh::{Auth, HostKey, HostKeyPolicy, SshRemote, SshTarget, connect};
use cloudron_testkit::sshd::Sshd;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Time limit for connecting.
pub const LIMIT: Duration = Duration::from_secs(15);

/// Returns the address of the server, without any known_hosts file.
pub fn target(server: &Sshd) -> SshTarget {
    let mut target = SshTarget::new("127.0.0.1").on_port(server.port()).as_user(server.user());
    // Nothing here needs root, whoever runs the tests.
    target.sudo = false;
    target.known_hosts.clear();
    target
}

/// Returns the server's host key.
pub fn pin(server: &Sshd) -> HostKey {
    server.host_public_key().parse().unwrap()
}

/// Opens a session with the server.
pub async fn login(server: &Sshd) -> SshRemote {
    login_with(server, target(server)).await
}

/// Opens a session with the server at another target.
pub async fn login_with(server: &Sshd, target: SshTarget) -> SshRemote {
    let auth = Auth::key(server.key_path().to_str().unwrap()).without_agent();
    connect(target, &auth, HostKeyPolicy::Pinned(vec![pin(server)]), LIMIT).await.unwrap()
}

/// Generates a key pair with ssh-keygen and returns the private key's path.
pub fn keygen(folder: &Path, name: &str, options: &[&str], passphrase: &str) -> PathBuf {
    let path = folder.join(name);
    let mut command = std::process::Command::new("ssh-keygen");
    let output = command.args(["-q", "-N", passphrase, "-f"]).arg(&path).args(options).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    path
}

/// Returns bytes without a pattern.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64 ^ length as u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Starts an echo server on loopback and returns its port.
pub async fn echo_server() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let mut buffer = [0; 4096];
                while let Ok(n @ 1..) = read.read(&mut buffer).await {
                    if write.write_all(&buffer[..n]).await.is_err() {
                        return;
                    }
                }
                let _ = write.shutdown().await;
            });
        }
    });
    port
}

/// A reader that never returns data.
pub struct Never;

impl Read for Never {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        std::thread::sleep(Duration::from_secs(5));
        Ok(0)
    }
}
