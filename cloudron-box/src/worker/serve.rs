//! Answering the interface: one request for each connection.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cloudron_core::Cancel;
use serde::Serialize;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::sync::mpsc;

use super::protocol::{Answer, Request, Said, Working};
use super::{Worker, backup, store};
use crate::failure::Failure;
use crate::parts::stream::{self, Stream};
use crate::{Error, Result};

/// Maximum size of a request, in bytes.
const REQUEST: u64 = 64 * 1024;

/// Time limit for a request to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// Interval for saying how far a backup is.
const TELL: Duration = Duration::from_millis(200);

/// Receives what a backup has to say while it is made.
#[derive(Clone)]
pub(super) struct Teller {
    working: Arc<Mutex<Working>>,
    said: mpsc::UnboundedSender<Said>,
}

impl Teller {
    fn new() -> (Self, mpsc::UnboundedReceiver<Said>) {
        let (said, heard) = mpsc::unbounded_channel();
        (Self { working: Arc::default(), said }, heard)
    }

    pub(super) fn say(&self, said: Said) {
        let _ = self.said.send(said);
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Working)) {
        change(&mut self.working.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn message(&self, message: String) {
        self.change(|working| working.message = message);
    }

    fn now(&self) -> Working {
        self.working.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Answers the request of a connection. The asker takes it back by ending its half; so does `stop`.
pub(super) async fn serve(worker: Arc<Worker>, connection: impl Stream + 'static, stop: Cancel) {
    let (from, mut to) = tokio::io::split(connection);
    let mut from = BufReader::new(from);
    let request = match tokio::time::timeout(PATIENCE, stream::read::<Request>(&mut from, REQUEST)).await {
        Ok(Ok(Some(request))) => request,
        Ok(Ok(None)) | Err(_) => return,
        Ok(Err(error)) => {
            let _ = stream::write(&mut to, &Answer::Failed(Failure::from(&error))).await;
            return;
        }
    };
    let cancel = Cancel::new();
    let taken_back = cancel.clone();
    let watching = tokio::spawn(async move {
        tokio::select! {
            // More than the request is a mistake, and counts as its end.
            _ = async { from.read(&mut [0; 1]).await } => {}
            () = stop.cancelled() => {}
        }
        taken_back.cancel();
    });
    let answered = answer(&worker, request, &mut to, &cancel).await;
    if let Err(error) = answered {
        let _ = stream::write(&mut to, &Answer::Failed(Failure::from(&error))).await;
    }
    let _ = to.shutdown().await;
    watching.abort();
}

async fn answer(
    worker: &Arc<Worker>,
    request: Request,
    to: &mut (impl tokio::io::AsyncWrite + Unpin),
    cancel: &Cancel,
) -> Result<()> {
    let value = match request {
        Request::Backup => value(back_up(worker, to, cancel).await?)?,
        Request::List { page, per_page } => value(store::list(worker, page, per_page).await?)?,
        Request::Find { wanted } => value(store::find(worker, &wanted).await?)?,
        Request::Check { newest } => value(store::check(worker, newest.as_ref(), cancel).await?)?,
        Request::Size { key } => value(store::size(worker, &key).await?)?,
        Request::Objects { prefix } => {
            for some in store::objects(worker, &prefix).await?.chunks(store::AT_A_TIME) {
                stream::write(to, &Answer::Objects(some.to_vec())).await?;
            }
            Value::Null
        }
        Request::Read { key, start, end } => {
            let part = store::read(worker, &key, start..end).await?;
            stream::write(to, &Answer::Bytes(part.len() as u64)).await?;
            to.write_all(&part).await.map_err(stream::broken)?;
            Value::Null
        }
    };
    stream::write(to, &Answer::Done(value)).await
}

fn value(answer: impl Serialize) -> Result<Value> {
    serde_json::to_value(answer)
        .map_err(|e| Error::new(&cloudron_core::codes::FAILED, format!("an answer is not JSON: {e}")))
}

/// Makes a backup, and says meanwhile how far it is. It also ends well if nobody listens any more, once the commands
/// after it have run.
async fn back_up(
    worker: &Arc<Worker>,
    to: &mut (impl tokio::io::AsyncWrite + Unpin),
    cancel: &Cancel,
) -> Result<super::Made> {
    let (teller, mut heard) = Teller::new();
    let (maker, told, stop) = (worker.clone(), teller.clone(), cancel.clone());
    // A task of its own, so that a panic is an error and not silence.
    let mut making = tokio::spawn(async move { backup::make(&maker, &told, &stop).await });
    let mut last = Working::default();
    let mut ticks = tokio::time::interval(TELL);
    let made = loop {
        tokio::select! {
            made = &mut making => break made,
            Some(said) = heard.recv() => tell(to, &Answer::Said(said)).await,
            _ = ticks.tick() => tell_change(&teller, &mut last, to).await,
        }
    };
    tell_change(&teller, &mut last, to).await;
    while let Ok(said) = heard.try_recv() {
        tell(to, &Answer::Said(said)).await;
    }
    made.unwrap_or_else(|_| {
        let text = "the backup ended by an error in the program";
        Err(Error::new(&cloudron_core::codes::FAILED, text))
    })
}

async fn tell_change(teller: &Teller, last: &mut Working, to: &mut (impl tokio::io::AsyncWrite + Unpin)) {
    let now = teller.now();
    if now != *last {
        tell(to, &Answer::Working(now.clone())).await;
        *last = now;
    }
}

/// Says something to an asker who may have gone.
async fn tell(to: &mut (impl tokio::io::AsyncWrite + Unpin), answer: &Answer) {
    if let Err(error) = stream::write(to, answer).await {
        tracing::debug!(%error, "Nobody listens to how far the backup is");
    }
}
