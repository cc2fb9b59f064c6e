//! The two functions of the contract's `processor`, over this workspace's own types.

use watchbell_detection::Alert;

use crate::budget::Budget;
use crate::filter::{Failure, Filter, Output};
use crate::{PluginError, options};

/// Judges the options at load.
pub fn check(options: &[(String, String)]) -> Result<(), PluginError> {
    compile(options).map(drop)
}

/// The alerts that go on, in order. The filter is compiled once for all of them.
pub fn process(
    options: &[(String, String)],
    alerts: Vec<Alert>,
) -> Result<Vec<Alert>, PluginError> {
    let filter = compile(options)?;
    let mut budget = Budget::for_call(alerts.iter().map(|alert| alert.json.len()));
    let mut passed = Vec::with_capacity(alerts.len());
    for (index, alert) in (0..).zip(alerts) {
        let bad_record = |message| PluginError::BadRecord { index, message };
        let outputs = filter
            .run(&alert.json, &mut budget)
            .map_err(|failure| match failure {
                Failure::Record(message) => bad_record(message),
                Failure::Spent => PluginError::TooLarge(budget.whole()),
            })?;
        if outputs == [Output::Unchanged] {
            passed.push(alert);
            continue;
        }
        for output in outputs {
            passed.push(match output {
                Output::Unchanged => alert.clone(),
                Output::Changed(json) => {
                    Alert::from_json(&json).map_err(|fault| bad_record(fault.message))?
                }
            });
        }
    }
    Ok(passed)
}

fn compile(options: &[(String, String)]) -> Result<Filter, PluginError> {
    Filter::compile(options::filter(options)?).map_err(|fault| PluginError::InvalidOption {
        name: "filter".to_owned(),
        offset: Some(fault.offset),
        message: fault.message,
    })
}
