//! The grammar of AIP-160, top down. Each rule knows from the next letter what comes, so an error is where the reader stands.

use super::{Comparison, Expression, Fault, Literal, Operator, Problem, literal};
use winnow::{
    LocatingSlice, Parser, Stateful,
    combinator::{alt, opt},
    stream::{Location, Stream},
    token::{any, literal as word, take_while},
};

/// Longest filter, in bytes.
const LENGTH: usize = 4096;
/// Deepest nesting of parentheses and NOT.
const DEPTH: usize = 16;
/// Most comparisons.
const TERMS: usize = 64;
/// Most segments of a path.
const SEGMENTS: usize = 32;

type Input<'i> = Stateful<LocatingSlice<&'i str>, Seen>;
type Read<T> = Result<T, Fault>;

/// What has been read so far, for the bounds.
#[derive(Clone, Debug, Default)]
struct Seen {
    depth: usize,
    terms: usize,
}

/// Reads a filter; `None` if it is empty.
///
/// # Errors
/// What is wrong, and where.
pub fn parse(text: &str) -> Result<Option<Expression>, Fault> {
    if text.len() > LENGTH {
        return Err(Fault::new(LENGTH, Problem::Length(LENGTH)));
    }
    let mut input = Input { input: LocatingSlice::new(text), state: Seen::default() };
    space(&mut input)?;
    if rest(&input).is_empty() {
        return Ok(None);
    }
    let expression = expression(&mut input)?;
    if rest(&input).is_empty() { Ok(Some(expression)) } else { fault(&input, Problem::EndExpected) }
}

/// `factor [AND] factor …`
fn expression(input: &mut Input<'_>) -> Read<Expression> {
    let mut parts = vec![factor(input)?];
    while !rest(input).is_empty() && !rest(input).starts_with(')') {
        let before = input.checkpoint();
        let said = keyword(input, "AND");
        if !said && !starts_term(input) {
            input.reset(&before);
            return fault(input, Problem::EndExpected);
        }
        parts.push(factor(input)?);
    }
    Ok(one_or(parts, Expression::And))
}

/// `term OR term …`: tighter than AND.
fn factor(input: &mut Input<'_>) -> Read<Expression> {
    let mut parts = vec![term(input)?];
    while keyword(input, "OR") {
        parts.push(term(input)?);
    }
    Ok(one_or(parts, Expression::Or))
}

/// `NOT simple`, `-simple`, `simple`
fn term(input: &mut Input<'_>) -> Read<Expression> {
    let minus = rest(input).starts_with('-');
    if minus {
        any::<_, Fault>.void().parse_next(input)?;
    }
    if minus || keyword(input, "NOT") {
        return deeper(input, simple).map(|part| Expression::Not(Box::new(part)));
    }
    simple(input)
}

fn simple(input: &mut Input<'_>) -> Read<Expression> {
    if !rest(input).starts_with('(') {
        return comparison(input).map(Expression::Compare);
    }
    deeper(input, |input| {
        symbol(input, "(");
        let inner = expression(input)?;
        if symbol(input, ")") { Ok(inner) } else { fault(input, Problem::ParenthesisExpected) }
    })
}

fn deeper(input: &mut Input<'_>, rule: impl FnOnce(&mut Input<'_>) -> Read<Expression>) -> Read<Expression> {
    if input.state.depth == DEPTH {
        return fault(input, Problem::Depth(DEPTH));
    }
    input.state.depth += 1;
    let read = rule(input);
    input.state.depth -= 1;
    read
}

/// `path operator literal`
fn comparison(input: &mut Input<'_>) -> Read<Comparison> {
    if input.state.terms == TERMS {
        return fault(input, Problem::Terms(TERMS));
    }
    input.state.terms += 1;
    let at = input.current_token_start();
    let path = path(input)?;
    space(input)?;
    if rest(input).starts_with('(') {
        return Err(Fault::new(at, Problem::Function));
    }
    let operator = operator(input)?;
    space(input)?;
    let literal_at = input.current_token_start();
    let literal = literal(input)?;
    if literal == Literal::Any && operator != Operator::Has {
        return Err(Fault::new(literal_at, Problem::Any));
    }
    space(input)?;
    Ok(Comparison { path, operator, literal, at, literal_at })
}

/// `properties.a."b c"`
fn path(input: &mut Input<'_>) -> Read<Vec<String>> {
    if !rest(input).starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') || is_keyword(rest(input)) {
        return fault(input, Problem::FieldExpected);
    }
    let mut path = vec![segment(input)?];
    while rest(input).starts_with('.') {
        any::<_, Fault>.void().parse_next(input)?;
        path.push(segment(input)?);
        if path.len() > SEGMENTS {
            return fault(input, Problem::Depth(SEGMENTS));
        }
    }
    Ok(path)
}

fn segment(input: &mut Input<'_>) -> Read<String> {
    if rest(input).starts_with(['"', '\'']) {
        return quoted(input);
    }
    let name: &str = take_while(0.., |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-').parse_next(input)?;
    if name.is_empty() { fault(input, Problem::FieldExpected) } else { Ok(name.to_owned()) }
}

fn operator(input: &mut Input<'_>) -> Read<Operator> {
    let found: Option<Operator> = opt(alt((
        word::<_, _, Fault>("!=").value(Operator::Unequal),
        word("<=").value(Operator::AtMost),
        word(">=").value(Operator::AtLeast),
        word("=").value(Operator::Equal),
        word("<").value(Operator::Less),
        word(">").value(Operator::More),
        word(":").value(Operator::Has),
    )))
    .parse_next(input)?;
    found.ok_or_else(|| Fault::new(input.current_token_start(), Problem::OperatorExpected))
}

fn literal(input: &mut Input<'_>) -> Read<Literal> {
    if rest(input).starts_with(['"', '\'']) {
        return quoted(input).map(Literal::Text);
    }
    if symbol(input, "*") {
        return Ok(Literal::Any);
    }
    let at = input.current_token_start();
    if is_keyword(rest(input)) {
        return fault(input, Problem::LiteralExpected);
    }
    let bare: &str = take_while(0.., |c: char| c.is_alphanumeric() || "_.:+-".contains(c)).parse_next(input)?;
    if bare.is_empty() || bare.starts_with([':', '.', '+']) {
        return Err(Fault::new(at, Problem::LiteralExpected));
    }
    literal::word(bare, at)
}

/// In double or single quotes.
fn quoted(input: &mut Input<'_>) -> Read<String> {
    let open = input.current_token_start();
    let quote: char = any::<_, Fault>.parse_next(input)?;
    let mut text = String::new();
    loop {
        let at = input.current_token_start();
        match any::<_, Fault>.parse_next(input).map_err(|_| Fault::new(open, Problem::QuoteOpen))? {
            '\\' => match any::<_, Fault>.parse_next(input).map_err(|_| Fault::new(open, Problem::QuoteOpen))? {
                escaped @ ('"' | '\'' | '\\') => text.push(escaped),
                _ => return Err(Fault::new(at, Problem::Escape)),
            },
            end if end == quote => return Ok(text),
            letter => text.push(letter),
        }
    }
}

// --- words

fn rest<'i>(input: &Input<'i>) -> &'i str {
    input.input.as_ref()
}

fn fault<T>(input: &Input<'_>, problem: Problem) -> Read<T> {
    Err(Fault::new(input.current_token_start(), problem))
}

fn space(input: &mut Input<'_>) -> Read<()> {
    take_while(0.., |c: char| c.is_whitespace()).void().parse_next(input)
}

/// Takes a symbol and the space after it.
fn symbol(input: &mut Input<'_>, symbol: &'static str) -> bool {
    let found = opt(word::<_, _, Fault>(symbol)).parse_next(input).is_ok_and(|found| found.is_some());
    found && space(input).is_ok()
}

/// Takes a keyword and the space after it.
fn keyword(input: &mut Input<'_>, keyword: &'static str) -> bool {
    first_word(rest(input)) == keyword && symbol(input, keyword)
}

fn is_keyword(text: &str) -> bool {
    matches!(first_word(text), "AND" | "OR" | "NOT")
}

fn first_word(text: &str) -> &str {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.' || c == '-')).next().unwrap_or_default()
}

fn starts_term(input: &Input<'_>) -> bool {
    rest(input).starts_with(|first: char| first.is_ascii_alphabetic() || matches!(first, '_' | '-' | '(')) && first_word(rest(input)) != "OR"
}

fn one_or(mut parts: Vec<Expression>, many: fn(Vec<Expression>) -> Expression) -> Expression {
    match parts.len() {
        1 => parts.remove(0),
        _ => many(parts),
    }
}
