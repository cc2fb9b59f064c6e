//! Where an element ends that is not JSON, so that its neighbours can still be read.
//!
//! Only brackets and quotes are looked at. The caller asks only for faults that leave
//! them in step, since past a missing quote everything would be read inside out, and a
//! string's content could pass for an element.

use crate::scan::Stop;

/// One past the last byte of the element that begins at `start`.
pub(crate) fn end_of(text: &[u8], start: usize) -> Result<usize, Stop> {
    let mut depth = 0_u64;
    let mut quoted = false;
    let mut at = start;
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' if quoted => at += 1,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted && depth > 0 => {
                depth -= 1;
                if depth == 0 {
                    return Ok(at + 1);
                }
            }
            // The end of an element that is a bare word or number.
            b',' | b']' | b'}' if !quoted && depth == 0 => return Ok(at),
            _ => {}
        }
        at += 1;
    }
    Err(Stop::Incomplete)
}
