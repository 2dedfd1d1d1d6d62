//! Labels, hints and messages: `itext` by language and form, words in place, and the outputs in both.

use super::document::{Content, Element};
use super::reader::Reader;
use crate::model::{Text, TextPart};

/// One text of `itext` in one language, by form; the form of plain words is blank.
pub(super) type Spoken = Vec<(String, Vec<TextPart>)>;

/// Most languages.
const LANGUAGES_MAX: usize = 100;

impl Reader {
    /// Reads all translations.
    pub(super) fn itext(&mut self, itext: &Element) {
        for translation in itext.children().filter(|child| child.local() == "translation") {
            let name = translation.attribute("lang").unwrap_or_default().to_owned();
            if self.languages.contains(&name) || self.languages.len() >= LANGUAGES_MAX {
                self.fault(translation, "lang", format!("the language `{name}` is here twice"), "name each language once");
                continue;
            }
            let language = self.languages.len();
            if translation.has("default") {
                self.default_language = language;
            }
            self.languages.push(name);
            for text in translation.children().filter(|child| child.local() == "text") {
                let id = text.attribute("id").unwrap_or_default().to_owned();
                let mut spoken = Spoken::new();
                for value in text.children().filter(|child| child.local() == "value") {
                    let form = value.attribute("form").unwrap_or_default().to_owned();
                    let parts = self.parts(value);
                    spoken.push((form, parts));
                }
                self.spoken.entry(id).or_default().insert(language, spoken);
            }
        }
    }

    /// Words with outputs in them.
    fn parts(&mut self, element: &Element) -> Vec<TextPart> {
        let mut parts = Vec::new();
        for content in &element.content {
            match content {
                Content::Text(text) => parts.push(TextPart::Literal(text.clone())),
                Content::Element(inner) if inner.local() == "output" => {
                    let attribute = if inner.has("value") { "value" } else { "ref" };
                    parts.extend(self.expression(inner, attribute).map(TextPart::Output));
                }
                // Emphasis and the like: its words are words.
                Content::Element(inner) => parts.extend(self.parts(inner)),
            }
        }
        parts
    }

    /// The text of a label, hint or message element.
    pub(super) fn text_of(&mut self, element: &Element) -> Option<Text> {
        if let Some(reference) = element.attribute("ref") {
            if let Some(id) = itext_id(reference) {
                return self.said(element, &id, "");
            }
            let output = self.expression(element, "ref")?;
            return Some(Text { by_language: vec![Some(vec![TextPart::Output(output)])] });
        }
        let parts = self.parts(element);
        (!parts.is_empty()).then(|| Text { by_language: vec![Some(parts)] })
    }

    /// The text of an attribute: `jr:itext('id')`, or words.
    pub(super) fn text_at(&mut self, element: &Element, attribute: &str) -> Option<Text> {
        let words = element.attribute(attribute)?;
        match itext_id(words) {
            Some(id) => self.said(element, &id, ""),
            None => Some(Text { by_language: vec![Some(vec![TextPart::Literal(words.to_owned())])] }),
        }
    }

    /// One form of a text in every language; a fault where no language has the id.
    fn said(&mut self, element: &Element, id: &str, form: &str) -> Option<Text> {
        if !self.spoken.contains_key(id) {
            self.fault(element, "ref", format!("`itext` has no text `{id}`"), "add the text to each translation");
            return None;
        }
        self.form_of(id, form)
    }

    /// One form of a text in every language, where any has it.
    pub(super) fn form_of(&self, id: &str, form: &str) -> Option<Text> {
        let spoken = self.spoken.get(id)?;
        let in_language = |language: usize| {
            let forms = spoken.get(&language)?;
            // `long` is what older forms call the plain words.
            let wanted = |name: &str| forms.iter().find(|(own, _)| own == name).map(|(_, parts)| parts.clone());
            wanted(form).or_else(|| if form.is_empty() { wanted("long").or_else(|| wanted("short")) } else { None })
        };
        let by_language: Vec<Option<Vec<TextPart>>> = (0..self.languages.len()).map(in_language).collect();
        by_language.iter().any(Option::is_some).then_some(Text { by_language })
    }

    /// Images, sounds and films of a label, by kind; the text is the file's name.
    pub(super) fn media_of(&self, label: &Element) -> Vec<(String, Text)> {
        label.attribute("ref").and_then(itext_id).map(|id| self.media_of_text(&id)).unwrap_or_default()
    }

    /// Those of a text of `itext`.
    pub(super) fn media_of_text(&self, id: &str) -> Vec<(String, Text)> {
        let mut found = Vec::new();
        for kind in ["image", "big-image", "audio", "video"] {
            let Some(mut text) = self.form_of(id, kind) else { continue };
            for part in text.by_language.iter_mut().flatten().flatten() {
                if let TextPart::Literal(file) = part {
                    *file = file.trim().rsplit('/').next().unwrap_or_default().to_owned();
                }
            }
            found.push((kind.to_owned(), text));
        }
        found
    }
}

/// The id in `jr:itext('id')`.
pub(super) fn itext_id(reference: &str) -> Option<String> {
    let inside = reference.trim().strip_prefix("jr:itext(")?.strip_suffix(')')?.trim();
    let quote = inside.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
    Some(inside.strip_prefix(quote)?.strip_suffix(quote)?.to_owned())
}

/// The column in `jr:itext(itextId)`.
pub(super) fn itext_column(reference: &str) -> Option<&str> {
    let inside = reference.trim().strip_prefix("jr:itext(")?.strip_suffix(')')?.trim();
    (!inside.starts_with(['\'', '"'])).then_some(inside)
}
