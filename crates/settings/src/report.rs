//! Gathers what is wrong while a configuration is decoded and checked, and knows from
//! the tree where each key stands.

use crate::at::At;
use crate::decode::DecodeError;
use crate::error::{ConfigError, Problem, in_order};
use crate::path::KeyPath;
use crate::tree::Table;
use std::path::Path;

/// Problems and warnings about the tree under `root`.
pub struct Report<'t> {
    root: &'t Table,
    origin: At,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl<'t> Report<'t> {
    /// An empty report. `origin` is named where nothing nearer stands.
    #[must_use]
    pub fn new(root: &'t Table, origin: At) -> Self {
        Self {
            root,
            origin,
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The file that is read; none where all of it comes from flags.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.origin.folder()?;
        Some(Path::new(self.origin.origin()))
    }

    /// A problem with the setting at `path`, or with its absence.
    pub fn error(&mut self, path: &KeyPath, message: impl Into<String>) {
        let problem = self.problem(path, message);
        self.problems.push(problem);
    }

    /// Problems that were met elsewhere.
    pub fn extend(&mut self, problems: impl IntoIterator<Item = Problem>) {
        self.problems.extend(problems);
    }

    /// What was wrong so far.
    #[must_use]
    pub fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// Something worth saying that stops nothing.
    pub fn warn(&mut self, path: &KeyPath, message: impl Into<String>) {
        let problem = self.problem(path, message);
        self.warnings.push(problem);
    }

    /// A problem that decoding the node at `base` met.
    pub(crate) fn decoding(&mut self, base: &KeyPath, at: &At, error: DecodeError) {
        self.problems.push(error.into_problem(base, at));
    }

    fn problem(&self, path: &KeyPath, message: impl Into<String>) -> Problem {
        let at = self.root.locate(path.segments(), self.origin.clone());
        Problem::new(at, path.to_string(), message)
    }

    /// The value with the warnings, unless there was a problem.
    ///
    /// # Errors
    /// Every problem that was reported.
    pub fn finish<T>(self, value: T) -> Result<(T, Vec<Problem>), ConfigError> {
        if self.problems.is_empty() {
            return Ok((value, in_order(self.warnings)));
        }
        Err(ConfigError::invalid(self.problems))
    }
}
