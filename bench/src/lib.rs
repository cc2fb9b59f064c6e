//! Watchbell beside a plain native puller.
