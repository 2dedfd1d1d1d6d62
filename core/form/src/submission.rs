//! The OpenRosa submission of a finished interview: non-relevant nodes are left out, everything else is written as ODK does.

use std::fmt::Write as _;

use crate::interview::Submitting;

/// Namespaces that ODK's forms declare on their root.
const NAMESPACES: [(&str, &str); 7] = [
    ("ev", "http://www.w3.org/2001/xml-events"),
    ("orx", "http://openrosa.org/xforms"),
    ("entities", "http://www.opendatakit.org/xforms/entities"),
    ("odk", "http://www.opendatakit.org/xforms"),
    ("h", "http://www.w3.org/1999/xhtml"),
    ("xsd", "http://www.w3.org/2001/XMLSchema"),
    ("jr", "http://openrosa.org/javarosa"),
];

/// One element to be written: name, attributes, text or children. What a tree of answers gives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubmissionElement {
    /// Its name.
    pub name: String,
    /// Attributes in order.
    pub attributes: Vec<(String, String)>,
    /// Text of a value.
    pub text: String,
    /// Elements in it, in order.
    pub children: Vec<SubmissionElement>,
}

/// Writes the submission.
pub(crate) fn write(interview: &impl Submitting) -> String {
    written(interview.submission())
}

/// Writes the submission that replaces an earlier one, under an id of its own.
pub(crate) fn write_edited(interview: &impl Submitting, id: &str, earlier: &str) -> String {
    let mut root = interview.submission();
    if let Some(meta) = root.children.iter_mut().find(|child| child.name == "meta") {
        meta.children.retain(|child| child.name != "deprecatedID");
        let place = meta.children.iter().position(|child| child.name == "instanceID");
        if let Some(instance) = place.and_then(|place| meta.children.get_mut(place)) {
            id.clone_into(&mut instance.text);
        }
        let deprecated =
            SubmissionElement { name: "deprecatedID".to_owned(), text: earlier.to_owned(), ..SubmissionElement::default() };
        meta.children.insert(place.map_or(0, |place| place + 1), deprecated);
    }
    written(root)
}

fn written(mut root: SubmissionElement) -> String {
    root.attributes.extend(NAMESPACES.iter().map(|(prefix, uri)| (format!("xmlns:{prefix}"), (*uri).to_owned())));
    let mut xml = String::from("<?xml version='1.0' encoding='UTF-8' ?>");
    element(&root, &mut xml);
    xml
}

fn element(element_: &SubmissionElement, xml: &mut String) {
    let _ = write!(xml, "<{}", element_.name);
    for (name, value) in &element_.attributes {
        let _ = write!(xml, " {name}=\"{}\"", escape(value, true));
    }
    if element_.text.is_empty() && element_.children.is_empty() {
        xml.push_str(" />");
        return;
    }
    xml.push('>');
    xml.push_str(&escape(&element_.text, false));
    element_.children.iter().for_each(|child| element(child, xml));
    let _ = write!(xml, "</{}>", element_.name);
}

/// Text that XML can hold: marks escaped, characters that XML 1.0 forbids left out.
pub(crate) fn escape(text: &str, attribute: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' if attribute => escaped.push_str("&quot;"),
            '\n' | '\t' | '\r' => {
                if attribute {
                    let _ = write!(escaped, "&#{};", character as u32);
                } else {
                    escaped.push(character);
                }
            }
            control if (control as u32) < 0x20 || matches!(control as u32, 0xfffe | 0xffff) => {}
            other => escaped.push(other),
        }
    }
    escaped
}
