//! A Defender detection as data: splitting an answer, the documented members, timestamps, identity.
