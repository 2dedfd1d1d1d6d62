//! How fast an answer takes effect in three big forms, those of `tools/form-peers`: made here the same way, so that the figure can
//! be had anywhere.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use karwan_form::external;
use karwan_form::interview::{Context, Interview, Lists};
use karwan_form::model::Table;
use serde::{Deserialize, Serialize};

/// Answers that are timed.
const ANSWERS: usize = 200;

/// What one form costs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cost {
    /// Who measured.
    pub engine: String,
    /// `flat`, `repeat` or `external`.
    pub form: String,
    /// Reading the form, in milliseconds.
    pub parse_ms: f64,
    /// Starting an interview, its lists read with it.
    pub start_ms: f64,
    /// Looking at every question once.
    pub walk_ms: f64,
    /// Half of the answers, with everything that depends on them, take no longer.
    pub p50_ms: f64,
    /// Ninety-five of a hundred.
    pub p95_ms: f64,
    /// The slowest.
    pub max_ms: f64,
    /// Memory of the process at its highest, in MiB.
    pub rss_mb: f64,
    /// The last value that was read after an answer: engines that agree are measured at the same thing.
    pub last: String,
}

/// The three forms.
pub const SHAPES: [&str; 3] = ["flat", "repeat", "external"];

/// Measures one of [`SHAPES`] in this process.
pub fn measure(shape: &str) -> Option<Cost> {
    match shape {
        "flat" => Some(flat()),
        "repeat" => Some(repeat()),
        "external" => Some(external()),
        _ => None,
    }
}

/// One of [`SHAPES`] as an XForm.
pub fn text(shape: &str) -> Option<String> {
    match shape {
        "flat" => Some(flat_form(5000)),
        "repeat" => Some(repeat_form(500, 50)),
        "external" => Some(external_form()),
        _ => None,
    }
}

/// The rows that the choices of `external` come from, as CSV.
pub fn places() -> String {
    let mut csv = String::from("name,label,region,district,score\n");
    for row in 0..100_000 {
        let _ = writeln!(csv, "p{row},Place {row},r{},d{},{}", 1 + row % 20, 1 + row / 20 % 50, row * 7 % 101);
    }
    csv
}

/// 5,000 questions: sums of the ten before, calculations and conditions on the one before.
fn flat() -> Cost {
    let place = |number: usize| {
        let from = 1 + (number * 97) % 5000;
        (from..from + 10).find(|question| [1, 5, 7, 9].contains(&(question % 10))).unwrap_or(from)
    };
    cost("flat", &Places(None), |number| {
        let question = place(number);
        (format!("/data/q{question}"), (number % 7).to_string(), format!("/data/q{}", question / 10 * 10 + 10))
    })
}

/// 500 instances of ten questions, with a look-up and a sum over all.
fn repeat() -> Cost {
    cost("repeat", &Places(None), |number| {
        let is_count = number % 2 == 0;
        let (name, value) = if is_count { ("qty", (number % 60).to_string()) } else { ("kind", format!("k{}", 1 + number % 50)) };
        (format!("/data/row[{}]/{name}", 1 + (number * 37) % 500), value, "/data/total".to_owned())
    })
}

/// One select out of 100,000 rows, filtered on two columns.
fn external() -> Cost {
    cost("external", &Places(Some(places())), |number| {
        let group = number / 4;
        let (region, district) = (1 + group % 20, 1 + group % 50);
        let (name, value) = match number % 4 {
            0 => ("region", format!("r{region}")),
            1 => ("district", format!("d{district}")),
            _ => ("place", format!("p{}", region - 1 + 20 * (district - 1) + 1000 * (number % 100))),
        };
        (format!("/data/{name}"), value, "/data/place".to_owned())
    })
}

#[derive(Clone)]
struct Places(Option<String>);

impl Lists for Places {
    fn table(&self, file: &str) -> Option<Arc<Table>> {
        Some(Arc::new(external::read(self.0.as_ref()?.as_bytes(), file)))
    }
}

fn cost(shape: &str, lists: &Places, answer: impl Fn(usize) -> (String, String, String)) -> Cost {
    let form = text(shape).unwrap_or_default();
    let begun = Instant::now();
    let form = karwan_form::read(form.as_bytes(), "big.xml").unwrap_or_else(|faults| panic!("{faults:?}"));
    let parse_ms = ms(begun);
    let begun = Instant::now();
    let context = Context { lists: Arc::new(lists.clone()), ..Context::at(0, [0; 32]) };
    let mut interview = Interview::start(Arc::new(form), context).unwrap_or_else(|error| panic!("{error}"));
    let start_ms = ms(begun);
    let begun = Instant::now();
    let shown = interview.all_nodes().len();
    let walk_ms = ms(begun);
    assert!(shown > 0);
    let mut last = String::new();
    let mut times: Vec<f64> = (0..ANSWERS)
        .map(|number| {
            let (place, value, read) = answer(number);
            let begun = Instant::now();
            interview.set(&place, &value).unwrap_or_else(|refused| panic!("{refused}"));
            let node = interview.node(&read).unwrap_or_else(|| panic!("no question {read}"));
            let time = ms(begun);
            last = node.choices.map_or_else(|| node.value.unwrap_or_default(), |choices| choices.len().to_string());
            time
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let at = |share: usize| times.get(ANSWERS * share / 100).or(times.last()).copied().unwrap_or_default();
    Cost {
        engine: "karwan".to_owned(),
        form: shape.to_owned(),
        parse_ms,
        start_ms,
        walk_ms,
        p50_ms: at(50),
        p95_ms: at(95),
        max_ms: at(100),
        rss_mb: peak_mib("/proc/self/status"),
        last,
    }
}

fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

/// The most memory that a process has had, in MiB, as its status file says.
pub(crate) fn peak_mib(status: &str) -> f64 {
    let status = std::fs::read_to_string(status).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or_default() / 1024.0
}

fn whole(instance: &str, model: &str, body: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<h:html xmlns=\"http://www.w3.org/2002/xforms\" xmlns:h=\"http://www.w3.org/1999/xhtml\" \
         xmlns:jr=\"http://openrosa.org/javarosa\"><h:head><h:title>big</h:title><model><instance>{instance}</instance>{model}\
         </model></h:head><h:body>{body}</h:body></h:html>"
    )
}

fn ask(path: &str) -> String {
    format!("<input ref=\"{path}\"><label>{path}</label></input>")
}

fn flat_form(questions: usize) -> String {
    let (mut instance, mut binds, mut body) = (String::new(), String::new(), String::new());
    for number in 1..=questions {
        let (path, before) = (format!("/data/q{number}"), format!("/data/q{}", number - 1));
        let logic = match number % 10 {
            0 => {
                let terms: Vec<String> =
                    (number.saturating_sub(10).max(1)..number).map(|other| format!("coalesce(/data/q{other}, '0')")).collect();
                format!(" readonly=\"true()\" calculate=\"{}\"", terms.join(" + "))
            }
            2 | 4 => format!(" readonly=\"true()\" calculate=\"coalesce({before}, '0') + 1\""),
            3 | 6 | 8 => format!(" relevant=\"{before} != 5\""),
            _ => String::new(),
        };
        let _ = write!(instance, "<q{number}/>");
        let _ = write!(binds, "<bind nodeset=\"{path}\" type=\"int\"{logic}/>");
        body.push_str(&ask(&path));
    }
    whole(&format!("<data id=\"flat\" version=\"1\">{instance}</data>"), &binds, &body)
}

fn repeat_form(instances: usize, kinds: usize) -> String {
    let names = ["kind", "qty", "price", "amount", "why", "place", "note1", "day", "ok", "half"];
    let blank: String = names.iter().skip(2).map(|name| format!("<{name}/>")).collect();
    let rows: String =
        (0..instances).map(|row| format!("<row><kind>k{}</kind><qty>{}</qty>{blank}</row>", 1 + row % kinds, row % 60)).collect();
    let list: String = (1..=kinds)
        .map(|kind| format!("<item><name>k{kind}</name><label>Kind {kind}</label><price>{}</price></item>", 3 * kind))
        .collect();
    let binds = "<bind nodeset=\"/data/row/qty\" type=\"int\" constraint=\". &lt; 1000\"/>\
        <bind nodeset=\"/data/row/price\" type=\"int\" calculate=\"instance('kinds')/root/item[name = current()/../kind]/price\"/>\
        <bind nodeset=\"/data/row/amount\" type=\"int\" calculate=\"../qty * ../price\"/>\
        <bind nodeset=\"/data/row/why\" type=\"string\" relevant=\"../qty &gt; 50\"/>\
        <bind nodeset=\"/data/row/place\" type=\"int\" calculate=\"position(..)\"/>\
        <bind nodeset=\"/data/row/ok\" type=\"string\" required=\"true()\"/>\
        <bind nodeset=\"/data/row/half\" type=\"decimal\" calculate=\"../amount div 2\"/>\
        <bind nodeset=\"/data/total\" type=\"int\" calculate=\"sum(/data/row/amount)\"/>\
        <bind nodeset=\"/data/picked\" type=\"int\" calculate=\"/data/row[position() = /data/pick]/amount\"/>";
    let inside: String = names.iter().skip(1).map(|name| ask(&format!("/data/row/{name}"))).collect();
    let body = format!(
        "<group ref=\"/data/row\"><label>Row</label><repeat nodeset=\"/data/row\"><select1 ref=\"/data/row/kind\"><label>Kind</label>\
         <itemset nodeset=\"instance('kinds')/root/item\"><value ref=\"name\"/><label ref=\"label\"/></itemset></select1>{inside}\
         </repeat></group>{}{}{}",
        ask("/data/total"),
        ask("/data/pick"),
        ask("/data/picked")
    );
    let model = format!("<instance id=\"kinds\"><root>{list}</root></instance>{binds}");
    whole(&format!("<data id=\"repeat\" version=\"1\">{rows}<total/><pick/><picked/></data>"), &model, &body)
}

fn external_form() -> String {
    let items = |prefix: &str, count: usize| -> String {
        (1..=count)
            .map(|number| format!("<item><label>{prefix} {number}</label><value>{prefix}{number}</value></item>"))
            .collect()
    };
    let body = format!(
        "<select1 ref=\"/data/region\"><label>Region</label>{}</select1><select1 ref=\"/data/district\"><label>District</label>{}</select1>\
         <select1 ref=\"/data/place\"><label>Place</label><itemset nodeset=\"instance('places')/root/item[region = /data/region and \
         district = /data/district]\"><value ref=\"name\"/><label ref=\"label\"/></itemset></select1>{}",
        items("r", 20),
        items("d", 50),
        ask("/data/score")
    );
    let model = "<instance id=\"places\" src=\"jr://file-csv/places.csv\"/>\
        <bind nodeset=\"/data/score\" type=\"int\" calculate=\"instance('places')/root/item[name = /data/place]/score\"/>";
    whole("<data id=\"external\" version=\"1\"><region/><district/><place/><score/></data>", model, &body)
}
