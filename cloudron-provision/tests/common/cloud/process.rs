//! A process that ends at one of its calls, and a clock that is moved by waiting.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use cloudron_core::{Clock, Result};
use cloudron_http::{HttpOptions, HttpTransport, Request, ReqwestTransport, Response};

/// Ends a process at one of the calls that it makes.
#[derive(Default)]
pub struct Stop {
    at: AtomicUsize,
    seen: AtomicUsize,
    after: AtomicBool,
    dead: Mutex<Option<mpsc::Sender<()>>>,
}

/// Where a call is, seen from the end of its process.
#[derive(PartialEq, Eq, Clone, Copy)]
pub enum Reached {
    /// The process lives on.
    Alive,
    /// It ends before the call has an effect.
    Before,
    /// It ends after the effect, before the answer.
    After,
}

impl Stop {
    /// Ends the next process at that call, from 1; 0 is never.
    pub fn arm(&self, at: usize, after: bool) -> mpsc::Receiver<()> {
        let (sender, receiver) = mpsc::channel();
        *self.dead.lock().unwrap() = Some(sender);
        self.at.store(at, Ordering::SeqCst);
        self.after.store(after, Ordering::SeqCst);
        self.seen.store(0, Ordering::SeqCst);
        receiver
    }

    pub fn reach(&self) -> Reached {
        let (number, at) = (self.seen.fetch_add(1, Ordering::SeqCst) + 1, self.at.load(Ordering::SeqCst));
        match at {
            0 => Reached::Alive,
            at if number < at => Reached::Alive,
            at if number == at && self.after.load(Ordering::SeqCst) => Reached::After,
            _ => Reached::Before,
        }
    }

    pub fn die(&self) {
        if let Some(sender) = &*self.dead.lock().unwrap() {
            let _ = sender.send(());
        }
    }

    /// Runs something in a process of its own, which ends at that call, before or after its effect; none if it did.
    pub fn process<T: Send + 'static>(
        &self,
        kill: (usize, bool),
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let dead = self.arm(kill.0, kill.1);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let task = runtime.spawn(work);
        let (sender, receiver) = mpsc::channel();
        let watcher = sender.clone();
        std::thread::spawn(move || dead.recv().map(|()| watcher.send(None)));
        runtime.spawn(async move { sender.send(Some(task.await.unwrap())) });
        let outcome = receiver.recv_timeout(Duration::from_secs(120)).expect("it ends or is killed");
        runtime.shutdown_background();
        self.arm(0, false);
        outcome
    }
}

/// A clock that is moved by waiting.
#[derive(Default)]
pub struct Hurried(Mutex<Duration>);

#[async_trait]
impl Clock for Hurried {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn monotonic(&self) -> Duration {
        *self.0.lock().unwrap()
    }

    async fn sleep(&self, time: Duration) {
        *self.0.lock().unwrap() += time.max(Duration::from_millis(100));
        tokio::task::yield_now().await;
    }
}

/// Ends the process at a request.
pub struct Stopping {
    inner: ReqwestTransport,
    stop: Arc<Stop>,
}

impl Stopping {
    pub fn new(stop: Arc<Stop>) -> Self {
        Self { inner: ReqwestTransport::new(HttpOptions::default()).unwrap(), stop }
    }
}

#[async_trait]
impl HttpTransport for Stopping {
    async fn send(&self, request: Request) -> Result<Response> {
        let reached = self.stop.reach();
        if reached == Reached::Alive {
            return self.inner.send(request).await;
        }
        if reached == Reached::After {
            let _ = self.inner.send(request).await;
        }
        self.stop.die();
        std::future::pending().await
    }
}
