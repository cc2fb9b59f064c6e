//! The one thread that writes.
//!
//! What waits for the disk is one fdatasync for each transaction, so whatever has queued
//! up meanwhile goes into the next one together. Each piece of work has a savepoint of
//! its own: one that fails takes nobody with it. A disk that is full or fails, though, can
//! end a transaction in the middle; then what was done so far is told so, and the rest
//! goes into another.

use crate::Error;
use rusqlite::Connection;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use tokio::sync::oneshot;

/// Pieces of work in one transaction: enough for every source of a busy host, few enough
/// that none waits long.
const GROUP: usize = 64;

/// Tells whoever waits, once it is known whether the transaction stands.
type Reply = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// Does something in the transaction that it is given, or learns why there is none, and
/// says whether it succeeded.
type Work = Box<dyn FnOnce(Result<&Connection, Error>) -> (Result<(), Error>, Reply) + Send>;

/// The writing side of a ledger.
pub(super) struct Writer {
    /// Unbounded: each caller puts one piece in and waits, and would hold it otherwise.
    queue: Option<Sender<Work>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(connection: Connection) -> std::io::Result<Self> {
        let (queue, work) = channel();
        let thread = thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || write(&connection, &work))?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    /// Does `work` in a transaction, and returns once that is on disk. Once it is polled,
    /// `work` is done though nobody waits for it any more.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (tell, told) = oneshot::channel();
        self.enqueue(job(work, move |outcome| _ = tell.send(outcome)))?;
        told.await.map_err(|_| ended())?
    }

    /// As [`Writer::run`], and waits in this thread.
    pub(super) fn run_here<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (tell, told) = channel();
        self.enqueue(job(work, move |outcome| _ = tell.send(outcome)))?;
        told.recv().map_err(|_| ended())?
    }

    fn enqueue(&self, work: Work) -> Result<(), Error> {
        let queue = self.queue.as_ref().ok_or_else(ended)?;
        queue.send(work).map_err(|_| ended())
    }
}

fn ended() -> Error {
    Error::Other("its thread has ended".to_owned())
}

impl Drop for Writer {
    fn drop(&mut self) {
        // What is queued is still done.
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Work, and who hears of its outcome, unless nobody waits for it any more.
fn job<T: Send + 'static>(
    work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    tell: impl FnOnce(Result<T, Error>) + Send + 'static,
) -> Work {
    Box::new(move |connection| {
        let outcome = connection.and_then(work);
        let done = outcome.as_ref().map(|_| ()).map_err(Clone::clone);
        let reply = move |stands: Result<(), Error>| {
            tell(outcome.and_then(|value| stands.map(|()| value)));
        };
        (done, Box::new(reply))
    })
}

fn write(connection: &Connection, queue: &Receiver<Work>) {
    while let Ok(first) = queue.recv() {
        let mut group = vec![first];
        while group.len() < GROUP
            && let Ok(more) = queue.try_recv()
        {
            group.push(more);
        }
        transaction(connection, group);
    }
}

/// All of a group, or those that succeed on their own; each is told once it is known.
fn transaction(connection: &Connection, group: Vec<Work>) {
    let mut replies = Vec::with_capacity(group.len());
    for work in group {
        if connection.is_autocommit()
            && let Err(error) = connection.execute_batch("BEGIN IMMEDIATE")
        {
            let (done, reply) = work(Err(error.into()));
            reply(done);
            continue;
        }
        let (done, reply) = apart(connection, work);
        replies.push(reply);
        // SQLite ended the transaction by itself: nothing of it stands.
        if connection.is_autocommit() {
            tell(&mut replies, Err(done.err().unwrap_or(Error::Full)));
        }
    }
    if replies.is_empty() {
        return;
    }
    let outcome = connection.execute_batch("COMMIT").map_err(Error::from);
    if outcome.is_err() && !connection.is_autocommit() {
        let _ = connection.execute_batch("ROLLBACK");
    }
    tell(&mut replies, outcome);
}

/// One piece of work, which is undone if it fails.
fn apart(connection: &Connection, work: Work) -> (Result<(), Error>, Reply) {
    if let Err(error) = connection.execute_batch("SAVEPOINT work") {
        return work(Err(error.into()));
    }
    let (done, reply) = work(Ok(connection));
    if !connection.is_autocommit() {
        let end = match done {
            Ok(()) => "RELEASE work",
            Err(_) => "ROLLBACK TO work; RELEASE work",
        };
        // A failure here ends the transaction, or shows again at the commit.
        let _ = connection.execute_batch(end);
    }
    (done, reply)
}

fn tell(replies: &mut Vec<Reply>, outcome: Result<(), Error>) {
    for reply in replies.drain(..) {
        reply(outcome.clone());
    }
}

#[cfg(test)]
mod tests;
