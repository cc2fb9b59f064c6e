//! The jq processor component.
