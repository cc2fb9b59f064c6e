//! Standard output.

use super::Batch;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, Write};

/// Standard output; the header goes first, once.
#[derive(Debug, Default)]
pub struct Console {
    began: bool,
}

impl Console {
    pub(super) fn deliver(&mut self, batch: &Batch) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if !self.began {
            out.write_all(&batch.header)?;
            self.began = true;
        }
        out.write_all(&batch.bytes)?;
        out.flush()
    }

    /// Whether it is a pipe or a socket that nobody reads any more: whoever writes there
    /// rarely would not learn it.
    pub(super) fn is_closed() -> bool {
        let out = io::stdout();
        let mut fds = [PollFd::new(&out, PollFlags::empty())];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let closed = PollFlags::ERR | PollFlags::NVAL;
        poll(&mut fds, Some(&now))
            .is_ok_and(|_| fds.iter().any(|fd| fd.revents().intersects(closed)))
    }
}
