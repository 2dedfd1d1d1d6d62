"""The words of XLSForm that `workbooks` puts into cells: right ones, old ones and wrong ones."""

# Every word of the column `type` that pyxform knows.
TYPES = [
    "text", "string", "q string", "add text prompt", "integer", "int", "q int", "add integer prompt", "decimal", "q decimal",
    "add decimal prompt", "date", "q date", "add date prompt", "time", "dateTime", "datetime", "date time", "q dateTime", "q date time",
    "add dateTime prompt", "add date time prompt", "geopoint", "gps", "location", "q geopoint", "q location", "add location prompt",
    "geotrace", "q geotrace", "geoshape", "q geoshape", "barcode", "q barcode", "add barcode prompt", "image", "photo", "q image",
    "q picture", "add image prompt", "add photo prompt", "audio", "q audio", "add audio prompt", "video", "q video", "add video prompt",
    "file", "add file prompt", "note", "q note", "add note prompt", "acknowledge", "trigger", "q acknowledge", "add acknowledge prompt",
    "range", "percentage", "number of days in last month", "number of days in last six months", "number of days in last year",
    "phone number", "hidden", "q calculate", "add calculate prompt", "start", "start time", "get start time", "end time",
    "get end time", "today", "get today", "deviceid", "device id", "imei", "get device id", "uri:deviceid", "subscriberid",
    "subscriber id", "get subscriber id", "uri:subscriberid", "simserial", "sim id", "get sim id", "uri:simserial", "phonenumber",
    "get phone number", "uri:phonenumber", "username", "uri:username", "email", "uri:email", "start-geopoint", "background-audio",
    "csv-external", "xml-external", "select_one yn", "select one yn", "select one from yn", "select1 yn", "select_multiple yn",
    "select all that apply yn", "select all that apply from yn", "add select one prompt using yn",
    "add select multiple prompt using yn", "rank yn", "select_one_from_file a.csv", "select one from file a.csv",
    "select_multiple_from_file a.csv", "select multiple from file a.xml", "q select yn", "q select1 yn", "select one using yn",
    "select multiple using yn", "select multiple from yn", "select one external yn",
]

TYPES_WRONG = [
    "Text", "TEXT", "txt", "integr", "number", "select_on yn", "selectone yn", "select_one  yn", "select-one yn", "select_multipl yn",
    "begin", "end", "group", "repeat", "calculation", "geo point", "picture", "dropdown", "radio", "checkbox", "date_time", "Integer",
    "select one", "cascading_select yn", "osm", "osm yn", "loop",
]

# One word of each type.
TYPES_MAIN = [
    "text", "integer", "decimal", "date", "time", "dateTime", "select_one yn", "select_multiple yn", "rank yn",
    "select_one_from_file a.csv", "range", "note", "geopoint", "geotrace", "geoshape", "image", "audio", "video", "file", "barcode",
    "acknowledge", "calculate", "hidden", "begin group", "begin repeat", "start", "today", "username", "start-geopoint",
    "background-audio", "background-geopoint", "csv-external",
]

# Columns with a value each.
COLUMNS = [
    ("hint", "h"), ("hint", "${first}"), ("guidance_hint", "g"), ("required", "yes"), ("required", "no"), ("required", "TRUE"),
    ("required", "${first} = 'a'"), ("required_message", "m"), ("relevant", "${first} = 'a'"), ("relevant", "yes"),
    ("constraint", ". != ''"), ("constraint_message", "m"), ("read_only", "yes"), ("readonly", "TRUE"), ("calculation", "1 + 1"),
    ("calculation", "${first}"), ("default", "1"), ("default", "${first}"), ("default", "today()"), ("trigger", "${first}"),
    ("appearance", "minimal"), ("appearance", "w1 multiline"), ("choice_filter", "name = 'y'"), ("repeat_count", "2"),
    ("image", "a.png"), ("audio", "a.mp3"), ("video", "a.mp4"), ("big-image", "a.png"), ("media::image", "a.png"),
    ("autoplay", "audio"), ("rows", "3"), ("intent", "org.example.app(x=1)"), ("bind::type", "int"), ("bind::type", "frob"),
    ("bind::odk:length", "5"), ("bind::jr:preload", "uid"), ("bind::jr:noAppErrorString", "none"), ("body::accuracyThreshold", "5"),
    ("body::kb:x", "1"), ("instance::hxl", "#x"), ("instance::odk:tag", "t"), ("query", "a=b"), ("prefix", "p"), ("save_to", "x"),
    ("disabled", "no"), ("notes", "mine"), ("compact_tag", "c"), ("sms_field", "s"), ("label::fa", "پ"), ("hint::fa", "پ"),
    ("image::fa", "a.png"), ("jr:count", "3"), ("noapperrorstring", "n"), ("body::autoplay", "audio"),
]

# Headers by the value that stands below each.
HEADERS_BY_VALUE = {
    "yes": [
        "required", "Required", "REQUIRED", "bind::required", "bind:required", "Bind::Required", "required ", " required", "requird",
        "mandatory", "read_only", "readonly", "Read Only", "read only", "bind::readonly", "bind:readonly", "disabled",
    ],
    "${first} = 'a'": [
        "relevant", "relevance", "Relevant", "relevence", "relavant", "bind::relevant", "bind:relevant", "bind :: relevant", "skip",
        "constraint", "constraints", "bind::constraint", "calculation", "calculate", "calculations", "bind::calculate",
        "bind:calculate", "choice_filter", "choice filter", "choicefilter", "Choice_Filter", "default", "Default", "defaults",
        "trigger", "triggers",
    ],
    "words": [
        "hint", "Hint", "hints", "hint::en", "hint:en", "hint :: en", "guidance_hint", "guidance hint", "guidance", "guidance_hint::en",
        "constraint_message", "constraint message", "constraint-message", "constraintmsg", "constraining message",
        "bind::jr:constraintMsg", "bind:jr:constraintMsg", "jr:constraintMsg", "constraint_message::en", "required_message",
        "required message", "requiredmsg", "requiredMsg", "bind::jr:requiredMsg", "jr:requiredMsg", "required_message::en", "label::en",
        "label:en", "Label::en", "label::", "label::en::x", "LABEL", "labels", "caption", "caption::en", "appearance", "apperance",
        "body::appearance", "control::appearance", "control:appearance", "image", "media::image", "media:image", "media::image::en",
        "image::en", "media", "media::picture", "audio", "media::audio", "video", "big-image", "big_image", "media::big-image",
        "parameters", "parameter", "repeat_count", "repeat count", "count", "jr:count", "body::jr:count", "autoplay", "body::autoplay",
        "rows", "body::rows", "intent", "body::intent", "instance::a", "instance:a", "instance::a:b", "bind::a", "bind::a:b", "body::a",
        "body::a:b", "bind", "body", "instance", "compact_tag", "save_to", "saveto", "save to", "bind::entities:saveto", "query",
        "prefix", "itemset", "ref", "noapperrorstring", "no_app_error_string", "bind::jr:noAppErrorString", "sms_field", "sms_option",
        "hxl", "tag", "type", "name", "column 9", "مبدأ", "_note", "$", "a::b", "bind::odk:length", "bind::orx:max-pixels",
        "bind::jr:preload", "bind::jr:preloadParams", "bind::type",
    ],
}
HEADERS = [(header, value) for value, headers in HEADERS_BY_VALUE.items() for header in headers]

# Headers with a number: those of one number mean the same.
SAME_COLUMNS = [
    ("relevant", 1), ("relevance", 1), ("bind::relevant", 1), ("read_only", 2), ("readonly", 2), ("bind::readonly", 2),
    ("constraint_message", 3), ("constraint message", 3), ("bind::jr:constraintMsg", 3), ("calculation", 4), ("calculate", 4),
    ("bind::calculate", 4), ("required_message", 5), ("requiredMsg", 5), ("hint", 6), ("Hint", 6), ("image", 7), ("media::image", 7),
    ("count", 8), ("repeat_count", 8), ("jr:count", 8), ("appearance", 9), ("control::appearance", 9), ("body::appearance", 9),
    ("hint::en", 10), ("hint::EN", 10),
]

SETTINGS = [
    ("form_title", "T"), ("form_title", "<T> & ${x}"), ("title", "T"), ("set_form_title", "T"), ("Form Title", "T"), ("form_id", "i"),
    ("form_id", "an id"), ("id_string", "i"), ("set_form_id", "i"), ("version", "1"), ("version", "2026-11-28 a"),
    ("instance_name", "${first}"), ("instance_name", "concat(${first}, 1)"), ("instance_name", "${nobody}"), ("instance_name", "words"),
    ("instance_id", "uid"), ("instance_id", "x"), ("instance_xmlns", "http://x.org"), ("default_language", "fa"), ("style", "pages"),
    ("style", "theme-grid pages"), ("public_key", "MIIB"), ("submission_url", "https://x.org/s?a=1&b=2"), ("auto_send", "true"),
    ("auto_send", "no"), ("auto_delete", "true"), ("auto_delete", "yes"), ("allow_choice_duplicates", "yes"),
    ("omit_instanceID", "yes"), ("omit_instanceID", "no"), ("omit_instanceid", "yes"), ("clean_text_values", "no"),
    ("namespaces", "a=\"http://a.org\""), ("namespaces", "a"), ("prefix", "p"), ("delimiter", "|"), ("name", "root"),
    ("name", "my root"), ("attribute::a", "v"), ("attribute::odk:x", "v"), ("attribute:a", "v"), ("attribute::x:y", "v"),
    ("client_editable", "yes"), ("client_editable", "no"), ("flat", "yes"), ("sms_keyword", "k"), ("sms_separator", "+"),
    ("unknown", "x"), ("add_none_option", "yes"), ("compact_prefix", "p"), ("style", ""), ("print_name", "x"), ("id", "x"),
    ("default language", "fa"), ("Version", "2"), ("instance name", "'x'"), ("entity_version", "2024.1.0"),
]

SETTINGS_PAIRED = [
    ("form_id", "i"), ("id_string", "j"), ("form_title", "T"), ("title", "U"), ("public_key", "k"), ("omit_instanceID", "yes"),
    ("submission_url", "https://x.org"), ("auto_send", "true"), ("auto_delete", "false"), ("instance_name", "'a'"),
    ("namespaces", "a=\"http://a.org\" b=\"http://b.org\""), ("attribute::a:x", "v"), ("instance_id", "x"), ("client_editable", "yes"),
]

PARAMETERS = [
    "start=1 end=5", "start=1, end=5", "start=1;end=5", "start = 1 end = 5", "start=1end=5", "a", "a=", "=a", "a=b", "quality=low",
    "quality=voice-only", "quality=external", "quality=best", "max-pixels=640", "max-pixels=x", "Max-Pixels=640", "max-pixels=1.5",
    "app=com.x.y", "app=x", "app=1.2", "rows=3", "rows=x", "capture-accuracy=5", "capture-accuracy=x", "warning-accuracy=10",
    "warning-accuracy=ten", "allow-mock-accuracy=true", "allow-mock-accuracy=yes", "incremental=true", "incremental=false",
    "reference-geometry=yn", "reference-geometry=nolist", "reference-geometry=${first}", "randomize=true", "randomize=maybe",
    "randomize=true seed=1", "randomize=true seed=x", "seed=1", "seed=${first}", "value=id", "label=x value=y", "track-changes=true",
    "track-changes=x", "track-changes-reasons=on-form-edit", "track-changes-reasons=x", "identify-user=true",
    "location-priority=balanced location-min-interval=60 location-max-age=120",
    "location-priority=balanced location-min-interval=60 location-max-age=20",
    "location-priority=x location-min-interval=60 location-max-age=120", "location-priority=balanced", "quality=low quality=normal",
]

RANGES = [
    "", "start=0 end=10", "start=0 end=10 step=0.5", "start=10 end=0", "start=a", "step=0", "step=-1", "step=20",
    "start=0 end=10 step=3", "end=10", "start=1 end=10 tick_interval=3", "start=1 end=10 tick_interval=0",
    "start=1 end=10 tick_interval=20", "start=1 end=10 step=2 tick_interval=3", "placeholder=5", "placeholder=50", "placeholder=x",
    "step=2 placeholder=2", "tick_labelset=t", "tick_labelset=u", "tick_labelset=nolist", "start=1 end=5 tick_labelset=t",
    "start=1 end=10 step=2 tick_labelset=t", "start=0.5 end=2", "start=1.0 end=5.0", "min=1 max=5", "start=1 end=1",
    "start=-5 end=5 step=1 placeholder=0", "start=1 end=10 step=1 tick_interval=9 tick_labelset=u", "tick_labelset=t tick_interval=4",
]

CHOICE_HEADERS = [
    "area", "Area", "my area", "media::image", "image", "media::image::en", "audio", "label::en", "label::en::x", "a:b", "a::b", "1x",
    "é", "منطقه", "geometry", "itextId", "list", "hint", "value", "caption", "order", "a.b", "a-b", "_x", "big-image", "media::x",
    "name::en", "sms_option", "a/b", "$x",
]

SEARCHES = [
    "search('f')", "minimal search('f')", "search('f') minimal", "search('f', 'contains', 'c', ${first})",
    "search('f', 'matches', 'c', 'v', 'd', ${first})", "search('f', 'bad', 'c', 'v')", "search()", "search(f)",
    "search('f', 'contains')", "search(\"f\")", "search('f.csv')", "Search('f')", "search ('f')",
    "search('f', 'startswith', 'c', concat(${first}, 'a'))",
]

TRANSLATED = [
    {}, {"hint::English (en)": "h"}, {"hint": "h"}, {"guidance_hint::فارسی (fa)": "g"}, {"media::image::English (en)": "a.png"},
    {"image": "a.png"}, {"media::audio": "a.mp3", "hint": "h"}, {"constraint_message::English (en)": "c"}, {"required_message": "r"},
    {"big-image::English (en)": "b.png", "image::English (en)": "a.png"}, {"hint::Pashto (ps)": "x"}, {"video::فارسی (fa)": "v.mp4"},
]

CONTAINERS = [
    "begin group", "begin_group", "begin repeat", "begin_repeat", "begin lgroup", "begin looped group", "begin loop", "Begin group",
    "BEGIN GROUP", "begin  group", "begin  repeat", "begingroup", "begin-group",
]

COUNTS = [
    "2", "${first}", " ${first} ", "${first} + 1", "count(${first})", "${nobody}", "1 +", "x", "0", "-1", "2.5",
    "if(${first} = 'a', 1, 2)", "${q}", "${r}", "number(${first})",
]

NAMES = [
    "a", "A1", "_a", "a b", "1a", "a-b", "a.b", "a:b", "é", "نام", "a/b", "a'b", "data", "meta", "instanceID", "name", "label", "first",
    "First", "-a", ".a", "a$", "__a", "xml", "123", "a__b", "یک‌دو", "entity",
] + ["a" * 80]

EXPRESSION_COLUMNS = [
    "relevant", "constraint", "calculation", "required", "read_only", "default",
]

EXPRESSIONS = [
    "${first}", "${first} = 'a'", "${num} > 1", "not(${num} = 1)", "${first}=${num}", "${nobody} = 1", "${first", "$first", "{first}",
    "${first name}", "${}", "${ first }", "$${first}", "${first}${num}", "${last-saved#first}", "${last-saved#nobody}", ".", ". > 1",
    ".>=${num}", "selected(., 'a')", "selected(${first}, 'a') and ${num} < 3 or true()", "if(${num} > 1, 'a', \"b\")", "1 +", "(1",
    "1)", "'a", "a b", "1 div 2 mod 3", "-${num}", "- 1", "${num} - 1", "${num}-1", "today()", "TODAY()", "now() - 1",
    "concat(${first}, ' ', ${num})", "count(${num})", "sum(${num})", "max(${num})", "count-selected(${first})",
    "jr:choice-name(${first}, '${first}')", "indexed-repeat(${num}, ${r}, 1)", "position(..)", "position(${num})", "current()/../first",
    "../first", "/data/first", "/data/nobody", "//first", "instance('yn')/root/item[name = ${first}]/label",
    "instance('yn')/root/item[name=current()/../first]/label", "instance('nolist')/root/item", "pulldata('f', 'a', 'b', ${first})",
    "pulldata('f.csv','a','b',${first})", "pulldata(f, a)", "once(uuid())", "coalesce(${first}, ${num})", "frob(1)",
    "substr(${first}, 0, 2)", "regex(., '^[0-9]{4}$')", "${first} = 'it''s'", "${first} = “a”", "${first} <> 1", "${first} == 1",
    "${first} && 1", "1 = 1", "yes", "no", "true", "true()", "false()", "0", "count(${num}[. > 1])", "${num}[position() = 1]",
    "sum(${num} * 2)", "round(${num}, 2)", "format-date(today(), '%Y')", "string-length(.) < 3", "area(${first})", "join(' ', ${num})",
    "min(${num}, 3)", "random()", "a_word", "1.5e3", "*", "${first} | ${num}", "ends-with(., 'a')", "date('2026-01-01')", "int(${num})",
    "number()", "if(1, 2)",
]

DEFAULTS = [
    "1", "a", "a b", "2026-11-28", "10:30", "2026-11-28T10:00:00", "1 2 3 4", "a-b", "-1", "1+1", "1 + 1", "today()", "${first}", "'a'",
    "a.png", "jr://images/a.png", "https://x.org/a.png", "true", "yes", ".", "a/b", "now ()", "concat('a','b')", "3 * 2", "a*b",
    "${last-saved#first}", "x(y)", "1,2", "a | b", "2026-11", "+98 21",
]

ENTITY_HEADERS = [
    "entity_id", "create_if", "update_if", "repeat", "labels", "Label", "id", "notes", "save_to", "list_names", "label::fa", "dataset",
]
