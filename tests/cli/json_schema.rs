//! A JSON document against a JSON schema of draft 4, as far as SARIF's schema goes.
//!
//! A keyword that is not known here is a panic, so that nothing passes because it was not looked at.

use serde_json::{Map, Value};

/// In what `document` is not what `schema` asks for, a sentence each.
pub(crate) fn violations(schema: &Value, document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    Validator { root: schema, found: &mut found }.check(schema, document, "$");
    found
}

struct Validator<'a> {
    root: &'a Value,
    found: &'a mut Vec<String>,
}

fn is_of_type(document: &Value, name: &str) -> bool {
    match name {
        "array" => document.is_array(),
        "boolean" => document.is_boolean(),
        "integer" => document.is_i64() || document.is_u64(),
        "null" => document.is_null(),
        "number" => document.is_number(),
        "object" => document.is_object(),
        "string" => document.is_string(),
        other => panic!("type {other}"),
    }
}

impl Validator<'_> {
    fn check(&mut self, schema: &Value, document: &Value, at: &str) {
        let Value::Object(keywords) = schema else { panic!("{at}: a schema that is no object") };
        for (keyword, wanted) in keywords {
            if let Some(wrong) = self.keyword(keyword, wanted, keywords, document, at) {
                self.found.push(format!("{at}: {wrong}"));
            }
        }
    }

    fn holds(&self, schema: &Value, document: &Value) -> bool {
        let mut found = Vec::new();
        Validator { root: self.root, found: &mut found }.check(schema, document, "");
        found.is_empty()
    }

    fn keyword(
        &mut self,
        keyword: &str,
        wanted: &Value,
        siblings: &Map<String, Value>,
        document: &Value,
        at: &str,
    ) -> Option<String> {
        let wrong = |wrong: bool| wrong.then(|| format!("{keyword} {wanted}, found {document}"));
        match keyword {
            "$schema" | "title" | "id" | "description" | "default" | "definitions" => None,
            "$ref" => {
                let pointer = wanted.as_str().unwrap().strip_prefix('#').unwrap();
                let target = self.root.pointer(pointer).unwrap_or_else(|| panic!("{wanted} leads nowhere"));
                self.check(target, document, at);
                None
            }
            "type" => {
                let names: Vec<&Value> = wanted.as_array().map_or_else(|| vec![wanted], |names| names.iter().collect());
                wrong(!names.iter().any(|name| is_of_type(document, name.as_str().unwrap())))
            }
            "enum" => wrong(!wanted.as_array().unwrap().contains(document)),
            "minimum" => wrong(document.as_f64().is_some_and(|number| number < wanted.as_f64().unwrap())),
            "maximum" => wrong(document.as_f64().is_some_and(|number| number > wanted.as_f64().unwrap())),
            "minItems" => wrong(document.as_array().is_some_and(|all| (all.len() as u64) < wanted.as_u64().unwrap())),
            "uniqueItems" => {
                let twice = |all: &Vec<Value>| (1..all.len()).any(|index| all[..index].contains(&all[index]));
                wrong(wanted == &Value::Bool(true) && document.as_array().is_some_and(twice))
            }
            "anyOf" => wrong(!wanted.as_array().unwrap().iter().any(|schema| self.holds(schema, document))),
            "oneOf" => {
                wrong(wanted.as_array().unwrap().iter().filter(|schema| self.holds(schema, document)).count() != 1)
            }
            "required" => {
                let object = document.as_object()?;
                let missing =
                    wanted.as_array().unwrap().iter().find(|name| !object.contains_key(name.as_str().unwrap()));
                missing.map(|name| format!("{name} is missing"))
            }
            "properties" => {
                for (name, schema) in wanted.as_object().unwrap() {
                    if let Some(value) = document.get(name) {
                        self.check(schema, value, &format!("{at}.{name}"));
                    }
                }
                None
            }
            "additionalProperties" => {
                let known = siblings.get("properties").and_then(Value::as_object);
                for (name, value) in document.as_object()? {
                    if known.is_some_and(|known| known.contains_key(name)) {
                        continue;
                    }
                    match wanted {
                        Value::Bool(true) => {}
                        Value::Bool(false) => return Some(format!("`{name}` is not known")),
                        schema => self.check(schema, value, &format!("{at}.{name}")),
                    }
                }
                None
            }
            "items" => {
                for (index, value) in document.as_array()?.iter().enumerate() {
                    self.check(wanted, value, &format!("{at}[{index}]"));
                }
                None
            }
            "format" => match (wanted.as_str().unwrap(), document.as_str()?) {
                ("uri", text) => wrong(!text.contains("://")),
                ("uri-reference", text) => wrong(text.contains([' ', '"', '<', '>', '\\', '^', '`', '{', '|', '}'])),
                (other, _) => panic!("{at}: format {other}"),
            },
            other => panic!("{at}: keyword {other}"),
        }
    }
}

#[test]
fn documents_that_are_wrong_are_found_to_be() {
    let schema = serde_json::json!({
        "type": "object",
        "required": ["a"],
        "properties": { "a": { "$ref": "#/definitions/a" }, "b": { "type": "array", "items": { "enum": ["x"] }, "minItems": 1 } },
        "additionalProperties": false,
        "definitions": { "a": { "type": "integer", "minimum": -1 } },
    });
    let wrong = |document: Value| violations(&schema, &document).len();
    assert_eq!(wrong(serde_json::json!({ "a": 1, "b": ["x"] })), 0);
    for document in [
        serde_json::json!([]),
        serde_json::json!({}),
        serde_json::json!({ "a": -2 }),
        serde_json::json!({ "a": "1" }),
        serde_json::json!({ "a": 1, "b": [] }),
        serde_json::json!({ "a": 1, "b": ["y"] }),
        serde_json::json!({ "a": 1, "c": 1 }),
    ] {
        assert_eq!(wrong(document.clone()), 1, "{document}");
    }
}
