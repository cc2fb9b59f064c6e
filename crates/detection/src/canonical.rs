//! A digest of what an object means, for detections without a FullId.
//!
//! Members are sorted as RFC 8785 has it (by the UTF-16 units of their names; those of
//! one name keep their order), white space is dropped, strings are written in one way.
//! Unlike there, numbers keep their spelling, and strings that hold a lone surrogate
//! keep theirs: reading them as doubles and as text would make two detections one.

use crate::text::unescape;
use crate::token::{Inside, Stop, Tokens};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::ops::Range;

/// `sha256:` and the hexadecimal digest. `json` is known to be one JSON object, nested
/// at most [`MAX_DEPTH`](crate::MAX_DEPTH) deep.
pub(crate) fn digest(json: &str) -> String {
    let mut writer = Writer {
        json,
        tokens: Tokens::new(json.as_bytes(), 0),
        out: String::with_capacity(json.len()),
    };
    let canonical = match writer.value() {
        Ok(()) => writer.out.as_str(),
        // Cannot be, as the object was read before.
        Err(_) => json,
    };
    format!("sha256:{:x}", Sha256::digest(canonical))
}

struct Writer<'a> {
    json: &'a str,
    tokens: Tokens<'a>,
    out: String,
}

impl<'a> Writer<'a> {
    fn value(&mut self) -> Result<(), Stop> {
        match self.tokens.peek()? {
            b'{' => self.object(),
            b'[' => self.array(),
            b'"' => {
                let inside = self.tokens.string()?;
                self.string(inside);
                Ok(())
            }
            _ => {
                let from = self.tokens.at;
                self.tokens.word()?;
                self.out.push_str(self.slice(from, self.tokens.at));
                Ok(())
            }
        }
    }

    fn array(&mut self) -> Result<(), Stop> {
        self.out.push('[');
        self.tokens.at += 1;
        self.tokens.space();
        while self.tokens.peek()? != b']' {
            self.value()?;
            self.tokens.space();
            if self.tokens.peek()? == b',' {
                self.out.push(',');
                self.tokens.at += 1;
                self.tokens.space();
            }
        }
        self.out.push(']');
        self.tokens.at += 1;
        Ok(())
    }

    /// Writes the members as they come, and then once more in order.
    fn object(&mut self) -> Result<(), Stop> {
        self.out.push('{');
        let from = self.out.len();
        let mut members: Vec<(Cow<'a, str>, Range<usize>)> = Vec::new();
        self.tokens.at += 1;
        self.tokens.space();
        while self.tokens.peek()? != b'}' {
            let start = self.out.len();
            let name = self.tokens.name()?;
            self.string(name);
            self.out.push(':');
            self.value()?;
            let meant = unescape(self.slice(name.start, name.end).as_bytes()).text;
            members.push((meant, start..self.out.len()));
            self.tokens.space();
            if self.tokens.peek()? == b',' {
                self.tokens.at += 1;
                self.tokens.space();
            }
        }
        // Where they begin keeps equal names in order; a stable sort is larger code.
        members.sort_unstable_by(|(a, from), (b, to)| {
            let names = a.encode_utf16().cmp(b.encode_utf16());
            names.then(from.start.cmp(&to.start))
        });
        let members: Vec<&str> = members
            .into_iter()
            .filter_map(|(_, place)| self.out.get(place))
            .collect();
        let sorted = members.join(",");
        self.out.truncate(from);
        self.out.push_str(&sorted);
        self.out.push('}');
        self.tokens.at += 1;
        Ok(())
    }

    fn string(&mut self, inside: Inside) {
        let raw = self.slice(inside.start, inside.end);
        let meaning = unescape(raw.as_bytes());
        if inside.escaped && meaning.exact {
            // Writing a string cannot fail.
            self.out
                .push_str(&serde_json::to_string(&meaning.text).unwrap_or_default());
        } else {
            self.out.push('"');
            self.out.push_str(raw);
            self.out.push('"');
        }
    }

    fn slice(&self, from: usize, to: usize) -> &'a str {
        self.json.get(from..to).unwrap_or_default()
    }
}
