//! The path of a key, as a person would write it: `server.routes[0]`.

use std::fmt;

/// Where a setting stands in the tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyPath(Vec<String>);

impl KeyPath {
    /// The path of a key in the table that this is the path of.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        let mut path = self.clone();
        path.0.push(key.to_owned());
        path
    }

    /// The path of an item in the array that this is the path of.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        let mut path = self.clone();
        match path.0.last_mut() {
            Some(last) => last.push_str(&format!("[{index}]")),
            None => path.0.push(format!("[{index}]")),
        }
        path
    }

    /// The path of a key some tables deep, written with dots.
    #[must_use]
    pub fn dotted(&self, keys: &str) -> Self {
        keys.split('.')
            .fold(self.clone(), |path, key| path.key(key))
    }

    /// The keys from the outermost inwards; an index stands with its array: `routes[0]`.
    #[must_use]
    pub fn segments(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}
