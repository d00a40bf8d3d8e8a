//! Free JSON, as it stands on the wire.

use contract::json::{from_struct, to_struct};
use prost::Message;
use prost_types::Struct;
use serde_json::{Map, Value};

/// An encoded Struct, or JSON as text.
pub fn json_properties(data: &[u8]) {
    let sent = match serde_json::from_slice::<Map<String, Value>>(data) {
        Ok(map) => to_struct(&map),
        Err(_) => match Struct::decode(data) {
            Ok(object) => object,
            Err(_) => return,
        },
    };
    let Ok(kept) = from_struct(sent) else { return };
    let text = serde_json::to_string(&kept).expect("it is JSON");
    assert!(!has_nul(&Value::Object(kept.clone())), "no database keeps NUL");
    let read: Map<String, Value> = serde_json::from_str(&text).expect("what is kept can be read");
    assert_eq!(read, kept, "the database gives back what it got");
    let shown = from_struct(to_struct(&kept));
    assert!(shown.is_ok_and(|shown| shown == kept), "what is shown can be sent back, and means the same");
    let _ = ontology::fuzzing::properties(&kept);
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(fields) => fields.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
