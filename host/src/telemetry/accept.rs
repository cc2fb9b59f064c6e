//! Taking connections without end, whatever happens to be wrong.

use super::Incident;
use std::io;
use std::time::Duration;

/// From an error to the next try; doubles, up to a bound. Without files to be had, as when
/// somebody else uses them up, each try fails at once.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LAST_WAIT: Duration = Duration::from_secs(5);

/// Takes connections for something, and says what goes wrong with that, rarely.
pub(crate) struct Accepting {
    what: &'static str,
    wait: Duration,
    incident: Incident,
}

impl Accepting {
    /// For what a person would miss.
    pub(crate) fn new(what: &'static str) -> Self {
        Self {
            what,
            wait: FIRST_WAIT,
            incident: Incident::default(),
        }
    }

    /// One was taken.
    pub(crate) fn accepted(&mut self) {
        self.wait = FIRST_WAIT;
        if let Some(say) = self.incident.end() {
            tracing::info!("{}: {say}", self.what);
        }
    }

    /// One could not be taken: waits until the next may be tried.
    pub(crate) async fn failed(&mut self, error: &io::Error) {
        if let Some(say) = self.incident.record(error) {
            tracing::warn!("{}: a connection cannot be taken: {say}", self.what);
        }
        tokio::time::sleep(self.wait).await;
        self.wait = (self.wait * 2).min(LAST_WAIT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[tokio::test]
    async fn what_fails_again_and_again_is_tried_ever_more_rarely() {
        let mut accepting = Accepting::new("metrics");
        let (began, error) = (Instant::now(), io::Error::from_raw_os_error(libc::EMFILE));
        for _ in 0..3 {
            accepting.failed(&error).await;
        }
        assert!(began.elapsed() >= 7 * FIRST_WAIT);
        accepting.accepted();
        assert_eq!(accepting.wait, FIRST_WAIT);
    }
}
