//! A configuration file as a tree in which every node knows where it stands.
//!
//! It stands between the three file formats and the typed configuration, because
//! three things need it whole and untyped: `${VAR}` is replaced in it, tables are
//! merged in it (flags over a file, one file over another), and a problem
//! found long after parsing is still told with its line.
//!
//! Strings may be secrets: they are zeroed on drop and printed as `***`.

use std::fmt;

use indexmap::IndexMap;
use zeroize::Zeroizing;

use crate::at::At;

/// A value and where it stands. Equal when the values are, wherever they stand.
#[derive(Clone)]
pub struct Node {
    /// Where it begins; for a table, where its key stands.
    pub at: At,
    /// What it is.
    pub value: Value,
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// What a node can be, in all three formats. A TOML date is a string here.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing; as if the key were not there.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    String(Text),
    /// A list.
    Array(Vec<Node>),
    /// Keys and values.
    Table(Table),
}

impl Value {
    /// Text that stands there literally.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::String(Text {
            text: Zeroizing::new(text.to_owned()),
            interpolated: false,
            based: false,
        })
    }

    /// What it is called in a message.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Table(_) => "a table",
        }
    }
}

impl Node {
    /// Takes the text as a path and puts the folder of its file in front of it, once, unless
    /// it is absolute or empty. What a flag says is relative to the working directory and
    /// stays as it is.
    pub fn rebase(&mut self) {
        let Some(folder) = self.at.folder() else {
            return;
        };
        if let Value::String(text) = &mut self.value
            && !text.based
            && !text.text.is_empty()
        {
            let path = folder.join(text.text.as_str());
            text.text = Zeroizing::new(path.to_string_lossy().into_owned());
            text.based = true;
        }
    }
}

/// A string, zeroed on drop.
#[derive(Clone)]
pub struct Text {
    pub(crate) text: Zeroizing<String>,
    /// Whether a part of it came from the environment, or all of it from a CSV file. Such
    /// text may stand where a number, a boolean or a list is wanted.
    pub(crate) interpolated: bool,
    /// Whether it is a path that was made relative to its file already.
    based: bool,
}

impl Text {
    /// Text in a format that has nothing else: it may mean a number, a boolean or a list.
    #[must_use]
    pub fn written_out(text: &str) -> Self {
        Self {
            text: Zeroizing::new(text.to_owned()),
            interpolated: true,
            based: false,
        }
    }

    /// The text itself. It may be a secret.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it may stand where a number, a boolean or a list is wanted: a part of it came
    /// from the environment, or it was [`Text::written_out`].
    #[must_use]
    pub fn is_interpolated(&self) -> bool {
        self.interpolated
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"***\"")
    }
}

/// Keys and values in the file's order. The order does not count when tables are
/// compared.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table(IndexMap<String, Entry>);

/// A value in a table, and where its key stands.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Where the key stands.
    pub at: At,
    /// What it is set to.
    pub node: Node,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node
    }
}

impl Table {
    /// Sets `key`, whose place is `at`. What was there before is returned and gone.
    pub fn insert(&mut self, key: String, at: At, mut node: Node) -> Option<Entry> {
        if matches!(node.value, Value::Table(_)) {
            node.at = at.clone();
        }
        self.0.insert(key, Entry { at, node })
    }

    /// The entry of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.0.get(key)
    }

    /// All entries in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.0.iter().map(|(key, entry)| (key.as_str(), entry))
    }

    /// All keys in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The entry of `key`, to change it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Entry> {
        self.0.get_mut(key)
    }

    /// Takes the entry of `key` out.
    pub fn remove(&mut self, key: &str) -> Option<Entry> {
        self.0.shift_remove(key)
    }

    /// All entries in order, to change them.
    pub fn values_mut(&mut self) -> impl Iterator<Item = (&str, &mut Entry)> {
        self.0.iter_mut().map(|(key, entry)| (key.as_str(), entry))
    }

    /// All entries in order, taken out.
    pub fn into_entries(self) -> impl Iterator<Item = (String, Entry)> {
        self.0.into_iter()
    }

    /// Lays `over` on top: where both have a table the tables are merged, else the
    /// value of `over` stands, an array as a whole. A null there unsets.
    pub fn merge(&mut self, over: Self) {
        for (key, entry) in over.0 {
            match (self.0.get_mut(&key), entry) {
                (
                    Some(Entry {
                        node:
                            Node {
                                value: Value::Table(below),
                                ..
                            },
                        ..
                    }),
                    Entry {
                        node:
                            Node {
                                value: Value::Table(above),
                                ..
                            },
                        ..
                    },
                ) => below.merge(above),
                (_, entry) => {
                    self.0.insert(key, entry);
                }
            }
        }
    }

    /// A table with one value in it, `path` deep, whose keys stand at `at`.
    #[must_use]
    pub fn nested(path: &[&str], at: &At, leaf: Node) -> Self {
        let mut table = Self::default();
        if let Some((first, rest)) = path.split_first() {
            let node = if rest.is_empty() {
                leaf
            } else {
                Node {
                    at: at.clone(),
                    value: Value::Table(Self::nested(rest, at, leaf)),
                }
            };
            table.insert((*first).to_owned(), at.clone(), node);
        }
        table
    }

    /// What stands at `path`.
    #[must_use]
    pub fn find(&self, path: &[&str]) -> Option<&Node> {
        let (first, rest) = path.split_first()?;
        let node = &self.get(first)?.node;
        match &node.value {
            _ if rest.is_empty() => Some(node),
            Value::Table(below) => below.find(rest),
            _ => None,
        }
    }

    /// As [`Table::find`], to change it.
    pub fn find_mut(&mut self, path: &[&str]) -> Option<&mut Node> {
        let (first, rest) = path.split_first()?;
        let node = &mut self.get_mut(first)?.node;
        if rest.is_empty() {
            return Some(node);
        }
        match &mut node.value {
            Value::Table(below) => below.find_mut(rest),
            _ => None,
        }
    }

    /// Where `path` stands, or the nearest thing around it that does stand.
    #[must_use]
    pub fn locate(&self, path: &[String], mut nearest: At) -> At {
        let mut table = self;
        for key in path {
            let (name, index) = split_index(key);
            let Some(entry) = table.get(name) else { break };
            nearest = entry.node.at.clone();
            match &entry.node.value {
                Value::Table(below) => table = below,
                Value::Array(items) => {
                    if let Some(item) = index.and_then(|index| items.get(index)) {
                        nearest = item.at.clone();
                    }
                    break;
                }
                _ => break,
            }
        }
        nearest
    }
}

/// `inputs[2]` is item 2 of `inputs`.
fn split_index(key: &str) -> (&str, Option<usize>) {
    match key.strip_suffix(']').and_then(|key| key.rsplit_once('[')) {
        Some((name, index)) => (name, index.parse().ok()),
        None => (key, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(pairs: &[(&[&str], i64)], origin: &str) -> Table {
        let mut table = Table::default();
        for (path, number) in pairs {
            let at = At::flag(origin);
            let leaf = Node {
                at: at.clone(),
                value: Value::Integer(*number),
            };
            table.merge(Table::nested(path, &at, leaf));
        }
        table
    }

    #[test]
    fn merging_keeps_what_only_one_side_has_and_prefers_the_upper() {
        let mut below = table(&[(&["a", "x"], 1), (&["a", "y"], 2), (&["b"], 3)], "below");
        below.merge(table(&[(&["a", "y"], 20), (&["c"], 30)], "above"));
        let want = table(
            &[
                (&["a", "x"], 1),
                (&["a", "y"], 20),
                (&["b"], 3),
                (&["c"], 30),
            ],
            "",
        );
        assert_eq!(below, want);
    }

    #[test]
    fn a_merged_value_stands_where_it_came_from() {
        let mut below = table(&[(&["a", "x"], 1), (&["a", "y"], 2)], "below");
        below.merge(table(&[(&["a", "y"], 20)], "above"));
        let locate = |path: &[&str]| {
            let path: Vec<String> = path.iter().map(|key| (*key).to_owned()).collect();
            below.locate(&path, At::flag("nowhere")).to_string()
        };
        assert_eq!(locate(&["a", "x"]), "below");
        assert_eq!(locate(&["a", "y"]), "above");
        assert_eq!(locate(&["a", "z"]), "below");
        assert_eq!(locate(&["q"]), "nowhere");
    }

    #[test]
    fn text_is_not_printed() {
        assert!(!format!("{:?}", Value::text("hunter2")).contains("hunter2"));
    }
}
