//! The file as a sink: its disk is waited for on a thread that may wait.

use super::{Chunk, File, Owner, Place, Settings};
use crate::sinks::{Acknowledged, Batch, Checkpoint, DeliveryError, Sink, SinkFactory};
use async_trait::async_trait;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// A file cannot be opened or written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
struct FileError {
    path: PathBuf,
    source: io::Error,
}

/// Opens the files of one sink.
#[derive(Debug)]
pub(crate) struct Factory {
    settings: Settings,
    owner: Arc<Owner>,
}

impl Factory {
    /// No two sinks write to one file, nor two tenants of one.
    pub(crate) fn new(sink: &str, settings: Settings) -> Self {
        let owner = Arc::new(Owner::new(sink));
        Self { settings, owner }
    }
}

impl SinkFactory for Factory {
    fn open(&self, partition: Option<&str>, state: Option<&[u8]>) -> Box<dyn Sink> {
        let settings = match partition {
            Some(tenant) => self.settings.of(tenant),
            None => self.settings.clone(),
        };
        let (path, owner) = (settings.path.clone(), Arc::clone(&self.owner));
        let file = File::new(settings, owner, partition, state.and_then(Place::read));
        Box::new(FileSink {
            path,
            file: Some(Box::new(file)),
        })
    }
}

struct FileSink {
    path: PathBuf,
    /// None while it is written, and after a defect.
    file: Option<Box<File>>,
}

#[async_trait]
impl Sink for FileSink {
    async fn deliver(
        &mut self,
        batch: &Arc<Batch>,
        checkpoint: &Checkpoint,
    ) -> Result<Acknowledged, DeliveryError> {
        let Some(mut file) = self.file.take() else {
            return Err(DeliveryError::Defect("the file is gone".to_owned()));
        };
        let (batch, checkpoint) = (Arc::clone(batch), Arc::clone(checkpoint));
        let work = move || {
            let delivered = deliver(&mut file, &batch, &checkpoint);
            (file, delivered)
        };
        let (file, delivered) = tokio::task::spawn_blocking(work).await?;
        self.file = Some(file);
        delivered.map_err(|source| {
            let path = self.path.clone();
            DeliveryError::retry(FileError { path, source })
        })
    }

    fn committed(&mut self) {
        if let Some(file) = &mut self.file {
            file.committed();
        }
    }

    fn notices(&mut self) -> Vec<String> {
        let notices = self.file.as_mut().map(|file| file.notices());
        let notices = notices.unwrap_or_default();
        notices.iter().map(ToString::to_string).collect()
    }
}

fn deliver(file: &mut File, batch: &Batch, checkpoint: &Checkpoint) -> io::Result<Acknowledged> {
    let state = |place: &Place| serde_json::to_vec(place).map_err(io::Error::other);
    let chunk = Chunk {
        header: batch.format.header.clone(),
        bytes: batch.bytes(),
    };
    let place = file.deliver(&chunk, &mut |place| checkpoint(state(place)?))?;
    Ok(Acknowledged {
        state: Some(state(&place)?),
        refused: Vec::new(),
    })
}
