//! The CSV encoder component.
