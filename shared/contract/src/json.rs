//! Free JSON: `google.protobuf.Struct` on the wire, `serde_json` inside.
//!
//! A Struct's numbers are doubles. A whole one is kept and shown as an integer; above 2^53 a double no longer tells neighbours apart, so it
//! is refused rather than changed.

use prost::Message;
use prost_types::{ListValue, Struct, Value as Wire, value::Kind};
use serde_json::{Map, Number, Value};
use std::fmt;

/// The deepest nesting, the object itself counted.
pub const MAX_DEPTH: usize = 32;
/// The largest object, in encoded bytes.
pub const MAX_BYTES: usize = 64 << 10;
const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Below the object: `a.b[2]`; empty for the object itself.
    pub path: String,
    /// What is wrong there.
    pub what: &'static str,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", if self.path.is_empty() { "the object" } else { &self.path }, self.what)
    }
}

impl std::error::Error for Error {}

/// The object as it is kept.
pub fn from_struct(object: Struct) -> Result<Map<String, Value>, Error> {
    if object.encoded_len() > MAX_BYTES {
        return Err(Error { path: String::new(), what: "must be at most 64 KiB" });
    }
    fields(object, &mut String::new(), 1)
}

/// The object as it stands on the wire.
pub fn to_struct(object: &Map<String, Value>) -> Struct {
    Struct { fields: object.iter().map(|(name, value)| (name.clone(), to_wire(value))).collect() }
}

fn fields(object: Struct, path: &mut String, depth: usize) -> Result<Map<String, Value>, Error> {
    if depth > MAX_DEPTH {
        return Err(Error { path: path.clone(), what: "must be nested at most 32 levels deep" });
    }
    let mut map = Map::new();
    for (name, value) in object.fields {
        let before = path.len();
        if before > 0 {
            path.push('.');
        }
        path.push_str(&name);
        if name.contains('\0') {
            return Err(Error { path: path.replace('\0', "\\0"), what: "must not have NUL in its name" });
        }
        map.insert(name, from_wire(value, path, depth)?);
        path.truncate(before);
    }
    Ok(map)
}

fn from_wire(value: Wire, path: &mut String, depth: usize) -> Result<Value, Error> {
    let wrong = |path: &String, what| Err(Error { path: path.clone(), what });
    Ok(match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(value)) => Value::Bool(value),
        Some(Kind::NumberValue(value)) => match number(value) {
            Ok(number) => Value::Number(number),
            Err(what) => return wrong(path, what),
        },
        Some(Kind::StringValue(value)) if value.contains('\0') => return wrong(path, "must not contain NUL"),
        Some(Kind::StringValue(value)) => Value::String(value),
        Some(Kind::StructValue(object)) => Value::Object(fields(object, path, depth + 1)?),
        Some(Kind::ListValue(_)) if depth + 1 > MAX_DEPTH => return wrong(path, "must be nested at most 32 levels deep"),
        Some(Kind::ListValue(list)) => Value::Array(items(list, path, depth + 1)?),
    })
}

fn items(list: ListValue, path: &mut String, depth: usize) -> Result<Vec<Value>, Error> {
    let mut all = Vec::with_capacity(list.values.len());
    for (at, value) in list.values.into_iter().enumerate() {
        let before = path.len();
        path.push_str(&format!("[{at}]"));
        all.push(from_wire(value, path, depth)?);
        path.truncate(before);
    }
    Ok(all)
}

/// A whole number as an integer, any other as it is.
pub fn number(value: f64) -> Result<Number, &'static str> {
    if value.fract() == 0.0 && value.abs() > MAX_WHOLE {
        return Err("must be a whole number of at most 2^53; send larger ones as strings");
    }
    if value.fract() == 0.0 {
        return Ok(Number::from(value as i64));
    }
    Number::from_f64(value).ok_or("must be a finite number")
}

fn to_wire(value: &Value) -> Wire {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(*value),
        Value::Number(value) => Kind::NumberValue(value.as_f64().unwrap_or(0.0)),
        Value::String(value) => Kind::StringValue(value.clone()),
        Value::Array(values) => Kind::ListValue(ListValue { values: values.iter().map(to_wire).collect() }),
        Value::Object(object) => Kind::StructValue(to_struct(object)),
    };
    Wire { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn wire(value: Value) -> Struct {
        to_struct(value.as_object().expect("an object"))
    }

    fn nested(levels: usize) -> Value {
        (1..levels).fold(json!({}), |inner, _| json!({ "a": inner }))
    }

    #[test]
    fn whole_numbers_stay_whole() {
        let kept = from_struct(wire(json!({"a": 299, "b": 1.5, "c": -0.0, "d": [1, {"e": null}], "f": true}))).expect("valid");
        assert_eq!(serde_json::to_string(&kept).expect("JSON"), r#"{"a":299,"b":1.5,"c":0,"d":[1,{"e":null}],"f":true}"#);
    }

    #[test]
    fn bounds() {
        assert!(from_struct(wire(json!({"n": 9_007_199_254_740_992i64}))).is_ok());
        for (object, path) in [
            (json!({"a": {"n": 9_007_199_254_740_994i64}}), "a.n"),
            (json!({"a": ["x", "\0"]}), "a[1]"),
            (json!({"\0": 1}), "\\0"),
            (json!({"a": "x".repeat(65 << 10)}), ""),
        ] {
            assert_eq!(from_struct(wire(object)).expect_err("out of bounds").path, path);
        }
        let infinite = Struct { fields: [("n".to_owned(), Wire { kind: Some(Kind::NumberValue(f64::INFINITY)) })].into() };
        assert!(from_struct(infinite).is_err());
        assert!(from_struct(wire(nested(32))).is_ok());
        assert!(from_struct(wire(nested(33))).is_err());
    }
}
