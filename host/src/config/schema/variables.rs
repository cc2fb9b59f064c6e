//! What holds for every setting, whatever its type, said in one place: a variable may stand
//! for its value, and in YAML and JSON nothing at all may.

use schemars::transform::transform_subschemas;
use schemars::{Schema, json_schema};
use serde_json::{Map, Value};

/// A text that holds a variable.
const VARIABLE: &str = r"\$\{";

/// Goes through a schema and all within, from the inside outwards: what is added is not looked
/// at again.
pub(super) fn everywhere(schema: &mut Schema) {
    transform_subschemas(&mut everywhere, schema);
    if let Some(object) = schema.as_object_mut() {
        allow_variable(object);
        allow_nothing(object);
        tidy(object);
    }
}

/// Lets `"${VAR}"` stand for a number, a boolean, a list and one of several words. Text says
/// by its own pattern that it may hold one.
fn allow_variable(object: &mut Map<String, Value>) {
    let is_const = |one: &Value| one.get("const").is_some_and(Value::is_string);
    match object.get_mut("oneOf").and_then(Value::as_array_mut) {
        Some(words) if words.iter().any(is_const) => words.push(variable()),
        _ => {}
    }
    if let Some(words) = object.remove("enum") {
        let mut own = Map::from_iter([("enum".to_owned(), words)]);
        own.extend(object.remove_entry("type"));
        let either = vec![Value::Object(own), variable()];
        object.insert("anyOf".into(), Value::Array(either));
    }
    let is_other = |name: &&str| ["number", "integer", "boolean", "array"].contains(name);
    let types = types_of(object);
    if types.iter().any(|name| is_other(&name.as_str())) && !types.iter().any(|t| t == "string") {
        add_type(object, "string");
        object.insert("pattern".into(), VARIABLE.into());
    }
}

fn variable() -> Value {
    json_schema!({
        "description": "The value of an environment variable.",
        "type": "string",
        "pattern": VARIABLE,
    })
    .into()
}

/// Lets null stand for a setting that may be left out, as the program reads it: in YAML that
/// is a key whose settings are all commented out.
fn allow_nothing(object: &mut Map<String, Value>) {
    let required = object.get("required").and_then(Value::as_array).cloned();
    let required = required.unwrap_or_default();
    let properties = object.get_mut("properties").and_then(Value::as_object_mut);
    for (name, schema) in properties.into_iter().flatten() {
        let is_required = required.iter().any(|one| one == name);
        if let Some(schema) = schema.as_object_mut().filter(|_| !is_required) {
            add_null(schema);
        }
    }
}

fn add_null(schema: &mut Map<String, Value>) {
    let null = json_schema!({ "type": "null" }).into();
    for key in ["anyOf", "oneOf"] {
        if let Some(alternatives) = schema.get_mut(key).and_then(Value::as_array_mut) {
            if !alternatives.contains(&null) {
                alternatives.push(null);
            }
            return;
        }
    }
    add_type(schema, "null");
}

fn types_of(object: &Map<String, Value>) -> Vec<String> {
    match object.get("type") {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(all)) => {
            let names = all.iter().filter_map(Value::as_str);
            names.map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

fn add_type(object: &mut Map<String, Value>, name: &str) {
    let mut types = types_of(object);
    if !types.is_empty() && !types.iter().any(|one| one == name) {
        types.push(name.to_owned());
        object.insert("type".into(), types.into());
    }
}

/// Descriptions without the line ends of the source, no formats that only Rust knows, and no
/// default that says nothing.
fn tidy(object: &mut Map<String, Value>) {
    if let Some(Value::String(text)) = object.get_mut("description") {
        let paragraphs: Vec<String> = text
            .split("\n\n")
            .map(|one| one.replace('\n', " "))
            .collect();
        *text = paragraphs.join("\n\n");
    }
    let is_rust = |format: &Value| format.as_str().is_some_and(|name| name.contains("int"));
    if object.get("format").is_some_and(is_rust) {
        object.remove("format");
    }
    if object.get("default").is_some_and(Value::is_null) {
        object.remove("default");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(mut schema: Schema) -> Value {
        everywhere(&mut schema);
        schema.to_value()
    }

    #[test]
    fn a_variable_may_stand_for_what_is_no_text() {
        for name in ["number", "integer", "boolean", "array"] {
            let schema = after(json_schema!({ "type": name }));
            assert_eq!(schema["type"], serde_json::json!([name, "string"]));
            assert_eq!(schema["pattern"], VARIABLE);
        }
        let words = after(json_schema!({ "oneOf": [{ "const": "a" }, { "const": "b" }] }));
        assert_eq!(words["oneOf"][2], variable());
        let words = after(json_schema!({ "type": "string", "enum": ["a", "b"] }));
        assert_eq!(words["anyOf"][1], variable());
    }

    #[test]
    fn text_keeps_its_own_pattern_and_a_table_stays_one() {
        let text = json_schema!({ "type": ["integer", "string"], "pattern": "^a$" });
        assert_eq!(after(text.clone()), text.to_value());
        let table = json_schema!({ "type": "object" });
        assert_eq!(after(table.clone()), table.to_value());
    }

    #[test]
    fn nothing_may_stand_for_what_may_be_left_out() {
        let schema = after(json_schema!({
            "properties": {
                "inputs": { "type": "string" },
                "limits": { "type": "object" },
                "type": { "const": "file" },
            },
            "required": ["inputs"],
        }));
        let properties = &schema["properties"];
        assert_eq!(properties["inputs"]["type"], "string");
        assert_eq!(properties["limits"]["type"][1], "null");
        assert_eq!(properties["type"]["const"], "file");
    }
}
