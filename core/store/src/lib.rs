//! core/store
