//! A proxy that counts messages, and may lose answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};

pub struct Wire {
    address: SocketAddr,
    messages: Arc<AtomicUsize>,
    loses_updates: Arc<AtomicBool>,
}

impl Wire {
    pub async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wire = Self {
            address: listener.local_addr().unwrap(),
            messages: Arc::default(),
            loses_updates: Arc::default(),
        };
        let (messages, loses) = (wire.messages.clone(), wire.loses_updates.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, server, messages.clone(), loses.clone()));
            }
        });
        wire
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many messages went to the server.
    pub fn messages(&self) -> usize {
        self.messages.load(Ordering::SeqCst)
    }

    /// From now on the server gets updates, and its answers to them are lost.
    pub fn lose_answers_to_updates(&self, lose: bool) {
        self.loses_updates.store(lose, Ordering::SeqCst);
    }
}

async fn serve(
    client: TcpStream,
    server: SocketAddr,
    messages: Arc<AtomicUsize>,
    loses: Arc<AtomicBool>,
) -> std::io::Result<()> {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = TcpStream::connect(server).await?.into_split();
    let mut update = vec![0; 2];
    from_client.read_exact(&mut update).await?;
    let mut message = vec![0; usize::from(u16::from_be_bytes([update[0], update[1]]))];
    from_client.read_exact(&mut message).await?;
    messages.fetch_add(1, Ordering::SeqCst);
    to_server.write_all(&[update, message.clone()].concat()).await?;
    if loses.load(Ordering::SeqCst) && message[2] >> 3 & 0b1111 == 5 {
        // The server has done it once it answers.
        from_server.read_u16().await?;
        return Ok(());
    }
    let answers = tokio::spawn(async move { copy(&mut from_server, &mut to_client).await });
    while let Ok(length) = from_client.read_u16().await {
        let mut message = vec![0; usize::from(length)];
        from_client.read_exact(&mut message).await?;
        messages.fetch_add(1, Ordering::SeqCst);
        to_server.write_all(&[&length.to_be_bytes(), &message[..]].concat()).await?;
    }
    answers.abort();
    Ok(())
}
