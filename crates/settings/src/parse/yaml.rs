//! YAML 1.2, by the events of `saphyr-parser`.
//!
//! The tree is built here and not by a loader, so that depth and what aliases may add
//! are bounded while reading, repeated keys are refused with their line, and plain
//! words mean what the core schema says: `no` is a string.

use std::borrow::Cow;
use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use super::{MAX_DEPTH, duplicate, root, too_deep};
use crate::at::At;
use crate::error::Problem;
use crate::tree::{Node, Table, Value};

/// Nodes that aliases may copy in one file. A few nested aliases can otherwise ask for
/// more nodes than there is memory.
const MAX_ALIASED_NODES: usize = 10_000;

pub(super) fn parse(text: &str, at: &At) -> Result<Table, Problem> {
    let mut builder = Builder {
        file: at.clone(),
        open: Vec::new(),
        anchors: HashMap::new(),
        aliased: 0,
        root: None,
    };
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| {
            let at = builder.at(*error.marker());
            Problem::new(at, "", format!("not YAML: {}", error.info()))
        })?;
        builder.event(event, span.start)?;
    }
    builder.root.map_or_else(|| Ok(Table::default()), root)
}

/// A collection whose end has not come yet.
enum Open {
    Array(Vec<Node>),
    Table(Table, Option<(String, At)>),
}

struct Builder {
    file: At,
    open: Vec<(Open, At, usize)>,
    /// Finished anchored nodes and how many nodes each holds.
    anchors: HashMap<usize, (Node, usize)>,
    aliased: usize,
    root: Option<Node>,
}

impl Builder {
    fn at(&self, marker: Marker) -> At {
        self.file
            .line_column(marker.line().max(1), marker.col() + 1)
    }

    fn event(&mut self, event: Event<'_>, marker: Marker) -> Result<(), Problem> {
        let at = self.at(marker);
        match event {
            Event::Scalar(text, style, anchor, tag) => self.scalar(&text, style, anchor, tag, at),
            Event::SequenceStart(anchor, tag) => {
                refuse_tag(tag.as_deref(), &at)?;
                self.start(Open::Array(Vec::new()), at, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                refuse_tag(tag.as_deref(), &at)?;
                self.start(Open::Table(Table::default(), None), at, anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some((open, at, anchor)) = self.open.pop() else {
                    return Ok(());
                };
                let value = match open {
                    Open::Array(items) => Value::Array(items),
                    Open::Table(table, _) => Value::Table(table),
                };
                self.finish(Node { at, value }, anchor)
            }
            Event::Alias(anchor) => self.alias(anchor, at),
            Event::DocumentStart(_) if self.root.is_some() => Err(Problem::new(
                at,
                "",
                "a second document begins here; write one document a file",
            )),
            _ => Ok(()),
        }
    }

    fn start(&mut self, open: Open, at: At, anchor: usize) -> Result<(), Problem> {
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(at));
        }
        if let Some((Open::Table(_, None), ..)) = self.open.last() {
            return Err(Problem::new(
                at,
                "",
                "a key must be a plain word or a string",
            ));
        }
        self.open.push((open, at, anchor));
        Ok(())
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<Cow<'_, Tag>>,
        at: At,
    ) -> Result<(), Problem> {
        let is_string = |tag: &Tag| tag.is_yaml_core_schema() && tag.suffix == "str";
        let tagged = tag.as_deref().is_some_and(is_string);
        if !tagged {
            refuse_tag(tag.as_deref(), &at)?;
        }
        if let Some((Open::Table(_, key @ None), ..)) = self.open.last_mut() {
            *key = Some((text.to_owned(), at));
            return Ok(());
        }
        let value = if tagged || style != ScalarStyle::Plain {
            Value::text(text)
        } else {
            plain(text)
        };
        self.finish(Node { at, value }, anchor)
    }

    fn alias(&mut self, anchor: usize, at: At) -> Result<(), Problem> {
        let Some((node, nodes)) = self.anchors.get(&anchor) else {
            return Err(Problem::new(
                at,
                "",
                "this alias stands inside its own anchor",
            ));
        };
        self.aliased = self.aliased.saturating_add(*nodes);
        if self.aliased > MAX_ALIASED_NODES {
            let message =
                format!("aliases repeat more than {MAX_ALIASED_NODES} values; write them out");
            return Err(Problem::new(at, "", message));
        }
        let node = node.clone();
        if self.open.len() + depth(&node) > MAX_DEPTH {
            return Err(too_deep(at));
        }
        if let Some((Open::Table(_, None), ..)) = self.open.last() {
            return Err(Problem::new(
                at,
                "",
                "a key must be a plain word or a string",
            ));
        }
        self.finish(node, 0)
    }

    /// Puts a finished node where it belongs.
    fn finish(&mut self, node: Node, anchor: usize) -> Result<(), Problem> {
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), count(&node)));
        }
        match self.open.last_mut() {
            Some((Open::Array(items), ..)) => items.push(node),
            Some((Open::Table(table, key), ..)) => {
                if let Some((key, at)) = key.take()
                    && table.insert(key.clone(), at.clone(), node).is_some()
                {
                    return Err(duplicate(&at, &key));
                }
            }
            None => self.root = Some(node),
        }
        Ok(())
    }
}

fn refuse_tag(tag: Option<&Tag>, at: &At) -> Result<(), Problem> {
    match tag {
        Some(tag) if !(tag.handle.is_empty() && tag.suffix == "!") => Err(Problem::new(
            at.clone(),
            "",
            "YAML tags are not used here; remove it",
        )),
        _ => Ok(()),
    }
}

fn count(node: &Node) -> usize {
    1 + match &node.value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Table(table) => table.iter().map(|(_, entry)| count(&entry.node)).sum(),
        _ => 0,
    }
}

fn depth(node: &Node) -> usize {
    let below = match &node.value {
        Value::Array(items) => items.iter().map(depth).max(),
        Value::Table(table) => table.iter().map(|(_, entry)| depth(&entry.node)).max(),
        _ => return 0,
    };
    1 + below.unwrap_or(0)
}

/// A plain scalar by the core schema (YAML 1.2.2, 10.3.2).
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let radix = |prefix: &str, radix| {
        text.strip_prefix(prefix)
            .filter(|digits| !digits.starts_with(['+', '-']))
            .and_then(|digits| i64::from_str_radix(digits, radix).ok())
    };
    if let Some(number) = radix("0x", 16).or_else(|| radix("0o", 8)) {
        return Value::Integer(number);
    }
    if let Ok(number) = text.parse() {
        return Value::Integer(number);
    }
    // Rust also reads `inf` and `nan`, which are words in YAML.
    let begins = text
        .trim_start_matches(['+', '-'])
        .starts_with(|c: char| c == '.' || c.is_ascii_digit());
    match text.parse() {
        Ok(number) if begins => Value::Float(number),
        _ => Value::text(text),
    }
}
