//! Calls that nobody waits for any more, or that come too late.

use super::support::{NOW, feed, open, record};
use futures_util::FutureExt;
use watchbell_ledger::{Commit, Cursors, Error};

/// A poll may be dropped while it is written down: what it found is there all the same.
#[tokio::test]
async fn a_commit_that_was_begun_stands_though_nobody_waits_for_it() {
    let opened = open();
    let s = feed(&opened.ledger, "s").await;
    let commit = Commit {
        records: vec![record("x", 1)],
        ..Commit::new(s.id, NOW)
    };
    let begun = opened.ledger.commit(commit).now_or_never();
    assert_eq!(begun, None, "it was waited for");
    let opened = opened.reopen();
    assert_eq!(feed(&opened.ledger, "s").await.keys, 1);
}

/// The error used to name tokio's task, and each call that a second SIGTERM met put one into
/// the log.
#[test]
fn a_call_on_a_runtime_that_has_ended_is_told_as_cancelled() {
    let opened = open();
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let ended = runtime.handle().clone();
    runtime.shutdown_background();
    let _guard = ended.enter();
    let listed = opened.ledger.list_feeds().now_or_never();
    assert_eq!(listed, Some(Err(Error::Cancelled)));
}
