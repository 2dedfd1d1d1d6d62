//! core/record
