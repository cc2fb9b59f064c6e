//! How deep values may be nested.
//!
//! jaq reads and drops values by recursion, and a component that runs out of stack is
//! ended, whole batch and all. So depth is counted before a text is read, and while one
//! is written.

/// The deepest nesting of arrays and objects, the outermost counted. Real detections
/// have three levels; the bound is also that of most JSON readers.
pub(crate) const MAX_DEPTH: usize = 128;

/// Whether a JSON text, with jaq's comments or without, is nested deeper than `most`.
pub(crate) fn exceeds(json: &[u8], most: usize) -> bool {
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'#' if !in_string => {
                bytes.by_ref().find(|byte| **byte == b'\n');
            }
            b'"' => in_string = !in_string,
            b'\\' if in_string => {
                bytes.next();
            }
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > most {
                    return true;
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_strings_only() {
        assert!(!exceeds(br#"{"a":[[]]}"#, 3));
        assert!(exceeds(br#"{"a":[[]]}"#, 2));
        assert!(!exceeds(br#"{"a":"[[[[\"{{{"}"#, 1));
        assert!(!exceeds(br#"[[],[],[],{"a\\":[]}]"#, 3));
        assert!(exceeds(b"#\"\n[[[[", 3));
        assert!(!exceeds(b"\"#\" #[[[[", 3));
    }
}
