//! Comparisons inside a JSON column: the literal decides the type, on both engines alike.

use super::{
    Comparison, Fault, Literal, Operator, Problem,
    compile::{contains, sign, text_value},
};
use crate::{
    Dialect, Value,
    list::{Column, writer::Writer},
};

/// A value inside a JSON column, as each engine finds it.
struct Inside {
    column: &'static str,
    /// Numbers of the values that name the keys: one path on SQLite, a key each on Postgres.
    keys: Vec<usize>,
}

pub(super) fn write(column: &'static Column, keys: &[String], comparison: &Comparison, out: &mut Writer) -> Result<(), Fault> {
    if keys.iter().any(|key| key.contains(['"', '\\']) || key.chars().any(char::is_control)) {
        return Err(Fault::new(comparison.at, Problem::Key));
    }
    let inside = Inside::bound(column.sql, keys, out);
    let operator = comparison.operator;
    let equal_only = !matches!(operator, Operator::Equal | Operator::Unequal | Operator::Has);
    match &comparison.literal {
        Literal::Any => inside.null(out, " is false"),
        Literal::Null => match operator {
            Operator::Equal => inside.null(out, ""),
            Operator::Unequal => inside.null(out, " is false"),
            _ => return Err(Fault::new(comparison.literal_at, Problem::Operator("null"))),
        },
        Literal::Bool(_) if equal_only => return Err(Fault::new(comparison.literal_at, Problem::Operator("true or false"))),
        Literal::Bool(truth) => inside.compared(out, Scalar::Bool, operator, Value::Bool(*truth)),
        Literal::Int(number) => {
            #[allow(clippy::cast_precision_loss)] // JSON's numbers are doubles to both engines
            inside.compared(out, Scalar::Number, operator, Value::Float(*number as f64));
        }
        Literal::Float(number) => inside.compared(out, Scalar::Number, operator, Value::Float(*number)),
        Literal::Time(_, text) | Literal::Text(text) => {
            let value = text_value(text, comparison)?;
            inside.compared(out, Scalar::Text, operator, value);
        }
    }
    Ok(())
}

/// The types of JSON that a literal can be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scalar {
    Text,
    Number,
    Bool,
}

impl Inside {
    fn bound(column: &'static str, keys: &[String], out: &mut Writer) -> Self {
        let keys = match out.dialect {
            Dialect::Sqlite => {
                let path: String = keys.iter().map(|key| format!(".\"{key}\"")).collect();
                vec![out.bound(Value::Text(format!("${path}")))]
            }
            Dialect::Postgres => keys.iter().map(|key| out.bound(Value::Text(key.clone()))).collect(),
        };
        Self { column, keys }
    }

    /// `json_type(column, $1)`, `jsonb_typeof(column -> $1 -> $2)`
    fn kind(&self, out: &mut Writer) {
        match out.dialect {
            Dialect::Sqlite => {
                out.text("json_type(").text(self.column).text(", ").again(self.keys[0]).text(")");
            }
            Dialect::Postgres => {
                out.text("jsonb_typeof(");
                self.json(out);
                out.text(")");
            }
        }
    }

    /// Postgres: the value as JSON.
    fn json(&self, out: &mut Writer) {
        out.text(self.column);
        for key in &self.keys {
            out.text(" -> ").again(*key);
        }
    }

    /// The value as SQL's own type; only asked when the kind is right.
    fn scalar(&self, scalar: Scalar, out: &mut Writer) {
        if out.dialect == Dialect::Sqlite {
            out.text("json_extract(").text(self.column).text(", ").again(self.keys[0]).text(")");
            return;
        }
        out.text("(");
        self.json(out);
        out.text(match scalar {
            Scalar::Text => " #>> '{}') collate \"C\"",
            Scalar::Number => ")::double precision",
            Scalar::Bool => ")::boolean",
        });
    }

    /// Absent is as null.
    fn null(&self, out: &mut Writer, negated: &str) {
        out.text("coalesce(");
        self.kind(out);
        out.text(" = 'null', true)").text(negated);
    }

    fn compared(&self, out: &mut Writer, scalar: Scalar, operator: Operator, value: Value) {
        out.text("case ");
        self.kind(out);
        for word in scalar.words(out.dialect) {
            out.text(" when '").text(word).text("' then ");
            if scalar == Scalar::Text && operator == Operator::Has {
                contains(out, value.clone(), |out| self.scalar(scalar, out));
            } else {
                self.scalar(scalar, out);
                out.text(sign(operator)).value(value.clone());
            }
        }
        if operator == Operator::Has {
            out.text(" when 'array' then ");
            self.has(scalar, value, out);
        }
        out.text(" else false end");
    }

    /// One of the array's elements is that value, of that type.
    fn has(&self, scalar: Scalar, value: Value, out: &mut Writer) {
        match out.dialect {
            Dialect::Sqlite => {
                let words: Vec<String> = scalar.words(Dialect::Sqlite).iter().map(|word| format!("'{word}'")).collect();
                out.text("exists (select 1 from json_each(").text(self.column).text(", ").again(self.keys[0]);
                out.text(") element where element.type in (").text(&words.join(", ")).text(") and element.value = ").value(value).text(")");
            }
            Dialect::Postgres => {
                self.json(out);
                out.text(" @> jsonb_build_array(").value(value).text(")");
            }
        }
    }
}

impl Scalar {
    /// What the engine calls it.
    fn words(self, dialect: Dialect) -> &'static [&'static str] {
        match (self, dialect) {
            (Self::Text, Dialect::Sqlite) => &["text"],
            (Self::Text, Dialect::Postgres) => &["string"],
            (Self::Number, Dialect::Sqlite) => &["integer", "real"],
            (Self::Number, Dialect::Postgres) => &["number"],
            (Self::Bool, Dialect::Sqlite) => &["true", "false"],
            (Self::Bool, Dialect::Postgres) => &["boolean"],
        }
    }
}
