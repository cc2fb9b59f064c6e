//! Builds the bundled components and hands out their bytes.
