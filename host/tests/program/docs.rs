//! What README.md and docs/ tell a reader to write and to run works as it stands there.
//!
//! [`pages`] takes the pages apart; `commands` looks at every command, `configurations` at
//! every configuration, `settings` at every setting of the reference, `walk` follows
//! README.md and getting-started.md from top to bottom.

mod commands;
mod configurations;
mod pages;
mod settings;
mod walk;
