//! Digests and encodings.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::super::evaluate::{EvaluationError, Scope};
use super::super::syntax::Tree;
use super::super::value::Value;
use super::core::argument;

type Outcome = Result<Value, EvaluationError>;

/// `digest(text, 'SHA-256', 'hex' or 'base64')`; base64 where nothing is said.
pub(super) fn digest(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let text = scope.text(argument(arguments, 0, "digest")?)?;
    let bytes = text.as_bytes();
    let digest = match scope.text(argument(arguments, 1, "digest")?)?.as_str() {
        "MD5" => Md5::digest(bytes).to_vec(),
        "SHA-1" => Sha1::digest(bytes).to_vec(),
        "SHA-256" => Sha256::digest(bytes).to_vec(),
        "SHA-384" => Sha384::digest(bytes).to_vec(),
        "SHA-512" => Sha512::digest(bytes).to_vec(),
        _ => {
            let expected = "MD5, SHA-1, SHA-256, SHA-384 or SHA-512";
            return Err(EvaluationError::Argument { function: "digest", expected });
        }
    };
    let encoding = arguments.get(2).map(|tree| scope.text(tree)).transpose()?;
    Ok(Value::Text(match encoding.as_deref() {
        Some("hex") => digest.iter().fold(String::with_capacity(digest.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }),
        None | Some("base64") => STANDARD.encode(digest),
        Some(_) => return Err(EvaluationError::Argument { function: "digest", expected: "the encoding hex or base64" }),
    }))
}

/// Blank where it is not base64 of UTF-8.
pub(super) fn base64_decode(scope: &Scope<'_>, arguments: &[Tree]) -> Outcome {
    let text = scope.text(argument(arguments, 0, "base64-decode")?)?;
    let decoded = STANDARD.decode(text.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    Ok(Value::Text(decoded.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::tests::check;

    #[test]
    fn known_digests() {
        check(&[
            ("digest('abc', 'MD5', 'hex')", "900150983cd24fb0d6963f7d28e17f72"),
            ("digest('abc', 'SHA-1', 'hex')", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            ("digest('abc', 'SHA-256')", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="),
            ("string-length(digest('abc', 'SHA-384', 'hex'))", "96"),
            ("string-length(digest('abc', 'SHA-512', 'hex'))", "128"),
            ("base64-decode('2LPZhNin2YU=')", "سلام"),
            ("base64-decode('***')", ""),
        ]);
    }
}
