//! A record in its form's words.
