//! The one thread that writes.
//!
//! What waits for the disk is one fdatasync for each transaction, so whatever has queued
//! up meanwhile goes into the next one together. Each piece of work has a savepoint of
//! its own: one that fails takes nobody with it.

use crate::Error;
use rusqlite::Connection;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

/// Pieces of work in one transaction: enough for every source of a busy host, few enough
/// that none waits long.
const GROUP: usize = 64;

/// Tells whoever waits, once it is known whether the transaction stands.
type Reply = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// Does something, and says whether it succeeded.
type Work = Box<dyn FnOnce(&Connection) -> (bool, Reply) + Send>;

/// The writing side of a ledger.
pub(super) struct Writer {
    queue: Option<SyncSender<Work>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(connection: Connection) -> std::io::Result<Self> {
        let (queue, work) = sync_channel(GROUP);
        let thread = thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || write(&connection, &work))?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    /// Does `work` in a transaction, and returns once that is on disk.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (tell, told) = sync_channel(1);
        let work: Work = Box::new(move |connection| {
            let outcome = work(connection);
            let done = outcome.is_ok();
            let reply = move |stands: Result<(), Error>| {
                // Nobody waits any more when the caller's thread is gone.
                let _ = tell.send(outcome.and_then(|value| stands.map(|()| value)));
            };
            (done, Box::new(reply))
        });
        let gone = |_| Error::Other("its thread has ended".to_owned());
        let queue = self.queue.as_ref().ok_or(()).map_err(gone)?;
        queue.send(work).map_err(|_| gone(()))?;
        told.recv().map_err(|_| gone(()))?
    }
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

fn write(connection: &Connection, queue: &Receiver<Work>) {
    while let Ok(first) = queue.recv() {
        let mut group = vec![first];
        while group.len() < GROUP
            && let Ok(more) = queue.try_recv()
        {
            group.push(more);
        }
        let (replies, outcome) = transaction(connection, group);
        for reply in replies {
            reply(outcome.clone());
        }
    }
}

/// All of a group, or those that succeed on their own.
fn transaction(connection: &Connection, group: Vec<Work>) -> (Vec<Reply>, Result<(), Error>) {
    let mut replies = Vec::with_capacity(group.len());
    let begun = connection.execute_batch("BEGIN IMMEDIATE");
    for work in group {
        let saved = connection.execute_batch("SAVEPOINT work");
        let (done, reply) = work(connection);
        replies.push(reply);
        if saved.is_ok() && !connection.is_autocommit() {
            let end = if done {
                "RELEASE work"
            } else {
                "ROLLBACK TO work; RELEASE work"
            };
            // A failure here shows again at the commit.
            let _ = connection.execute_batch(end);
        }
    }
    // A full disk ends a transaction by itself; then nothing of it stands.
    let outcome = if connection.is_autocommit() {
        Err(begun.err().map_or(Error::Full, Error::from))
    } else {
        connection.execute_batch("COMMIT").map_err(Error::from)
    };
    if outcome.is_err() && !connection.is_autocommit() {
        let _ = connection.execute_batch("ROLLBACK");
    }
    (replies, outcome)
}
