//! A small authoritative name server on loopback, over UDP and TCP, with optional faults.

#![allow(dead_code, unreachable_pub, missing_docs)]

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use cloudron_dns::{Name, RecordData, RecordSet, RecordType, Ttl};
use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{NULL, SOA};
use hickory_proto::rr::{Name as WireName, RData, Record};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// The behaviour of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Right,
    /// Receives queries and never answers.
    Dead,
    Refusing,
    /// Answers without authority.
    Lame,
    /// Over UDP, only answers that the query must be repeated over TCP.
    Truncating,
    /// Truncates over UDP, and never answers over TCP.
    TruncatingDeadTcp,
    /// Sends forged responses with wrong IDs and names before the real one.
    Spoofed,
    /// Sends bytes that are not a message.
    Garbage,
    /// Repeats the queried name in lower case.
    LowerCase,
}

/// The contents of a server.
#[derive(Debug, Clone)]
pub struct Contents {
    pub mode: Mode,
    pub apex: Name,
    pub serial: u32,
    pub sets: Vec<RecordSet>,
    /// Addresses of name servers in referrals.
    pub glue: Vec<(Name, IpAddr)>,
}

#[derive(Clone)]
pub struct DnsServer {
    pub address: SocketAddr,
    pub contents: Arc<Mutex<Contents>>,
    pub udp_questions: Arc<AtomicU64>,
    pub tcp_questions: Arc<AtomicU64>,
}

pub fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub fn set(owner: &str, rtype: RecordType, values: &[&str]) -> RecordSet {
    RecordSet::parse(name(owner), Ttl::DEFAULT, rtype, values.iter().copied()).unwrap()
}

impl DnsServer {
    /// Starts a server for a zone on 127.0.0.1, on a free port.
    pub async fn start(apex: &str, sets: impl IntoIterator<Item = RecordSet>) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), apex, sets).await.unwrap()
    }

    /// Starts a server on an address. Returns `None` if the address is in use.
    pub async fn start_at(
        address: SocketAddr,
        apex: &str,
        sets: impl IntoIterator<Item = RecordSet>,
    ) -> Option<Self> {
        let tcp = TcpListener::bind(address).await.ok()?;
        let address = tcp.local_addr().unwrap();
        let udp = UdpSocket::bind(address).await.ok()?;
        let sets = sets.into_iter().collect();
        let contents = Contents { mode: Mode::Right, apex: name(apex), serial: 1, sets, glue: Vec::new() };
        let server = Self {
            address,
            contents: Arc::new(Mutex::new(contents)),
            udp_questions: Arc::default(),
            tcp_questions: Arc::default(),
        };
        tokio::spawn(server.clone().serve_udp(udp));
        tokio::spawn(server.clone().serve_tcp(tcp));
        Some(server)
    }

    /// Changes the contents or the behaviour of the server.
    pub fn change(&self, change: impl FnOnce(&mut Contents)) {
        change(&mut self.contents.lock().unwrap());
    }

    pub fn mode(self, mode: Mode) -> Self {
        self.change(|c| c.mode = mode);
        self
    }

    async fn serve_udp(self, socket: UdpSocket) {
        let mut buffer = vec![0; 4096];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
            self.udp_questions.fetch_add(1, Ordering::SeqCst);
            let contents = self.contents.lock().unwrap().clone();
            let Ok(question) = Message::from_vec(&buffer[..length]) else { continue };
            let mut reply = contents.answer(&question);
            match contents.mode {
                Mode::Dead => continue,
                Mode::Truncating | Mode::TruncatingDeadTcp => {
                    reply.answers.clear();
                    reply.metadata.truncation = true;
                }
                Mode::Garbage => {
                    let _ = socket.send_to(b"garbage", peer).await;
                    continue;
                }
                Mode::LowerCase => {
                    let name = reply.queries[0].name().to_lowercase();
                    reply.queries[0].set_name(name);
                }
                Mode::Spoofed => {
                    let mut guess = reply.clone();
                    guess.metadata.id = guess.metadata.id.wrapping_add(1);
                    guess.answers.clear();
                    let _ = socket.send_to(&guess.to_vec().unwrap(), peer).await;
                    guess.metadata.id = reply.metadata.id;
                    guess.queries[0].set_name(WireName::from_ascii("other.example.").unwrap());
                    let _ = socket.send_to(&guess.to_vec().unwrap(), peer).await;
                }
                _ => {}
            }
            let _ = socket.send_to(&reply.to_vec().unwrap(), peer).await;
        }
    }

    async fn serve_tcp(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let server = self.clone();
            tokio::spawn(async move {
                let _ = server.serve_stream(stream).await;
            });
        }
    }

    async fn serve_stream(self, mut stream: TcpStream) -> std::io::Result<()> {
        loop {
            let length = stream.read_u16().await?;
            let mut buffer = vec![0; usize::from(length)];
            stream.read_exact(&mut buffer).await?;
            self.tcp_questions.fetch_add(1, Ordering::SeqCst);
            let contents = self.contents.lock().unwrap().clone();
            if matches!(contents.mode, Mode::Dead | Mode::TruncatingDeadTcp) {
                std::future::pending::<()>().await;
            }
            let Ok(question) = Message::from_vec(&buffer) else { return Ok(()) };
            let reply = contents.answer(&question).to_vec().unwrap();
            stream.write_u16(reply.len() as u16).await?;
            stream.write_all(&reply).await?;
        }
    }
}

impl Contents {
    fn answer(&self, question: &Message) -> Message {
        let query = &question.queries[0];
        let asked = Name::from_labels(query.name().iter()).unwrap();
        let rtype = RecordType(query.query_type().into());
        let mut reply = Message::response(question.metadata.id, OpCode::Query);
        reply.add_query(query.clone());
        reply.metadata.authoritative = !matches!(self.mode, Mode::Lame);
        if self.mode == Mode::Refusing || !asked.is_in(&self.apex) {
            reply.metadata.response_code = ResponseCode::Refused;
            return reply;
        }
        let cut = |s: &&RecordSet| {
            s.rtype() == RecordType::NS && s.name().is_below(&self.apex) && asked.is_in(s.name())
        };
        if let Some(cut) = self.sets.iter().find(cut) {
            reply.metadata.authoritative = false;
            reply.authorities = records(cut, cut.name());
            for (server, address) in &self.glue {
                let data = match address {
                    IpAddr::V4(v4) => RecordData::A(*v4),
                    IpAddr::V6(v6) => RecordData::Aaaa(*v6),
                };
                reply.additionals.push(record(server, 300, &data));
            }
            return reply;
        }
        if rtype == RecordType::SOA && asked == self.apex {
            reply.answers.push(self.soa());
            return reply;
        }
        let owner = self.owner_for(&asked);
        let here: Vec<&RecordSet> = self.sets.iter().filter(|s| Some(s.name()) == owner.as_ref()).collect();
        for set in here.iter().filter(|s| s.rtype() == rtype || s.rtype() == RecordType::CNAME) {
            reply.answers.extend(records(set, &asked));
        }
        if reply.answers.is_empty() {
            reply.authorities.push(self.soa());
            if here.is_empty() && asked != self.apex {
                reply.metadata.response_code = ResponseCode::NXDomain;
            }
        }
        reply
    }

    /// Returns the name itself, or the wildcard that matches it (RFC 4592).
    fn owner_for(&self, asked: &Name) -> Option<Name> {
        if self.sets.iter().any(|s| s.name().is_in(asked)) {
            return Some(asked.clone());
        }
        let mut closest = asked.parent();
        while let Some(encloser) = closest.filter(|n| n.is_in(&self.apex)) {
            let wildcard = encloser.below("*").ok()?;
            if self.sets.iter().any(|s| *s.name() == wildcard) {
                return Some(wildcard);
            }
            closest = encloser.parent();
        }
        None
    }

    fn soa(&self) -> Record {
        let server = WireName::from_ascii("ns1.example.").unwrap();
        let soa = SOA::new(server.clone(), server, self.serial, 3600, 600, 86_400, 900);
        Record::from_rdata(wire_name(&self.apex), 1800, RData::SOA(soa))
    }
}

fn records(set: &RecordSet, owner: &Name) -> Vec<Record> {
    set.values().iter().map(|value| record(owner, set.ttl().seconds(), value)).collect()
}

fn record(owner: &Name, ttl: u32, data: &RecordData) -> Record {
    let rdata = RData::Unknown { code: data.record_type().0.into(), rdata: NULL::with(data.to_rdata()) };
    Record::from_rdata(wire_name(owner), ttl, rdata)
}

fn wire_name(name: &Name) -> WireName {
    let labels = name.raw_labels();
    WireName::from_labels(labels.iter().map(Vec::as_slice)).unwrap()
}
