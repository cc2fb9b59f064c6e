//! What a supervisor or a person says while the program works.
//!
//! Listened to from the beginning, before anything slow, and counted: a second SIGTERM that
//! comes right after the first is a second one, whatever the program does meanwhile. Only
//! two that come before the program runs again are one to the operating system.

use crate::exit::{Exit, Failure};
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERMs and SIGINTs so far.
static TIMES: AtomicU32 = AtomicU32::new(0);

/// Listens to what asks the program to end: SIGTERM and Ctrl-C.
pub(super) struct Ends {
    term: Signal,
    int: Signal,
    before: u32,
}

impl Ends {
    /// From now on these signals end nothing by themselves.
    ///
    /// # Errors
    /// When signals cannot be received.
    pub(super) fn listen() -> Result<Self, Failure> {
        let told = |error: io::Error| {
            Failure::new(
                Exit::Internal,
                format!("signals cannot be received: {error}"),
            )
        };
        let before = TIMES.load(Ordering::SeqCst);
        for signal in [libc::SIGTERM, libc::SIGINT] {
            // Before tokio's, which wakes whoever waits.
            count(signal).map_err(told)?;
        }
        Ok(Self {
            term: signal(SignalKind::terminate()).map_err(told)?,
            int: signal(SignalKind::interrupt()).map_err(told)?,
            before,
        })
    }

    /// Another listener, that counts from the same beginning.
    ///
    /// # Errors
    /// When signals cannot be received.
    pub(super) fn another(&self) -> Result<Self, Failure> {
        let told = |error: io::Error| Failure::new(Exit::Internal, error);
        Ok(Self {
            term: signal(SignalKind::terminate()).map_err(told)?,
            int: signal(SignalKind::interrupt()).map_err(told)?,
            before: self.before,
        })
    }

    /// Resolves once it was asked that many times in all.
    pub(super) async fn asked(&mut self, times: u32) {
        while TIMES.load(Ordering::SeqCst).wrapping_sub(self.before) < times {
            tokio::select! {
                _ = self.term.recv() => {}
                _ = self.int.recv() => {}
            }
        }
    }
}

/// Counts each time that a signal is handled: tokio's streams tell several as one.
fn count(signal: libc::c_int) -> io::Result<()> {
    // SAFETY: what runs in the signal handler adds to an atomic number and nothing else.
    #[allow(unsafe_code)]
    unsafe {
        signal_hook_registry::register(signal, || {
            TIMES.fetch_add(1, Ordering::SeqCst);
        })
    }
    .map(|_| ())
}

/// Listens to what asks the program to read its configuration again: SIGHUP.
///
/// # Errors
/// When signals cannot be received.
pub(super) fn reloads() -> Result<Signal, Failure> {
    signal(SignalKind::hangup()).map_err(|error| {
        Failure::new(
            Exit::Internal,
            format!("SIGHUP cannot be received: {error}"),
        )
    })
}
