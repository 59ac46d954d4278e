//! JSON: any value at any place becomes another.

use fastrand::Rng;
use serde_json::{Value, json};

use super::{numbers, times};

/// The text with some values changed; none where it is no JSON.
pub(super) fn mutate(text: &[u8], random: &mut Rng) -> Option<Vec<u8>> {
    let mut value: Value = serde_json::from_slice(text).ok()?;
    // A graph of this project is a text within a text.
    for _ in 0..times(random) {
        let donor = value.clone();
        change(&mut value, &donor, random);
    }
    serde_json::to_vec(&value).ok()
}

/// How many values there are in one, itself among them.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(map) => map.values().map(count).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// The value at this place when all are counted in order.
fn at(value: &mut Value, place: usize) -> Option<&mut Value> {
    if place == 0 {
        return Some(value);
    }
    let inner: Box<dyn Iterator<Item = &mut Value>> = match value {
        Value::Array(items) => Box::new(items.iter_mut()),
        Value::Object(map) => Box::new(map.values_mut()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return None,
    };
    let mut left = place - 1;
    for item in inner {
        let size = count(item);
        if left < size {
            return at(item, left);
        }
        left -= size;
    }
    None
}

fn change(value: &mut Value, donor: &Value, random: &mut Rng) {
    let mut donor = donor.clone();
    let size = count(value);
    let Some(target) = at(value, random.usize(..size)) else { return };
    let other = random.usize(..size);
    let mut donate = || at(&mut donor, other).map(|value| value.take()).unwrap_or(Value::Null);
    // JSON within a string is changed as JSON.
    if let Value::String(text) = target
        && text.starts_with('{')
        && let Some(inner) = mutate(text.as_bytes(), random)
    {
        *target = Value::String(String::from_utf8_lossy(&inner).into_owned());
        return;
    }
    match random.u8(..8) {
        0 => *target = donate(),
        1 => {
            *target =
                [json!(null), json!(true), json!(false), json!(""), json!([]), json!({}), json!(1e300), json!(0.5)]
                    [random.usize(..8)]
                .take()
        }
        2 => {
            let old = target.as_i64().unwrap_or(0);
            *target = json!(numbers::integer(old, random));
        }
        _ => match target {
            Value::Array(items) => lists(items, donate(), random),
            Value::Object(map) => {
                let keys: Vec<String> = map.keys().cloned().collect();
                let Some(key) = keys.get(random.usize(..keys.len().max(1))) else { return };
                match random.u8(..3) {
                    0 => drop(map.remove(key)),
                    1 => drop(map.insert(key.clone(), donate())),
                    _ => {
                        let moved = map.remove(key).unwrap_or(Value::Null);
                        let name = format!("{key}{}", random.u8(..3));
                        map.insert(name, moved);
                    }
                }
            }
            Value::Number(number) => *target = json!(numbers::integer(number.as_i64().unwrap_or(1), random)),
            Value::Bool(set) => *set = !*set,
            Value::String(_) | Value::Null => *target = donate(),
        },
    }
}

fn lists(items: &mut Vec<Value>, other: Value, random: &mut Rng) {
    let length = items.len();
    let place = random.usize(..length.max(1));
    match random.u8(..5) {
        0 if length > 0 => drop(items.remove(place)),
        1 if length > 0 => items.swap(place, random.usize(..length)),
        2 => items.extend(items.get(place).cloned()),
        3 => items.clear(),
        _ => items.insert(place.min(length), other),
    }
}
