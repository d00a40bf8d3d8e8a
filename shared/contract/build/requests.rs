//! Traits that hold for every request with certain fields, so that what handles all of them needs no list.

use crate::rust_type;
use prost_reflect::{FieldDescriptor, MessageDescriptor};
use std::fmt::Write;

/// `impl Mutation`, `impl Paged`, and a `Debug` that shows no secret.
pub(crate) fn write(messages: &[MessageDescriptor]) -> String {
    let mut out = String::new();
    for message in messages {
        let has = |name: &str| message.get_field_by_name(name).is_some();
        let (path, name) = (rust_type(message), message.full_name());
        if has("request_id") && has("validate_only") {
            let _ = write!(
                out,
                "impl crate::Mutation for {path} {{\n    const NAME: &'static str = \"{name}\";\n    \
                 fn request_id(&self) -> &str {{ &self.request_id }}\n    fn validate_only(&self) -> bool {{ self.validate_only }}\n}}\n"
            );
        }
        if has("page_token") {
            let _ = write!(
                out,
                "impl crate::Paged for {path} {{\n    const NAME: &'static str = \"{name}\";\n    fn page(&self) -> crate::Page<'_> {{\n        \
                 crate::Page {{ size: self.page_size, token: &self.page_token, filter: &self.filter, order_by: &self.order_by, \
                 show_archived: self.show_archived }}\n    }}\n}}\n"
            );
        }
        if has_secrets(message) {
            let fields: String = message.fields().map(|field| debug_field(&field)).collect();
            let _ = write!(
                out,
                "impl ::core::fmt::Debug for {path} {{\n    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {{\n        \
                 f.debug_struct(\"{}\"){fields}.finish()\n    }}\n}}\n",
                message.name()
            );
        }
    }
    out
}

/// A field of the message is marked `debug_redact`.
pub(crate) fn has_secrets(message: &MessageDescriptor) -> bool {
    message.fields().any(|field| is_secret(&field))
}

fn is_secret(field: &FieldDescriptor) -> bool {
    field.options().get_field_by_name("debug_redact").is_some_and(|value| value.as_bool() == Some(true))
}

fn debug_field(field: &FieldDescriptor) -> String {
    let name = field.name();
    if is_secret(field) { format!(".field(\"{name}\", &\"…\")") } else { format!(".field(\"{name}\", &self.{name})") }
}
