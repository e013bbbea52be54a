//! Adapter files of every kind.
