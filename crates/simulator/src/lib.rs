//! A simulated Defender to run against.
