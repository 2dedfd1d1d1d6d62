//! Expressions of random forms: a table in which every function stands, and how its blanks are filled.

use super::{Asked, Chance, Kind};

/// What an expression gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gives {
    Number,
    Truth,
    Date,
    Text,
}

use Gives::{Date, Number, Text, Truth};

/// Every function and operator. The blanks: `{n}` `{b}` `{d}` `{t}` an expression that gives a number, truth, date, text; `{int}`
/// `{one}` `{several}` `{dt}` `{time}` `{point}` `{shape}` a question of that kind in sight; `{line}`
/// `{place}` as much, never blank, since ODK's engine fails on a distance to nowhere; `{all}` a number of all
/// instances of a repeat, `{words}` a text of all; `{repeat}` a repeat; `{indexed}` `{where}` `{second}` a look into a repeat;
/// `{position}` the place of this instance; `{choice}` the label of a choice; `{itext}` a label by its name.
pub const CALLS: &[(Gives, &str)] = &[
    (Number, "{n} + {n}"),
    (Number, "({n} - {n})"),
    (Number, "({n}) * ({n})"),
    (Number, "({n}) div ({n})"),
    (Number, "({n}) mod ({n})"),
    (Number, "-({n})"),
    (Number, "round({n})"),
    (Number, "round({n}, 1)"),
    (Number, "round({n}, -1)"),
    (Number, "int({n})"),
    (Number, "floor({n})"),
    (Number, "ceiling({n})"),
    (Number, "abs({n})"),
    (Number, "pow({n}, 2)"),
    (Number, "sqrt(abs({n}))"),
    (Number, "number({t})"),
    (Number, "number({b})"),
    (Number, "if({b}, {n}, {n})"),
    (Number, "coalesce({n}, {n})"),
    (Number, "string-length({t})"),
    (Number, "count-selected({several})"),
    (Number, "max({n}, {n})"),
    (Number, "min({n}, {n}, {n})"),
    (Number, "sum({all})"),
    (Number, "max({all})"),
    (Number, "min({all})"),
    (Number, "count({repeat})"),
    (Number, "count-non-empty({all})"),
    (Number, "{indexed}"),
    (Number, "{second}"),
    (Number, "{where}"),
    (Number, "{position}"),
    (Number, "int({d} - {d})"),
    (Number, "decimal-date-time({d})"),
    (Number, "round(decimal-date-time({dt}), 6)"),
    (Number, "round(decimal-time({time}), 4)"),
    (Number, "round(area({shape}))"),
    (Number, "round(distance({line}))"),
    (Number, "round(distance({line}) div 1000)"),
    (Number, "round(distance({place}, '34.5 69.2 0 0'))"),
    (Number, "sum(instance('places')/root/item[size < {n}]/size)"),
    (Number, "count(instance('places')/root/item[area = {one}])"),
    (Number, "instance('places')/root/item[position() = 3]/size"),
    (Number, "instance('places')/root/item[last()]/size"),
    (Number, "round(log(abs({n}) + 1), 4)"),
    (Number, "round(log10(abs({n}) + 1), 4)"),
    (Number, "round(exp(({n}) div 100), 4)"),
    (Number, "round(exp10(({n}) mod 5), 4)"),
    (Number, "round(sin({n}), 4)"),
    (Number, "round(cos({n}), 4)"),
    (Number, "round(tan({n}), 4)"),
    (Number, "round(asin(({n}) div 1000), 4)"),
    (Number, "round(acos(({n}) div 1000), 4)"),
    (Number, "round(atan({n}), 4)"),
    (Number, "round(atan2({n}, 2), 4)"),
    (Number, "round(pi() * ({n}), 4)"),
    (Number, "int(random() * 0)"),
    (Number, "string-length(uuid())"),
    (Number, "once({n})"),
    (Truth, "({b}) and ({b})"),
    (Truth, "({b}) or ({b})"),
    (Truth, "not({b})"),
    (Truth, "true()"),
    (Truth, "false() or {b}"),
    (Truth, "selected({several}, 'a')"),
    (Truth, "selected({one}, 'b')"),
    (Truth, "{one} = 'b'"),
    (Truth, "contains({t}, 'a')"),
    (Truth, "starts-with({t}, 'A')"),
    (Truth, "ends-with({t}, 'd')"),
    (Truth, "regex({t}, '[0-9]+')"),
    (Truth, "regex({t}, '^[a-z ]{2,5}$')"),
    (Truth, "{t} = ''"),
    (Truth, "{t} != {t}"),
    (Truth, "{d} > {d}"),
    (Truth, "{d} <= today()"),
    (Truth, "boolean-from-string({t})"),
    (Truth, "boolean({n})"),
    (Truth, "geofence({point}, {shape})"),
    (Truth, "checklist(1, 2, {b}, {b})"),
    (Truth, "weighted-checklist(1, 5, {b}, 3, {b}, 4)"),
    (Truth, "{n} < {n}"),
    (Truth, "{n} >= {n}"),
    (Truth, "{n} = {n}"),
    (Date, "today()"),
    (Date, "date('1999-12-31')"),
    (Date, "date({d} + 45)"),
    (Date, "date({d})"),
    (Date, "if({b}, {d}, {d})"),
    (Date, "date(concat(format-date({d}, '%Y'), '-06-15'))"),
    (Date, "date(int({n}) mod 9000)"),
    (Text, "concat({t}, '-', {t})"),
    (Text, "substr({t}, 1)"),
    (Text, "substr({t}, 0, 2)"),
    (Text, "substring({t}, 2, 3)"),
    (Text, "substring-before({t}, 'a')"),
    (Text, "substring-after({t}, 'a')"),
    (Text, "translate({t}, 'abc', 'xyz')"),
    (Text, "normalize-space({t})"),
    (Text, "string({n})"),
    (Text, "string({b})"),
    (Text, "string({d})"),
    (Text, "if({b}, {t}, {t})"),
    (Text, "coalesce({t}, {t})"),
    (Text, "selected-at({several}, 1)"),
    (Text, "{choice}"),
    (Text, "{itext}"),
    (Text, "join(', ', {words})"),
    (Text, "format-date({d}, '%d/%m/%y %b %e %n')"),
    (Text, "format-date-time({dt}, '%Y-%m-%d %H:%M:%S %h %3')"),
    (Text, "format-date-time(now(), 'at %H:%M on %d')"),
    (Text, "format-date-time(date-time('2026-01-01T22:30:00+04:30'), '%Y-%m-%d %H:%M')"),
    (Text, "string(date-time({dt}))"),
    (Text, "digest({t}, 'SHA-256', 'hex')"),
    (Text, "digest({t}, 'MD5')"),
    (Text, "digest({t}, 'SHA-1', 'base64')"),
    (Text, "digest({t}, 'SHA-512', 'hex')"),
    (Text, "base64-decode('YWJj')"),
    (Text, "concat(base64-decode('2LPZhNin2YU='), {t})"),
    (Text, "instance('places')/root/item[name = {one}]/label"),
    (Text, "instance('places')/root/item[size = {n}]/name"),
    (Text, "instance('people')/root/item[name = {one}]/label"),
    (Text, "pulldata('people', 'label', 'name', {one})"),
    (Text, "join(' ', randomize(instance('places')/root/item/name, 7))"),
    (Text, "concat(name(..), local-name(..), namespace-uri(..))"),
    (Text, "concat({t}, position(..))"),
    (Text, "concat('n', {n})"),
    (Text, "once(concat({t}, '!'))"),
    (Text, "concat({time}, {point})"),
];

/// Functions that we have and ODK's engine for the web does not.
pub const NOT_ODKS: [&str; 6] = ["version", "property", "depend", "intersects", "lower-case", "upper-case"];

/// Fills expressions with what is in sight.
pub struct Words<'from> {
    pub chance: &'from mut Chance,
    pub asked: &'from [Asked],
    /// Repeats made so far, with the groups and repeats around each.
    pub repeats: &'from [(String, Vec<String>)],
    /// The repeats around the question whose expression it is.
    pub inside: &'from [String],
    /// The groups and repeats around it.
    pub around: &'from [String],
    /// Whether the form has several languages.
    pub translated: bool,
}

impl Words<'_> {
    /// An expression that gives what is wanted.
    pub fn gives(&mut self, wanted: Gives, depth: usize) -> String {
        if depth == 0 || self.chance.one_in(6) {
            return self.leaf(wanted);
        }
        // What is taken once stands alone: it looks at the value that the whole expression gave.
        let suits = |call: &&(Gives, &str)| call.0 == wanted && !call.1.starts_with("once(");
        let suitable: Vec<&str> = CALLS.iter().filter(suits).map(|(_, call)| *call).collect();
        let call = *self.chance.pick(&suitable);
        self.fill(call, depth)
    }

    /// A call with its blanks filled.
    pub fn fill(&mut self, call: &str, depth: usize) -> String {
        let mut text = String::new();
        let mut rest = call;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((blank, tail)) = after.split_once('}') else { break };
            text.push_str(before);
            text.push_str(&self.blank(blank, depth.saturating_sub(1)));
            rest = tail;
        }
        text.push_str(rest);
        text
    }

    fn blank(&mut self, blank: &str, depth: usize) -> String {
        let point = "'34.52 69.18 0 0'";
        let shape = "'34 69 0 0; 34 70 0 0; 35 70 0 0; 34 69 0 0'";
        match blank {
            "n" => self.gives(Number, depth),
            "b" => self.gives(Truth, depth),
            "d" => self.gives(Date, depth),
            "t" => self.gives(Text, depth),
            "int" => self.question(&[Kind::Int], "3"),
            "one" => self.question(&[Kind::One], "'a'"),
            "several" => self.question(&[Kind::Several], "'a c'"),
            "dt" => self.question(&[Kind::DateTime], "'2026-03-04T05:06:07.000Z'"),
            "time" => self.question(&[Kind::Time], "'10:30:00.000'"),
            "point" => self.question(&[Kind::Point], point),
            "line" => self.known(&[Kind::Trace, Kind::Shape], shape),
            "place" => self.known(&[Kind::Point], point),
            "shape" => self.question(&[Kind::Shape], shape),
            "all" => self.of_all(&[Kind::Int, Kind::Decimal]).map_or_else(|| self.leaf(Number), |(asked, _)| named(&asked.name)),
            "words" => self
                .of_all(&[Kind::Text, Kind::Int])
                .map_or_else(|| "instance('places')/root/item/name".to_owned(), |(asked, _)| named(&asked.name)),
            "repeat" => match self.repeats.last() {
                Some((name, _)) if !self.inside.contains(name) => named(name),
                _ => "instance('places')/root/item".to_owned(),
            },
            "indexed" | "second" | "where" => match self.of_all(&[Kind::Int]) {
                Some((asked, repeat)) => self.look_into(blank, &asked, &repeat),
                None => self.leaf(Number),
            },
            "position" => {
                // Of several nodes ODK's engine gives none: the steps up to the instance around, and no further.
                let repeat = self.inside.last();
                let groups = self.around.iter().rev().take_while(|name| repeat.is_some_and(|repeat| repeat != *name)).count();
                format!("position(..{})", "/..".repeat(groups))
            }
            "choice" => match self.seen(&[Kind::One, Kind::Several]) {
                Some(asked) if asked.kind == Kind::One => format!("jr:choice-name({0}, '{0}')", named(&asked.name)),
                Some(asked) => format!("jr:choice-name(selected-at({0}, 0), '{0}')", named(&asked.name)),
                None => "'a'".to_owned(),
            },
            "itext" if self.translated => "jr:itext('/data/base_int:label')".to_owned(),
            // Not a blank: a bound of a regular expression.
            other if other.contains(',') => format!("{{{other}}}"),
            _ => "'x'".to_owned(),
        }
    }

    fn look_into(&mut self, blank: &str, asked: &Asked, repeat: &str) -> String {
        let (path, question) = (self.path_of(repeat), below(asked, repeat));
        match blank {
            "second" => format!("{path}[2]/{question}"),
            "where" => format!("count({path}[{question} > 2])"),
            _ => {
                let which = if self.chance.one_in(2) { "1".to_owned() } else { self.question(&[Kind::Int], "2") };
                format!("indexed-repeat({}, {}, {which})", named(&asked.name), named(repeat))
            }
        }
    }

    fn leaf(&mut self, wanted: Gives) -> String {
        let literal = !self.chance.one_in(4);
        let (kinds, literals): (&[Kind], &[&str]) = match wanted {
            Number => (&[Kind::Int, Kind::Decimal, Kind::Range], &["0", "1", "2", "7", "12", "3.5", "60", "-4"]),
            Date => (&[Kind::Date], &["date('2024-02-29')", "today()", "date('1999-12-31')"]),
            Text => (&[Kind::Text, Kind::One, Kind::Several], &["'abc'", "'Ahmad'", "'a b c'", "'12'", "''", "'محمد'"]),
            Truth => {
                let number = self.leaf(Number);
                return format!("{number} {} {}", self.chance.pick(&["=", "!=", "<", ">", "<=", ">="]), self.chance.below(9));
            }
        };
        let other = (*self.chance.pick(literals)).to_owned();
        if literal { self.seen(kinds).map_or(other, |asked| named(&asked.name)) } else { other }
    }

    fn question(&mut self, kinds: &[Kind], otherwise: &str) -> String {
        self.seen(kinds).map_or_else(|| otherwise.to_owned(), |asked| named(&asked.name))
    }

    /// A question in sight, and something else while it is blank.
    fn known(&mut self, kinds: &[Kind], otherwise: &str) -> String {
        self.seen(kinds)
            .map_or_else(|| otherwise.to_owned(), |asked| format!("if({0} = '', {otherwise}, {0})", named(&asked.name)))
    }

    /// A question in sight: in this instance, or around it.
    fn seen(&mut self, kinds: &[Kind]) -> Option<Asked> {
        let in_sight: Vec<&Asked> =
            self.asked.iter().filter(|asked| kinds.contains(&asked.kind) && self.inside.starts_with(&asked.repeats)).collect();
        if in_sight.is_empty() { None } else { Some((*self.chance.pick(&in_sight)).clone()) }
    }

    /// A question directly in a repeat that is not around this one but stands in sight, and the repeat.
    fn of_all(&mut self, kinds: &[Kind]) -> Option<(Asked, String)> {
        let found: Vec<(Asked, String)> = self
            .asked
            .iter()
            .filter(|asked| kinds.contains(&asked.kind))
            .filter_map(|asked| {
                let (repeat, around) = asked.repeats.split_last()?;
                (self.inside.starts_with(around) && !self.inside.contains(repeat)).then(|| (asked.clone(), repeat.clone()))
            })
            .collect();
        if found.is_empty() { None } else { Some(self.chance.pick(&found).clone()) }
    }

    /// The path of a repeat from the root: of all its instances, where another repeat is around it.
    fn path_of(&self, repeat: &str) -> String {
        let around = self.repeats.iter().find(|(name, _)| name == repeat).map(|(_, around)| around.join("/")).unwrap_or_default();
        if around.is_empty() { format!("/data/{repeat}") } else { format!("/data/{around}/{repeat}") }
    }
}

fn named(name: &str) -> String {
    format!("${{{name}}}")
}

/// The path of a question from a repeat around it.
fn below(asked: &Asked, repeat: &str) -> String {
    let place = asked.around.iter().position(|name| name == repeat).map_or(0, |place| place + 1);
    let mut steps: Vec<&str> = asked.around.get(place..).unwrap_or_default().iter().map(String::as_str).collect();
    steps.push(&asked.name);
    steps.join("/")
}
