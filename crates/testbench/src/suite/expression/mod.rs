//! The small language in which cases compute parameters and say what must hold of an answer.
//!
//! Values are numbers (64 bits, signed), byte strings and truth values; which of them an expression gives is known before
//! anything runs. `==` compares numbers or byte strings; `&`, `|` bind tighter than comparisons; `x[i]` is a byte,
//! `x[i..j]` a part. Functions are listed in [`Function`].
//!
//! ```text
//! data[0] & 0x1f == 0 and len(data) == min(n, 5 + full[4])
//! ```

mod eval;
mod function;
mod parse;
mod pci;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

pub(crate) use eval::EvalError;
pub(crate) use parse::ExpressionError;

/// What kind of value an expression gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Number,
    Bytes,
    Truth,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Bytes => "bytes",
            Self::Truth => "a truth value",
        }
    }
}

/// A value. Copies of bytes share them: a check that looks at one byte must not copy the 64 KiB around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Number(i64),
    Bytes(Arc<Vec<u8>>),
    Truth(bool),
}

impl Value {
    pub(crate) fn bytes(bytes: Vec<u8>) -> Self {
        Self::Bytes(Arc::new(bytes))
    }
}

/// The names an expression may use, with their kinds.
pub(crate) type Scope = BTreeMap<String, Kind>;

/// The name of the run's seed. No expression can say it, as it has a blank.
pub(crate) const SEED: &str = "run seed";

/// The values of names.
pub(crate) type Environment = BTreeMap<String, Value>;

/// Gives a name its value. Most names get another one with every command; only the first needs room for the name.
pub(crate) fn set(names: &mut Environment, name: &str, value: Value) {
    match names.get_mut(name) {
        Some(place) => *place = value,
        None => drop(names.insert(name.to_owned(), value)),
    }
}

/// Where an expression's names get their values.
pub(crate) trait Lookup {
    /// The value of a name; `None` while it has none.
    fn value_of(&self, name: &str) -> Option<Value>;
}

impl Lookup for Environment {
    fn value_of(&self, name: &str) -> Option<Value> {
        self.get(name).cloned()
    }
}

/// An expression that has been read and whose kinds fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expression {
    text: String,
    root: Node,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Node {
    /// Bytes of the text.
    span: Range<usize>,
    term: Term,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Term {
    Number(i64),
    /// `'text'`: its bytes.
    Text(String),
    Name(String),
    Index(Box<Node>, Box<Node>),
    Slice(Box<Node>, Box<Node>, Box<Node>),
    Call(Function, Vec<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    BitOr,
    BitAnd,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// What can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    /// `len(b)`: how many bytes.
    Len,
    /// `be16(b, i)`: the two bytes at `i`, the more significant first.
    Be16,
    /// `be24(b, i)`: three bytes.
    Be24,
    /// `be32(b, i)`: four bytes.
    Be32,
    /// `min(x, y)`
    Min,
    /// `max(x, y)`
    Max,
    /// `nonzero(x, y)`: `x`, or `y` where `x` is zero: a length of 0 that means 256.
    NonZero,
    /// `ascii(b)`: codes 20h to 7Eh only (X3.131-1994, 8.2.5.1).
    Ascii,
    /// `zero(b)`: nothing but zeros.
    Zero,
    /// `prefix(b, whole)`: `b` is how `whole` begins.
    Prefix,
    /// `le16(b, i)`: the two bytes at `i`, the less significant first.
    Le16,
    /// `le32(b, i)`: four bytes.
    Le32,
    /// `ones(b)`: how many bytes are FFh, which is what is read where nobody answers.
    Ones,
    /// `word(b, w)`: `w` is one of the words of the text `b`.
    Word,
    /// `capability(config, id)`: the offset of a capability; 0 if there is none.
    Capability,
    /// `extended(config, id)`: the same of the extended ones.
    Extended,
    /// `chains(config)`: the lists of capabilities can be walked to their ends.
    Chains,
    /// `bars(config)`: the indices of the base address registers that are set, a byte each.
    Bars,
    /// `agree(a, b, mask)`: as long as each other, and equal in all bits that `mask` has not.
    Agree,
    /// `contains(whole, b)`: `b` is somewhere in `whole`.
    Contains,
    /// `xor(x, y)`
    Xor,
    /// `pow2(n)`: two to the power of `n`, 0 to 62.
    Pow2,
    /// `random(seed, n)`: a number from 0 to `n` - 1, the same for the same seed within a run.
    Random,
    /// `set(b, i, x)`: `b` with the byte at `i` replaced.
    Set,
    /// `patched(b, i, part)`: `b` with the bytes from `i` on replaced by `part`.
    Patched,
    /// `tagged(lba, n, size, seed)`: `n` blocks of `size` bytes, each pseudo-random after its own address and the seed.
    Tagged,
}

impl Function {
    const ALL: [(&'static str, Self); 26] = [
        ("len", Self::Len),
        ("be16", Self::Be16),
        ("be24", Self::Be24),
        ("be32", Self::Be32),
        ("min", Self::Min),
        ("max", Self::Max),
        ("nonzero", Self::NonZero),
        ("ascii", Self::Ascii),
        ("zero", Self::Zero),
        ("prefix", Self::Prefix),
        ("le16", Self::Le16),
        ("le32", Self::Le32),
        ("ones", Self::Ones),
        ("word", Self::Word),
        ("capability", Self::Capability),
        ("extended", Self::Extended),
        ("chains", Self::Chains),
        ("bars", Self::Bars),
        ("agree", Self::Agree),
        ("contains", Self::Contains),
        ("xor", Self::Xor),
        ("pow2", Self::Pow2),
        ("random", Self::Random),
        ("set", Self::Set),
        ("patched", Self::Patched),
        ("tagged", Self::Tagged),
    ];

    fn signature(self) -> (&'static [Kind], Kind) {
        use Kind::{Bytes, Number, Truth};
        match self {
            Self::Len | Self::Ones => (&[Bytes], Number),
            Self::Be16 | Self::Be24 | Self::Be32 | Self::Le16 | Self::Le32 => (&[Bytes, Number], Number),
            Self::Capability | Self::Extended => (&[Bytes, Number], Number),
            Self::Bars => (&[Bytes], Bytes),
            Self::Min | Self::Max | Self::NonZero | Self::Xor | Self::Random => (&[Number, Number], Number),
            Self::Pow2 => (&[Number], Number),
            Self::Agree => (&[Bytes, Bytes, Bytes], Truth),
            Self::Set => (&[Bytes, Number, Number], Bytes),
            Self::Patched => (&[Bytes, Number, Bytes], Bytes),
            Self::Tagged => (&[Number, Number, Number, Number], Bytes),
            Self::Ascii | Self::Zero | Self::Chains => (&[Bytes], Truth),
            Self::Prefix | Self::Word | Self::Contains => (&[Bytes, Bytes], Truth),
        }
    }
}

impl Expression {
    /// Reads an expression that must give a value of one kind.
    pub(crate) fn parse(text: &str, scope: &Scope, wanted: Kind) -> Result<Self, ExpressionError> {
        parse::parse(text, scope, wanted)
    }

    /// A number that is known already.
    pub(crate) fn number(value: i64) -> Self {
        let text = value.to_string();
        let root = Node { span: 0..text.len(), term: Term::Number(value) };
        Self { text, root, kind: Kind::Number }
    }

    /// What kind of value it gives.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Calls `seen` with each name it uses.
    pub(crate) fn each_name<'a>(&'a self, seen: &mut dyn FnMut(&'a str)) {
        self.root.each_name(seen);
    }
}

impl Node {
    fn each_name<'a>(&'a self, seen: &mut dyn FnMut(&'a str)) {
        match &self.term {
            Term::Number(_) | Term::Text(_) => {}
            Term::Name(name) => seen(name),
            Term::Index(a, b) | Term::Binary(_, a, b) => {
                a.each_name(seen);
                b.each_name(seen);
            }
            Term::Slice(a, b, c) => [a, b, c].into_iter().for_each(|node| node.each_name(seen)),
            Term::Call(_, arguments) => arguments.iter().for_each(|node| node.each_name(seen)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Scope {
        [("data", Kind::Bytes), ("full", Kind::Bytes), ("n", Kind::Number)]
            .map(|(name, kind)| (name.into(), kind))
            .into()
    }

    fn environment() -> Environment {
        let bytes = |bytes: &[u8]| Value::bytes(bytes.to_vec());
        let values =
            [("data", bytes(&[1, 2, 0x7f])), ("full", bytes(&[1, 2, 0x7f, 0])), ("n", Value::Number(3))];
        values.map(|(name, value)| (name.into(), value)).into()
    }

    fn truth(text: &str) -> Result<bool, String> {
        let expression = Expression::parse(text, &scope(), Kind::Truth).map_err(|error| error.message)?;
        expression.holds(&environment()).map(|()| true).or_else(|error| match error {
            EvalError::False(_) => Ok(false),
            EvalError::Impossible(reason) => Err(reason),
        })
    }

    #[test]
    fn what_holds_holds_and_what_does_not_does_not() {
        for text in [
            "data[0] & 0x1f == 1",
            "len(data) == min(n, 5) and prefix(data, full)",
            "be16(data, 0) == 0x102",
            "be24(data, 0) == 0x1027f",
            "data[1..3] == full[1..3]",
            "zero(full[3..4]) or n > 9",
            "nonzero(n - 3, 256) == 256",
            "le16(full, 0) == 0x201 and le32(full, 0) == 0x7f0201",
            "word('flr bus', 'bus') and word('a', 'a') and data[0..0] == ''",
            "word('flrx', 'flr') or n == 3",
            "2 + 3 * 4 == 14 and (2 + 3) * 4 == 20 and 7 / 2 == 3 and 7 % 4 == 3",
        ] {
            assert_eq!(truth(text), Ok(true), "{text}");
        }
        for text in [
            "ones(data) == 1",
            "word('flrx', 'flr')",
            "n != 3",
            "n < 3",
            "ascii(data)",
            "data == full",
            "n >= 4",
            "n <= 2",
            "1 | 2 == 2",
        ] {
            assert_eq!(truth(text), Ok(false), "{text}");
        }
    }

    #[test]
    fn a_failed_comparison_tells_both_sides() {
        let expression = Expression::parse("data[1] == n", &scope(), Kind::Truth).unwrap();
        let Err(EvalError::False(reason)) = expression.holds(&environment()) else { panic!() };
        assert_eq!(reason, "data[1] == n: left is 2 (02h), right is 3 (03h)");
    }

    #[test]
    fn what_cannot_be_computed_is_said_with_the_reason() {
        assert_eq!(truth("data[3] == 0"), Err("data[3]: only 3 bytes are there".into()));
        assert_eq!(truth("be32(data, 0) == 0"), Err("be32(data, 0): only 3 bytes are there".into()));
        assert_eq!(truth("data[2..1] == data"), Err("data[2..1]: only 3 bytes are there".into()));
        assert_eq!(truth("n / (n - 3) == 1"), Err("n / (n - 3): out of range".into()));
        assert_eq!(
            truth("9223372036854775807 + n == 1"),
            Err("9223372036854775807 + n: out of range".into())
        );
    }

    #[test]
    fn faults_are_found_before_anything_runs() {
        for (text, at, message) in [
            ("nn == 1", 0, "no name `nn`"),
            ("data == 1", 0, "`data` is bytes, `1` is a number"),
            ("n + 1", 0, "this gives a number, not a truth value"),
            ("len(n) == 1", 4, "`n` is a number, not bytes"),
            ("lem(data) == 1", 0, "no function `lem`"),
            ("min(n) == 1", 0, "`min` takes 2 values, not 1"),
            ("n ==", 4, "something is missing here"),
            ("n == 1)", 6, "`)` is not expected here"),
            ("data == 'x", 8, "this text is not closed"),
            ("n $ 1", 2, "`$` is not expected here"),
            ("n == 0xg", 5, "`0xg` is no number"),
        ] {
            let error = Expression::parse(text, &scope(), Kind::Truth).unwrap_err();
            assert_eq!((error.at, error.message.as_str()), (at, message), "{text}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_not_overflowed() {
        let text = format!("{}n{} == 1", "(".repeat(900), ")".repeat(900));
        assert!(Expression::parse(&text, &scope(), Kind::Truth).is_err());
    }
}
