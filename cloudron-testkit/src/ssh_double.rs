//! An SSH server whose responses are determined by the test: the output of a command and how it ends, well-formed or
//! not.
//!
//! It implements just enough of SSH (RFC 4253, 4252, 4254) for the clients under test: curve25519-sha256, a host key of
//! ssh-ed25519, aes256-gcm@openssh.com, and a login without proof. It executes no commands.
//!
//! ```
//! use cloudron_testkit::ssh_double::{Reply, SshDouble};
//!
//! let double = SshDouble::start(|command| Reply::out(format!("no {command} here\n")).exit(1));
//! assert!(double.host_key_fingerprint().starts_with("SHA256:"));
//! ```

mod wire;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ring::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use sha2::{Digest, Sha256};
use wire::{Reader, Sealed, Writer};

const VERSION: &str = "SSH-2.0-double";
const CIPHER: &str = "aes256-gcm@openssh.com";

/// How a command ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Ending {
    /// With that exit status.
    Status(u32),
    /// By that signal, with a message.
    Signal(String, String),
    /// The channel is closed without a status.
    #[default]
    Closed,
    /// It never ends.
    Never,
    /// It never ends, and the server continuously sends packets of this type.
    Flood(u8),
}

/// The output of a command and how it ends.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    ending: Ending,
}

impl Reply {
    /// Prints the text on standard output; the channel is then closed without an exit status.
    pub fn out(stdout: impl Into<Vec<u8>>) -> Self {
        Self { stdout: stdout.into(), ..Self::default() }
    }

    /// Prints the text on standard error.
    pub fn err(self, stderr: impl Into<Vec<u8>>) -> Self {
        Self { stderr: stderr.into(), ..self }
    }

    /// Ends with that exit status.
    pub fn exit(self, status: u32) -> Self {
        self.ending(Ending::Status(status))
    }

    /// Sets how it ends.
    pub fn ending(self, ending: Ending) -> Self {
        Self { ending, ..self }
    }
}

type Answers = dyn Fn(&str) -> Reply + Send + Sync;

/// A running server. It ends with the test's process.
pub struct SshDouble {
    address: SocketAddr,
    key: Arc<Mutex<Arc<Ed25519KeyPair>>>,
}

impl SshDouble {
    /// Starts a server on loopback that answers each command with the result of the function.
    ///
    /// # Panics
    /// If no port is available.
    pub fn start(answers: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("randomness");
        let key = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("a key of our own");
        let key = Arc::new(Mutex::new(Arc::new(key)));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
        let address = listener.local_addr().expect("an address");
        let (answers, theirs): (Arc<Answers>, _) = (Arc::new(answers), key.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answers, key) = (answers.clone(), current(&theirs).clone());
                // Errors of a closing client are ignored.
                thread::spawn(move || drop(serve(stream, &key, &*answers)));
            }
        });
        Self { address, key }
    }

    /// Returns the port on loopback.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Shows another host key to connections from now on: an ed25519 key in the format of OpenSSH's files, unencrypted.
    ///
    /// # Panics
    /// If it is something else.
    pub fn set_host_key(&self, file: &str) {
        let seed = seed(file).expect("an unencrypted ed25519 key");
        *current(&self.key) = Arc::new(Ed25519KeyPair::from_seed_unchecked(&seed).expect("32 bytes"));
    }

    /// Returns the fingerprint of the host key, `SHA256:…`.
    pub fn host_key_fingerprint(&self) -> String {
        format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(host_key(&current(&self.key)))))
    }

    /// Returns the host key in the form of known_hosts: `ssh-ed25519 AAAA…`.
    pub fn host_public_key(&self) -> String {
        use base64::engine::general_purpose::STANDARD;
        format!("ssh-ed25519 {}", STANDARD.encode(host_key(&current(&self.key))))
    }
}

fn current(key: &Mutex<Arc<Ed25519KeyPair>>) -> MutexGuard<'_, Arc<Ed25519KeyPair>> {
    key.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The seed in a key file (OpenSSH's PROTOCOL.key).
fn seed(file: &str) -> Option<[u8; 32]> {
    use base64::engine::general_purpose::STANDARD;
    let body: String = file.lines().filter(|line| !line.starts_with("-----")).collect();
    let raw = STANDARD.decode(body).ok()?;
    let mut fields = Reader::of(raw.strip_prefix(b"openssh-key-v1\0")?);
    // Cipher, key derivation and its options; one key; its public half.
    fields.string().ok().filter(|cipher| cipher == b"none")?;
    fields.string().and_then(|_| fields.string()).ok()?;
    fields.number().and_then(|_| fields.string()).ok()?;
    let mut private = Reader::of(fields.string().ok()?);
    // Two equal numbers, the algorithm and the public key go before seed and public key.
    private.number().and_then(|_| private.number()).ok()?;
    private.string().ok().filter(|algorithm| algorithm == b"ssh-ed25519")?;
    private.string().ok()?;
    private.string().ok()?.first_chunk().copied()
}

fn host_key(key: &Ed25519KeyPair) -> Vec<u8> {
    Writer::default().string("ssh-ed25519").string(key.public_key()).done()
}

fn serve(mut stream: TcpStream, key: &Ed25519KeyPair, answers: &Answers) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.write_all(format!("{VERSION}\r\n").as_bytes())?;
    let theirs = version(&mut stream)?;
    let mut sealed = exchange_keys(stream, key, &theirs)?;
    loop {
        let packet = sealed.receive()?;
        let mut fields = Reader::of(&packet);
        match fields.byte()? {
            // SSH_MSG_SERVICE_REQUEST, USERAUTH_REQUEST: welcome.
            5 => sealed.send(&Writer::message(6).string(fields.string()?).done())?,
            50 => sealed.send(&[52])?,
            // GLOBAL_REQUEST: no.
            80 => {
                fields.string()?;
                if fields.byte()? != 0 {
                    sealed.send(&[82])?;
                }
            }
            // CHANNEL_OPEN: commands only.
            90 => {
                let kind = fields.string()?.to_vec();
                let channel = fields.number()?;
                sealed.send(&match kind == b"session" {
                    true => {
                        let window = i32::MAX as u32;
                        let open = Writer::message(91).number(channel).number(channel);
                        open.number(window).number(32_768).done()
                    }
                    false => Writer::message(92).number(channel).number(2).string("no").string("").done(),
                })?;
            }
            // CHANNEL_REQUEST.
            98 => {
                let channel = fields.number()?;
                let exec = fields.string()? == b"exec";
                let wanted = fields.byte()? != 0;
                if wanted {
                    sealed.send(&Writer::message(if exec { 99 } else { 100 }).number(channel).done())?;
                }
                if exec {
                    let command = String::from_utf8_lossy(fields.string()?).into_owned();
                    answer(&mut sealed, channel, &answers(&command))?;
                }
            }
            // DISCONNECT.
            1 => return Ok(()),
            _ => {}
        }
    }
}

fn answer(sealed: &mut Sealed, channel: u32, reply: &Reply) -> io::Result<()> {
    for part in reply.stdout.chunks(32_000) {
        sealed.send(&Writer::message(94).number(channel).string(part).done())?;
    }
    for part in reply.stderr.chunks(32_000) {
        sealed.send(&Writer::message(95).number(channel).number(1).string(part).done())?;
    }
    let ended = |kind: &str| Writer::message(98).number(channel).string(kind).byte(0);
    match &reply.ending {
        Ending::Never => return Ok(()),
        Ending::Flood(kind) => loop {
            sealed.send(&Writer::message(*kind).raw(&[0; 30_000]).done())?;
        },
        Ending::Closed => {}
        Ending::Status(status) => sealed.send(&ended("exit-status").number(*status).done())?,
        Ending::Signal(name, message) => {
            let signal = ended("exit-signal").string(name).byte(0).string(message).string("");
            sealed.send(&signal.done())?;
        }
    }
    sealed.send(&Writer::message(96).number(channel).done())?;
    sealed.send(&Writer::message(97).number(channel).done())
}

/// Reads the client's version line, without its end.
fn version(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut byte = [0];
    while byte != *b"\n" && line.len() < 300 {
        stream.read_exact(&mut byte)?;
        line.extend(byte);
    }
    Ok(line.trim_ascii_end().to_vec())
}

/// Exchanges keys (RFC 8731, framed as in RFC 4253).
fn exchange_keys(mut stream: TcpStream, key: &Ed25519KeyPair, theirs: &[u8]) -> io::Result<Sealed> {
    let mut offer = Writer::message(20).raw(&[7; 16]);
    for list in
        ["curve25519-sha256", "ssh-ed25519", CIPHER, CIPHER, "hmac-sha2-256", "hmac-sha2-256", "none", "none"]
    {
        offer = offer.string(list);
    }
    let offer = offer.string("").string("").byte(0).number(0).done();
    wire::send_clear(&mut stream, &offer)?;
    let wanted = wire::receive_clear(&mut stream)?;
    let packet = wire::receive_clear(&mut stream)?;
    let mut fields = Reader::of(&packet);
    fields.byte()?;
    let their_point = fields.string()?.to_vec();

    let broken = |_| io::Error::other("the exchange of keys");
    let random = SystemRandom::new();
    let private = EphemeralPrivateKey::generate(&X25519, &random).map_err(broken)?;
    let point = private.compute_public_key().map_err(broken)?;
    let shared = agree_ephemeral(private, &UnparsedPublicKey::new(&X25519, &their_point), <[u8]>::to_vec);
    let shared = Writer::default().positive(&shared.map_err(broken)?).done();
    let host_key = host_key(key);
    let transcript = Writer::default().string(theirs).string(VERSION).string(&wanted).string(&offer);
    let transcript = transcript.string(&host_key).string(&their_point).string(point.as_ref()).raw(&shared);
    let hash = Sha256::digest(transcript.done());
    let signature = Writer::default().string("ssh-ed25519").string(key.sign(&hash).as_ref()).done();
    let reply = Writer::message(31).string(&host_key).string(point.as_ref()).string(&signature).done();
    wire::send_clear(&mut stream, &reply)?;
    wire::send_clear(&mut stream, &[21])?;
    wire::receive_clear(&mut stream)?;
    let derived = |letter: u8| Sha256::new().chain_update(&shared).chain_update(hash).chain_update([letter]);
    let derived = |letter: u8| derived(letter).chain_update(hash).finalize().to_vec();
    Ok(Sealed::new(stream, (&derived(b'C'), &derived(b'A')), (&derived(b'D'), &derived(b'B'))))
}
