#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;

fn read(text: &str) -> String {
    parse(text).map(|filter| filter.map_or_else(String::new, |filter| filter.to_string())).unwrap_or_else(|fault| format!("{fault}"))
}

#[test]
fn filters_read_as_the_aip_says() {
    for (text, meaning) in [
        ("", ""),
        ("  \t ", ""),
        ("a = 1", "a = 1"),
        ("a=1", "a = 1"),
        ("a != -2.5", "a != -2.5"),
        ("a<1 b<=2 c>3 d>=4", "(a < 1 AND b <= 2 AND c > 3 AND d >= 4)"),
        ("a:b", "a : \"b\""),
        ("a:*", "a : *"),
        ("a = 'it\\'s'", "a = \"it's\""),
        ("a = \"x\\\"\\\\y\"", "a = \"x\\\"\\\\y\""),
        ("a = active", "a = \"active\""),
        ("a = 018f7d3e-0000-7000-8000-000000000000", "a = \"018f7d3e-0000-7000-8000-000000000000\""),
        ("a = true AND b = false AND c = null", "(a = true AND b = false AND c = null)"),
        ("a > 2026-01-31T12:00:00Z", "a > 2026-01-31T12:00:00Z"),
        ("a = 1e3", "a = 1000.0"),
        ("a = 9223372036854775807", "a = 9223372036854775807"),
        ("a = Ω", "a = \"Ω\""),
        // OR binds tighter than AND.
        ("a = 1 AND b = 2 OR c = 3 AND d = 4", "(a = 1 AND (b = 2 OR c = 3) AND d = 4)"),
        ("(a = 1 AND b = 2) OR c = 3", "((a = 1 AND b = 2) OR c = 3)"),
        ("NOT a = 1 OR -b = 2", "(NOT a = 1 OR NOT b = 2)"),
        ("NOT (a = 1 b = 2)", "NOT (a = 1 AND b = 2)"),
        ("-(a = 1)", "NOT a = 1"),
        ("p.a.b = 1", "p.\"a\".\"b\" = 1"),
        ("p.\"a b\".2nd = 1", "p.\"a b\".\"2nd\" = 1"),
        ("p.first-name = 1", "p.\"first-name\" = 1"),
        ("ANDY = 1 AND order = 2", "(ANDY = 1 AND order = 2)"),
        ("p.AND = 1", "p.\"AND\" = 1"),
    ] {
        assert_eq!(read(text), meaning, "{text}");
    }
}

#[test]
fn each_mistake_has_its_place() {
    use Problem::*;
    let deep = format!("{}a = 1{}", "(".repeat(17), ")".repeat(17));
    let many = vec!["a = 1"; 65].join(" AND ");
    let long = format!("a = \"{}\"", "x".repeat(4096));
    let path = format!("a{} = 1", ".b".repeat(33));
    for (text, at, problem) in [
        ("=", 0, FieldExpected),
        ("1 = a", 0, FieldExpected),
        ("a = 1 AND", 9, FieldExpected),
        ("a = 1 AND AND b = 2", 10, FieldExpected),
        ("AND a = 1", 0, FieldExpected),
        ("NOT", 3, FieldExpected),
        ("NOT NOT a = 1", 4, FieldExpected),
        ("a = 1 OR", 8, FieldExpected),
        ("()", 1, FieldExpected),
        ("a. = 1", 2, FieldExpected),
        ("\"a\" = 1", 0, FieldExpected),
        ("ä = 1", 0, FieldExpected),
        ("a", 1, OperatorExpected),
        ("a b", 2, OperatorExpected),
        ("a ~ 1", 2, OperatorExpected),
        ("a ! = 1", 2, OperatorExpected),
        ("a =", 3, LiteralExpected),
        ("a == 1", 3, LiteralExpected),
        ("a = = 1", 4, LiteralExpected),
        ("a = (1)", 4, LiteralExpected),
        ("a = AND", 4, LiteralExpected),
        ("a >< 1", 3, LiteralExpected),
        ("a = ;", 4, LiteralExpected),
        ("a = * ", 4, Any),
        ("a = 1)", 5, EndExpected),
        ("a = 1, b = 2", 5, EndExpected),
        ("a = 1; drop table thing", 5, EndExpected),
        ("a = 1 OR OR b = 2", 9, FieldExpected),
        ("(a = 1", 6, ParenthesisExpected),
        ("((a = 1)", 8, ParenthesisExpected),
        ("a = \"x", 4, QuoteOpen),
        ("a = 'x\\", 4, QuoteOpen),
        ("p.\"x = 1", 2, QuoteOpen),
        ("a = \"x\\n\"", 6, Escape),
        ("now() = 1", 0, Function),
        ("a = 1e999", 4, Number),
        (deep.as_str(), 16, Depth(16)),
        (many.as_str(), 640, Terms(64)),
        (long.as_str(), 4096, Length(4096)),
        (path.as_str(), 65, Depth(32)),
    ] {
        assert_eq!(parse(text).unwrap_err(), Fault { at, problem }, "{text}");
    }
}

fn text() -> impl Strategy<Value = String> {
    proptest::string::string_regex("[ -~äΩ\\n]{0,12}").unwrap()
}

fn literals() -> impl Strategy<Value = Literal> {
    prop_oneof![
        text().prop_map(Literal::Text),
        any::<i64>().prop_map(Literal::Int),
        any::<f64>().prop_filter("a number with a fraction", |n| n.is_finite() && n.fract() != 0.0).prop_map(Literal::Float),
        any::<bool>().prop_map(Literal::Bool),
        Just(Literal::Null),
        Just(Literal::Time(1_769_860_800_000_000, "2026-01-31T12:00:00Z".into())),
    ]
}

fn comparisons() -> impl Strategy<Value = Expression> {
    let operators = prop::sample::select(vec![
        Operator::Equal,
        Operator::Unequal,
        Operator::Less,
        Operator::AtMost,
        Operator::More,
        Operator::AtLeast,
        Operator::Has,
    ]);
    (prop::collection::vec(text(), 0..3), operators, literals()).prop_map(|(keys, operator, literal)| {
        let path = std::iter::once("field".to_owned()).chain(keys).collect();
        Expression::Compare(Comparison { path, operator, literal, at: 0, literal_at: 0 })
    })
}

fn expressions() -> impl Strategy<Value = Expression> {
    comparisons().prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expression::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expression::Or),
            inner
                .prop_filter("NOT of a NOT needs parentheses", |part| !matches!(part, Expression::Not(_)))
                .prop_map(|part| Expression::Not(Box::new(part))),
        ]
    })
}

/// Without places.
fn bare(expression: Expression) -> Expression {
    match expression {
        Expression::And(parts) => Expression::And(parts.into_iter().map(bare).collect()),
        Expression::Or(parts) => Expression::Or(parts.into_iter().map(bare).collect()),
        Expression::Not(part) => Expression::Not(Box::new(bare(*part))),
        Expression::Compare(comparison) => Expression::Compare(Comparison { at: 0, literal_at: 0, ..comparison }),
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_back_as_itself(expression in expressions()) {
        let written = expression.to_string();
        prop_assert_eq!(parse(&written).map(|read| read.map(bare)), Ok(Some(expression)), "{}", written);
    }

    #[test]
    fn no_text_panics_and_each_fault_is_within_it(text in ".{0,60}|[-a-z0-9 ().:=<>!\"'\\\\ANDORT*]{0,60}") {
        if let Err(fault) = parse(&text) {
            prop_assert!(fault.at <= text.len());
        }
    }
}
