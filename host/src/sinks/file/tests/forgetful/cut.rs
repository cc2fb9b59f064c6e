//! What happens beside the process: the kernel writes by itself, the power goes.

use super::{Change, Disk, Forgetful, Is, ROOT};
use std::collections::HashSet;

impl Forgetful {
    /// The power is cut, and the machine starts again.
    pub(crate) fn cut(&self) {
        let mut disk = self.lock();
        let Disk { nodes, random, .. } = &mut *disk;
        for node in nodes.values_mut() {
            match &mut node.is {
                Is::File(data) => {
                    // All of it, nothing of it, or some.
                    match random.u8(..4) {
                        0 => data.sync(),
                        1 => {}
                        _ => data.write_some(random, true),
                    }
                    data.restart();
                }
                Is::Folder(folder) => folder.cut(random),
            }
        }
        disk.remove_unnamed();
        if disk.random.bool() {
            disk.device = disk.random.u64(..);
        }
        disk.faults.dies_after = None;
    }

    /// The process is killed: what it wrote is there still.
    pub(crate) fn kill(&self) {
        let mut disk = self.lock();
        disk.remove_unnamed();
        disk.faults.dies_after = None;
    }
}

impl Disk {
    /// The kernel writes some of what is to be written, or drops clean pages from memory.
    pub(super) fn write_back(&mut self) {
        if self.random.u8(..8) > 0 {
            return;
        }
        let Self { nodes, random, .. } = self;
        for node in nodes.values_mut() {
            if let Is::File(data) = &mut node.is {
                data.write_some(random, false);
                if random.u8(..4) == 0 {
                    data.drop_clean();
                }
            }
        }
    }

    pub(super) fn fail_to_sync(&mut self, inode: u64) {
        let mut random = self.random.fork();
        let data = self.data(inode);
        data.write_some(&mut random, false);
        data.forget_to_write();
    }

    /// Frees the inodes of what has no name, here or on disk.
    fn remove_unnamed(&mut self) {
        let mut named = HashSet::from([ROOT]);
        let mut work = vec![ROOT];
        while let Some(inode) = work.pop() {
            if let Some(node) = self.nodes.get(&inode)
                && let Is::Folder(folder) = &node.is
            {
                let put = folder.changes.iter().filter_map(|change| match change {
                    Change::Put(_, inode) => Some(inode),
                    _ => None,
                });
                let names = folder.shown.values().chain(folder.durable.values());
                work.extend(names.chain(put).filter(|inode| named.insert(**inode)));
            }
        }
        self.nodes.retain(|inode, _| named.contains(inode));
    }
}
