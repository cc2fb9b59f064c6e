//! Gathers what is wrong while a configuration is decoded and checked, and knows from
//! the tree where each key stands.

use super::at::At;
use super::decode::DecodeError;
use super::error::{ConfigError, Problem, Problems};
use super::path::KeyPath;
use super::tree::Table;

/// Problems and warnings about the tree under `root`.
pub(super) struct Report<'t> {
    root: &'t Table,
    origin: At,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl<'t> Report<'t> {
    /// `origin` is named where nothing nearer stands.
    pub(super) fn new(root: &'t Table, origin: At) -> Self {
        Self {
            root,
            origin,
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// A problem with the setting at `path`, or with its absence.
    pub(super) fn error(&mut self, path: &KeyPath, message: impl Into<String>) {
        let problem = self.problem(path, message);
        self.problems.push(problem);
    }

    /// Problems that were met elsewhere.
    pub(super) fn extend(&mut self, problems: impl IntoIterator<Item = Problem>) {
        self.problems.extend(problems);
    }

    /// What was wrong so far.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// Something worth saying that stops nothing.
    pub(super) fn warn(&mut self, path: &KeyPath, message: impl Into<String>) {
        let problem = self.problem(path, message);
        self.warnings.push(problem);
    }

    /// A problem that decoding the node at `base` met.
    pub(super) fn decoding(&mut self, base: &KeyPath, at: &At, error: DecodeError) {
        self.problems.push(error.into_problem(base, at));
    }

    fn problem(&self, path: &KeyPath, message: impl Into<String>) -> Problem {
        let at = self.root.locate(path.segments(), self.origin.clone());
        Problem::new(at, path.to_string(), message)
    }

    /// The value with the warnings, unless there was a problem.
    pub(super) fn finish<T>(self, value: T) -> Result<(T, Vec<Problem>), ConfigError> {
        if self.problems.is_empty() {
            return Ok((value, in_order(self.warnings)));
        }
        Err(invalid(self.problems))
    }
}

/// The problems as an error, in the order of the file.
pub(super) fn invalid(problems: Vec<Problem>) -> ConfigError {
    ConfigError::Invalid(Problems(in_order(problems)))
}

fn in_order(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by(|one, other| one.at.cmp(&other.at));
    // What is wrong with a source is wrong with each of its tenants.
    problems.dedup();
    problems
}
