//! Markers client.
