//! Tokens of an expression, with XPath's rule for telling `*`, `div` and `and` as operators from the same as names.

use super::XPathError;

/// A token and where it begins, in characters.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) offset: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Number(f64),
    Text(String),
    /// A name with its prefix, where it has one (`jr:itext`).
    Name(String),
    /// `and`, `or`, `div`, `mod` where an operator stands, and every sign.
    Sign(&'static str),
    End,
}

impl Kind {
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Number(number) => format!("`{number}`"),
            Self::Text(text) => format!("'{text}'"),
            Self::Name(name) => format!("`{name}`"),
            Self::Sign(sign) => format!("`{sign}`"),
            Self::End => "the end".to_owned(),
        }
    }
}

const SIGNS: [&str; 21] =
    ["!=", "<=", ">=", "//", "..", "::", "/", "|", "+", "-", "=", "<", ">", "(", ")", "[", "]", ".", "@", ",", "*"];

/// Splits an expression into tokens; the last is [`Kind::End`].
pub(super) fn tokens(source: &str) -> Result<Vec<Token>, XPathError> {
    let characters: Vec<char> = source.chars().collect();
    let at = |position: usize| characters.get(position).copied();
    let mut tokens: Vec<Token> = Vec::new();
    let mut position = 0;
    while let Some(character) = at(position) {
        let offset = position;
        if character.is_whitespace() {
            position += 1;
            continue;
        }
        let digit_follows = at(position + 1).is_some_and(|next| next.is_ascii_digit());
        let kind = if character.is_ascii_digit() || (character == '.' && digit_follows) {
            while at(position).is_some_and(|next| next.is_ascii_digit()) {
                position += 1;
            }
            // `1..2` is no number; `1.` is.
            if at(position) == Some('.') && at(position + 1) != Some('.') {
                position += 1;
                while at(position).is_some_and(|next| next.is_ascii_digit()) {
                    position += 1;
                }
            }
            let text: String = characters.iter().skip(offset).take(position - offset).collect();
            Kind::Number(text.parse().unwrap_or(f64::NAN))
        } else if character == '\'' || character == '"' {
            position += 1;
            let mut text = String::new();
            loop {
                match at(position) {
                    Some(next) if next == character => break,
                    Some(next) => text.push(next),
                    None => {
                        return Err(XPathError {
                            offset,
                            expected: format!("a closing {character}"),
                            found: "the end".to_owned(),
                        });
                    }
                }
                position += 1;
            }
            position += 1;
            Kind::Text(text)
        } else if is_name_start(character) {
            position = name_end(&characters, position);
            let mut name: String = characters.iter().skip(offset).take(position - offset).collect();
            let prefixed = at(position) == Some(':') && at(position + 1).is_some_and(|next| is_name_start(next) || next == '*');
            if prefixed && at(position + 1) == Some('*') {
                position += 2;
                name.push_str(":*");
            } else if prefixed {
                let local = position + 1;
                position = name_end(&characters, local);
                name.push(':');
                name.extend(characters.iter().skip(local).take(position - local));
            }
            match name.as_str() {
                "and" | "or" | "div" | "mod" if operator_may_follow(&tokens) => Kind::Sign(word_sign(&name)),
                _ => Kind::Name(name),
            }
        } else {
            let pair: String = characters.iter().skip(position).take(2).collect();
            let single = character.to_string();
            let sign = SIGNS.iter().find(|sign| **sign == pair).or_else(|| SIGNS.iter().find(|sign| **sign == single));
            let Some(sign) = sign else {
                return Err(XPathError {
                    offset,
                    expected: "a name, a number, a text in quotes or an operator".to_owned(),
                    found: format!("`{character}`"),
                });
            };
            position += sign.len();
            if *sign == "*" && operator_may_follow(&tokens) { Kind::Sign("times") } else { Kind::Sign(sign) }
        };
        tokens.push(Token { kind, offset });
    }
    tokens.push(Token { kind: Kind::End, offset: characters.len() });
    Ok(tokens)
}

fn word_sign(name: &str) -> &'static str {
    match name {
        "and" => "and",
        "or" => "or",
        "div" => "div",
        _ => "mod",
    }
}

/// XPath 1.0, section 3.7: after an operand, `*` multiplies and `and` joins; elsewhere they are names.
fn operator_may_follow(before: &[Token]) -> bool {
    match before.last().map(|token| &token.kind) {
        None | Some(Kind::End) => false,
        Some(Kind::Number(_) | Kind::Text(_) | Kind::Name(_)) => true,
        Some(Kind::Sign(sign)) => matches!(*sign, ")" | "]" | "." | ".." | "*"),
    }
}

fn is_name_start(character: char) -> bool {
    character == '_' || character.is_alphabetic()
}

fn name_end(characters: &[char], from: usize) -> usize {
    let mut position = from;
    while characters.get(position).is_some_and(|character| {
        is_name_start(*character)
            || character.is_numeric()
            || matches!(character, '-' | '.' | '\u{b7}' | '\u{200c}' | '\u{200d}')
            || is_mark(*character)
    }) {
        position += 1;
    }
    position
}

/// Combining marks that XML names allow (Arabic vowel signs among them).
fn is_mark(character: char) -> bool {
    matches!(character, '\u{300}'..='\u{36f}' | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{6d6}'..='\u{6ed}')
}
