//! TOML, by the `toml` crate's own tree with spans. It bounds its depth and refuses
//! repeated keys by itself.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Lines, MAX_DEPTH, too_deep};
use crate::at::At;
use crate::error::Problem;
use crate::tree::{Node, Table, Value};

pub(super) fn parse(text: &str, at: &At) -> Result<Table, Problem> {
    let lines = Lines::new(text, at);
    let parsed = DeTable::parse(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        Problem::new(
            lines.at(offset),
            "",
            format!("not TOML: {}", error.message().replace('\n', "; ")),
        )
    })?;
    table(parsed.into_inner(), &lines, 0)
}

fn table(parsed: DeTable<'_>, lines: &Lines<'_>, depth: usize) -> Result<Table, Problem> {
    let mut table = Table::default();
    for (key, value) in parsed {
        let at = lines.at(key.span().start);
        table.insert(
            key.into_inner().into_owned(),
            at,
            node(value, lines, depth + 1)?,
        );
    }
    Ok(table)
}

fn node(parsed: Spanned<DeValue<'_>>, lines: &Lines<'_>, depth: usize) -> Result<Node, Problem> {
    let at = lines.at(parsed.span().start);
    if depth > MAX_DEPTH {
        return Err(too_deep(at));
    }
    let out_of_range = || Problem::new(at.clone(), "", "is a number out of range");
    let value = match parsed.into_inner() {
        DeValue::String(text) => Value::text(&text),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(Value::Integer)
            .map_err(|_| out_of_range())?,
        DeValue::Float(number) => number
            .as_str()
            .parse()
            .map(Value::Float)
            .map_err(|_| out_of_range())?,
        DeValue::Boolean(truth) => Value::Bool(truth),
        DeValue::Datetime(time) => Value::text(&time.to_string()),
        DeValue::Array(items) => items
            .into_iter()
            .map(|item| node(item, lines, depth + 1))
            .collect::<Result<_, _>>()
            .map(Value::Array)?,
        DeValue::Table(inner) => Value::Table(table(inner, lines, depth)?),
    };
    Ok(Node { at, value })
}
