//! A proxy between client and server that counts messages and makes them fail.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use cloudron_dns::conformance::{self, Calls, Fault, Injection};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};

use crate::tap::Tap;

#[derive(Clone)]
pub struct Wire {
    address: SocketAddr,
    state: Arc<Mutex<Tap>>,
}

impl Wire {
    pub async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wire = Self { address: listener.local_addr().unwrap(), state: Arc::default() };
        let of_task = wire.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(of_task.clone().serve(client, server));
            }
        });
        wire
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the number of sent messages.
    pub fn messages(&self) -> usize {
        self.state.lock().unwrap().sent()
    }

    /// Resets all counts and faults.
    pub fn reset(&self) {
        *self.state.lock().unwrap() = Tap::default();
    }

    /// Sets whether updates reach the server but their responses are lost.
    pub fn lose_answers_to_updates(&self, lose: bool) {
        self.state.lock().unwrap().loses_writes = lose;
    }

    /// Counts a message, and returns its fault.
    fn fate(&self, message: &[u8]) -> Option<Fault> {
        self.state.lock().unwrap().fate(message[2] >> 3 & 0b1111 == 5)
    }

    async fn serve(self, client: TcpStream, server: SocketAddr) -> std::io::Result<()> {
        let (mut from_client, to_client) = client.into_split();
        let (from_server, mut to_server) = TcpStream::connect(server).await?.into_split();
        // Until something passes; from then on all that is answered does.
        let mut back = Some((from_server, to_client));
        let mut copying = None;
        while let Ok(length) = from_client.read_u16().await {
            let mut message = vec![0; usize::from(length)];
            from_client.read_exact(&mut message).await?;
            let framed = [&length.to_be_bytes(), &message[..]].concat();
            let code = match (self.fate(&message), &mut back) {
                (None, _) => {
                    to_server.write_all(&framed).await?;
                    if let Some((mut from, mut to)) = back.take() {
                        copying = Some(tokio::spawn(async move { copy(&mut from, &mut to).await }));
                    }
                    continue;
                }
                (Some(Fault::Refused), Some(_)) => 5,
                (Some(Fault::Busy), Some(_)) => 2,
                (Some(Fault::CutAfter), Some((from_server, _))) => {
                    to_server.write_all(&framed).await?;
                    // The server has done it once it answers.
                    from_server.read_u16().await?;
                    break;
                }
                _ => break,
            };
            let answer = [message[0], message[1], message[2] | 0x80, code, 0, 0, 0, 0, 0, 0, 0, 0];
            if let Some((_, to_client)) = &mut back {
                to_client.write_all(&[&[0, 12], &answer[..]].concat()).await?;
            }
        }
        if let Some(copying) = copying {
            copying.abort();
        }
        Ok(())
    }
}

impl conformance::Wire for Wire {
    fn calls(&self) -> Calls {
        self.state.lock().unwrap().calls
    }

    fn inject(&self, injection: Injection) -> bool {
        let mut state = self.state.lock().unwrap();
        (state.injection, state.seen) = (Some(injection), 0);
        true
    }

    fn clear(&self) {
        self.state.lock().unwrap().injection = None;
    }
}
