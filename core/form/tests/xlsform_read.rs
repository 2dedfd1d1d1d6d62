//! What the reader makes of workbooks. The workbooks are made here, cell by cell.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use karwan_form::model::{
    ActionValue, ControlKind, DataType, Form, InstanceSource, MergeRule, Node, NodeKind, Table, Text, TextPart,
};
use karwan_form::xpath::Expression;
use karwan_form::{xform, xlsform};
use rust_xlsxwriter::Workbook;
use xlsform_made::{read, workbook};

mod xlsform_made;

fn node<'form>(form: &'form Form, path: &str) -> &'form Node {
    let id = form.by_path.get(path).unwrap_or_else(|| panic!("no {path} in {:?}", form.by_path.keys()));
    &form.nodes[*id]
}

fn source(expression: Option<&Expression>) -> &str {
    expression.map_or("", |expression| expression.source.as_str())
}

fn said(text: Option<&Text>, language: usize) -> String {
    let parts = text.and_then(|text| text.by_language[language].as_ref());
    parts
        .into_iter()
        .flatten()
        .map(|part| match part {
            TextPart::Literal(words) => words.clone(),
            TextPart::Output(expression) => format!("<{}>", expression.source),
        })
        .collect()
}

fn table<'form>(form: &'form Form, id: &str) -> &'form Table {
    match &form.instances[id].source {
        InstanceSource::Internal(table) => table,
        other => panic!("{other:?}"),
    }
}

const CHOICES: &str = "#choices\nlist_name|name|label\nyn|yes|Yes\nyn|no|No\n";

#[test]
fn groups_repeats_and_questions_become_a_tree() {
    let form = read(
        "#survey
        type|name|label|relevant|required|constraint|constraint message|read only|hint|calculation
        text|name|Name||yes||||As on paper|
        begin group|home|Home|${name} != ''
        integer|people|People|||. > 0|More than none||
        begin_repeat|member|Member
        decimal|weight|Weight|${people} > 1||. < ${limit}||||
        calculate|limit||||||||${people} * 10
        end repeat|
        end_group
        note|bye|Bye ${name}, ${people}!",
    );
    let paths: Vec<&str> = form.nodes.iter().map(|node| node.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "/data",
            "/data/name",
            "/data/home",
            "/data/home/people",
            "/data/home/member",
            "/data/home/member/weight",
            "/data/home/member/limit",
            "/data/bye",
            "/data/meta",
            "/data/meta/instanceID"
        ]
    );
    assert_eq!(form.id, "made");
    assert_eq!(form.title, "made");
    assert_eq!(form.root_name, "data");
    assert!(form.languages.is_empty());
    let name = node(&form, "/data/name");
    assert_eq!(source(name.bind.required.as_ref()), "true()");
    assert_eq!(said(name.control.as_ref().unwrap().hint.as_ref(), 0), "As on paper");
    assert_eq!(source(node(&form, "/data/home").bind.relevant.as_ref()), " /data/name  != ''");
    let people = node(&form, "/data/home/people");
    assert_eq!(people.bind.data_type, DataType::Int);
    assert_eq!(people.row, 4);
    assert_eq!(said(people.bind.constraint_message.as_ref(), 0), "More than none");
    assert_eq!(node(&form, "/data/home/member").kind, NodeKind::Repeat { count: None });
    let weight = node(&form, "/data/home/member/weight");
    assert_eq!(source(weight.bind.relevant.as_ref()), " /data/home/people  > 1");
    assert_eq!(source(weight.bind.constraint.as_ref()), ". <  ../limit ");
    let limit = node(&form, "/data/home/member/limit");
    assert!(limit.control.is_none());
    assert_eq!(source(limit.bind.calculate.as_ref()), " /data/home/people  * 10");
    let bye = node(&form, "/data/bye");
    assert_eq!(bye.control.as_ref().unwrap().kind, ControlKind::Note);
    assert_eq!(source(bye.bind.readonly.as_ref()), "true()");
    assert_eq!(said(bye.control.as_ref().unwrap().label.as_ref(), 0), " Bye < /data/name >, < /data/home/people >! ");
    assert_eq!(node(&form, "/data/meta/instanceID").bind.preload.as_deref(), Some("uid"));
}

#[test]
fn types_give_data_types_controls_and_preloads() {
    let form = read(&format!(
        "#survey
        type|name|label|appearance|parameters
        dateTime|q1|Q
        time|q2|Q
        geopoint|q3|Q
        geotrace|q4|Q
        geoshape|q5|Q
        image|q6|Q|signature|max-pixels=800
        file|q7|Q
        barcode|q8|Q
        acknowledge|q9|Q
        range|q10|Q||start=0; end=1; step=0.1
        range|q11|Q
        hidden|q12
        start|q13
        today|q14
        deviceid|q15
        start-geopoint|q16
        rank yn|q17|Q
        select_multiple yn|q18|Q
        select_one yn|q19|Q|minimal
        audit|
        {CHOICES}"
    ));
    let of = |name: &str| node(&form, &format!("/data/{name}"));
    let expected = [
        ("q1", DataType::DateTime, Some(ControlKind::Input)),
        ("q2", DataType::Time, Some(ControlKind::Input)),
        ("q3", DataType::GeoPoint, Some(ControlKind::Input)),
        ("q4", DataType::GeoTrace, Some(ControlKind::Input)),
        ("q5", DataType::GeoShape, Some(ControlKind::Input)),
        ("q6", DataType::Binary, Some(ControlKind::Upload)),
        ("q7", DataType::Binary, Some(ControlKind::Upload)),
        ("q8", DataType::Barcode, Some(ControlKind::Input)),
        ("q9", DataType::String, Some(ControlKind::Trigger)),
        ("q10", DataType::Decimal, Some(ControlKind::Range)),
        ("q11", DataType::Int, Some(ControlKind::Range)),
        ("q12", DataType::String, None),
        ("q13", DataType::DateTime, None),
        ("q14", DataType::Date, None),
        ("q15", DataType::String, None),
        ("q16", DataType::GeoPoint, None),
        ("q17", DataType::Rank, Some(ControlKind::Rank)),
        ("q18", DataType::SelectMultiple, Some(ControlKind::SelectMultiple)),
        ("q19", DataType::SelectOne, Some(ControlKind::SelectOne)),
    ];
    for (name, data_type, control) in expected {
        assert_eq!(of(name).bind.data_type, data_type, "{name}");
        assert_eq!(of(name).control.as_ref().map(|control| control.kind), control, "{name}");
    }
    assert_eq!(of("q13").bind.preload.as_deref(), Some("start"));
    assert_eq!(of("q14").bind.preload.as_deref(), Some("today"));
    assert_eq!(of("q15").bind.preload.as_deref(), Some("deviceid"));
    assert!(matches!(of("q16").actions[0].value, ActionValue::GeoPoint));
    assert_eq!(of("q18").bind.merge, MergeRule::Union);
    let parameters = &of("q11").control.as_ref().unwrap().parameters;
    assert_eq!((parameters["start"].as_str(), parameters["end"].as_str(), parameters["step"].as_str()), ("1", "10", "1"));
    let photo = of("q6").control.as_ref().unwrap();
    assert_eq!(photo.appearance, "signature");
    assert_eq!(photo.parameters["max-pixels"], "800");
    assert_eq!(photo.parameters["mediatype"], "image/*");
    assert_eq!(node(&form, "/data/meta/audit").bind.data_type, DataType::Binary);
}

#[test]
fn choices_are_tables_and_filters_are_predicates() {
    let form = read(
        "#survey
        type|name|label|choice_filter|parameters
        text|province|Province
        select_one town|town|Town|adm1 = ${province}|
        begin repeat|stop|Stop
        text|place|Place
        select_one town|next|Next|name != ${place} and adm1 = ${province}|randomize=true seed=42
        select_multiple_from_file people.csv|who|Who|town = ${next}|value=person_id label=full_name
        end repeat
        #choices
        list name|name|label|adm1|Note to self
        town|t1|One|A|x
        town|t2|Two|B|
        town|3|Three||y",
    );
    let town = table(&form, "town");
    assert_eq!(town.columns, ["name", "label", "adm1"]);
    assert_eq!(town.rows, [["t1", "One", "A"], ["t2", "Two", "B"], ["3", "Three", ""]]);
    assert!(town.labels.is_empty());
    let itemset = |path: &str| node(&form, path).control.as_ref().unwrap().itemset.clone().unwrap();
    assert_eq!(itemset("/data/town").nodeset.source, "instance('town')/root/item[adm1 =  /data/province ]");
    let next = itemset("/data/stop/next");
    assert_eq!(next.nodeset.source, "instance('town')/root/item[name !=  current()/../place  and adm1 =  /data/province ]");
    assert_eq!((next.instance.as_str(), next.value_ref.as_str(), next.label_ref.as_str()), ("town", "name", "label"));
    assert!(next.randomize);
    assert_eq!(source(next.seed.as_ref()), "42");
    let who = itemset("/data/stop/who");
    assert_eq!(who.nodeset.source, "instance('people')/root/item[town =  current()/../next ]");
    assert_eq!((who.value_ref.as_str(), who.label_ref.as_str()), ("person_id", "full_name"));
    assert!(matches!(&form.instances["people"].source, InstanceSource::External { file } if file == "people.csv"));
    assert!(form.warnings.iter().any(|warning| warning.contains("Note to self")), "{:?}", form.warnings);
}

#[test]
fn words_come_in_languages() {
    let form = read(
        "#survey
        type|name|label::English (en)|label::فارسی (fa)|hint|media::image::English (en)|constraint_message::فارسی (fa)|constraint
        integer|age|Age|سن|In years|age.png|نه|. > 0
        text|only_en|Only English
        #choices
        list_name|name|label::English (en)|label::فارسی (fa)
        yn|yes|Yes ${age}|بله
        #settings
        default_language|form_title|form_id|version
        فارسی (fa)|Title|the_form|2026112301",
    );
    assert_eq!(form.languages, ["English (en)", "فارسی (fa)"]);
    assert_eq!(form.default_language, 1);
    assert_eq!((form.title.as_str(), form.id.as_str(), form.version.as_str()), ("Title", "the_form", "2026112301"));
    let age = node(&form, "/data/age");
    let control = age.control.as_ref().unwrap();
    assert_eq!(said(control.label.as_ref(), 0), "Age");
    assert_eq!(said(control.label.as_ref(), 1), "سن");
    // Words without a language are said in every language.
    assert_eq!((said(control.hint.as_ref(), 0), said(control.hint.as_ref(), 1)), ("In years".to_owned(), "In years".to_owned()));
    assert_eq!(said(control.media.get("image"), 0), "age.png");
    // What a language lacks it shows as `-`, but for pictures.
    assert_eq!(said(age.bind.constraint_message.as_ref(), 0), "-");
    assert_eq!(control.media["image"].by_language[1], None);
    assert_eq!(said(age.bind.constraint_message.as_ref(), 1), "نه");
    assert_eq!(said(node(&form, "/data/only_en").control.as_ref().unwrap().label.as_ref(), 1), "-");
    let yn = table(&form, "yn");
    assert_eq!(yn.rows[0][1], "بله");
    assert_eq!(said(Some(&yn.labels[0]), 0), " Yes < /data/age > ");
}

#[test]
fn words_with_and_without_a_language_in_one_row_make_a_default_language() {
    let form = read("#survey\ntype|name|label|label::French\ntext|a|Age|Âge\ntext|b|Both\n");
    assert_eq!(form.languages, ["default", "French"]);
    assert_eq!(form.default_language, 0);
    let label = |name: &str, language| said(node(&form, name).control.as_ref().unwrap().label.as_ref(), language);
    assert_eq!((label("/data/a", 0), label("/data/a", 1)), ("Age".to_owned(), "Âge".to_owned()));
    assert_eq!((label("/data/b", 0), label("/data/b", 1)), ("Both".to_owned(), "Both".to_owned()));
}

#[test]
fn texts_that_need_a_language_are_of_the_default_one() {
    let form = read(
        "#survey
        type|name|label|label::French|guidance_hint|image
        text|a||Âge|Ask twice
        text|b|Both|||b.png
        select_one yn|c||Choix
        #choices
        list_name|name|label::French|label::English
        yn|y|Oui|Yes",
    );
    // The lists' languages come first, as pyxform writes them.
    assert_eq!(form.languages, ["French", "English", "default"]);
    assert_eq!(form.default_language, 2);
    let control = |path: &str| node(&form, path).control.as_ref().unwrap();
    let guidance = control("/data/a").guidance_hint.as_ref();
    assert_eq!((said(guidance, 0), said(guidance, 2)), ("-".to_owned(), "Ask twice".to_owned()));
    assert_eq!(said(control("/data/a").label.as_ref(), 2), "-");
    assert_eq!(
        (said(control("/data/b").label.as_ref(), 0), said(control("/data/b").label.as_ref(), 2)),
        ("-".to_owned(), "Both".to_owned())
    );
    let guided = read("#survey\ntype|name|label|guidance_hint\ntext|a|A|Ask twice");
    assert!(guided.languages.is_empty());
}

#[test]
fn counts_are_references_or_calculations() {
    let form = read(
        "#survey
        type|name|label|repeat_count
        integer|n|How many
        begin repeat|one|One|${n}
        text|a|A
        begin repeat|two|Two|${n} + 1
        text|b|B
        end repeat
        end repeat
        begin repeat|three|Three|3
        text|c|C
        end repeat",
    );
    let count = |path: &str| match &node(&form, path).kind {
        NodeKind::Repeat { count } => source(count.as_ref()).to_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(count("/data/one"), " /data/n ");
    assert_eq!(count("/data/one/two"), " ../two_count ");
    assert_eq!(source(node(&form, "/data/one/two_count").bind.calculate.as_ref()), " /data/n  + 1");
    assert_eq!(count("/data/three"), " /data/three_count ");
    assert_eq!(source(node(&form, "/data/three_count").bind.calculate.as_ref()), "3");
    let order: Vec<&str> = node(&form, "/data").children.iter().map(|id| form.nodes[*id].name.as_str()).collect();
    assert_eq!(order, ["n", "one", "three_count", "three", "meta"]);
}

#[test]
fn defaults_are_literals_or_actions() {
    let form = read(
        "#survey
        type|name|label|default
        date|day|Day|2026-11-23
        date|now|Now|today()
        text|phone|Phone|+93 70 000
        begin repeat|r|R
        text|who|Who|${phone}
        end repeat",
    );
    assert_eq!(node(&form, "/data/day").default, "2026-11-23");
    assert_eq!(node(&form, "/data/phone").default, "+93 70 000");
    let now = &node(&form, "/data/now").actions[0];
    assert_eq!(now.events, ["odk-instance-first-load"]);
    assert!(matches!(&now.value, ActionValue::Expression(expression) if expression.source == "today()"));
    let who = &node(&form, "/data/r/who").actions[0];
    assert_eq!(who.events, ["odk-instance-first-load", "odk-new-repeat"]);
}

#[test]
fn triggers_set_values_when_a_question_changes() {
    let form = read(
        "#survey
        type|name|label|trigger|calculation
        text|a|A
        text|b|B
        text|c|C|${a}, ${b}|concat(${a}, ${b})
        calculate|d||${a}|now()
        text|e|E|${a}|",
    );
    let c = node(&form, "/data/c");
    assert!(c.bind.calculate.is_none());
    assert_eq!(c.actions.len(), 2);
    assert_eq!(c.actions[1].events, ["xforms-value-changed"]);
    assert_eq!(c.actions[1].trigger, form.by_path.get("/data/b").copied());
    assert!(
        matches!(&c.actions[0].value, ActionValue::Expression(expression) if expression.source == "concat( /data/a ,  /data/b )")
    );
    assert!(!node(&form, "/data/d").bind.captured);
    assert!(matches!(&node(&form, "/data/e").actions[0].value, ActionValue::Literal(text) if text.is_empty()));
}

#[test]
fn entities_are_where_their_questions_are() {
    let form = read(
        "#survey
        type|name|label|save_to|calculation
        text|case_no|Case|cases♯case_no
        csv-external|people
        begin repeat|member|Member
        begin group|names|Names
        text|given|Given|people♯given_name
        end group
        text|known|Known
        end repeat
        #entities
        list_name|label|entity_id|create_if|update_if
        cases|${case_no}|
        people|concat(${given}, ${case_no})|${known}|${known} = ''|${known} != ''",
    );
    let [cases, people] = form.entities.as_slice() else { panic!("{:?}", form.entities) };
    assert_eq!((cases.list.as_str(), cases.scope), ("cases", 0));
    assert_eq!(source(cases.label.as_ref()), " /data/case_no ");
    assert_eq!(form.nodes[people.scope].path, "/data/member/names");
    assert_eq!(source(people.label.as_ref()), "concat( ../../../given ,  /data/case_no )");
    assert_eq!(source(people.update_if.as_ref()), " ../../../../known  != ''");
    assert_eq!(people.properties, [("given_name".to_owned(), form.by_path["/data/member/names/given"])]);
    assert_eq!(node(&form, "/data/case_no").bind.save_to, Some(("cases".to_owned(), "case_no".to_owned())));
}

#[test]
fn calculations_that_change_by_themselves_are_captured() {
    let form = read(
        "#survey
        type|name|label|calculation
        csv-external|people
        text|a|A
        calculate|c1||once(uuid())
        calculate|c2||${a} + 1
        calculate|c3||instance('people')/root/item[name = ${a}]/label
        calculate|c4||pulldata('prices', 'price', 'name', ${a})
        calculate|c5||today() + 1
        calculate|c6||instance('yn')/root/item[name = ${a}]/label
        calculate|c7||${last-saved♯a}
        #choices
        list_name|name|label
        yn|y|Yes",
    );
    let captured = |name: &str| node(&form, &format!("/data/{name}")).bind.captured;
    assert_eq!(["c1", "c2", "c3", "c4", "c5", "c6", "c7"].map(captured), [true, false, true, true, true, false, true]);
    assert!(matches!(&form.instances["prices"].source, InstanceSource::External { file } if file == "prices.csv"));
    assert!(matches!(form.instances["__last-saved"].source, InstanceSource::LastSaved));
    assert_eq!(source(node(&form, "/data/c7").bind.calculate.as_ref()), " instance('__last-saved')/data/a ");
}

#[test]
fn or_other_and_table_list_add_what_pyxform_adds() {
    let form = read(&format!(
        "#survey
        type|name|label|appearance
        select_one yn or_other|q|Q
        begin group|t|Table|table-list
        select_one yn|t1|First
        select_one yn|t2|Second
        end group
        {CHOICES}"
    ));
    assert_eq!(source(node(&form, "/data/q_other").bind.relevant.as_ref()), "selected(../q, 'other')");
    assert_eq!(table(&form, "yn").rows.last().unwrap(), &["other", "Other"]);
    let appearance = |path: &str| node(&form, path).control.as_ref().unwrap().appearance.clone();
    assert_eq!(appearance("/data/t"), "field-list");
    assert_eq!(appearance("/data/t/reserved_name_for_field_list_labels_4"), "label");
    assert_eq!(appearance("/data/t/t1"), "list-nolabel");
    assert_eq!(appearance("/data/t/t2"), "list-nolabel");
    assert_eq!(node(&form, "/data/t/generated_table_list_label_3").control.as_ref().unwrap().kind, ControlKind::Note);
}

#[test]
fn selects_can_take_their_choices_from_a_repeat() {
    let form = read(
        "#survey
        type|name|label|choice_filter
        begin repeat|member|Member
        text|given|Given name
        integer|age|Age
        end repeat
        select_one ${given}|head|Head|
        select_one ${given}|elder|Elder|${age} > 60",
    );
    let itemset = |path: &str| node(&form, path).control.as_ref().unwrap().itemset.clone().unwrap();
    let head = itemset("/data/head");
    assert_eq!(head.nodeset.source, "/data/member[./given != '']");
    assert_eq!((head.instance.as_str(), head.value_ref.as_str(), head.label_ref.as_str()), ("", "given", "given"));
    assert_eq!(itemset("/data/elder").nodeset.source, "/data/member[ ./age  > 60]");
}

#[test]
fn karwan_columns_and_sheet() {
    let form = read(
        "#survey
        type|name|label|bind::karwan:merge|bind::karwan:identity|instance::hxl|bind::odk:length
        text|given|Given||given_name|♯name|20
        text|state|State|events
        #karwan_status
        question|from|to|role|beats
        state||booked|enumerator|
        state|booked|withdrawn||booked, paid  done
        #settings
        form_id|style|instance_name
        x|pages|concat('n ', ${given})",
    );
    let given = node(&form, "/data/given");
    assert_eq!(given.bind.identity.as_deref(), Some("given_name"));
    assert_eq!(given.bind.extra["instance::hxl"], "#name");
    assert_eq!(given.bind.extra["bind::odk:length"], "20");
    assert_eq!(node(&form, "/data/state").bind.merge, MergeRule::Events);
    assert_eq!(form.status_rules.len(), 2);
    assert_eq!(form.status_rules[1].beats, ["booked", "paid", "done"]);
    assert_eq!(form.style, "pages");
    assert_eq!(source(form.instance_name.as_ref()), "concat('n ',  /data/given )");
    assert_eq!(form.instance_name, node(&form, "/data/meta/instanceName").bind.calculate);
}

#[test]
fn cells_that_are_numbers_dates_and_booleans_read_as_people_wrote_them() {
    let mut workbook = Workbook::new();
    let survey = workbook.add_worksheet();
    survey.set_name("Survey").unwrap();
    for (column, header) in ["Type", "Name", "Label", "Default", "Required"].iter().enumerate() {
        survey.write_string(0, column as u16, *header).unwrap();
    }
    survey.write_string(2, 0, "integer").unwrap();
    survey.write_string(2, 1, "n").unwrap();
    survey.write_number(2, 2, 5).unwrap();
    survey.write_number(2, 3, 7.0).unwrap();
    survey.write_boolean(2, 4, true).unwrap();
    survey.write_string(4, 0, "decimal").unwrap();
    survey.write_string(4, 1, "d").unwrap();
    survey.write_string(4, 2, "a\u{a0}b   c “quoted”").unwrap();
    survey.write_number(4, 3, 2.5).unwrap();
    let form = xlsform::read(&workbook.save_to_buffer().unwrap(), "x.xlsx").unwrap();
    let n = node(&form, "/data/n");
    assert_eq!((n.default.as_str(), n.row), ("7", 3));
    assert_eq!(source(n.bind.required.as_ref()), "true()");
    assert_eq!(said(n.control.as_ref().unwrap().label.as_ref(), 0), "5");
    let d = node(&form, "/data/d");
    assert_eq!((d.default.as_str(), d.row), ("2.5", 5));
    assert_eq!(said(d.control.as_ref().unwrap().label.as_ref(), 0), "a b c \"quoted\"");
}

#[test]
fn the_hash_is_blake3_of_the_bytes() {
    let bytes = workbook("#survey\ntype|name|label\ntext|a|A\n");
    let form = xlsform::read(&bytes, "a.xlsx").unwrap();
    assert_eq!(form.hash, *blake3::hash(&bytes).as_bytes());
}

#[test]
fn what_only_looks_like_a_circle_is_none() {
    read(
        "#survey
        type|name|label|calculation|relevant|constraint
        begin repeat|r|R
        integer|x|X|||. > ${y}
        integer|y|Y|||. < ${x}
        calculate|running||${x} + coalesce(../../r[position() = position(current()/..) - 1]/running, 0)
        calculate|before||indexed-repeat(${running}, ${r}, position(..) - 1)
        end repeat
        calculate|total||sum(${x})
        calculate|mine||once(if(${mine} = '', uuid(), ${mine}))",
    );
}

#[test]
fn duplicate_choices_are_allowed_where_the_settings_say_so() {
    read(
        "#survey\ntype|name|label\nselect_one yn|a|A\n#choices\nlist_name|name|label\nyn|y|Y\nyn|y|Z\n#settings\nallow_choice_duplicates\nyes",
    );
}

#[test]
fn oddities_are_warnings_only() {
    let form = read(
        "#survey
        type|name|label|appearance|unknown column
        text|a|A|multiline sparkling|x
        text|A|A
        |||a note to myself
        #setings
        form_id
        x",
    );
    let all = form.warnings.join("\n");
    assert!(all.contains("survey row 2, column appearance: the appearance `sparkling` is not known"), "{all}");
    assert!(all.contains("only in upper and lower case"), "{all}");
    assert!(all.contains("is it meant to be `settings`?"), "{all}");
}

#[test]
fn a_parameter_is_written_with_the_word_that_xforms_knows() {
    let form = read("#survey\ntype|name|label|parameters\ngeotrace|way|Way|incremental=yes\n");
    let written = xform::write(&form);
    assert!(written.contains(" incremental=\"true\""), "{written}");
}
