//! An XML document as a tree of elements with their lines, read within limits: no document type, no entities but XML's own
//! five, no more depth and elements than a form needs.

use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

/// Longest document, in bytes.
pub const BYTES_MAX: usize = 64 * 1024 * 1024;
/// Deepest nesting of elements.
pub const DEPTH_MAX: usize = 200;
/// Most elements.
pub const ELEMENTS_MAX: usize = 4_000_000;
/// Most attributes of one element.
const ATTRIBUTES_MAX: usize = 200;

/// Namespaces of ODK forms and the prefix that stands for each, whatever the document calls it.
const PREFIXES: [(&str, &str); 8] = [
    ("http://www.w3.org/2002/xforms", ""),
    ("http://www.w3.org/1999/xhtml", "h"),
    ("http://www.w3.org/2001/xml-events", "ev"),
    ("http://www.w3.org/2001/XMLSchema", "xsd"),
    ("http://openrosa.org/javarosa", "jr"),
    ("http://openrosa.org/xforms", "orx"),
    ("http://www.opendatakit.org/xforms", "odk"),
    ("http://www.opendatakit.org/xforms/entities", "entities"),
];

/// One element.
#[derive(Debug, Default)]
pub struct Element {
    /// Name with its customary prefix.
    pub name: String,
    /// Attributes in order, names with their customary prefixes; declarations of namespaces are left out.
    pub attributes: Vec<(String, String)>,
    /// Text and elements in order.
    pub content: Vec<Content>,
    /// Line on which it begins, from 1.
    pub line: u32,
}

/// What an element holds.
#[derive(Debug)]
pub enum Content {
    /// Words.
    Text(String),
    /// An element.
    Element(Element),
}

/// Why a document cannot be read, and on which line.
#[derive(Debug)]
pub struct DocumentFault {
    /// From 1.
    pub line: u32,
    /// What is wrong.
    pub message: String,
}

impl Element {
    /// Name without a prefix.
    pub fn local(&self) -> &str {
        self.name.rsplit(':').next().unwrap_or_default()
    }

    /// An attribute's text; a blank one counts as absent.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(own, _)| own == name).map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    /// Whether there is such an attribute, blank or not.
    pub fn has(&self, name: &str) -> bool {
        self.attributes.iter().any(|(own, _)| own == name)
    }

    /// Elements in it.
    pub fn children(&self) -> impl Iterator<Item = &Element> {
        self.content.iter().filter_map(|content| match content {
            Content::Element(element) => Some(element),
            Content::Text(_) => None,
        })
    }

    /// The first element in it of a name, whatever its prefix.
    pub fn child(&self, local: &str) -> Option<&Element> {
        self.children().find(|child| child.local() == local)
    }

    /// Its own words.
    pub fn text(&self) -> String {
        let words = self.content.iter().filter_map(|content| match content {
            Content::Text(text) => Some(text.as_str()),
            Content::Element(_) => None,
        });
        words.collect()
    }
}

/// Reads a document.
pub fn read(bytes: &[u8]) -> Result<Element, DocumentFault> {
    let whole = |message: String| DocumentFault { line: 1, message };
    if bytes.len() > BYTES_MAX {
        return Err(whole(format!("the file has {} bytes, more than {BYTES_MAX}", bytes.len())));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| DocumentFault {
        line: line_of(bytes, error.valid_up_to()),
        message: "the file is not UTF-8".to_owned(),
    })?;
    Builder::new(text.trim_start_matches('\u{feff}')).read()
}

/// The line of a byte, from 1.
fn line_of(bytes: &[u8], at: usize) -> u32 {
    bytes
        .split(|byte| *byte == b'\n')
        .scan(0, |from, line| {
            *from += line.len() + 1;
            Some(*from)
        })
        .take_while(|from| *from <= at)
        .count() as u32
        + 1
}

struct Builder<'text> {
    text: &'text str,
    reader: Reader<&'text [u8]>,
    /// Elements that are open, the outermost first.
    open: Vec<Element>,
    /// Declared prefixes with the depth of their element.
    declared: Vec<(usize, String, String)>,
    elements: usize,
    line: u32,
    counted: usize,
}

impl<'text> Builder<'text> {
    fn new(text: &'text str) -> Self {
        let reader = Reader::from_str(text);
        Self { text, reader, open: Vec::new(), declared: Vec::new(), elements: 0, line: 1, counted: 0 }
    }

    fn read(mut self) -> Result<Element, DocumentFault> {
        loop {
            self.count_lines();
            let event = match self.reader.read_event() {
                Ok(event) => event,
                Err(error) => return Err(self.fault(&format!("the XML is broken: {error}"))),
            };
            match event {
                Event::Start(start) => self.start(&start)?,
                Event::Empty(start) => {
                    self.start(&start)?;
                    if let Some(root) = self.end() {
                        return Ok(root);
                    }
                }
                Event::End(_) => {
                    if let Some(root) = self.end() {
                        return Ok(root);
                    }
                }
                Event::Text(text) => {
                    let text = text.decode().map_err(|error| self.fault(&error.to_string()))?;
                    self.words(&text);
                }
                Event::CData(data) => {
                    let text = data.decode().map_err(|error| self.fault(&error.to_string()))?;
                    self.words(&text);
                }
                Event::GeneralRef(reference) => {
                    let character = self.reference(&reference)?;
                    self.words(&character);
                }
                Event::DocType(_) => {
                    return Err(self.fault("a document type is not read: remove `<!DOCTYPE …>` and what it declares"));
                }
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
                Event::Eof => return Err(self.fault("the document ends before its elements do")),
            }
        }
    }

    fn count_lines(&mut self) {
        let at = self.reader.buffer_position() as usize;
        let passed = self.text.get(self.counted..at).unwrap_or_default();
        self.line += passed.matches('\n').count() as u32;
        self.counted = at.max(self.counted);
    }

    fn fault(&self, message: &str) -> DocumentFault {
        DocumentFault { line: self.line, message: message.to_owned() }
    }

    fn start(&mut self, start: &BytesStart<'_>) -> Result<(), DocumentFault> {
        self.elements += 1;
        if self.open.len() >= DEPTH_MAX {
            return Err(self.fault(&format!("elements are nested more than {DEPTH_MAX} deep")));
        }
        if self.elements > ELEMENTS_MAX {
            return Err(self.fault(&format!("the document has more than {ELEMENTS_MAX} elements")));
        }
        let depth = self.open.len();
        let mut attributes: Vec<(String, String)> = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| self.fault(&format!("the XML is broken: {error}")))?;
            let name = String::from_utf8_lossy(attribute.key.as_ref()).into_owned();
            let value =
                attribute.unescape_value().map_err(|error| self.fault(&format!("the attribute `{name}`: {error}")))?.into_owned();
            if attributes.len() >= ATTRIBUTES_MAX {
                return Err(self.fault(&format!("an element has more than {ATTRIBUTES_MAX} attributes")));
            }
            match name.strip_prefix("xmlns") {
                Some("") => self.declared.push((depth, String::new(), value)),
                Some(prefix) if prefix.starts_with(':') => {
                    self.declared.push((depth, prefix.trim_start_matches(':').to_owned(), value));
                }
                _ => attributes.push((name, value)),
            }
        }
        for (name, _) in &mut attributes {
            *name = self.customary(name);
        }
        let name = self.customary(&String::from_utf8_lossy(start.name().as_ref()));
        self.open.push(Element { name, attributes, content: Vec::new(), line: self.line });
        Ok(())
    }

    /// A name with the prefix that is usual for its namespace.
    fn customary(&self, name: &str) -> String {
        let Some((prefix, local)) = name.split_once(':') else { return name.to_owned() };
        let address = self.declared.iter().rev().find(|(_, own, _)| own == prefix).map(|(.., address)| address.trim());
        match PREFIXES.iter().find(|(known, _)| Some(*known) == address) {
            Some((_, "")) => local.to_owned(),
            Some((_, usual)) => format!("{usual}:{local}"),
            None => name.to_owned(),
        }
    }

    /// Closes the innermost element; gives the root once it is closed.
    fn end(&mut self) -> Option<Element> {
        let element = self.open.pop()?;
        let depth = self.open.len();
        self.declared.retain(|(at, ..)| *at < depth);
        match self.open.last_mut() {
            Some(parent) => parent.content.push(Content::Element(element)),
            None => return Some(element),
        }
        None
    }

    fn words(&mut self, words: &str) {
        let Some(element) = self.open.last_mut() else { return };
        if let Some(Content::Text(before)) = element.content.last_mut() {
            before.push_str(words);
        } else {
            element.content.push(Content::Text(words.to_owned()));
        }
    }

    fn reference(&self, reference: &BytesRef<'_>) -> Result<String, DocumentFault> {
        if let Ok(Some(character)) = reference.resolve_char_ref() {
            return Ok(character.to_string());
        }
        let name = reference.decode().map_err(|error| self.fault(&error.to_string()))?;
        let character = match &*name {
            "amp" => "&",
            "lt" => "<",
            "gt" => ">",
            "quot" => "\"",
            "apos" => "'",
            other => return Err(self.fault(&format!("`&{other};` is none of XML's own five entities"))),
        };
        Ok(character.to_owned())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::read;

    #[test]
    fn prefixes_are_what_they_usually_are() {
        let xml = "<x:html xmlns:x='http://www.w3.org/1999/xhtml' xmlns='http://www.w3.org/2002/xforms' \
                   xmlns:j='http://openrosa.org/javarosa'>\n<bind j:preload=' uid '/>a &amp; &#x62;</x:html>";
        let root = read(xml.as_bytes()).unwrap();
        assert_eq!(root.name, "h:html");
        let bind = root.child("bind").unwrap();
        assert_eq!((bind.attribute("jr:preload"), bind.line), (Some("uid"), 2));
        assert_eq!(root.text(), "\na & b");
    }

    #[test]
    fn what_is_hostile_or_broken_is_refused_with_its_line() {
        let bomb = "<?xml version='1.0'?>\n<!DOCTYPE a [<!ENTITY b 'ha'><!ENTITY c '&b;&b;'>]>\n<a>&c;</a>";
        for (xml, line, part) in [
            (bomb, 2, "document type"),
            ("<a>\n&b;</a>", 2, "&b;"),
            ("<a>\n<b></a>", 2, "broken"),
            ("<a>\n", 2, "ends before"),
            ("", 1, "ends before"),
        ] {
            let fault = read(xml.as_bytes()).unwrap_err();
            assert!(fault.message.contains(part), "{xml}: {}", fault.message);
            assert_eq!(fault.line, line, "{xml}");
        }
        assert!(read(&[b'<', b'a', 0xff]).is_err());
        assert!(read("<a>".repeat(10_000).as_bytes()).unwrap_err().message.contains("deep"));
    }
}
