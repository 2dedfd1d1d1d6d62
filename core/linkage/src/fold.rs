//! Folding: what is typed is kept, what is compared is folded. NFKC alone does not unify ي and ی, ك and ک, or digits.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The key of a text: the same for every way to write the same letters, digits and spaces in Persian, Dari, Pashto, Arabic and
/// Latin script. Marks, tatweel, joiners and direction marks are left out; Latin is lower case without accents.
pub fn fold_key(text: &str) -> String {
    // Most answers are numbers and words of a choice list: nothing in them is decomposed.
    if text.is_ascii() { folded(text.chars(), text.len()) } else { folded(text.nfkd(), text.len()) }
}

fn folded(characters: impl Iterator<Item = char>, capacity: usize) -> String {
    let mut key = String::with_capacity(capacity);
    let mut space = false;
    // Decomposed, so that a letter with a mark loses the mark and nothing else; compatibility, so that presentation forms are letters.
    for character in characters {
        let Some(folded) = fold_character(character) else { continue };
        if folded == ' ' {
            space = !key.is_empty();
            continue;
        }
        if space {
            key.push(' ');
            space = false;
        }
        match folded {
            ascii if ascii.is_ascii() => key.push(ascii.to_ascii_lowercase()),
            arabic @ '\u{600}'..='\u{6ff}' => key.push(arabic),
            other => key.extend(other.to_lowercase()),
        }
    }
    key
}

/// Letters that an index of trigrams needs to find a value.
const TRIGRAM: usize = 3;

/// Text to be found by: each value folded, and once more without its spaces, so that `محمد حسین` is found by `محمدحسین`; one a line, so
/// that nothing is found across two values. Those that are too short for an index of trigrams are left out: most answers of a survey are.
pub fn search_text<'a>(values: impl IntoIterator<Item = &'a str>) -> String {
    let is_found = |value: &String| value.chars().nth(TRIGRAM - 1).is_some();
    let mut folded: BTreeSet<String> = values.into_iter().map(fold_key).filter(is_found).collect();
    let joined: Vec<String> = folded.iter().filter(|value| value.contains(' ')).map(|value| value.replace(' ', "")).collect();
    folded.extend(joined);
    let mut text = String::new();
    for value in &folded {
        text.push_str(value);
        text.push('\n');
    }
    text
}

/// The words of a search, folded.
pub fn search_words(text: &str) -> Vec<String> {
    fold_key(text).split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn fold_character(character: char) -> Option<char> {
    Some(match character {
        plain if plain.is_ascii_alphanumeric() => plain,
        'ي' | 'ى' | 'ې' | 'ۍ' | 'ئ' | 'ے' => 'ی',
        'ګ' => 'گ',
        'ك' | 'ڪ' => 'ک',
        'ة' | 'ۀ' | 'ۂ' | 'ە' | 'ہ' | 'ھ' => 'ه',
        'أ' | 'إ' | 'آ' | 'ٱ' | 'ٲ' | 'ٳ' => 'ا',
        'ؤ' => 'و',
        'ټ' => 'ت',
        'ډ' => 'د',
        'ړ' => 'ر',
        'ږ' => 'ژ',
        'ښ' => 'ش',
        'ڼ' => 'ن',
        'څ' | 'ځ' => 'ح',
        '۰'..='۹' => char::from_digit(character as u32 - '۰' as u32, 10)?,
        '٠'..='٩' => char::from_digit(character as u32 - '٠' as u32, 10)?,
        // Tatweel, hamza on its own, zero-width and direction marks, soft hyphen.
        'ـ'
        | 'ء'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{feff}'
        | '\u{ad}'
        | '\u{61c}' => return None,
        mark if is_combining_mark(mark) => return None,
        '-' | '_' | '.' | ',' | '،' | '/' | '\'' | '’' | '‘' | '`' | '"' | '(' | ')' => ' ',
        other if other.is_whitespace() => ' ',
        other if other.is_control() => return None,
        other => other,
    })
}

/// A consonant skeleton that Persian and Latin spellings of one name share: محمد, Mohammad and Muhammed are `mhmd`.
pub fn skeleton(text: &str) -> String {
    let key = fold_key(text);
    let mut skeleton = String::with_capacity(key.len());
    let mut word = String::new();
    for part in key.split(' ') {
        word.clear();
        consonants(part, &mut word);
        if word.is_empty() {
            continue;
        }
        if !skeleton.is_empty() {
            skeleton.push(' ');
        }
        skeleton.push_str(&word);
    }
    skeleton
}

fn consonants(word: &str, into: &mut String) {
    let letters: Vec<char> = word.chars().collect();
    let mut at = 0;
    let push = |letter: char, into: &mut String| {
        // A doubled letter is written once in one script and twice in the other.
        if !into.ends_with(letter) {
            into.push(letter);
        }
    };
    while let Some(letter) = letters.get(at).copied() {
        let next = letters.get(at + 1).copied();
        let (consonant, taken) = match (letter, next) {
            ('k', Some('h')) => (Some('x'), 2),
            ('g', Some('h')) => (Some('g'), 2),
            ('s', Some('h')) => (Some('c'), 2),
            ('c', Some('h')) => (Some('č'), 2),
            ('z', Some('h')) => (Some('ž'), 2),
            ('t' | 'd', Some('h')) => (Some(letter), 2),
            ('p', Some('h')) => (Some('f'), 2),
            ('a' | 'e' | 'i' | 'o' | 'u' | 'y' | 'w' | 'v', _) => (None, 1),
            ('q', _) => (Some('g'), 1),
            ('c', _) => (Some('k'), 1),
            ('x', _) => (Some('x'), 1),
            ('ا' | 'و' | 'ی' | 'ع', _) => (None, 1),
            ('ب', _) => (Some('b'), 1),
            ('پ', _) => (Some('p'), 1),
            ('ت' | 'ط', _) => (Some('t'), 1),
            ('ث' | 'س' | 'ص', _) => (Some('s'), 1),
            ('ج', _) => (Some('j'), 1),
            ('چ', _) => (Some('č'), 1),
            ('ح' | 'ه', _) => (Some('h'), 1),
            ('خ', _) => (Some('x'), 1),
            ('د', _) => (Some('d'), 1),
            ('ذ' | 'ز' | 'ض' | 'ظ', _) => (Some('z'), 1),
            ('ر', _) => (Some('r'), 1),
            ('ژ', _) => (Some('ž'), 1),
            ('ش', _) => (Some('c'), 1),
            ('غ' | 'ق' | 'گ', _) => (Some('g'), 1),
            ('ف', _) => (Some('f'), 1),
            ('ک', _) => (Some('k'), 1),
            ('ل', _) => (Some('l'), 1),
            ('م', _) => (Some('m'), 1),
            ('ن', _) => (Some('n'), 1),
            (other, _) => (Some(other), 1),
        };
        // A final h is silent in Persian (فاطمه) and often not written in Latin (Fatima).
        let silent = consonant == Some('h') && at + taken >= letters.len() && !into.is_empty();
        if let Some(consonant) = consonant.filter(|_| !silent) {
            push(consonant, into);
        }
        at += taken;
    }
}

/// A document's number: folded, letters and digits only.
pub fn fold_document(text: &str) -> String {
    fold_key(text).chars().filter(|character| character.is_alphanumeric()).collect()
}

/// A phone number in E.164 where it is Iranian or Afghan, else its digits. Empty where there are fewer than 7 digits.
pub fn fold_phone(text: &str) -> String {
    let key = fold_key(text);
    let international = key.trim_start().starts_with('+');
    let digits: String = key.chars().filter(char::is_ascii_digit).collect();
    let digits = digits
        .strip_prefix("00")
        .filter(|_| !international)
        .map_or_else(|| (digits.clone(), international), |rest| (rest.to_owned(), true));
    let (digits, international) = digits;
    if digits.len() < 7 {
        return String::new();
    }
    for code in ["98", "93"] {
        if let Some(rest) = digits.strip_prefix(code).filter(|rest| international || rest.len() >= 9 && digits.len() >= 11) {
            return format!("+{code}{}", rest.trim_start_matches('0'));
        }
    }
    match digits.strip_prefix('0') {
        // Iranian mobiles have ten digits after the zero and begin with 9; Afghan ones nine, beginning with 7.
        Some(rest) if rest.len() == 10 && rest.starts_with('9') => format!("+98{rest}"),
        Some(rest) if rest.len() == 9 && rest.starts_with('7') => format!("+93{rest}"),
        _ if international => format!("+{digits}"),
        _ => digits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_has_one_key_however_it_is_typed() {
        assert_eq!(fold_key("حيدري"), "حیدری");
        assert_eq!(fold_key("حیدری"), "حیدری");
        assert_eq!(fold_key("كريم"), "کریم");
        assert_eq!(fold_key("غلام‌رضا"), "غلامرضا");
        assert_eq!(fold_key("مُحَمَّد"), "محمد");
        assert_eq!(fold_key("آرزو"), "ارزو");
        assert_eq!(fold_key("۱۲٣4"), "1234");
        assert_eq!(fold_key("  Ghulam   RÉZA "), "ghulam reza");
    }

    #[test]
    fn a_value_is_found_with_and_without_its_spaces_and_never_across_two() {
        assert_eq!(search_text(["محمد حسین", "", "0700-1"]), "0700 1\n07001\nمحمد حسین\nمحمدحسین\n");
        assert_eq!(search_words("  محمد   حسين "), ["محمد", "حسین"]);
    }

    #[test]
    fn persian_and_latin_spellings_share_a_skeleton() {
        for latin in ["Mohammad", "Muhammed", "Mohamad", "MUHAMMAD"] {
            assert_eq!(skeleton(latin), skeleton("محمد"), "{latin}");
        }
        assert_eq!(skeleton("Ahmad"), skeleton("احمد"));
        assert_eq!(skeleton("Fatima"), skeleton("فاطمه"));
        assert_eq!(skeleton("Gholam Reza"), skeleton("غلام رضا"));
        assert_ne!(skeleton("محمد"), skeleton("محمود ناصر"));
    }

    #[test]
    fn phones_and_documents_are_the_same_in_every_spelling() {
        for text in ["۰۹۱۵ ۱۲۳ ۴۵۶۷", "0915-123-4567", "+98 915 123 4567", "00989151234567", "989151234567"] {
            assert_eq!(fold_phone(text), "+989151234567", "{text}");
        }
        assert_eq!(fold_phone("0701234567"), "+93701234567");
        assert_eq!(fold_phone("+93 (70) 123-4567"), "+93701234567");
        assert_eq!(fold_document("FIDA-۱۲ ۳4/x"), "fida1234x");
    }
}
