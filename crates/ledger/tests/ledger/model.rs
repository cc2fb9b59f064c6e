//! Whatever is done in whatever order, the ledger is what a plain model says.

use super::support::{feed, open, reader, record, take};
use proptest::prelude::*;
use std::collections::BTreeSet;
use watchbell_ledger::{Commit, Cursors, Outbox};

#[derive(Debug, Clone)]
enum Act {
    Commit {
        records: Vec<(u8, u8)>,
        cursor: Option<u8>,
        forget: Option<u8>,
        again: bool,
    },
    Take(bool),
    Reopen,
}

fn act() -> impl Strategy<Value = Act> {
    let records = prop::collection::vec((0..4_u8, 0..6_u8), 0..8);
    prop_oneof![
        6 => (records, any::<Option<u8>>(), prop::option::of(0..6_u8), prop::bool::weighted(0.1))
            .prop_map(|(records, cursor, forget, again)| Act::Commit { records, cursor, forget, again }),
        2 => any::<bool>().prop_map(Act::Take),
        1 => Just(Act::Reopen),
    ]
}

/// What there ought to be.
#[derive(Default)]
struct Model {
    keys: BTreeSet<(i64, u8)>,
    cursor: Option<i64>,
    waiting: [Vec<String>; 2],
}

const READERS: [&str; 2] = ["a", "b"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn the_ledger_is_what_a_plain_model_says(acts in prop::collection::vec(act(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(act_as_the_model(acts))?;
    }
}

async fn act_as_the_model(acts: Vec<Act>) -> Result<(), TestCaseError> {
    let mut opened = open();
    opened
        .ledger
        .register_readers(&READERS.map(|name| reader(name, &["s"])), &[])
        .await
        .unwrap();
    let s = feed(&opened.ledger, "s").await;
    let mut model = Model::default();
    for act in acts {
        match act {
            Act::Commit {
                records,
                cursor,
                forget,
                again,
            } => {
                let mut fresh = 0;
                for (identity, time) in &records {
                    let is_new = model.keys.insert(((*time).into(), *identity));
                    fresh += usize::from(is_new);
                    if is_new || again {
                        for waiting in &mut model.waiting {
                            waiting.push(format!("{identity}@{time}"));
                        }
                    }
                }
                let cursor = cursor.map(i64::from);
                model.cursor = model.cursor.max(cursor);
                if let Some(below) = forget {
                    model.keys.retain(|(time, _)| *time >= below.into());
                }
                let done = opened
                    .ledger
                    .commit(Commit {
                        records: records
                            .iter()
                            .map(|(identity, time)| record(&identity.to_string(), (*time).into()))
                            .collect(),
                        again,
                        cursor,
                        forget_below: forget.map(i64::from),
                        ..Commit::new(s.id, 1)
                    })
                    .await
                    .unwrap();
                prop_assert_eq!(done.fresh, fresh);
                prop_assert_eq!(done.duplicates, records.len() - fresh);
            }
            Act::Take(first) => {
                let which = usize::from(!first);
                prop_assert_eq!(
                    take(&opened.ledger, READERS[which]).await,
                    std::mem::take(&mut model.waiting[which])
                );
            }
            Act::Reopen => opened = opened.reopen(),
        }
        let now = feed(&opened.ledger, "s").await;
        prop_assert_eq!(now.cursor, model.cursor);
        prop_assert_eq!(now.keys, model.keys.len() as u64);
        for (name, waiting) in READERS.iter().zip(&model.waiting) {
            prop_assert_eq!(
                opened.ledger.backlog(name, None).await.unwrap().records,
                waiting.len() as u64
            );
        }
    }
    Ok(())
}
