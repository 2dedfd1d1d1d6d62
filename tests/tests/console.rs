//! The console in a real browser and over plain HTTP: who sees what, and a disagreement decided in the page that devices hear of.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use karwan_tests::browser::{Browser, HttpAnswer, request};
use karwan_tests::command::run_with_input;
use karwan_tests::workbook::{household_form, photo_form};
use karwan_tests::world::{CASELOAD, Device, World};

const HOUSEHOLD: &str = "head_name=غلام‌رضا کریمی\nfather_name=محمدحسین\nbirth_year=1362\ndocument_no=MHD-0042\nphone=0700000001\nadults=2\nchildren=1\nrooms=4\nneeds=food shelter\ndestination=herat\nstatus=registered\nrepeat member=2\nm_name@1=زهرا\nm_age@1=30\nm_name@2=علی\nm_age@2=4\n";
const PASSWORD: &str = "quite-a-long-password";

fn world() -> World {
    World::new(&[("household.xlsx", household_form().unwrap())])
}

fn add_person(world: &World, name: &str, role: &str, caseload: &str) {
    let organisation = world.organisation();
    let arguments =
        ["user", "add", organisation.to_str().unwrap(), name, "--role", role, "--caseload", caseload, "--password-stdin"];
    run_with_input(&arguments, &format!("{PASSWORD}\n")).done();
}

fn console(world: &World) -> String {
    world.server.as_ref().unwrap().console.clone()
}

/// Two phones with one household on both.
fn two_devices(world: &World) -> (Device, Device, String) {
    let (mashhad, tehran) = (world.device("phone-mashhad", "Laila"), world.device("phone-tehran", "Karim"));
    let record = mashhad.fill("household", HOUSEHOLD);
    mashhad.sync();
    tehran.sync();
    (mashhad, tehran, record)
}

/// Both phones answer one question of the household differently, and come home.
fn disagree(mashhad: &Device, tehran: &Device, record: &str, one: &str, other: &str) {
    mashhad.edit(record, one).done();
    tehran.edit(record, other).done();
    for device in [mashhad, tehran, mashhad] {
        device.sync();
    }
}

/// Somebody who signs in without a browser.
struct Visitor {
    address: String,
    cookies: String,
}

impl Visitor {
    fn signed_in(world: &World, name: &str) -> Self {
        let address = console(world);
        let answer = attempt(&address, name, PASSWORD);
        assert_eq!(answer.status, 303, "{}", answer.body);
        let session = answer.cookie("karwan_session").unwrap();
        Self { address, cookies: format!("karwan_session={session}; karwan_language=en") }
    }

    fn page(&self, path: &str) -> HttpAnswer {
        request(&self.address, "GET", path, &[("Cookie", &self.cookies)], "")
    }

    fn send(&self, path: &str, body: &str) -> HttpAnswer {
        let headers = [("Cookie", self.cookies.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
        request(&self.address, "POST", path, &headers, body)
    }
}

/// One attempt to sign in, as the form sends it.
fn attempt(address: &str, name: &str, password: &str) -> HttpAnswer {
    let form = request(address, "GET", "/sign-in", &[], "");
    let cookie = format!("karwan_visitor={}", form.cookie("karwan_visitor").unwrap());
    let body = format!("token={}&next=%2F&name={name}&password={password}", form.field("token"));
    let headers = [("Cookie", cookie.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
    request(address, "POST", "/sign-in", &headers, &body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disagreement_is_decided_in_the_page_in_both_languages_and_devices_see_it_after_their_sync() {
    let world = world();
    add_person(&world, "sara", "supervisor", CASELOAD);
    let (mashhad, tehran, record) = two_devices(&world);
    disagree(&mashhad, &tehran, &record, "/data/phone=0711111111", "/data/phone=0722222222");
    let Some(browser) = Browser::open(&console(&world), 1280, 900).await else { return };

    // In English: the second phone is right.
    browser.go("/language/en?back=/sign-in").await;
    browser.picture("sign-in-en").await;
    browser.sign_in("sara", PASSWORD).await;
    assert_eq!(browser.script("return document.documentElement.dir").await, "ltr");
    assert_eq!(browser.text("h1").await, "Today");
    browser.picture("today-en").await;
    browser.go("/records?q=كريمي").await;
    browser.picture("records-en").await;
    browser.click("tbody a").await;
    let told = browser.text("main").await;
    for text in ["غلام‌رضا کریمی", "Name of the head", "Food, Shelter", "Member 2", "0711111111", "0722222222", "Two answers"]
    {
        assert!(told.contains(text), "{text} is not on the record's page: {told}");
    }
    browser.picture("record-en").await;
    browser.click("tr.conflict a.button").await;
    let told = browser.text("main").await;
    for text in ["Phone", "0711111111", "Laila", "phone-mashhad", "0722222222", "Karim", "phone-tehran"] {
        assert!(told.contains(text), "{text} is not on the item's page: {told}");
    }
    browser.picture("conflict-en").await;
    let right = pick(&browser, "0722222222").await;
    browser.click(&right).await;
    browser.type_into("textarea", "Called the family.").await;
    browser.click("button.main").await;
    let told = browser.text(".message").await;
    assert!(told.contains("Phone") && told.contains("0722222222") && told.contains("history"), "{told}");
    browser.picture("decided-en").await;
    for device in [&mashhad, &tehran] {
        device.sync();
        assert_eq!(device.values(&record, "/data/phone"), ["0722222222"]);
    }

    // In Persian: another place than either said, chosen from the form's own list.
    disagree(&mashhad, &tehran, &record, "/data/destination=kabul", "/data/destination=balkh");
    browser.go("/").await;
    browser.click("a.language").await;
    browser.picture("today-fa").await;
    assert_eq!(browser.script("return document.documentElement.dir").await, "rtl");
    assert_eq!(browser.script("return getComputedStyle(document.body).direction").await, "rtl");
    assert_eq!(browser.text("h1").await, "امروز");
    browser.go(&format!("/records/{record}")).await;
    browser.picture("record-fa").await;
    browser.click("tr.conflict a.button").await;
    let told = browser.text("main").await;
    for text in ["مقصد", "کابل", "بلخ", "Laila", "Karim", "در انتظار تصمیم"] {
        assert!(told.contains(text), "{text} is not on the item's page: {told}");
    }
    browser.picture("conflict-fa").await;
    // Chosen in the list: that alone means «another value».
    let choose = "const list = document.querySelector('select[name=value]'); list.value = 'herat';\
                  list.dispatchEvent(new Event('change')); return list.selectedOptions[0].label";
    assert_eq!(browser.script(choose).await, "هرات");
    assert_eq!(browser.script("return document.getElementById('other').checked").await, true);
    browser.click("button.main").await;
    let told = browser.text(".message").await;
    assert!(told.contains("مقصد") && told.contains("هرات"), "{told}");
    for device in [&mashhad, &tehran] {
        device.sync();
        assert_eq!(device.values(&record, "/data/destination"), ["herat"]);
    }
    assert_eq!(browser.errors().await, Vec::<String>::new(), "no page reports an error");
    browser.close().await;

    // A phone's width shows the same pages, and nothing sticks out.
    disagree(&mashhad, &tehran, &record, "/data/phone=0733333333", "/data/phone=0744444444");
    let item = world.org_json(&["review", "list"], &[])[0]["item"].as_str().unwrap().to_owned();
    let Some(browser) = Browser::open(&console(&world), 390, 844).await else { return };
    browser.sign_in("sara", PASSWORD).await;
    for language in ["en", "fa"] {
        browser.go(&format!("/language/{language}?back=/")).await;
        let pages = [("today", "/".to_owned()), ("records", "/records".to_owned()), ("conflict", format!("/decide/{item}"))];
        for (name, path) in
            pages.into_iter().chain([("record", format!("/records/{record}")), ("devices", "/devices".to_owned())])
        {
            browser.go(&path).await;
            browser.picture(&format!("{name}-{language}-390")).await;
            let width = browser.script("return document.documentElement.scrollWidth").await;
            assert!(width.as_u64().is_some_and(|width| width <= 390), "{name} in {language} is {width} wide");
        }
    }
    assert_eq!(browser.errors().await, Vec::<String>::new(), "no page reports an error");
    browser.close().await;
}

/// A selector of the button that chooses the side with this value.
async fn pick(browser: &Browser, value: &str) -> String {
    let script = format!(
        "return [...document.querySelectorAll('.side .value')].find(side => side.textContent.trim() === '{value}')\
         .closest('.side').querySelector('input').value"
    );
    format!("input[name=choice][value='{}']", browser.script(&script).await.as_str().unwrap())
}

#[test]
fn a_supervisor_of_another_caseload_sees_nothing_of_this_one() {
    let world = world();
    world.org(&["caseload", "add"], &["tehran"]).done();
    add_person(&world, "sara", "supervisor", CASELOAD);
    add_person(&world, "nader", "supervisor", "tehran");
    let (mashhad, tehran, record) = two_devices(&world);
    disagree(&mashhad, &tehran, &record, "/data/phone=0711111111", "/data/phone=0722222222");
    let item = world.org_json(&["review", "list"], &[])[0]["item"].as_str().unwrap().to_owned();

    let (sara, nader) = (Visitor::signed_in(&world, "sara"), Visitor::signed_in(&world, "nader"));
    assert!(sara.page("/records").body.contains("غلام‌رضا"));
    assert!(sara.page(&format!("/decide/{item}")).body.contains("0711111111"));
    for path in ["/", "/records", "/records?q=غلام", "/decide", "/devices", "/forms"] {
        let page = nader.page(&path.replace('غ', "%D8%BA").replace('ل', "%D9%84").replace('ا', "%D8%A7").replace('م', "%D9%85"));
        assert_eq!(page.status, 200, "{path}");
        for secret in ["غلام‌رضا", "0711111111", "phone-mashhad", "Laila", ">Household<"] {
            assert!(!page.body.contains(secret), "{secret} is on {path}");
        }
    }
    let page = nader.page(&format!("/records/{record}"));
    assert_eq!(page.status, 404);
    assert!(!page.body.contains("0711111111"));
    let token = nader.page("/").field("token");
    let decided = nader.send(&format!("/decide/{item}"), &format!("token={token}&choice=0&note="));
    assert_ne!(decided.status, 303, "{}", decided.body);
    assert!(!decided.body.contains("0711111111"));
    assert_eq!(mashhad.values(&record, "/data/phone").len(), 2, "nothing was decided");

    // Without the token of a page of the same session nothing is decided either.
    let forged = sara.send(&format!("/decide/{item}"), &format!("token={token}&choice=0&note="));
    assert_eq!(forged.status, 403);
    let token = sara.page("/").field("token");
    let decided = sara.send(&format!("/decide/{item}"), &format!("token={token}&choice=0&note="));
    assert_eq!(decided.status, 303, "{}", decided.body);
    let again = sara.send(&format!("/decide/{item}"), &format!("token={token}&choice=1&note="));
    assert_eq!(again.status, 409, "an item that is decided says so");
    assert!(again.body.contains("Nothing to decide here any more"));
}

#[test]
fn a_picture_is_shown_to_whoever_may_see_its_record_and_to_nobody_else() {
    let world = World::new(&[("person.xlsx", photo_form().unwrap())]);
    world.org(&["caseload", "add"], &["tehran"]).done();
    for (name, role, caseload) in
        [("sara", "supervisor", CASELOAD), ("nader", "supervisor", "tehran"), ("omid", "operator", CASELOAD)]
    {
        add_person(&world, name, role, caseload);
    }
    let phone = world.device("phone", "Laila");
    let (record, other) = (phone.fill("person", "name=Qurban\n"), phone.fill("person", "name=Zahra\n"));
    let (photo, page) = (world.path("photo.png"), world.path("page.html"));
    image::RgbImage::from_pixel(40, 30, image::Rgb([9, 9, 200])).save(&photo).unwrap();
    std::fs::write(&page, "<script>alert(1)</script>").unwrap();
    let attach = |reference: &str, file: &std::path::Path| {
        let answer = phone.json(&["attach"], &[&record, reference, file.to_str().unwrap()]);
        format!("/records/{record}/files/{}", answer["attachment"].as_str().unwrap())
    };
    let (picture, script) = (attach("/data/photo", &photo), attach("/data/paper", &page));
    phone.sync();
    let sara = Visitor::signed_in(&world, "sara");
    let shown = sara.page(&format!("/records/{record}")).body;
    assert!(shown.contains(&format!("src=\"{picture}\"")) && shown.contains(&format!("href=\"{script}\"")), "{shown}");
    let answer = sara.page(&picture);
    assert_eq!((answer.status, answer.header("content-type")), (200, "image/png"));
    // What could hold a script is saved, never opened here.
    let answer = sara.page(&script);
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/octet-stream"));
    assert!(answer.header("content-disposition").starts_with("attachment"));
    // Not under a record that does not refer to it, nor for other eyes.
    assert_eq!(sara.page(&picture.replace(&record, &other)).status, 404);
    assert_eq!(sara.page(&format!("/records/{record}/files/Qurban")).status, 404);
    assert_eq!(Visitor::signed_in(&world, "nader").page(&picture).status, 404);
    assert_eq!(Visitor::signed_in(&world, "omid").page(&picture).status, 403);
    assert_eq!(request(&console(&world), "GET", &picture, &[], "").status, 303);
}

#[test]
fn an_operator_sees_devices_and_no_personal_data_and_an_enumerator_decides_nothing() {
    let world = world();
    add_person(&world, "omid", "operator", CASELOAD);
    add_person(&world, "parisa", "enumerator", CASELOAD);
    let (mashhad, tehran, record) = two_devices(&world);
    disagree(&mashhad, &tehran, &record, "/data/phone=0711111111", "/data/phone=0722222222");
    let item = world.org_json(&["review", "list"], &[])[0]["item"].as_str().unwrap().to_owned();

    let omid = Visitor::signed_in(&world, "omid");
    let devices = omid.page("/devices");
    assert_eq!(devices.status, 200);
    assert!(devices.body.contains("phone-mashhad"));
    let paths = [
        "/records".to_owned(),
        "/decide".to_owned(),
        "/forms".to_owned(),
        format!("/records/{record}"),
        format!("/decide/{item}"),
    ];
    for path in paths {
        let page = omid.page(&path);
        assert_eq!(page.status, 403, "{path}");
        assert!(page.body.contains("Operators see devices"), "{path} says why");
        assert!(!page.body.contains("غلام‌رضا"), "{path}");
    }

    let parisa = Visitor::signed_in(&world, "parisa");
    assert!(parisa.page(&format!("/records/{record}")).body.contains("غلام‌رضا"));
    assert_eq!(parisa.page("/people").status, 403);
    let token = parisa.page("/").field("token");
    let decided = parisa.send(&format!("/decide/{item}"), &format!("token={token}&choice=0&note="));
    assert_eq!(decided.status, 403);
    assert_eq!(world.org_json(&["review", "list"], &[]).as_array().map(Vec::len), Some(1));
}

#[test]
fn a_wrong_password_and_an_unknown_name_get_the_same_answer_and_too_many_attempts_wait() {
    let world = world();
    add_person(&world, "sara", "supervisor", CASELOAD);
    let address = console(&world);
    let message = |answer: &HttpAnswer| {
        let (_, rest) = answer.body.split_once("role=\"alert\">").unwrap();
        rest.split('<').next().unwrap().to_owned()
    };
    let (wrong, unknown) = (attempt(&address, "sara", "not-this-password"), attempt(&address, "nobody", "not-this-password"));
    assert_eq!((wrong.status, unknown.status), (401, 401));
    assert_eq!(message(&wrong), message(&unknown));
    assert_eq!(wrong.cookie("karwan_session"), None);
    for _ in 0..4 {
        assert_eq!(attempt(&address, "sara", "not-this-password").status, 401);
    }
    let waits = attempt(&address, "sara", PASSWORD);
    assert_eq!(waits.status, 429, "after five failures even the right password waits");
    assert!(message(&waits).contains("10 minutes"), "{}", message(&waits));
    assert_eq!(attempt(&address, "nobody", "not-this-password").status, 401, "another name does not wait");
}

#[test]
fn pages_are_kept_by_nobody_framed_by_nobody_and_shown_to_nobody_who_is_not_signed_in() {
    let world = world();
    add_person(&world, "sara", "supervisor", CASELOAD);
    let address = console(&world);
    assert_eq!(request(&address, "GET", "/health", &[], "").body, "ok");
    for path in ["/", "/records", "/decide", "/devices", "/forms", "/people", "/records/x"] {
        let answer = request(&address, "GET", path, &[], "");
        assert_eq!(answer.status, 303, "{path}");
        assert!(answer.header("location").starts_with("/sign-in?next="), "{path}");
    }
    let sara = Visitor::signed_in(&world, "sara");
    for path in ["/", "/no-such-page", "/records/00000000-0000-4000-8000-000000000000"] {
        let answer = sara.page(path);
        assert_eq!(answer.status, if path == "/" { 200 } else { 404 });
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(!answer.body.contains(" style=\"") && !answer.body.contains("<script>"), "nothing inline on {path}");
    }
    let style = sara.page("/").body.split_once("stylesheet\" href=\"").unwrap().1.split('"').next().unwrap().to_owned();
    let style = request(&address, "GET", &style, &[], "");
    assert!(style.header("cache-control").contains("immutable"), "{:?}", style.headers);
    // The cookie of a session is out of reach of scripts and other sites; signing out ends it.
    let entered = attempt(&address, "sara", PASSWORD);
    let cookie =
        entered.headers.iter().find(|(name, value)| name == "set-cookie" && value.starts_with("karwan_session=")).unwrap();
    assert!(cookie.1.contains("HttpOnly") && cookie.1.contains("SameSite=Strict"), "{}", cookie.1);
    let token = sara.page("/").field("token");
    assert_eq!(sara.send("/sign-out", &format!("token={token}")).status, 303);
    assert_eq!(sara.page("/").status, 303, "the session is over");
}
