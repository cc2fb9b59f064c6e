//! How much filter one filter may be.
//!
//! jaq reads, compiles and runs a filter by recursion: a level for each bracket, and one
//! for each operator in a chain, `a or b or c`. A component that runs out of stack is
//! ended without a word. So what would recurse is counted first and refused with its
//! place. In wasmtime's default stack of 512 KiB the worst construct, `def` in `def`,
//! ends at 501 levels, a chain of pipes at 593 and of `or` at 613.
//!
//! What a filter's own recursion needs while it runs (`def f: 1 + f; f`) depends on the
//! detection too, and is for the stack to bound.

use jaq_core::load::lex::{Lexer, StrPart, Tok, Token};

use crate::fault::Fault;

/// The most brackets and operators in one filter, commas counted. A long list of values
/// is cheaper as a string: `.Country as $c | "DE FR UK" / " " | any(. == $c)`.
pub const MAX_OPERATORS: usize = 400;

/// Keywords that jaq takes as a level each.
const KEYWORDS: &[&str] = &[
    "and", "as", "def", "elif", "foreach", "if", "label", "or", "reduce", "try",
];

/// Refuses a filter that recurses too deep.
pub(crate) fn check(filter: &str) -> Result<(), Fault> {
    // The lexer recurses too. This counts brackets in strings as well, which do not
    // matter: they seldom open without closing.
    let mut open = 0_usize;
    for (offset, byte) in filter.bytes().enumerate() {
        match byte {
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        if open > MAX_OPERATORS {
            return Err(too_much(filter, filter.get(offset..).unwrap_or_default()));
        }
    }
    // What cannot be lexed is told by the loader.
    let tokens = Lexer::new(filter).lex().unwrap_or_default();
    let mut left = MAX_OPERATORS;
    match count(&tokens, &mut left) {
        Some(last) => Err(too_much(filter, last)),
        None => Ok(()),
    }
}

/// Takes the tokens from what is left; the one that it does not suffice for.
fn count<'a>(tokens: &[Token<&'a str>], left: &mut usize) -> Option<&'a str> {
    tokens.iter().find_map(|Token(text, kind)| {
        let counts = match kind {
            Tok::Sym => {
                !text.starts_with('.') && !matches!(*text, ":" | ";" | "?" | ")" | "]" | "}")
            }
            Tok::Word => KEYWORDS.contains(text),
            Tok::Block(_) => true,
            Tok::Var | Tok::Fmt | Tok::Num | Tok::Str(_) => false,
        };
        if counts {
            match left.checked_sub(1) {
                Some(fewer) => *left = fewer,
                None => return Some(*text),
            }
        }
        match kind {
            Tok::Block(inner) => count(inner, left),
            Tok::Str(parts) => parts.iter().find_map(|part| match part {
                StrPart::Term(inner) => count(std::slice::from_ref(inner), left),
                StrPart::Str(_) | StrPart::Char(_) => None,
            }),
            _ => None,
        }
    })
}

fn too_much(filter: &str, at: &str) -> Fault {
    let message = format!("there are more than {MAX_OPERATORS} brackets and operators");
    Fault::new(filter, at, message)
}
