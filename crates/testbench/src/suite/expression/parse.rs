//! Reads expressions: tokens, recursive descent, kinds.

use super::{Expression, Function, Kind, Node, Operator, Scope, Term};

/// Longer texts and deeper nesting are refused, which bounds the recursion.
const TEXT_LIMIT_BYTES: usize = 2000;
const DEPTH_LIMIT: usize = 40;

/// Why a text is no expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExpressionError {
    /// Byte offset in the text.
    pub(crate) at: usize,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Token<'a> {
    at: usize,
    text: &'a str,
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token<'a>>,
    next: usize,
    depth: usize,
    scope: &'a Scope,
}

type Parsed = Result<(Node, Kind), ExpressionError>;

pub(super) fn parse(text: &str, scope: &Scope, wanted: Kind) -> Result<Expression, ExpressionError> {
    if text.len() > TEXT_LIMIT_BYTES {
        return Err(error(0, format!("an expression has {TEXT_LIMIT_BYTES} bytes at most")));
    }
    let mut parser = Parser { text, tokens: tokens(text), next: 0, depth: 0, scope };
    let (root, kind) = parser.binary(0)?;
    if let Some(token) = parser.peek() {
        return Err(error(token.at, format!("`{}` is not expected here", token.text)));
    }
    if kind != wanted {
        return Err(error(0, format!("this gives {}, not {}", kind.name(), wanted.name())));
    }
    Ok(Expression { text: text.to_owned(), root, kind })
}

fn error(at: usize, message: impl Into<String>) -> ExpressionError {
    ExpressionError { at, message: message.into(), hint: None }
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let at = text.len() - rest.len();
        let length = if letter.is_whitespace() {
            letter.len_utf8()
        } else if letter == '\'' {
            // One that is not closed ends with the text, and is told when it is read.
            rest.get(1..).and_then(|inner| inner.find('\'')).map_or(rest.len(), |at| at + 2)
        } else if is_word(letter) {
            rest.find(|letter| !is_word(letter)).unwrap_or(rest.len())
        } else if ["==", "!=", "<=", ">=", ".."].iter().any(|pair| rest.starts_with(pair)) {
            2
        } else {
            letter.len_utf8()
        };
        let (token, after) = rest.split_at(length);
        if !letter.is_whitespace() {
            tokens.push(Token { at, text: token });
        }
        rest = after;
    }
    tokens
}

/// Operators by how tightly they bind, the loosest first.
const LEVELS: [&[(&str, Operator)]; 7] = [
    &[("or", Operator::Or)],
    &[("and", Operator::And)],
    &[
        ("==", Operator::Equal),
        ("!=", Operator::NotEqual),
        ("<", Operator::Less),
        ("<=", Operator::LessOrEqual),
        (">", Operator::Greater),
        (">=", Operator::GreaterOrEqual),
    ],
    &[("|", Operator::BitOr)],
    &[("&", Operator::BitAnd)],
    &[("+", Operator::Add), ("-", Operator::Subtract)],
    &[("*", Operator::Multiply), ("/", Operator::Divide), ("%", Operator::Remainder)],
];

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.next).copied()
    }

    fn take(&mut self) -> Result<Token<'a>, ExpressionError> {
        let token = self.peek().ok_or_else(|| error(self.text.len(), "something is missing here"))?;
        self.next += 1;
        Ok(token)
    }

    fn take_if(&mut self, text: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.text == text);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, text: &str) -> Result<Token<'a>, ExpressionError> {
        let token = self.take()?;
        if token.text == text {
            Ok(token)
        } else {
            Err(error(token.at, format!("`{text}` is expected here")))
        }
    }

    /// How the text between two nodes reads.
    fn shown(&self, node: &Node) -> &'a str {
        self.text.get(node.span.clone()).unwrap_or_default()
    }

    fn wanted(&self, (node, kind): &(Node, Kind), wanted: Kind) -> Result<(), ExpressionError> {
        if *kind == wanted {
            return Ok(());
        }
        let message = format!("`{}` is {}, not {}", self.shown(node), kind.name(), wanted.name());
        Err(error(node.span.start, message))
    }

    fn binary(&mut self, level: usize) -> Parsed {
        let Some(operators) = LEVELS.get(level) else { return self.postfix() };
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = self
            .peek()
            .and_then(|token| operators.iter().find(|(text, _)| *text == token.text).map(|(_, own)| *own))
        {
            self.next += 1;
            let right = self.binary(level + 1)?;
            let kind = self.check_operands(operator, &left, &right)?;
            let span = left.0.span.start..right.0.span.end;
            left = (Node { span, term: Term::Binary(operator, Box::new(left.0), Box::new(right.0)) }, kind);
        }
        Ok(left)
    }

    fn check_operands(
        &self,
        operator: Operator,
        left: &(Node, Kind),
        right: &(Node, Kind),
    ) -> Result<Kind, ExpressionError> {
        let (operands, result) = match operator {
            Operator::Or | Operator::And => (Kind::Truth, Kind::Truth),
            Operator::Equal | Operator::NotEqual if left.1 != right.1 => {
                let (one, other) = (self.shown(&left.0), self.shown(&right.0));
                let message = format!("`{one}` is {}, `{other}` is {}", left.1.name(), right.1.name());
                return Err(error(left.0.span.start, message));
            }
            Operator::Equal | Operator::NotEqual => (left.1, Kind::Truth),
            Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
                (Kind::Number, Kind::Truth)
            }
            _ => (Kind::Number, Kind::Number),
        };
        self.wanted(left, operands)?;
        self.wanted(right, operands)?;
        Ok(result)
    }

    fn postfix(&mut self) -> Parsed {
        let mut value = self.primary()?;
        while self.take_if("[") {
            self.wanted(&value, Kind::Bytes)?;
            let start = self.nested()?;
            self.wanted(&start, Kind::Number)?;
            let end = if self.take_if("..") { Some(self.nested()?) } else { None };
            let close = self.expect("]")?;
            let span = value.0.span.start..close.at + 1;
            let bytes = Box::new(value.0);
            value = match end {
                None => (Node { span, term: Term::Index(bytes, Box::new(start.0)) }, Kind::Number),
                Some(end) => {
                    self.wanted(&end, Kind::Number)?;
                    (Node { span, term: Term::Slice(bytes, Box::new(start.0), Box::new(end.0)) }, Kind::Bytes)
                }
            };
        }
        Ok(value)
    }

    fn nested(&mut self) -> Parsed {
        self.depth += 1;
        if self.depth > DEPTH_LIMIT {
            let at = self.peek().map_or(self.text.len(), |token| token.at);
            return Err(error(at, format!("nested more than {DEPTH_LIMIT} deep")));
        }
        let inner = self.binary(0);
        self.depth -= 1;
        inner
    }

    fn primary(&mut self) -> Parsed {
        let token = self.take()?;
        let span = token.at..token.at + token.text.len();
        let first = token.text.chars().next().unwrap_or(' ');
        if token.text == "(" {
            let (node, kind) = self.nested()?;
            let close = self.expect(")")?;
            return Ok((Node { span: token.at..close.at + 1, ..node }, kind));
        }
        if first.is_ascii_digit() {
            let value = number(token.text)
                .ok_or_else(|| error(token.at, format!("`{}` is no number", token.text)))?;
            return Ok((Node { span, term: Term::Number(value) }, Kind::Number));
        }
        if first == '\'' {
            let inner = token.text.strip_prefix('\'').and_then(|inner| inner.strip_suffix('\''));
            let inner = inner.ok_or_else(|| error(token.at, "this text is not closed"))?;
            return Ok((Node { span, term: Term::Text(inner.to_owned()) }, Kind::Bytes));
        }
        if !(first.is_ascii_alphabetic() || first == '_') {
            return Err(error(token.at, format!("`{}` is not expected here", token.text)));
        }
        if self.take_if("(") {
            return self.call(token);
        }
        let kind = self.scope.get(token.text).copied().ok_or_else(|| ExpressionError {
            hint: Some(format!("known here: {}", self.scope.keys().cloned().collect::<Vec<_>>().join(", "))),
            ..error(token.at, format!("no name `{}`", token.text))
        })?;
        Ok((Node { span, term: Term::Name(token.text.to_owned()) }, kind))
    }

    fn call(&mut self, name: Token<'a>) -> Parsed {
        let function = Function::ALL.iter().find(|(text, _)| *text == name.text).map(|(_, own)| *own);
        let function = function.ok_or_else(|| ExpressionError {
            hint: Some(format!("there are {}", Function::ALL.map(|(text, _)| text).join(", "))),
            ..error(name.at, format!("no function `{}`", name.text))
        })?;
        let (kinds, result) = function.signature();
        let mut arguments = Vec::new();
        let end = loop {
            let argument = self.nested()?;
            if let Some(kind) = kinds.get(arguments.len()) {
                self.wanted(&argument, *kind)?;
            }
            arguments.push(argument.0);
            if !self.take_if(",") {
                break self.expect(")")?.at + 1;
            }
        };
        if arguments.len() != kinds.len() {
            let message = format!("`{}` takes {} values, not {}", name.text, kinds.len(), arguments.len());
            return Err(error(name.at, message));
        }
        Ok((Node { span: name.at..end, term: Term::Call(function, arguments) }, result))
    }
}

fn number(text: &str) -> Option<i64> {
    match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
