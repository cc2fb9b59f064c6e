//! How SQLite goes about the questions that are asked while much waits: by indexes that
//! hold all that is asked for, and without sorting to find the first.

use super::open::MIGRATIONS;
use super::quarantine::listing;
use super::readers::{first, following, over, removal};
use rusqlite::Connection;

/// The steps of a query, one a line.
fn plan(sql: &str) -> String {
    let ledger = Connection::open_in_memory().unwrap();
    for step in MIGRATIONS {
        ledger.execute_batch(step).unwrap();
    }
    let mut statement = ledger
        .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
        .unwrap();
    let mut rows = statement.raw_query();
    let mut steps = String::new();
    while let Some(row) = rows.next().unwrap() {
        steps.push_str(&row.get::<_, String>("detail").unwrap());
        steps.push('\n');
    }
    steps
}

#[test]
fn what_waits_is_counted_from_indexes_alone() {
    let sums = "SELECT count(*), sum(records), sum(bytes)";
    for (sql, index) in [
        (over(sums, None, ""), "entry_of_source"),
        (over(sums, Some("t"), ""), "entry_of_tenant"),
        (
            over("SELECT tenant", None, "GROUP BY tenant ORDER BY min(id)"),
            "entry_of_source",
        ),
    ] {
        let plan = plan(&sql);
        assert!(
            plan.contains(&format!("SEARCH entry USING COVERING INDEX {index}")),
            "{plan}"
        );
    }
}

#[test]
fn the_first_that_waits_is_found_without_looking_at_the_others() {
    for (part, index) in [
        (None, "entry_of_source (source=? AND id>?"),
        (Some("t"), "entry_of_tenant (tenant=? AND source=? AND id>?"),
    ] {
        for sql in [first(part), following(part)] {
            let plan = plan(&sql);
            assert!(
                plan.contains(&format!("SEARCH entry USING COVERING INDEX {index}")),
                "{plan}"
            );
            assert!(!plan.contains("TEMP B-TREE"), "{plan}");
        }
    }
}

#[test]
fn what_a_tenant_has_taken_is_looked_for_among_its_own() {
    let plan = plan(&removal(Some("t")));
    assert!(
        plan.contains("SEARCH entry USING COVERING INDEX entry_of_tenant (tenant=?"),
        "{plan}"
    );
}

#[test]
fn what_a_feed_has_in_quarantine_is_found_without_looking_at_the_others() {
    let plan = plan(&listing(true));
    assert!(plan.contains("SEARCH q USING INDEX"), "{plan}");
}
