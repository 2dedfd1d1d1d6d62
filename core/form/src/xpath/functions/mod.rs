//! Every function that an expression may call: name, arity, implementation. To add one, write its body in the file of its
//! family, put a line into [`TABLE`], and a test beside the body.

#![allow(clippy::unnecessary_wraps, reason = "every body has the same signature")]

mod core;
mod dates;
mod digests;
mod geo;
pub(crate) mod nodes;
mod numbers;
mod selects;
mod text;

use super::evaluate::{EvaluationError, Scope};
use super::syntax::Tree;
use super::value::Value;

/// How a function runs: arguments come unevaluated.
pub type Body = fn(&Scope<'_>, &[Tree]) -> Result<Value, EvaluationError>;

/// A function.
pub struct Function {
    /// As an expression writes it.
    pub name: &'static str,
    /// Fewest arguments.
    pub least: usize,
    /// Most arguments; `usize::MAX` where there is no bound.
    pub most: usize,
    /// What it does.
    pub body: Body,
    /// Another result each time.
    pub volatile: bool,
    /// Its result depends on the language shown.
    pub speaks: bool,
    /// Without arguments it looks at the context node, its position or its size.
    pub contextual: bool,
    /// Gives a number, which as a predicate means a position.
    pub numeric: bool,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}()", self.name)
    }
}

impl Function {
    /// Whether a call may have so many arguments.
    pub fn accepts(&self, arguments: usize) -> bool {
        arguments >= self.least && arguments <= self.most
    }

    /// Whether a call with so many arguments looks at the context by itself.
    pub fn reads_context(&self, arguments: usize) -> bool {
        self.contextual && (arguments == 0 || self.least > 0)
    }
}

const MANY: usize = usize::MAX;

const fn plain(name: &'static str, least: usize, most: usize, body: Body) -> Function {
    Function { name, least, most, body, volatile: false, speaks: false, contextual: false, numeric: false }
}
const fn number(name: &'static str, least: usize, most: usize, body: Body) -> Function {
    Function { numeric: true, ..plain(name, least, most, body) }
}
const fn contextual(mut function: Function) -> Function {
    function.contextual = true;
    function
}
const fn volatile(mut function: Function) -> Function {
    function.volatile = true;
    function
}
const fn speaks(mut function: Function) -> Function {
    function.speaks = true;
    function
}

/// All functions.
pub static TABLE: &[Function] = &[
    // Core: truth, choice, the node itself.
    plain("true", 0, 0, core::true_),
    plain("false", 0, 0, core::false_),
    plain("boolean", 1, 1, core::boolean),
    plain("boolean-from-string", 1, 1, core::boolean_from_string),
    plain("not", 1, 1, core::not),
    plain("if", 3, 3, core::if_),
    plain("coalesce", 1, MANY, core::coalesce),
    plain("depend", 1, MANY, core::depend),
    volatile(contextual(plain("once", 1, 1, core::once))),
    number("checklist", 2, MANY, core::checklist),
    number("weighted-checklist", 2, MANY, core::weighted_checklist),
    volatile(plain("uuid", 0, 1, core::uuid)),
    plain("property", 1, 1, core::property),
    plain("version", 0, 0, core::version),
    // Numbers.
    contextual(number("number", 0, 1, numbers::number)),
    number("int", 1, 1, numbers::int),
    number("round", 1, 2, numbers::round),
    number("floor", 1, 1, numbers::floor),
    number("ceiling", 1, 1, numbers::ceiling),
    number("abs", 1, 1, numbers::abs),
    number("pow", 2, 2, numbers::pow),
    number("log", 1, 1, numbers::log),
    number("log10", 1, 1, numbers::log10),
    number("exp", 1, 1, numbers::exp),
    number("exp10", 1, 1, numbers::exp10),
    number("sqrt", 1, 1, numbers::sqrt),
    number("sin", 1, 1, numbers::sin),
    number("cos", 1, 1, numbers::cos),
    number("tan", 1, 1, numbers::tan),
    number("asin", 1, 1, numbers::asin),
    number("acos", 1, 1, numbers::acos),
    number("atan", 1, 1, numbers::atan),
    number("atan2", 2, 2, numbers::atan2),
    number("pi", 0, 0, numbers::pi),
    number("sum", 1, 1, numbers::sum),
    number("min", 0, MANY, numbers::min),
    number("max", 0, MANY, numbers::max),
    volatile(number("random", 0, 0, numbers::random)),
    // Text.
    contextual(plain("string", 0, 1, text::string)),
    plain("concat", 0, MANY, text::concat),
    plain("join", 1, MANY, text::join),
    plain("contains", 2, 2, text::contains),
    plain("starts-with", 2, 2, text::starts_with),
    plain("ends-with", 2, 2, text::ends_with),
    plain("substring-before", 2, 2, text::substring_before),
    plain("substring-after", 2, 2, text::substring_after),
    plain("substring", 2, 3, text::substring),
    plain("substr", 2, 3, text::substr),
    contextual(number("string-length", 0, 1, text::string_length)),
    contextual(plain("normalize-space", 0, 1, text::normalize_space)),
    plain("translate", 3, 3, text::translate),
    plain("lower-case", 1, 1, text::lower_case),
    plain("upper-case", 1, 1, text::upper_case),
    plain("regex", 2, 2, text::regex),
    // Dates and times.
    plain("today", 0, 0, dates::today),
    volatile(plain("now", 0, 0, dates::now)),
    plain("date", 1, 1, dates::date),
    plain("date-time", 1, 1, dates::date),
    number("decimal-date-time", 1, 1, dates::decimal_date_time),
    number("decimal-time", 1, 1, dates::decimal_time),
    plain("format-date", 2, 2, dates::format_date_time),
    plain("format-date-time", 2, 2, dates::format_date_time),
    // Selects.
    plain("selected", 2, 2, selects::selected),
    plain("selected-at", 2, 2, selects::selected_at),
    number("count-selected", 1, 1, selects::count_selected),
    speaks(contextual(plain("jr:choice-name", 2, 2, selects::choice_name))),
    speaks(plain("jr:itext", 1, 1, selects::itext)),
    // Nodes.
    number("count", 1, 1, nodes::count),
    number("count-non-empty", 1, 1, nodes::count_non_empty),
    contextual(number("position", 0, 1, nodes::position)),
    contextual(number("last", 0, 0, nodes::last)),
    contextual(plain("name", 0, 1, nodes::name)),
    contextual(plain("local-name", 0, 1, nodes::local_name)),
    contextual(plain("namespace-uri", 0, 1, nodes::namespace_uri)),
    plain("current", 0, 0, nodes::current),
    plain("instance", 1, 1, nodes::instance),
    plain("indexed-repeat", 3, MANY, nodes::indexed_repeat),
    plain("pulldata", 4, 4, nodes::pulldata),
    plain("randomize", 1, 2, nodes::randomize),
    // Places.
    number("area", 1, 1, geo::area),
    number("distance", 1, MANY, geo::distance),
    plain("geofence", 2, 2, geo::geofence),
    plain("intersects", 1, 1, geo::intersects),
    // Digests and encodings.
    plain("digest", 2, 3, digests::digest),
    plain("base64-decode", 1, 1, digests::base64_decode),
];

/// The function of a name, with or without its customary prefix.
pub fn by_name(name: &str) -> Option<&'static Function> {
    TABLE.iter().find(|function| {
        function.name == name || function.name.strip_prefix("jr:") == Some(name) && matches!(name, "choice-name" | "itext")
    })
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::borrow::Cow;
    use std::cmp::Ordering;

    use super::super::host::{Host, Node, Now};
    use super::super::{Expression, Scope};

    /// A tree without nodes but `/data/x` (three of them: 1, 2 and blank) and a clock at 2026-11-23T10:00:00Z.
    struct Small;

    impl Host for Small {
        fn parent(&self, node: Node) -> Option<Node> {
            match node {
                Node::Element(0) => Some(Node::Document),
                Node::Element(_) => Some(Node::Element(0)),
                _ => None,
            }
        }
        fn children(&self, node: Node, name: Option<&str>, into: &mut Vec<Node>) {
            match (node, name) {
                (Node::Document, None | Some("data")) => into.push(Node::Element(0)),
                (Node::Element(0), None | Some("x")) => into.extend([Node::Element(1), Node::Element(2), Node::Element(3)]),
                _ => {}
            }
        }
        fn attributes(&self, _: Node, _: Option<&str>, _: &mut Vec<Node>) {}
        fn name(&self, node: Node) -> Cow<'_, str> {
            Cow::Borrowed(match node {
                Node::Element(0) => "data",
                Node::Element(_) => "x",
                _ => "",
            })
        }
        fn text(&self, node: Node) -> Cow<'_, str> {
            Cow::Borrowed(match node {
                Node::Element(1) => "1",
                Node::Element(2) => "2",
                _ => "",
            })
        }
        fn position(&self, node: Node) -> usize {
            if let Node::Element(number) = node { number.max(1) as usize } else { 1 }
        }
        fn document_order(&self, left: Node, right: Node) -> Ordering {
            left.cmp(&right)
        }
        fn instance(&self, _: &str) -> Option<Node> {
            None
        }
        fn rows_equal(&self, _: Node, _: &str, _: &str) -> Option<Vec<Node>> {
            None
        }
        fn now(&self) -> Now {
            Now { milliseconds: 1_795_428_000_000, offset_minutes: 0 }
        }
        fn random(&self) -> u64 {
            0x0123_4567_89ab_cdef
        }
        fn property(&self, name: &str) -> String {
            if name == "deviceid" { "device-1".to_owned() } else { String::new() }
        }
        fn choice_label(&self, _: Node, value: &str) -> Option<String> {
            Some(format!("label of {value}"))
        }
        fn translation(&self, _: &str) -> Option<String> {
            None
        }
    }

    /// The text that an expression gives at the second `/data/x`.
    pub(crate) fn text_of(source: &str) -> String {
        let expression = Expression::parse(source).unwrap_or_else(|error| panic!("{source}: {error}"));
        let scope = Scope::at(&Small, Node::Element(2));
        expression.evaluate(&scope).unwrap_or_else(|error| panic!("{source}: {error}")).text(&scope)
    }

    /// Checks many at once: source and the text that it gives.
    pub(crate) fn check(cases: &[(&str, &str)]) {
        for (source, expected) in cases {
            assert_eq!(text_of(source), *expected, "{source}");
        }
    }

    #[test]
    fn names_are_unique() {
        for (index, function) in super::TABLE.iter().enumerate() {
            assert!(super::TABLE.iter().skip(index + 1).all(|other| other.name != function.name), "{}", function.name);
        }
    }

    #[test]
    fn operators_and_paths() {
        check(&[
            ("1 + 2 * 3", "7"),
            ("(1 + 2) * 3", "9"),
            ("7 div 2", "3.5"),
            ("-7 mod 3", "-1"),
            ("7.0", "7"),
            ("1 = 1.0 and 2 > 1", "true"),
            ("'a' = 'b' or 1 != 1", "false"),
            ("/data/x", "1"),
            ("/data/x[2]", "2"),
            ("/data/x[position() = 2]", "2"),
            ("/data/x[. = 2]", "2"),
            ("../x[last()]", ""),
            (".", "2"),
            ("/data/x = 2", "true"),
            ("/data/x != 2", "true"),
            ("/data/x > 5", "false"),
            ("count(/data/x | /data/x[1])", "3"),
            ("count(//x)", "3"),
            ("count(preceding-sibling::x)", "1"),
            ("name(..)", "data"),
            ("div div div", ""),
            ("* * 2", ""),
            ("'2026-11-23' = today()", "true"),
            ("today() - date('2026-11-20')", "3"),
        ]);
    }

    #[test]
    fn faults_name_what_was_expected_and_where() {
        let fault = |source: &str| Expression::parse(source).unwrap_err().to_string();
        assert_eq!(fault("1 +"), "at character 3: expected a value, a path or a function, found the end");
        assert_eq!(fault("if(1, 2)"), "at character 0: expected 3 arguments for if(), found 2");
        assert_eq!(fault("frob(1)"), "at character 0: expected a function of the ODK XForms specification, found `frob`");
        assert_eq!(fault("'a"), "at character 0: expected a closing ', found the end");
        assert_eq!(fault("(1"), "at character 2: expected `)`, found the end");
        assert_eq!(fault("1 2"), "at character 2: expected an operator or the end, found `2`");
        assert!(fault("${x}").contains("found `$`"));
    }

    #[test]
    fn deep_and_long_expressions_are_refused_and_not_fatal() {
        assert!(Expression::parse(&format!("{}1{}", "(".repeat(10_000), ")".repeat(10_000))).is_err());
        assert!(Expression::parse(&format!("1{}", " + 1".repeat(10_000))).is_err());
        assert!(Expression::parse(&format!("1{}", " + 1".repeat(300))).is_ok());
        assert!(Expression::parse(&"-".repeat(100_000)).is_err());
        assert!(Expression::parse(&format!("x{}", "[x".repeat(10_000))).is_err());
    }
}
