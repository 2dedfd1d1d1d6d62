//! Choices that are not in the choices sheet: files, the sheet `external_choices`, and the appearance `search()`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::BTreeMap;
use std::sync::Arc;

use karwan_form::external;
use karwan_form::interview::{Context, Interview, Lists};
use karwan_form::model::{Form, Table};
use karwan_form::xform;
use xlsform_made::{fault_lines, read};

mod xlsform_made;

struct Files(BTreeMap<String, Arc<Table>>);

impl Lists for Files {
    fn table(&self, file: &str) -> Option<Arc<Table>> {
        self.0.get(file).cloned()
    }
}

fn interview(form: Form, files: &[(&str, &str)]) -> Interview {
    let tables = files.iter().map(|(name, text)| ((*name).to_owned(), Arc::new(external::read(text.as_bytes(), name))));
    let context = Context { lists: Arc::new(Files(tables.collect())), ..Context::at(0, [7; 32]) };
    Interview::start(Arc::new(form), context).unwrap()
}

/// The form as it is, and written as an XForm and read again.
fn both(text: &str) -> [Form; 2] {
    let form = read(text);
    let again = xform::read(xform::write(&form).as_bytes(), "again.xml").unwrap();
    [form, again]
}

/// Value and label of what is offered.
fn offered(interview: &Interview, reference: &str) -> Vec<(String, String)> {
    let node = interview.nodes().into_iter().find(|node| node.reference == reference).unwrap();
    node.choices.unwrap().into_iter().map(|choice| (choice.value, choice.label)).collect()
}

fn values(interview: &Interview, reference: &str) -> Vec<String> {
    offered(interview, reference).into_iter().map(|(value, _)| value).collect()
}

const TOWNS: &str =
    "key,title,city,sort,sortby\nh1,Old Herat,Herat,a,3\nk1,Kabul,Kabul,a,1\nh2,New herat,Herat,b,2\nk1,Again,Kabul,a,4\n";

#[test]
fn external_choices_are_filtered_and_stand_in_the_form() {
    let text = "#survey
        type|name|label|choice_filter
        text|state|State
        select_one_external cities|city|City|state = ${state}
        #external_choices
        list_name|name|label|state
        cities|sea|Seattle|wa
        cities|aus|Austin|tx
        cities|tac|Tacoma|wa
        other|sea|Sea|wa";
    for form in both(text) {
        let mut interview = interview(form, &[]);
        assert!(values(&interview, "/data/city").is_empty());
        interview.set("/data/state", "wa").unwrap();
        let seattle = ("sea".to_owned(), "Seattle".to_owned());
        assert_eq!(offered(&interview, "/data/city"), [seattle, ("tac".to_owned(), "Tacoma".to_owned())]);
        interview.set("/data/city", "tac").unwrap();
        interview.set("/data/state", "tx").unwrap();
        assert_eq!(values(&interview, "/data/city"), ["aus"]);
    }
}

#[test]
fn a_query_of_an_xform_reads_the_file_of_all_lists() {
    let xml = r#"<h:html xmlns="http://www.w3.org/2002/xforms" xmlns:h="http://www.w3.org/1999/xhtml"><h:head><h:title>t</h:title>
        <model><instance><data id="t"><state/><city/></data></instance><bind nodeset="/data/state" type="string"/>
        <bind nodeset="/data/city" type="string"/></model></h:head><h:body><input ref="/data/state"><label>S</label></input>
        <input ref="/data/city" query="instance('cities')/root/item[state= /data/state ]"><label>C</label></input></h:body></h:html>"#;
    let form = xform::read(xml.as_bytes(), "t.xml").unwrap();
    let csv = "\"list name\",\"name\",\"label\",\"state\"\n\"cities\",\"sea\",\"Seattle\",\"wa\"\n\"cities\",\"aus\",\"Austin\",\"tx\"\n\"lakes\",\"l\",\"Lake\",\"wa\"\n";
    let mut interview = interview(form, &[("itemsets.csv", csv)]);
    interview.set("/data/state", "wa").unwrap();
    assert_eq!(offered(&interview, "/data/city"), [("sea".to_owned(), "Seattle".to_owned())]);
}

fn searching(appearance: &str) -> String {
    format!(
        "#survey
        type|name|label|appearance
        text|word|Word
        text|sort|Sort
        select_one towns|town|Town|{appearance}
        #choices
        list_name|name|label
        towns|0|None of them
        towns|key|title"
    )
}

#[test]
fn search_offers_rows_of_a_file_after_the_choices_with_numbers() {
    for form in both(&searching("minimal search('towns')")) {
        let interview = interview(form, &[("towns.csv", TOWNS)]);
        let rows = [("0", "None of them"), ("k1", "Kabul"), ("h2", "New herat"), ("h1", "Old Herat")];
        assert_eq!(offered(&interview, "/data/town"), rows.map(|(value, label)| (value.to_owned(), label.to_owned())));
    }
}

#[test]
fn search_compares_as_it_is_told() {
    for (arguments, found) in [
        ("'contains', 'title', ${word}", ["h2", "h1"].as_slice()),
        ("'startswith', 'title', ${word}", &[]),
        ("'endswith', 'title', ${word}", &["h2", "h1"]),
        ("'matches', 'city', ${word}", &["h2", "h1"]),
        ("'matches', 'title, city', ${word}", &["h2", "h1"]),
        ("'contains', 'title', ${word}, 'sort', ${sort}", &["h1"]),
        ("'contains', '', '', 'sort', 'b'", &["h2"]),
    ] {
        for form in both(&searching(&format!("search('towns', {arguments})"))) {
            let mut interview = interview(form, &[("towns.csv", TOWNS)]);
            interview.set("/data/word", "herat").unwrap();
            interview.set("/data/sort", "a").unwrap();
            let mut expected = vec!["0"];
            expected.extend(found);
            assert_eq!(values(&interview, "/data/town"), expected, "{arguments}");
        }
    }
}

#[test]
fn search_shows_several_columns_and_those_of_the_language() {
    let form = read(
        "#survey
        type|name|label::English|label::Dari|appearance
        select_one towns|town|Town|شهر|search('towns')
        note|said|${town}|${town}
        #choices
        list_name|name|label::English|label::Dari
        towns|key|title, city|city",
    );
    let mut interview = interview(form, &[("towns.csv", TOWNS)]);
    assert_eq!(offered(&interview, "/data/town")[0], ("k1".to_owned(), "Kabul (city: Kabul)".to_owned()));
    interview.set_language("Dari").unwrap();
    assert_eq!(offered(&interview, "/data/town")[1], ("h2".to_owned(), "Herat".to_owned()));
}

#[test]
fn search_cannot_share_its_list_or_be_a_file() {
    let shared = fault_lines(
        "#survey
        type|name|label|appearance
        select_one t|a|A|search('f')
        select_one t|b|B
        #choices
        list_name|name|label
        t|key|title",
    );
    assert_eq!(
        shared,
        [
            "survey row 2, column type: `a` searches by the list `t`, which `b` shows as it is. Mend: use `search()` for both, or a list of its own for each"
        ]
    );
    let file = fault_lines("#survey\ntype|name|label|appearance\nselect_one_from_file t.csv|a|A|search('f')");
    assert_eq!(
        file,
        [
            "survey row 2, column appearance: `search()` needs a list of the choices sheet that names the columns of the file. Mend: remove `search()`, or use such a list"
        ]
    );
}
