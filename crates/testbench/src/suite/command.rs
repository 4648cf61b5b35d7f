//! Command descriptor blocks from templates: the bytes of the block, and fields to put values into.

use std::collections::BTreeMap;

use super::expression::{Environment, EvalError, Expression, Lookup, Value};

/// A field of a command descriptor block. Bits are numbered as in the standard: 7 is a byte's most significant. A field
/// longer than what is left of its byte goes on in the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    byte: usize,
    msb: u32,
    width: u32,
}

impl Field {
    /// A field of `width` bits (1 to 32) that begins at bit `msb` of `byte`, or `None` if it does not fit in a block of
    /// `length` bytes.
    pub(crate) fn new(byte: u8, msb: u8, width: u8, length: usize) -> Option<Self> {
        let field = Self { byte: byte.into(), msb: msb.into(), width: width.into() };
        let fits = msb <= 7 && (1..=32).contains(&width) && field.end_bit() <= length * 8;
        fits.then_some(field)
    }

    fn start_bit(self) -> usize {
        self.byte * 8 + 7_usize.saturating_sub(usize::try_from(self.msb).unwrap_or(7))
    }

    fn end_bit(self) -> usize {
        self.start_bit() + usize::try_from(self.width).unwrap_or(usize::MAX / 2)
    }

    fn largest(self) -> i64 {
        (1_i64 << self.width) - 1
    }

    /// Where every command has its LUN: byte 1, bits 7 to 5 (X3.131-1994, 7.2.2).
    pub(crate) const LUN: Self = Self { byte: 1, msb: 7, width: 3 };

    /// Puts a value in; `None` if it does not fit.
    fn write(self, cdb: &mut [u8], value: i64) -> Option<()> {
        if !(0..=self.largest()).contains(&value) {
            return None;
        }
        let mut rest = value;
        for bit in (self.start_bit()..self.end_bit()).rev() {
            let mask = 1 << (7 - bit % 8);
            let byte = cdb.get_mut(bit / 8)?;
            *byte = if rest & 1 == 1 { *byte | mask } else { *byte & !mask };
            rest >>= 1;
        }
        Some(())
    }

    fn read(self, cdb: &[u8]) -> i64 {
        (self.start_bit()..self.end_bit()).fold(0, |value, bit| {
            let byte = cdb.get(bit / 8).copied().unwrap_or_default();
            value << 1 | i64::from(byte >> (7 - bit % 8) & 1)
        })
    }
}

/// A command with a name.
#[derive(Clone, Debug)]
pub(crate) struct CommandDefinition {
    pub(crate) title: String,
    pub(crate) cdb: Vec<u8>,
    pub(crate) fields: BTreeMap<String, Field>,
    /// Bits of the block that the standard reserves, counted from bit 0 of byte 0; none where the file does not tell.
    pub(crate) reserved: Vec<i64>,
    /// Size of the data that come or go, of the fields and the suite's names.
    pub(crate) length: Length,
}

/// Which way a command's data go, and how many.
#[derive(Clone, Debug)]
pub(crate) enum Length {
    None,
    In(Expression),
    Out(Expression),
}

/// A block to be made when the values of its fields are known.
#[derive(Clone, Debug)]
pub(crate) struct CdbTemplate {
    pub(crate) bytes: Vec<u8>,
    /// Fields that a step sets.
    pub(crate) set: Vec<(Field, Expression)>,
    /// A bit that is turned over at last, counted from bit 0 of byte 0.
    pub(crate) turn: Option<Expression>,
    /// All fields by name, for the length of the data.
    pub(crate) fields: BTreeMap<String, Field>,
}

impl CdbTemplate {
    /// Makes the block.
    pub(crate) fn build(&self, names: &Environment) -> Result<Vec<u8>, EvalError> {
        let mut cdb = self.bytes.clone();
        for (field, expression) in &self.set {
            let value = expression.as_number(names)?;
            field.write(&mut cdb, value).ok_or_else(|| {
                let text = expression.text();
                EvalError::Impossible(format!(
                    "{text} is {value}, and the field holds 0 to {}",
                    field.largest()
                ))
            })?;
        }
        if let Some(turn) = &self.turn {
            let bit = turn.as_number(names)?;
            let place = usize::try_from(bit / 8).ok().filter(|_| bit >= 0).and_then(|at| cdb.get_mut(at));
            let byte = place.ok_or_else(|| EvalError::Impossible(format!("no bit {bit} to turn over")))?;
            *byte ^= 1 << (bit % 8);
        }
        Ok(cdb)
    }

    /// What is known, with the numbers of a block's fields before all others of the same name.
    pub(crate) fn numbers<'a>(&'a self, cdb: &'a [u8], names: &'a Environment) -> Fields<'a> {
        Fields { fields: &self.fields, cdb, names }
    }
}

/// The fields of a block before the names known.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    fields: &'a BTreeMap<String, Field>,
    cdb: &'a [u8],
    names: &'a Environment,
}

impl Lookup for Fields<'_> {
    fn value_of(&self, name: &str) -> Option<Value> {
        match self.fields.get(name) {
            Some(field) => Some(Value::Number(field.read(self.cdb))),
            None => self.names.value_of(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_across_bytes_is_written_and_read_back() {
        // The logical block address of READ(6): byte 1 bits 4 to 0, bytes 2 and 3.
        let field = Field::new(1, 4, 21, 6).unwrap();
        let mut cdb = [0x08, 0xe0, 0, 0, 0xff, 0];
        field.write(&mut cdb, 0x1f_1234).unwrap();
        assert_eq!(cdb, [0x08, 0xff, 0x12, 0x34, 0xff, 0]);
        assert_eq!(field.read(&cdb), 0x1f_1234);
        assert_eq!(field.write(&mut cdb, 0x20_0000), None);
        assert_eq!(field.write(&mut cdb, -1), None);
    }

    #[test]
    fn a_field_outside_the_block_cannot_be_made() {
        assert!(Field::new(5, 7, 8, 6).is_some());
        for (byte, msb, width) in [(5, 7, 9), (6, 7, 1), (0, 8, 1), (0, 7, 0), (0, 7, 33)] {
            assert_eq!(Field::new(byte, msb, width, 6), None);
        }
    }
}
