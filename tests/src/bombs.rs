//! Components that are small and stand for a great deal of work.

use std::fmt::Write;

/// Components nested in one another's instances: each of the levels instantiates the one
/// before that many times, and the last is instantiated once.
#[must_use]
pub fn nested_instances(levels: usize, times: usize) -> Vec<u8> {
    let mut text = "(component (component $c0)".to_owned();
    for level in 1..=levels {
        let instance = format!("(instance (instantiate $c{}))", level - 1);
        let _ = write!(text, "(component $c{level} {})", instance.repeat(times));
    }
    let _ = write!(text, "(instance (instantiate $c{levels})))");
    parse(&text)
}

/// The same with each component inside the next one.
#[must_use]
pub fn nested_components(levels: usize, times: usize) -> Vec<u8> {
    let mut inner = "(component $c)".to_owned();
    let instances = "(instance (instantiate $c))".repeat(times);
    for _ in 0..levels {
        inner = format!("(component $c {inner} {instances})");
    }
    parse(&format!("(component {inner} (instance (instantiate $c)))"))
}

/// A core module of functions that do nothing.
#[must_use]
pub fn empty_functions(count: usize) -> Vec<u8> {
    functions(count, &[0])
}

/// A core module of functions with the most local variables that one may have.
#[must_use]
pub fn local_variables(functions_count: usize) -> Vec<u8> {
    // One declaration of 50,000 of type i64.
    functions(functions_count, &[1, 0xd0, 0x86, 0x03, 0x7e])
}

/// The type of a component in the type of a component and so on, that many deep.
#[must_use]
pub fn nested_types(levels: usize) -> Vec<u8> {
    let mut types = [0x41, 1, 1].repeat(levels);
    types.extend([0x41, 0]);
    component(7, &vector(1, &types))
}

/// A core module with a custom section of that name and that many bytes.
#[must_use]
pub fn custom_section(name: &str, bytes: usize) -> Vec<u8> {
    let mut content = vector(name.len(), name.as_bytes());
    content.resize(content.len() + bytes, 0xff);
    component(1, &module(&section(0, &content)))
}

/// A core module of equal functions, in a component.
fn functions(count: usize, locals: &[u8]) -> Vec<u8> {
    let mut body = vector(locals.len() + 1, locals);
    body.push(0x0b);
    let mut sections = section(1, &vector(1, &[0x60, 0, 0]));
    sections.extend(section(3, &vector(count, &vec![0; count])));
    sections.extend(section(10, &vector(count, &body.repeat(count))));
    component(1, &module(&sections))
}

fn module(sections: &[u8]) -> Vec<u8> {
    [b"\0asm\x01\0\0\0", sections].concat()
}

/// A component of one section.
fn component(id: u8, content: &[u8]) -> Vec<u8> {
    [b"\0asm\x0d\0\x01\0", section(id, content).as_slice()].concat()
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id], vector(content.len(), content).as_slice()].concat()
}

/// A number as LEB128, and what it counts.
fn vector(count: usize, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(content.len() + 8);
    let low = |rest: usize| rest.to_le_bytes()[0] & 0x7f;
    let mut rest = count;
    while rest >= 0x80 {
        bytes.push(low(rest) | 0x80);
        rest >>= 7;
    }
    bytes.push(low(rest));
    bytes.extend_from_slice(content);
    bytes
}

/// A component's text as bytes.
///
/// # Panics
/// When it does not parse.
#[must_use]
pub fn parse(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("text that parses")
}
