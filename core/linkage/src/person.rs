//! Who was registered twice: exact repeats, by document, or by folded names, father's name and birth year.

use std::collections::{BTreeMap, BTreeSet};

use crate::fold::{fold_document, fold_key};
use crate::solar;

/// Shortest document number that tells people apart, in letters and digits.
pub const DOCUMENT_CHARACTERS_MIN: usize = 5;

/// What answers say of one person. Everything as it was typed; anything may be unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Given name; one name is a complete one.
    pub given_name: String,
    /// Surname, where there is one.
    pub surname: String,
    /// Father's given name.
    pub father_name: String,
    /// Birth year, Solar Hijri or Gregorian.
    pub birth_year: String,
    /// Birth date, Solar Hijri or Gregorian, unknown parts left out.
    pub birth_date: String,
    /// Number of a document.
    pub document: String,
    /// Phone number.
    pub phone: String,
    /// Sex, as the form codes it.
    pub sex: String,
}

impl Identity {
    /// From values by the words of a form's column `bind::karwan:identity`.
    pub fn of(values: &BTreeMap<String, String>) -> Self {
        let value = |name: &str| values.get(name).cloned().unwrap_or_default();
        Self {
            given_name: value("given_name"),
            surname: value("surname"),
            father_name: value("father_name"),
            birth_year: value("birth_year"),
            birth_date: value("birth_date"),
            document: value("document"),
            phone: value("phone"),
            sex: value("sex"),
        }
    }

    /// The birth year in the Gregorian calendar; a Solar Hijri year begins in March, so it names the year in which it begins.
    pub fn gregorian_birth_year(&self) -> Option<i32> {
        [&self.birth_date, &self.birth_year].into_iter().find_map(|text| solar::year_of(text))
    }
}

/// Keys that two registrations of one person share. People who share one are candidates: a person decides.
pub fn link_keys(person: &Identity) -> Vec<String> {
    let mut keys = BTreeSet::new();
    let document = fold_document(&person.document);
    if document.chars().count() >= DOCUMENT_CHARACTERS_MIN {
        keys.insert(format!("document:{document}"));
    }
    let name = fold_key(&format!("{} {}", person.given_name, person.surname)).replace(' ', "");
    let father = fold_key(&person.father_name).replace(' ', "");
    if let Some(year) = person.gregorian_birth_year().filter(|_| !name.is_empty() && !father.is_empty()) {
        keys.insert(format!("name:{name}|{father}|{year}"));
    }
    keys.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(given: &str, surname: &str, father: &str, year: &str, document: &str) -> Identity {
        Identity {
            given_name: given.to_owned(),
            surname: surname.to_owned(),
            father_name: father.to_owned(),
            birth_year: year.to_owned(),
            document: document.to_owned(),
            ..Identity::default()
        }
    }

    fn shared(one: &Identity, other: &Identity) -> usize {
        let keys = link_keys(one);
        link_keys(other).iter().filter(|key| keys.contains(key)).count()
    }

    #[test]
    fn one_person_typed_in_two_ways_shares_keys() {
        let one = person("غلام‌رضا", "حيدري", "محمدحسین", "۱۳۵۹", "");
        let other = person("غلام رضا", "حیدری", "محمد حسين", "1359", "");
        assert_eq!(shared(&one, &other), 1);
        assert_eq!(shared(&person("علی", "", "حسن", "1370", "A-۱۲۳۴۵۶"), &person("Ali", "", "", "", "a 123456")), 1);
    }

    #[test]
    fn namesakes_share_nothing() {
        assert_eq!(shared(&person("علی", "", "حسن", "1370", ""), &person("علی", "", "حسین", "1370", "")), 0);
        assert_eq!(shared(&person("علی", "", "حسن", "1370", ""), &person("علی", "", "حسن", "1371", "")), 0);
        assert_eq!(shared(&person("محمد", "", "حسن", "1370", ""), &person("محمود", "", "حسن", "1370", "")), 0);
        assert!(link_keys(&person("علی", "", "", "", "123")).is_empty());
    }
}
