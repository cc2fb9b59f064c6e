//! Whether a filter left a detection as it was.
//!
//! What was not changed keeps its text byte for byte, with repeated members, escapes and
//! number spellings that a value does not hold. Equality of jaq's values is too generous
//! for that: it ignores the order of members, and compares numbers as floating point
//! where one of them is. Here a filter that reorders members, or writes `1.0` for `1`,
//! has changed something.

use std::rc::Rc;

use jaq_json::{Num, Val};

/// Whether `output` is `input`, member order and spelling of numbers included. Takes no
/// longer than a walk through `input`, and no time when they are the same object.
pub(crate) fn unchanged(input: &Val, output: &Val) -> bool {
    match (input, output) {
        (Val::Obj(a), Val::Obj(b)) => {
            Rc::ptr_eq(a, b)
                || a.len() == b.len()
                    && a.iter()
                        .zip(b.iter())
                        .all(|((key, a), (other, b))| unchanged(key, other) && unchanged(a, b))
        }
        (Val::Arr(a), Val::Arr(b)) => {
            Rc::ptr_eq(a, b)
                || a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| unchanged(a, b))
        }
        (Val::TStr(a), Val::TStr(b)) => a == b,
        (Val::Num(a), Val::Num(b)) => match (a, b) {
            (Num::Int(a), Num::Int(b)) => a == b,
            (Num::BigInt(a), Num::BigInt(b)) => a == b,
            (Num::Dec(a), Num::Dec(b)) => a == b,
            // Only a calculation gives a float.
            _ => false,
        },
        (Val::Bool(a), Val::Bool(b)) => a == b,
        (Val::Null, Val::Null) => true,
        _ => false,
    }
}
