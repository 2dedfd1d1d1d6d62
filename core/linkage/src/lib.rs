//! core/linkage
