//! The tests are the `api` test binary.
