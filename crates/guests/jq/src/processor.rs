//! The processor, and the two functions of the contract over this workspace's own types.

use watchbell_sdk::{Alert, Error, OptionsError, Processor, detection};

use crate::budget::Budget;
use crate::filter::{Failure, Filter, Output};
use crate::options::Options;

/// A filter that is compiled once for all alerts of a call.
pub struct Jq(Filter);

impl Processor for Jq {
    type Options = Options;

    fn new(options: Options) -> Result<Self, OptionsError> {
        let filter = Filter::compile(&options.filter()?);
        filter
            .map(Self)
            .map_err(|fault| OptionsError::new("filter", fault.message).at(fault.offset as usize))
    }

    fn process(&self, alerts: Vec<Alert>) -> Result<Vec<Alert>, Error> {
        let mut budget = Budget::for_call(alerts.iter().map(|alert| alert.json.len()));
        let mut passed = Vec::with_capacity(alerts.len());
        for (index, alert) in alerts.into_iter().enumerate() {
            let bad_record = |message| Error::bad_record(index, message);
            let outputs =
                self.0
                    .run(&alert.json, &mut budget)
                    .map_err(|failure| match failure {
                        Failure::Record(message) => bad_record(message),
                        Failure::Spent => Error::TooLarge(budget.whole()),
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
}

/// Judges the options at load.
pub fn check(options: &[(String, String)]) -> Result<(), Error> {
    Jq::from_options(options).map(drop)
}

/// The alerts that go on, in order.
pub fn process(
    options: &[(String, String)],
    alerts: Vec<detection::Alert>,
) -> Result<Vec<detection::Alert>, Error> {
    let alerts = alerts.into_iter().map(Alert::from).collect();
    let passed = Jq::from_options(options)?.process(alerts)?;
    Ok(passed.into_iter().map(detection::Alert::from).collect())
}
