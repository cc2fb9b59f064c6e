//! The member that says whose an alert is. It is the host's: it stands first in each
//! object that leaves, and a plugin may neither change it nor say it again. Where a sink has
//! no such member, objects are left as they came.

use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// The member with its value, for one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TenantMember {
    /// Its name; none where there is no such member.
    key: Option<String>,
    /// The tenant as JSON text.
    value: String,
}

/// What an object says of its tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// Nothing.
    Nothing,
    /// What the host said, once.
    Right,
    /// Something else, or it more than once.
    Forged,
}

impl TenantMember {
    pub(crate) fn new(key: Option<&str>, tenant: &str) -> Self {
        Self {
            key: key.map(str::to_owned),
            value: serde_json::Value::from(tenant).to_string(),
        }
    }

    /// Writes the object with the member in front of its others.
    pub(crate) fn write(&self, object: &[u8], out: &mut Vec<u8>) {
        let Some(key) = &self.key else {
            out.extend_from_slice(object);
            return;
        };
        let open = object.iter().position(|byte| *byte == b'{');
        let inside = open
            .and_then(|open| object.get(open + 1..))
            .unwrap_or_default();
        let is_empty = inside
            .iter()
            .find(|byte| !byte.is_ascii_whitespace())
            .is_none_or(|byte| *byte == b'}');
        out.extend_from_slice(b"{\"");
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(b"\":");
        out.extend_from_slice(self.value.as_bytes());
        if !is_empty {
            out.push(b',');
        }
        out.extend_from_slice(inside);
    }

    /// The object with the member in front.
    pub(crate) fn put(&self, object: &str) -> String {
        let mut out = Vec::with_capacity(object.len() + self.value.len() + 80);
        self.write(object.as_bytes(), &mut out);
        // It was text, and so is what was put in.
        String::from_utf8(out).unwrap_or_default()
    }

    /// What an object says. One that cannot be read might say anything. Where there is no
    /// such member nothing can be wrong with it.
    pub(crate) fn said(&self, object: &str) -> Said {
        let Some(key) = &self.key else {
            return Said::Right;
        };
        let mut json = serde_json::Deserializer::from_str(object);
        let found = json.deserialize_map(Look {
            key,
            value: &self.value,
        });
        found.unwrap_or(Said::Forged)
    }
}

/// Whether an object has a member of that name, however it is spelt.
pub(crate) fn has_member(object: &str, key: &str) -> bool {
    // Most have neither the name nor an escape that could spell it, and need not be read.
    let may = object.contains(key)
        || object.contains("\\u")
        || (key.contains('/') && object.contains("\\/"));
    may && TenantMember::new(Some(key), "").said(object) != Said::Nothing
}

struct Look<'l> {
    key: &'l str,
    value: &'l str,
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = Said;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Said, A::Error> {
        let mut said = Said::Nothing;
        while let Some(Key(key)) = map.next_key()? {
            if *key != *self.key.as_bytes() {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value: &RawValue = map.next_value()?;
            let is_same = serde_json::from_str::<Cow<'_, str>>(value.get()).ok()
                == serde_json::from_str::<Cow<'_, str>>(self.value).ok();
            said = match said {
                Said::Nothing if is_same => Said::Right,
                _ => Said::Forged,
            };
        }
        Ok(said)
    }
}

/// A member's name, copied only where it holds an escape. As bytes: half of a surrogate
/// pair is no text, and JSON's grammar takes it all the same.
struct Key<'k>(Cow<'k, [u8]>);

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_bytes<E>(self, text: &'de [u8]) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_bytes<E>(self, text: &[u8]) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_vec())))
            }
        }
        deserializer.deserialize_bytes(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stands_first_and_the_rest_is_as_it_was() {
        let member = TenantMember::new(Some("tenant"), "a\"b");
        for (object, want) in [
            ("{}", r#"{"tenant":"a\"b"}"#),
            (" { } ", r#"{"tenant":"a\"b" } "#),
            (r#"{"x":1.50}"#, r#"{"tenant":"a\"b","x":1.50}"#),
        ] {
            assert_eq!(member.put(object), want);
            assert_eq!(member.said(&member.put(object)), Said::Right);
            assert_eq!(member.said(object), Said::Nothing);
        }
    }

    #[test]
    fn where_there_is_none_an_object_is_as_it_was_and_may_say_anything() {
        let member = TenantMember::new(None, "a");
        for object in ["{}", " { } ", r#"{"tenant":"b","tenant":"c"}"#] {
            assert_eq!(member.put(object), object);
            assert_eq!(member.said(object), Said::Right);
        }
    }

    #[test]
    fn another_tenant_or_the_same_twice_in_any_spelling_is_forged() {
        let member = TenantMember::new(Some("tenant"), "a");
        for forged in [
            r#"{"tenant":"b"}"#,
            r#"{"tenant":"a","tenant":"b"}"#,
            r#"{"tenant":"a","tenant":"a"}"#,
            r#"{"tenant":"a","x":1,"\u0074enant":"b"}"#,
            r#"{"tenant":null}"#,
            r#"{"tenant":["a"]}"#,
            // Half of a surrogate pair used to hide what stands behind it.
            r#"{"\ud800":1,"tenant":"b"}"#,
            r#"{"\udfff\ud800x":1,"tenant":"b"}"#,
            r#"{"x":{"\ud800":"\ud800"},"tenant":"b"}"#,
            r#"{"tenant":"\ud800"}"#,
            // What cannot be read might say anything.
            r#"{"tenant":"a""#,
            "[]",
        ] {
            assert_eq!(member.said(forged), Said::Forged, "{forged}");
            let may_name_it = forged.contains("nant");
            assert_eq!(has_member(forged, "tenant"), may_name_it, "{forged}");
        }
        assert_eq!(member.said(r#"{"\ud800":1,"tenant":"a"}"#), Said::Right);
        assert_eq!(member.said(r#"{"\ud800":1}"#), Said::Nothing);
        assert_eq!(member.said(r#"{"tenant":"\u0061"}"#), Said::Right);
        assert_eq!(member.said(r#"{"x":{"tenant":"b"}}"#), Said::Nothing);
        assert!(!has_member(r#"{"x":{"tenant":"b"}}"#, "tenant"));
        assert!(!has_member(r#"{"\ud800":"C:\/"}"#, "tenant"));
        assert!(has_member(r#"{"a\/b":1}"#, "a/b"), "another spelling");
    }
}
