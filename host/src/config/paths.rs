//! Paths are relative to the file that they stand in, not to wherever the program was
//! started: a service manager starts it in `/`. A tenant's entry counts from the tenants
//! file. What a flag says counts from the working directory, as everybody expects of a shell.

use watchbell_settings::{Node, Table, Value};

use super::sections::Kind;
use crate::component::{ComponentType, SettingPaths};
use crate::sources::SourceType;
use crate::{codecs, sinks, transforms};

/// The settings of every source that are paths.
const OF_SOURCE: SettingPaths = &[&["tenants"], &["tenants", "path"]];

/// Those of a transform.
const OF_TRANSFORM: SettingPaths = &[&["component"]];

/// Those of every sink. A codec is one when it names a component's file.
const OF_SINK: SettingPaths = &[&["encoding", "codec"]];

/// Those of a secret backend.
const OF_SECRET: SettingPaths = &[&["path"]];

/// All paths of a configuration.
pub(super) fn of_root(root: &mut Table) {
    if let Some(node) = root.find_mut(&["data_dir"]) {
        node.rebase();
    }
    for kind in Kind::ALL {
        for part in tables(root, kind.section()) {
            match kind {
                Kind::Source => of_source(part),
                Kind::Transform => {
                    of_part(part, OF_TRANSFORM);
                    of_part(part, of_type(part, transforms::TYPES));
                }
                Kind::Sink => {
                    of_part(part, OF_SINK);
                    of_part(part, of_type(part, sinks::TYPES));
                }
            }
        }
    }
    for backend in tables(root, "secret") {
        of_part(backend, OF_SECRET);
        // A program's name without a slash is looked for in PATH.
        if let Some(Value::Array(command)) = backend.find_mut(&["command"]).map(|n| &mut n.value)
            && let Some(program) = command.first_mut()
            && matches!(&program.value, Value::String(text) if text.as_str().contains('/'))
        {
            program.rebase();
        }
    }
}

/// All paths of a source, or of a tenant's entry.
pub(super) fn of_source(source: &mut Table) {
    of_part(source, OF_SOURCE);
    of_part(source, SourceType::of(source).paths);
}

/// Those of the components of one type.
fn of_type<C: ?Sized>(part: &Table, types: &[ComponentType<C>]) -> SettingPaths {
    match part.get("type").map(|entry| &entry.node.value) {
        Some(Value::String(name)) => {
            ComponentType::named(types, name.as_str()).map_or(&[], |found| found.paths)
        }
        _ => &[],
    }
}

fn of_part(part: &mut Table, paths: &[&[&str]]) {
    for path in paths {
        if let Some(node) = part.find_mut(path)
            && (path.last() != Some(&"codec") || is_component(node))
        {
            node.rebase();
        }
    }
}

fn tables<'t>(root: &'t mut Table, section: &str) -> impl Iterator<Item = &'t mut Table> {
    let parts = match root.get_mut(section).map(|entry| &mut entry.node.value) {
        Some(Value::Table(parts)) => Some(parts),
        _ => None,
    };
    let parts = parts.into_iter().flat_map(Table::values_mut);
    parts.filter_map(|(_, entry)| match &mut entry.node.value {
        Value::Table(part) => Some(part),
        _ => None,
    })
}

fn is_component(node: &Node) -> bool {
    matches!(&node.value, Value::String(text) if codecs::is_component(text.as_str()))
}
