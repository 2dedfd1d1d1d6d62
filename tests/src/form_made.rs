//! Random forms: every question type and every function, small enough to be answered many times. A seed makes the same form
//! always; [`form`] gives the XForm.
use std::fmt::Write as _;

/// A small generator (splitmix64): the forms of a seed must not change with a library's version.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        (self.next() % most as u64) as usize
    }

    fn one_in(&mut self, most: usize) -> bool {
        self.below(most) == 0
    }

    fn pick<'from, Item>(&mut self, from: &'from [Item]) -> &'from Item {
        &from[self.below(from.len())]
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Int,
    Decimal,
    Text,
    Date,
    Time,
    DateTime,
    Point,
    Trace,
    Shape,
    One,
    Several,
    Rank,
    Range,
    Trigger,
    Note,
}

const KINDS: [Kind; 24] = [
    Kind::Int,
    Kind::Int,
    Kind::Int,
    Kind::Int,
    Kind::Decimal,
    Kind::Decimal,
    Kind::Text,
    Kind::Text,
    Kind::Text,
    Kind::Date,
    Kind::Date,
    Kind::Time,
    Kind::DateTime,
    Kind::Point,
    Kind::Trace,
    Kind::Shape,
    Kind::One,
    Kind::One,
    Kind::Several,
    Kind::Several,
    Kind::Rank,
    Kind::Range,
    Kind::Trigger,
    Kind::Note,
];

/// A question that expressions can look at.
#[derive(Clone)]
struct Asked {
    name: String,
    kind: Kind,
    /// The repeat that it is in.
    repeat: Option<String>,
}

struct Maker {
    chance: Chance,
    asked: Vec<Asked>,
    repeats: Vec<String>,
    /// The repeat that is being made.
    inside: Option<String>,
    /// Instances may be counted and summed only outside of repeats.
    next: usize,
    instance: String,
    binds: String,
    body: String,
}

/// The form of a seed.
pub fn form(seed: u64) -> String {
    let mut maker = Maker {
        chance: Chance(seed.wrapping_mul(0x1234_5678_9abc_def1)),
        asked: Vec::new(),
        repeats: Vec::new(),
        inside: None,
        next: 1,
        instance: String::new(),
        binds: String::new(),
        body: String::new(),
    };
    let parts = 8 + maker.chance.below(8);
    for part in 0..parts {
        match maker.chance.below(6) {
            0 if part > 1 => maker.repeat(),
            1 if part > 1 => maker.group(),
            _ => maker.question(),
        }
    }
    for _ in 0..12 {
        maker.calculation();
    }
    let rows: String = (0..40)
        .map(|row| {
            format!(
                "<item><name>p{row}</name><label>Place {row}</label><area>{}</area><size>{}</size></item>",
                ["a", "b", "c"][row % 3],
                row * 7 % 11
            )
        })
        .collect();
    let options: String = ["a", "b", "c", "d", "e"]
        .iter()
        .map(|name| format!("<item><name>{name}</name><label>Choice {name}</label></item>"))
        .collect();
    format!(
        "<?xml version=\"1.0\"?>\n<h:html xmlns=\"http://www.w3.org/2002/xforms\" xmlns:h=\"http://www.w3.org/1999/xhtml\" \
         xmlns:jr=\"http://openrosa.org/javarosa\" xmlns:orx=\"http://openrosa.org/xforms\" \
         xmlns:odk=\"http://www.opendatakit.org/xforms\"><h:head><h:title>made</h:title><model odk:xforms-version=\"1.0.0\">\n\
         <instance><data id=\"made{seed}\" version=\"1\">{}<meta><instanceID/></meta></data></instance>\n\
         <instance id=\"options\"><root>{options}</root></instance>\n<instance id=\"places\"><root>{rows}</root></instance>\n\
         {}<bind nodeset=\"/data/meta/instanceID\" type=\"string\" readonly=\"true()\" jr:preload=\"uid\"/>\n\
         </model></h:head>\n<h:body>\n{}</h:body></h:html>\n",
        maker.instance, maker.binds, maker.body
    )
}

fn attribute(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

impl Maker {
    fn name(&mut self, prefix: &str) -> String {
        let name = format!("{prefix}{}", self.next);
        self.next += 1;
        name
    }

    fn path(&self, name: &str) -> String {
        match &self.inside {
            Some(repeat) => format!("/data/{repeat}/{name}"),
            None => format!("/data/{name}"),
        }
    }

    fn group(&mut self) {
        // Groups are no level of names here: what they bring is a condition around several questions.
        let name = self.name("g");
        let relevant = self.truth(2);
        let path = self.path(&name);
        let _ = writeln!(self.binds, "<bind nodeset=\"{path}\" relevant=\"{}\"/>", attribute(&relevant));
        let questions = 1 + self.chance.below(3);
        let (instance, body) = (std::mem::take(&mut self.instance), std::mem::take(&mut self.body));
        let before = self.asked.len();
        let outer = self.inside.replace(match &self.inside {
            Some(repeat) => format!("{repeat}/{name}"),
            None => name.clone(),
        });
        for _ in 0..questions {
            self.question();
        }
        // Only the group's own can name its questions relatively; leave them to themselves.
        self.asked.truncate(before);
        self.inside = outer;
        self.instance = format!("{instance}<{name}>{}</{name}>", self.instance);
        self.body = format!("{body}<group ref=\"{path}\"><label>Group {name}</label>\n{}</group>\n", self.body);
    }

    fn repeat(&mut self) {
        if self.inside.is_some() {
            return;
        }
        let name = self.name("r");
        let count = self.asked.iter().find(|asked| asked.kind == Kind::Int && asked.repeat.is_none()).cloned();
        let count = count.filter(|_| self.chance.one_in(3));
        let (instance, body) = (std::mem::take(&mut self.instance), std::mem::take(&mut self.body));
        self.inside = Some(name.clone());
        for _ in 0..2 + self.chance.below(3) {
            self.question();
        }
        for _ in 0..2 {
            self.calculation();
        }
        self.inside = None;
        let inner = std::mem::replace(&mut self.instance, instance);
        let _ = write!(self.instance, "<{name} jr:template=\"\">{inner}</{name}><{name}>{inner}</{name}>");
        let counted =
            count.map(|asked| format!(" jr:count=\"if(/data/{0} &gt; 4, 4, /data/{0})\"", asked.name)).unwrap_or_default();
        self.body = format!(
            "{body}<group ref=\"/data/{name}\"><label>Repeat {name}</label><repeat nodeset=\"/data/{name}\"{counted}>\n{}</repeat></group>\n",
            self.body
        );
        self.repeats.push(name);
    }

    fn question(&mut self) {
        let kind = *self.chance.pick(&KINDS);
        let name = self.name("q");
        let path = self.path(&name);
        let data_type = match kind {
            Kind::Int => "int",
            Kind::Range => *self.chance.pick(&["int", "decimal"]),
            Kind::Decimal => "decimal",
            Kind::Date => "date",
            Kind::Time => "time",
            Kind::DateTime => "dateTime",
            Kind::Point => "geopoint",
            Kind::Trace => "geotrace",
            Kind::Shape => "geoshape",
            Kind::Rank => "odk:rank",
            _ => "string",
        };
        let mut bind = format!("<bind nodeset=\"{path}\" type=\"{data_type}\"");
        if self.chance.one_in(3) {
            let relevant = self.truth(2);
            let _ = write!(bind, " relevant=\"{}\"", attribute(&relevant));
        }
        if self.chance.one_in(5) {
            let required = if self.chance.one_in(2) { "true()".to_owned() } else { self.truth(1) };
            let _ = write!(bind, " required=\"{}\"", attribute(&required));
        }
        if self.chance.one_in(8) && kind != Kind::Note {
            let readonly = self.truth(1);
            let _ = write!(bind, " readonly=\"{}\"", attribute(&readonly));
        }
        if kind == Kind::Note {
            bind.push_str(" readonly=\"true()\"");
        }
        if self.chance.one_in(4) && kind != Kind::Note {
            let constraint = match kind {
                Kind::Int | Kind::Decimal | Kind::Range => {
                    format!(". &lt;= {} or . = {}", self.chance.below(60), attribute(&self.number(1)))
                }
                Kind::Text => "regex(., '^[a-zA-Z ]*$') or string-length(.) &lt; 6".to_owned(),
                Kind::Date => ". &lt;= today()".to_owned(),
                Kind::Several => "count-selected(.) &lt; 3".to_owned(),
                _ => attribute(&self.truth(1)),
            };
            let _ = write!(bind, " constraint=\"{constraint}\" jr:constraintMsg=\"no\"");
        }
        let _ = writeln!(self.binds, "{bind}/>");
        let default = match kind {
            Kind::Int if self.chance.one_in(4) => "3",
            Kind::Text if self.chance.one_in(4) => "b c",
            Kind::Several if self.chance.one_in(4) => "a c",
            Kind::One if self.chance.one_in(4) => "b",
            _ => "",
        };
        let _ = write!(self.instance, "<{name}>{default}</{name}>");
        let label = if self.chance.one_in(3) {
            let value = self.text(1);
            format!("<label>About <output value=\"{}\"/> of {name}</label>", attribute(&value))
        } else {
            format!("<label>Question {name}</label>")
        };
        let list = self.list();
        let _ = writeln!(
            self.body,
            "{}",
            match kind {
                Kind::One => format!("<select1 ref=\"{path}\">{label}{list}</select1>"),
                Kind::Several => format!("<select ref=\"{path}\">{label}{list}</select>"),
                Kind::Rank => format!("<odk:rank ref=\"{path}\">{label}{list}</odk:rank>"),
                Kind::Range => format!(
                    "<range ref=\"{path}\" start=\"0\" end=\"10\" step=\"{}\">{label}</range>",
                    if data_type == "int" { "1" } else { "0.5" }
                ),
                Kind::Trigger => format!("<trigger ref=\"{path}\">{label}</trigger>"),
                _ => format!("<input ref=\"{path}\">{label}</input>"),
            }
        );
        let repeat = self.inside.clone();
        self.asked.push(Asked { name, kind, repeat });
    }

    fn list(&mut self) -> String {
        let ends = "<value ref=\"name\"/><label ref=\"label\"/></itemset>";
        let nodeset = match self.chance.below(5) {
            0 => {
                let chosen = self.reference(&[Kind::One]).unwrap_or_else(|| "'a'".to_owned());
                let from = if chosen.starts_with("..") { format!("current()/{chosen}") } else { chosen };
                format!("instance('places')/root/item[area = {from}]")
            }
            1 => format!("instance('places')/root/item[size &gt; {} and area != 'b']", self.chance.below(9)),
            2 => format!("randomize(instance('options')/root/item, {})", self.chance.below(90)),
            _ => "instance('options')/root/item".to_owned(),
        };
        format!("<itemset nodeset=\"{nodeset}\">{ends}")
    }

    fn calculation(&mut self) {
        let name = self.name("c");
        let path = self.path(&name);
        let (data_type, source) = match self.chance.below(6) {
            0 => ("int", self.number(3)),
            1 => ("decimal", self.number(3)),
            2 => ("date", self.date(2)),
            3 => ("string", self.truth(3)),
            4 => ("string", self.number(3)),
            _ => ("string", self.text(3)),
        };
        let relevant = if self.chance.one_in(6) { format!(" relevant=\"{}\"", attribute(&self.truth(1))) } else { String::new() };
        let _ = writeln!(
            self.binds,
            "<bind nodeset=\"{path}\" type=\"{data_type}\" calculate=\"{}\"{relevant}/>",
            attribute(&source)
        );
        let _ = write!(self.instance, "<{name}/>");
        if self.chance.one_in(4) {
            let _ = writeln!(self.body, "<input ref=\"{path}\"><label>Sum {name}</label></input>");
        }
    }

    /// A path to a question of one of the kinds that is in sight.
    fn reference(&mut self, kinds: &[Kind]) -> Option<String> {
        let here = self.inside.as_ref().map(|inside| inside.split('/').next().unwrap_or_default().to_owned());
        let in_group = self.inside.as_ref().is_some_and(|inside| inside.contains('/') || !inside.starts_with('r'));
        let in_sight: Vec<Asked> = self
            .asked
            .iter()
            .filter(|asked| kinds.contains(&asked.kind) && (asked.repeat.is_none() || asked.repeat == here && !in_group))
            .cloned()
            .collect();
        if in_sight.is_empty() {
            return None;
        }
        let asked = self.chance.pick(&in_sight).clone();
        Some(match asked.repeat {
            Some(_) => format!("../{}", asked.name),
            None => format!("/data/{}", asked.name),
        })
    }

    /// A path to all instances of a question in a repeat.
    fn all_of(&mut self, kinds: &[Kind]) -> Option<(String, String)> {
        if self.inside.is_some() {
            return None;
        }
        let repeats = self.repeats.clone();
        let found: Vec<(String, String)> = self
            .asked
            .iter()
            .filter(|asked| kinds.contains(&asked.kind))
            .filter_map(|asked| Some((asked.repeat.clone().filter(|repeat| repeats.contains(repeat))?, asked.name.clone())))
            .collect();
        if found.is_empty() { None } else { Some(self.chance.pick(&found).clone()) }
    }

    fn number(&mut self, depth: usize) -> String {
        let numeric = [Kind::Int, Kind::Decimal, Kind::Range];
        if depth == 0 || self.chance.one_in(5) {
            return match self.reference(&numeric) {
                Some(path) if !self.chance.one_in(3) => path,
                _ => self.chance.pick(&["0", "1", "2", "7", "12", "3.5", "60", "-4"]).to_string(),
            };
        }
        let deeper = depth - 1;
        let (a, b) = (self.number(deeper), self.number(deeper));
        match self.chance.below(38) {
            0 => format!("{a} + {b}"),
            1 => format!("({a} - {b})"),
            2 => format!("({a}) * ({b})"),
            3 => format!("({a}) div ({b})"),
            4 => format!("({a}) mod ({b})"),
            5 => format!("round({a})"),
            6 => format!("round({a}, 1)"),
            7 => format!("int({a})"),
            8 => format!("floor({a})"),
            9 => format!("ceiling({a})"),
            10 => format!("abs({a})"),
            11 => format!("pow({a}, 2)"),
            12 => format!("sqrt(abs({a}))"),
            13 => format!("number({})", self.text(deeper)),
            14 => format!("if({}, {a}, {b})", self.truth(deeper)),
            15 => format!("coalesce({a}, {b})"),
            16 => format!("string-length({})", self.text(deeper)),
            17 => self.reference(&[Kind::Several]).map_or(a, |path| format!("count-selected({path})")),
            18 => format!("max({a}, {b})"),
            19 => format!("min({a}, {b})"),
            20 => self.all_of(&numeric).map_or(a, |(repeat, name)| format!("sum(/data/{repeat}/{name})")),
            21 => self.all_of(&numeric).map_or(a, |(repeat, name)| format!("max(/data/{repeat}/{name})")),
            22 => self.all_of(&numeric).map_or(a, |(repeat, name)| format!("min(/data/{repeat}/{name})")),
            23 => self.all_of(&[Kind::Int, Kind::Text]).map_or(a, |(repeat, _)| format!("count(/data/{repeat})")),
            24 => self.all_of(&numeric).map_or(a, |(repeat, name)| format!("count-non-empty(/data/{repeat}/{name})")),
            25 => self.all_of(&numeric).map_or(a, |(repeat, name)| format!("/data/{repeat}[2]/{name}")),
            26 => self
                .all_of(&numeric)
                .map_or(a, |(repeat, name)| format!("indexed-repeat(/data/{repeat}/{name}, /data/{repeat}, 1)")),
            27 => self.all_of(&numeric).map_or(a, |(repeat, name)| format!("count(/data/{repeat}[{name} > 2])")),
            28 => self.reference(&[Kind::Date]).map_or(a, |path| format!("int(({}) - {path})", self.date(0))),
            29 => self.reference(&[Kind::Date]).map_or(a, |path| format!("int(format-date({path}, '%Y'))")),
            30 => self.reference(&[Kind::Date, Kind::DateTime]).map_or(a, |path| format!("decimal-date-time({path})")),
            31 => self.reference(&[Kind::Time]).map_or(a, |path| format!("round(decimal-time({path}), 3)")),
            32 => self.reference(&[Kind::Shape]).map_or(a, |path| format!("round(area({path}))")),
            33 => self.reference(&[Kind::Trace, Kind::Shape]).map_or(a, |path| format!("round(distance({path}))")),
            34 => match (self.reference(&[Kind::Point]), self.reference(&[Kind::Point])) {
                (Some(one), Some(other)) => format!("round(distance({one}, {other}))"),
                _ => a,
            },
            35 => format!("sum(instance('places')/root/item[size < {b}]/size)"),
            36 => format!("round(log10(abs({a}) + 1) + sin({b}) + exp(1) + pi() + atan2(1, {a}), 4)"),
            _ if self.inside.as_ref().is_some_and(|inside| inside.starts_with('r') && !inside.contains('/')) => {
                "position(..)".to_owned()
            }
            _ => format!("checklist(1, 2, {}, {})", self.truth(deeper), self.truth(deeper)),
        }
    }

    fn truth(&mut self, depth: usize) -> String {
        if depth == 0 {
            let number = self.number(0);
            return format!("{number} {} {}", self.chance.pick(&["=", "!=", "<", ">", "<=", ">="]), self.chance.below(9));
        }
        let deeper = depth - 1;
        match self.chance.below(22) {
            0 => format!("({}) and ({})", self.truth(deeper), self.truth(deeper)),
            1 => format!("({}) or ({})", self.truth(deeper), self.truth(deeper)),
            2 => format!("not({})", self.truth(deeper)),
            3 | 4 => {
                self.reference(&[Kind::Several, Kind::One]).map_or_else(|| self.truth(0), |path| format!("selected({path}, 'a')"))
            }
            5 | 6 => self.reference(&[Kind::One]).map_or_else(|| self.truth(0), |path| format!("{path} = 'b'")),
            7 => format!("contains({}, 'a')", self.text(deeper)),
            8 => format!("starts-with({}, 'A')", self.text(deeper)),
            9 => format!("ends-with({}, 'd')", self.text(deeper)),
            10 => format!("regex({}, '[0-9]+')", self.text(deeper)),
            11 => format!("{} = ''", self.text(deeper)),
            12 => format!("{} > {}", self.date(deeper), self.date(0)),
            13 => format!("boolean-from-string({})", self.text(deeper)),
            14 => format!("boolean({})", self.number(deeper)),
            15 => self.reference(&[Kind::Trigger]).map_or_else(|| self.truth(0), |path| format!("{path} = 'OK'")),
            16 => {
                let (one, other) = (self.reference(&[Kind::Point]), self.reference(&[Kind::Shape]));
                match (one, other) {
                    (Some(point), Some(shape)) => format!("geofence({point}, {shape})"),
                    _ => self.truth(0),
                }
            }
            17 => format!("{} != {}", self.text(deeper), self.text(0)),
            _ => {
                let (a, b) = (self.number(deeper), self.number(deeper));
                format!("{a} {} {b}", self.chance.pick(&["=", "!=", "<", ">", "<=", ">="]))
            }
        }
    }

    fn date(&mut self, depth: usize) -> String {
        if depth == 0 || self.chance.one_in(3) {
            return match self.reference(&[Kind::Date]) {
                Some(path) if !self.chance.one_in(3) => path,
                _ => self.chance.pick(&["date('2024-02-29')", "today()", "date('1999-12-31')"]).to_string(),
            };
        }
        let inner = self.date(depth - 1);
        match self.chance.below(4) {
            0 => format!("date({inner} + {})", self.chance.below(400)),
            1 => format!("date({inner})"),
            2 => format!("if({}, {inner}, {})", self.truth(depth - 1), self.date(0)),
            _ => format!("date(concat(format-date({inner}, '%Y'), '-06-15'))"),
        }
    }

    fn text(&mut self, depth: usize) -> String {
        let words = [Kind::Text, Kind::One, Kind::Several];
        if depth == 0 || self.chance.one_in(6) {
            return match self.reference(&words) {
                Some(path) if !self.chance.one_in(3) => path,
                _ => self.chance.pick(&["'abc'", "'Ahmad'", "'a b c'", "'12'", "''", "'محمد'"]).to_string(),
            };
        }
        let deeper = depth - 1;
        let (a, b) = (self.text(deeper), self.text(0));
        match self.chance.below(30) {
            0 | 1 => format!("concat({a}, '-', {b})"),
            2 => format!("substr({a}, 1)"),
            3 => format!("substr({a}, 0, 2)"),
            4 => format!("substring({a}, 2, 3)"),
            5 => format!("substring-before({a}, 'a')"),
            6 => format!("substring-after({a}, 'a')"),
            7 => format!("translate({a}, 'abc', 'xyz')"),
            8 => format!("normalize-space({a})"),
            9 => format!("string({})", self.number(deeper)),
            10 => format!("if({}, {a}, {b})", self.truth(deeper)),
            11 => format!("coalesce({a}, {b})"),
            12 => self.reference(&[Kind::Several]).map_or(a, |path| format!("selected-at({path}, {})", self.chance.below(3))),
            13 => self.reference(&[Kind::One]).map_or(a, |path| format!("jr:choice-name({path}, '{path}')")),
            14 => self.all_of(&words).map_or(a, |(repeat, name)| format!("join(', ', /data/{repeat}/{name})")),
            15 => format!("format-date({}, '%d/%m/%y %b %a %e %n')", self.date(deeper)),
            16 => {
                self.reference(&[Kind::DateTime]).map_or(a, |path| format!("format-date-time({path}, '%Y-%m-%d %H:%M:%S %h %3')"))
            }
            17 => format!("digest({a}, 'SHA-256', 'hex')"),
            18 => format!("digest({a}, 'MD5')"),
            19 => format!("base64-decode('{}')", self.chance.pick(&["YWJj", "2LPZhNin2YU="])),
            20 => format!("string({})", self.truth(deeper)),
            21 => self.reference(&[Kind::One]).map_or(a, |path| {
                let from = if path.starts_with("..") { format!("current()/{path}") } else { path };
                format!("instance('places')/root/item[name = {from}]/label")
            }),
            22 => format!("instance('places')/root/item[size = {}]/name", self.number(0)),
            23 => format!("concat({a}, {b}, '!')"),
            24 => format!("string({})", self.date(deeper)),
            25 => self.reference(&[Kind::Text]).map_or(a, |path| format!("concat({path}, position(/data), name(/data))")),
            26 => format!("concat(string-length({a}), {a} != {b})"),
            27 => self.reference(&[Kind::Int, Kind::Decimal]).map_or(a, |path| format!("concat('n', {path})")),
            28 => "concat(count(instance('places')/root/item[area = 'a']), 'x')".to_owned(),
            _ => self.reference(&[Kind::Time, Kind::Point, Kind::Rank]).unwrap_or(a),
        }
    }
}
