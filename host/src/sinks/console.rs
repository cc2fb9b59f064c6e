//! Standard output.

use super::Batch;
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
}
