//! Field rules (`buf.validate`) compiled to calls of `crate::rules`.
//!
//! Our own, since the crates that do this (prost-protovalidate 0.6, protocheck 0.1) need protoc to build. A rule that is not known here
//! fails the build, so none is written and not run.

use crate::rust_type;
use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor, OneofDescriptor, ReflectMessage,
    Value,
};
use std::fmt::Write;

type Result<T> = std::result::Result<T, String>;

/// `impl Rules` for every message of ours.
pub(crate) fn write(pool: &DescriptorPool, messages: &[MessageDescriptor]) -> Result<String> {
    let writer = Writer { field: extension(pool, "buf.validate.field")?, oneof: extension(pool, "buf.validate.oneof")? };
    let mut out = String::new();
    for message in messages {
        let checks = writer.message(message)?;
        let self_used = if checks.is_empty() { "_" } else { "check" };
        let _ = write!(
            out,
            "impl crate::rules::Rules for {} {{\n    const REQUEST: bool = {};\n    fn check(&self, {self_used}: &mut crate::rules::Check) {{\n{checks}    }}\n}}\n",
            rust_type(message),
            message.name().ends_with("Request"),
        );
    }
    Ok(out)
}

fn extension(pool: &DescriptorPool, name: &str) -> Result<ExtensionDescriptor> {
    pool.get_extension_by_name(name).ok_or_else(|| format!("{name} is not imported"))
}

struct Writer {
    field: ExtensionDescriptor,
    oneof: ExtensionDescriptor,
}

impl Writer {
    fn message(&self, message: &MessageDescriptor) -> Result<String> {
        let mut out = String::new();
        for field in message.fields() {
            if field.containing_oneof().is_some_and(|oneof| !is_synthetic(&oneof)) {
                continue;
            }
            let check = self.field(&field).map_err(|e| format!("{}: {e}", field.full_name()))?;
            if !check.is_empty() {
                let _ = writeln!(out, "        {check}");
            }
        }
        for oneof in message.oneofs().filter(|oneof| !is_synthetic(oneof)) {
            out += &self.oneof(message, &oneof)?;
        }
        Ok(out)
    }

    fn field(&self, field: &FieldDescriptor) -> Result<String> {
        let (name, options) = (field.name(), field.options());
        let rules = options.get_extension(&self.field);
        let rules = Set::of(rules.as_message().ok_or("not a message")?);
        let own = rust_name(name);
        if field.cardinality() == Cardinality::Repeated {
            return repeated(field, &rules, &own);
        }
        Ok(match field.kind() {
            Kind::String => format!("check.string(\"{name}\", &self.{own}, &{});", string(&rules)?),
            Kind::Message(of) => {
                let required = rules.flag("required");
                rules.only(&["required"])?;
                match of.full_name() {
                    "google.protobuf.Timestamp" => format!("check.timestamp(\"{name}\", self.{own}.as_ref(), {required});"),
                    known if known.starts_with("google.") => {
                        if required {
                            format!("check.required(\"{name}\", self.{own}.is_some());")
                        } else {
                            String::new()
                        }
                    }
                    _ => format!("check.message(\"{name}\", self.{own}.as_ref(), {required});"),
                }
            }
            Kind::Int32 | Kind::Int64 => integer(field, &rules, &own)?,
            _ => {
                rules.only(&[])?;
                String::new()
            }
        })
    }

    fn oneof(&self, message: &MessageDescriptor, oneof: &OneofDescriptor) -> Result<String> {
        let (name, own) = (oneof.name(), rust_name(oneof.name()));
        let options = oneof.options();
        let required = options.get_extension(&self.oneof).as_message().is_some_and(|rules| Set::of(rules).flag("required"));
        let mut out = String::new();
        if required {
            let _ = writeln!(out, "        check.required(\"{name}\", self.{own}.is_some());");
        }
        for field in oneof.fields().filter(|field| field.kind() == Kind::String) {
            let options = field.options();
            let rules = options.get_extension(&self.field);
            let rules = string(&Set::of(rules.as_message().ok_or("not a message")?))?;
            let path = format!("crate::{}::{}::{}", message.package_name().replace('.', "::"), snake(message.name()), pascal(name));
            let _ = writeln!(
                out,
                "        if let Some({path}::{}(value)) = &self.{own} {{ check.string(\"{}\", value, &{rules}); }}",
                pascal(field.name()),
                field.name()
            );
        }
        Ok(out)
    }
}

fn is_synthetic(oneof: &OneofDescriptor) -> bool {
    oneof.name().starts_with('_')
}

fn repeated(field: &FieldDescriptor, rules: &Set<'_>, own: &str) -> Result<String> {
    let name = field.name();
    match field.kind() {
        Kind::String => {
            rules.only(&["repeated"])?;
            let list = rules.get("repeated");
            let list = list.as_ref().map(Set::of);
            let (mut least, mut most, mut items) = (0, u64::MAX, None);
            if let Some(list) = &list {
                list.only(&["min_items", "max_items", "items"])?;
                least = list.number("min_items").unwrap_or(0);
                most = list.number("max_items").unwrap_or(u64::MAX);
                items = list.get("items");
            }
            let rule = match &items {
                Some(items) => string(&Set::of(items))?,
                None => "crate::rules::StringRule::ANY".to_owned(),
            };
            Ok(format!("check.strings(\"{name}\", &self.{own}, {least}, {most}, &{rule});"))
        }
        Kind::Message(of) if !of.is_map_entry() && !of.full_name().starts_with("google.") => {
            rules.only(&[])?;
            Ok(format!("check.messages(\"{name}\", &self.{own});"))
        }
        _ => rules.only(&[]).map(|()| String::new()),
    }
}

fn string(rules: &Set<'_>) -> Result<String> {
    rules.only(&["string", "ignore"])?;
    let Some(string) = rules.get("string") else { return Ok("crate::rules::StringRule::ANY".to_owned()) };
    let string = Set::of(&string);
    string.only(&["min_len", "max_len", "max_bytes", "uuid", "in"])?;
    let among: Vec<String> = string.list("in").iter().map(|word| format!("{word:?}")).collect();
    let form = if string.flag("uuid") {
        "Uuid".to_owned()
    } else if among.is_empty() {
        "Any".to_owned()
    } else {
        format!("Among(&[{}])", among.join(", "))
    };
    Ok(format!(
        "crate::rules::StringRule {{ may_be_empty: {}, min_len: {}, max_len: {}, max_bytes: {}, form: crate::rules::Form::{form} }}",
        rules.number("ignore") == Some(1), // IGNORE_IF_ZERO_VALUE
        string.number("min_len").unwrap_or(0),
        string.number("max_len").unwrap_or(u64::MAX),
        string.number("max_bytes").unwrap_or(u64::MAX),
    ))
}

fn integer(field: &FieldDescriptor, rules: &Set<'_>, own: &str) -> Result<String> {
    let kind = if field.kind() == Kind::Int32 { "int32" } else { "int64" };
    rules.only(&[kind])?;
    let Some(bounds) = rules.get(kind) else { return Ok(String::new()) };
    let bounds = Set::of(&bounds);
    bounds.only(&["gte", "lte"])?;
    let least = bounds.signed("gte").unwrap_or(i64::MIN);
    let most = bounds.signed("lte").unwrap_or(i64::MAX);
    let call = |value: &str| format!("check.integer(\"{}\", i64::from({value}), {least}, {most});", field.name());
    Ok(if field.supports_presence() { format!("if let Some(value) = self.{own} {{ {} }}", call("value")) } else { call(&format!("self.{own}")) })
}

/// The rules that are set in one message of `buf.validate`.
struct Set<'a>(&'a DynamicMessage);

impl<'a> Set<'a> {
    fn of(message: &'a DynamicMessage) -> Self {
        Self(message)
    }

    /// No other rule is set.
    fn only(&self, known: &[&str]) -> Result<()> {
        let other = self.0.fields().map(|(field, _)| field.name().to_owned()).find(|name| !known.contains(&name.as_str()));
        other.map_or(Ok(()), |name| Err(format!("the rule {name} is not known to build/rules.rs")))
    }

    fn value(&self, name: &str) -> Option<Value> {
        let field = self.0.descriptor().get_field_by_name(name)?;
        self.0.has_field(&field).then(|| self.0.get_field(&field).into_owned())
    }

    fn get(&self, name: &str) -> Option<DynamicMessage> {
        self.value(name)?.as_message().cloned()
    }

    fn flag(&self, name: &str) -> bool {
        self.value(name).and_then(|value| value.as_bool()) == Some(true)
    }

    fn number(&self, name: &str) -> Option<u64> {
        let value = self.value(name)?;
        value.as_u64().or_else(|| value.as_enum_number().and_then(|n| u64::try_from(n).ok()))
    }

    fn signed(&self, name: &str) -> Option<i64> {
        let value = self.value(name)?;
        value.as_i64().or_else(|| value.as_i32().map(i64::from))
    }

    fn list(&self, name: &str) -> Vec<String> {
        let value = self.value(name);
        let items = value.as_ref().and_then(Value::as_list).unwrap_or_default();
        items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
    }
}

fn rust_name(name: &str) -> String {
    if name == "type" { "r#type".to_owned() } else { name.to_owned() }
}

fn pascal(name: &str) -> String {
    name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

fn snake(name: &str) -> String {
    name.char_indices().flat_map(|(at, c)| (at > 0 && c.is_uppercase()).then_some('_').into_iter().chain(c.to_lowercase())).collect()
}
