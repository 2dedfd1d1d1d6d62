"""What an XForm says, however it is written: `meaning(text)` gives lines, and two XForms that mean the same give the same lines.

White space, prefixes, the order of attributes and binds, the ids of texts and whether words stand in `itext` or in place are left out.
"""

import re
import xml.etree.ElementTree as tree

SHORT = {
    "http://www.w3.org/2002/xforms": "",
    "http://www.w3.org/1999/xhtml": "h:",
    "http://www.w3.org/2001/xml-events": "ev:",
    "http://openrosa.org/javarosa": "jr:",
    "http://openrosa.org/xforms": "orx:",
    "http://www.opendatakit.org/xforms": "odk:",
    "http://www.opendatakit.org/xforms/entities": "entities:",
}
TEXT = re.compile(r"""^\s*jr:itext\(\s*(?:'([^']*)'|"([^"]*)")\s*\)\s*$""")
PIECES = re.compile(r"""('[^']*'|"[^"]*")""")
# Attributes that hold expressions.
EXPRESSIONS = {"relevant", "constraint", "required", "readonly", "calculate", "nodeset", "value", "jr:count", "create", "update", "query"}
# Ours, which other tools pass over.
OURS = "{urn:karwan:xforms}"


def short(name):
    """A name without its namespace's address."""
    space, closed, local = name.rpartition("}")
    return SHORT.get(space[1:], f"{{{space[1:]}}}") + local if closed else local


def expression(text):
    """An expression without the white space that means nothing."""
    pieces = PIECES.split(text)
    for at in range(0, len(pieces), 2):
        plain = re.sub(r"\s+", " ", pieces[at])
        pieces[at] = re.sub(r" ?([()\[\],=<>!|+*/]) ?", r"\1", plain)
    return "".join(pieces).strip()


class Meaning:
    def __init__(self, text):
        self.lines = []
        root = tree.fromstring(text)
        head, body = root[0], root[1]
        self.say("title", words(head[0]))
        model = next(element for element in head if short(element.tag) == "model")
        self.texts, self.languages = itext(model)
        if self.languages == ["default"]:
            # Words without a language that stand in `itext` all the same.
            self.languages = []
            self.texts = {name: {"": said["default"]} for name, said in self.texts.items()}
        self.say("languages", sorted(self.languages), "first", self.first(model))
        self.attributes("model", model, ())
        instances = [element for element in model if short(element.tag) == "instance"]
        self.element("instance", instances[0][0])
        for instance in instances[1:]:
            self.instance(instance)
        for element in model:
            if short(element.tag) == "bind":
                self.attributes(f"bind {element.get('nodeset')}", element, ("nodeset",))
            elif short(element.tag) not in ("instance", "itext"):
                self.action("model", element)
        self.attributes("body", body, ())
        for element in body:
            self.control("", element)

    def say(self, *parts):
        self.lines.append(" ".join(str(part) for part in parts))

    def first(self, model):
        translations = [element for element in model.iter() if short(element.tag) == "translation"]
        marked = [element.get("lang") for element in translations if element.get("default")]
        return (marked or [element.get("lang") for element in translations] or [""])[0] if self.languages else ""

    def attributes(self, place, element, without):
        for name, value in sorted(element.attrib.items()):
            # What has no type holds text.
            if name in without or name.startswith(OURS) or (name, value) == ("type", "string"):
                continue
            name = short(name)
            if TEXT.match(value):
                value = self.text(value)
            elif name in EXPRESSIONS:
                value = expression(value)
            elif name in ("jr:constraintMsg", "jr:requiredMsg", "jr:noAppErrorString"):
                value = self.text_of({"": value})
            self.say(place, name, value)

    def element(self, path, element):
        path = f"{path}/{short(element.tag)}"
        self.say(path, (element.text or "").strip() if len(element) == 0 else "")
        self.attributes(path, element, ())
        for child in element:
            self.element(path, child)

    def instance(self, instance):
        name = instance.get("id")
        self.attributes(f"list {name}", instance, ("id",))
        for row in instance[0] if len(instance) else ():
            cells = []
            for cell in row:
                column, value = short(cell.tag), words(cell)
                if column == "itextId":
                    column, value = "label", self.text_of(self.texts.get(value, {}))
                elif column == "label":
                    value = self.text_of({"": value})
                cells.append(f"{column}={value}")
            self.say(f"list {name}", *sorted(cells))

    def text(self, reference):
        found = TEXT.match(reference)
        return self.text_of(self.texts.get(found[1] or found[2], {}))

    def text_of(self, by_language):
        """Words by language and form; words without a language are those of each."""
        said = dict(by_language)
        if isinstance(said.get(""), str):
            said = {language: {"": said[""]} for language in self.languages or [""]}
        return sorted((language, form, value) for language, forms in said.items() for form, value in forms.items())

    def control(self, place, element):
        name = short(element.tag)
        if name in ("label", "hint"):
            reference = element.get("ref") or ""
            said = self.text(reference) if TEXT.match(reference) else expression(reference) or self.text_of({"": words(element)})
            # Words that are not there say nothing.
            if said and any(value != "" for *_, value in said if said != reference):
                self.say(place, name, said)
            return
        if name in ("value", "copy") and element.get("ref") is None:
            self.say(place, name, words(element))
            return
        if name in ("setvalue", "setgeopoint", "odk:setgeopoint", "odk:recordaudio"):
            self.action(place, element)
            return
        place = f"{place}/{name}[{expression(element.get('ref') or element.get('nodeset') or '')}]"
        self.say(place)
        self.attributes(place, element, ("ref", "nodeset"))
        for child in element:
            if short(child.tag) == "label" and name == "itemset":
                self.say(place, "label", expression(child.get("ref") or "").replace("jr:itext(itextId)", "label"))
            else:
                self.control(place, child)

    def action(self, place, element):
        events = sorted((element.get("event") or element.get("{http://www.w3.org/2001/xml-events}event") or "").split())
        # Where among the controls of its place an action stands means nothing.
        place = f"action in {place}: {short(element.tag)} {element.get('ref')} on {events}"
        self.say(place, words(element))
        self.attributes(place, element, ("ref", "event", "{http://www.w3.org/2001/xml-events}event"))


def words(element):
    """Text with its outputs written as `{expression}`."""
    said = element.text or ""
    for child in element:
        said += "{" + expression(child.get("value") or child.get("ref") or "") + "}" + (child.tail or "")
    return re.sub(r"\s+", " ", said).strip()


def itext(model):
    texts, languages = {}, []
    for translation in (element for element in model.iter() if short(element.tag) == "translation"):
        languages.append(translation.get("lang"))
        for text in translation:
            forms = {value.get("form", ""): words(value) for value in text}
            texts.setdefault(text.get("id"), {})[translation.get("lang")] = forms
    return texts, languages


def meaning(text):
    """Lines that say what the XForm means: the order of elements in `body`, in the instance and of the rows of a list is kept."""
    lines = Meaning(text).lines
    in_order = [line for line in lines if line.startswith(("instance", "/"))]
    lists = sorted((line for line in lines if line.startswith("list ")), key=lambda line: line.split(" ")[1])
    return sorted(line for line in lines if not line.startswith(("instance", "/", "list "))) + in_order + lists
