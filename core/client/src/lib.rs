//! core/client
