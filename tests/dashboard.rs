//! The dashboard as a browser without a script sees it: the real server, real forms, real sessions.

#[path = "support"]
mod support {
    pub(crate) mod cli;
    pub(crate) mod server;
}

use std::io::Write;
use std::process::Stdio;

use rusqlite::Connection;
use serde_json::{Value, json};
use support::cli::Machine;
use support::server::{Reply, Served};

const HTML: &str = "Accept: text/html";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

/// A browser: it has a cookie, and repeats the secret of the page it is on.
struct Browser<'a> {
    served: &'a Served,
    cookie: String,
    csrf: String,
}

fn encoded(fields: &[(&str, &str)]) -> Vec<u8> {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into_bytes()
}

fn header<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
    reply.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn text(reply: &Reply) -> String {
    String::from_utf8(reply.body.clone()).unwrap()
}

impl<'a> Browser<'a> {
    /// Nobody has to log in there.
    fn open(served: &'a Served) -> Self {
        Self { served, cookie: String::new(), csrf: String::new() }
    }

    #[track_caller]
    fn logged_in(served: &'a Served, name: &str, password: &str) -> Self {
        let reply = log_in(served, name, password, "/");
        assert_eq!((reply.status, header(&reply, "location")), (303, Some("/")), "{reply}");
        let cookie = header(&reply, "set-cookie").unwrap().split(';').next().unwrap().to_owned();
        let mut browser = Self { served, cookie: format!("Cookie: {cookie}"), csrf: String::new() };
        let page = browser.page("/");
        browser.csrf = page.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        browser
    }

    fn get(&self, path: &str) -> Reply {
        self.served.send("GET", path, &[HTML, self.cookie_or_nothing()], b"")
    }

    fn cookie_or_nothing(&self) -> &str {
        if self.cookie.is_empty() { "X: y" } else { &self.cookie }
    }

    #[track_caller]
    fn page(&self, path: &str) -> String {
        let reply = self.get(path);
        assert_eq!(reply.status, 200, "{path}: {reply}");
        assert!(header(&reply, "content-type").unwrap().starts_with("text/html"), "{reply}");
        text(&reply)
    }

    /// The twin of a page.
    #[track_caller]
    fn twin(&self, path: &str) -> Value {
        self.served.send("GET", path, &[self.cookie_or_nothing()], b"").data()
    }

    fn send(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let all: Vec<_> = fields.iter().copied().chain([("csrf", self.csrf.as_str())]).collect();
        self.served.send("POST", path, &[HTML, FORM, self.cookie_or_nothing()], &encoded(&all))
    }

    /// Sends a form, and returns where the browser is led.
    #[track_caller]
    fn sent(&self, path: &str, fields: &[(&str, &str)]) -> String {
        let reply = self.send(path, fields);
        assert_eq!(reply.status, 303, "{path}: {reply}");
        header(&reply, "location").unwrap().to_owned()
    }

    /// The same for what begins a job; returns the job as it ended.
    #[track_caller]
    fn done(&self, path: &str, fields: &[(&str, &str)]) -> Value {
        let led = self.sent(path, fields);
        assert!(led.starts_with("/jobs/job-"), "{led}");
        self.served
            .until(|| Some(self.twin(&format!("{led}.json"))["job"].take()).filter(|job| !job["finished_at"].is_null()))
    }
}

fn log_in(served: &Served, name: &str, password: &str, next: &str) -> Reply {
    let fields = encoded(&[("name", name), ("password", password), ("next", next)]);
    served.send("POST", "/login", &[HTML, FORM], &fields)
}

fn add_user(machine: &Machine, name: &str, scope: &str) {
    let mut child = machine.command(&["user", "add", name, "--scope", scope]);
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"correct horse\n").unwrap();
    assert!(child.wait().unwrap().success());
}

/// A machine with a database and a server for it.
fn served() -> (Machine, std::path::PathBuf, Served) {
    let machine = Machine::new();
    let path = machine.database("shop.db", "wal");
    machine.ok(&["init", "shop.db"]);
    std::fs::write(machine.path("pagekeep.toml"), "folders = ['.']\nroots = ['elsewhere']\n").unwrap();
    let served = Served::start(&machine, &["--config", "pagekeep.toml"]);
    (machine, path, served)
}

#[test]
fn people_log_in_go_on_where_they_were_and_log_out() {
    let (machine, _path, served) = served();
    add_user(&machine, "ann", "admin");
    let nobody = Browser::open(&served);
    let reply = nobody.get("/databases/shop?at=3");
    assert_eq!((reply.status, header(&reply, "location")), (303, Some("/login?next=%2Fdatabases%2Fshop%3Fat%3D3")));
    assert!(nobody.page("/login?next=/jobs").contains("name=\"next\" value=\"/jobs\""));
    // Programs are told in their own words, and twins are for programs.
    served.get("/index.json").refused(401, "unauthorized", "needs");
    let wrong = log_in(&served, "ann", "wrong horse", "/jobs");
    assert_eq!(wrong.status, 401);
    assert!(text(&wrong).contains("do not belong together") && header(&wrong, "set-cookie").is_none(), "{wrong}");
    let elsewhere = log_in(&served, "ann", "correct horse", "https://evil.example/");
    assert_eq!(header(&elsewhere, "location"), Some("/"));
    let foreign = served.send(
        "POST",
        "/login",
        &[HTML, FORM, "Origin: https://evil.example"],
        &encoded(&[("name", "ann"), ("password", "correct horse")]),
    );
    assert_eq!(foreign.status, 403);
    let ann = Browser::logged_in(&served, "ann", "correct horse");
    // Who fails too often is told when to come again.
    let mut failed: Vec<Reply> = (0..8).map(|_| log_in(&served, "eve", "wrong horse", "/")).collect();
    let late = failed.pop().unwrap();
    assert!(
        late.status == 429 && header(&late, "retry-after").is_some_and(|wait| wait.parse::<u32>().unwrap() > 0),
        "{late}"
    );
    assert!(ann.page("/").contains("shop"));
    assert_eq!(header(&ann.get("/login?next=/jobs"), "location"), Some("/jobs"), "who is inside is led on");
    assert_eq!(ann.sent("/logout", &[]), "/login?said=out");
    let reply = ann.get("/jobs");
    assert_eq!(header(&reply, "location"), Some("/login?next=%2Fjobs&said=ended"), "{reply}");
    assert!(nobody.page("/login?next=%2Fjobs&said=ended").contains("session has ended"));
    // A form of a page that was left open leads back to that page.
    let referer = format!("Referer: http://{}/databases/shop", served.address);
    let late = served.send(
        "POST",
        "/databases/shop/backup",
        &[HTML, FORM, &ann.cookie, &referer],
        &encoded(&[("csrf", &ann.csrf)]),
    );
    assert_eq!(header(&late, "location"), Some("/login?next=%2Fdatabases%2Fshop&said=ended"));
    let foreign =
        served.send("POST", "/databases/shop/backup", &[HTML, FORM, &ann.cookie, "Referer: javascript:alert(1)"], b"");
    assert_eq!(header(&foreign, "location"), Some("/login?next=%2F&said=ended"));
}

#[test]
fn nothing_changes_without_the_secret_of_the_session() {
    let (machine, _path, served) = served();
    add_user(&machine, "ann", "admin");
    add_user(&machine, "eve", "read");
    let mut ann = Browser::logged_in(&served, "ann", "correct horse");
    let secret = std::mem::replace(&mut ann.csrf, "f".repeat(64));
    for wrong in ["f".repeat(64), String::new(), "é".into()] {
        ann.csrf = wrong;
        let reply = ann.send("/databases/shop/backup", &[]);
        assert!(reply.status == 403 && text(&reply).contains("Not allowed"), "{reply}");
    }
    // Of two sessions of one user each has its own.
    let other = Browser::logged_in(&served, "ann", "correct horse");
    ann.csrf = other.csrf.clone();
    assert_eq!(ann.send("/databases/shop/backup", &[]).status, 403);
    ann.csrf = secret;
    assert_eq!(ann.done("/databases/shop/backup", &[("note", "by hand")])["state"], "completed");
    // What is no form of ours is none of the pages'.
    let json = served.send(
        "POST",
        "/databases/shop/backup",
        &[&ann.cookie, "Content-Type: application/json", &format!("X-CSRF-Token: {}", ann.csrf)],
        b"{}",
    );
    json.refused(400, "usage", "takes a form");
    let eve = Browser::logged_in(&served, "eve", "correct horse");
    for path in [
        "backup",
        "snapshots/1/restore",
        "snapshots/1/forget",
        "snapshots/1/tag",
        "configure/schedule",
        "configure/retention",
    ] {
        let reply =
            eve.send(&format!("/databases/shop/{path}"), &[("name", "x"), ("keep-last", "1"), ("every", "10m")]);
        assert_eq!(reply.status, 403, "{path}: {reply}");
    }
    for path in ["/access", "/databases/shop/snapshots/1/restore", "/databases/shop/snapshots/1/forget"] {
        assert_eq!(eve.get(path).status, 403, "{path}");
    }
    for path in
        ["/", "/databases/shop", "/databases/shop/snapshots/1", "/databases/shop/diff?a=1", "/jobs", "/reference"]
    {
        eve.page(path);
    }
    let audit = std::fs::read_to_string(machine.path(".pagekeep/server/audit.log")).unwrap();
    let logged_in = |line: &&str| line.contains("\"path\":\"/login\"") && line.contains("\"who\":\"ann\"");
    assert!(audit.lines().any(|line| logged_in(&line)), "{audit}");
    assert!(audit.contains("\"who\":\"eve\"") && !audit.contains("correct horse"), "{audit}");
}

#[test]
fn nobody_is_offered_what_they_may_not_do() {
    let (machine, _path, served) = served();
    std::fs::create_dir(machine.path("elsewhere")).unwrap();
    machine.ok(&["backup", "configure", "--every", "10m", "--retention", "7"]);
    machine.ok(&["backup", "add", "far", "elsewhere"]);
    machine.ok(&["backup", "sync", "far"]);
    machine.ok(&["tag", "v1"]);
    for scope in ["admin", "backup", "read"] {
        add_user(&machine, &format!("ann-{scope}"), scope);
    }
    let pages = |scope: &str| {
        let browser = Browser::logged_in(&served, &format!("ann-{scope}"), "correct horse");
        ["", "/configure?keep-last=1", "/remotes/far", "/snapshots/1"].map(|page| {
            browser.page(&format!("/databases/shop{page}")) + &browser.page("/schedule") + &browser.page("/")
        })
    };
    // Everybody may log out, and an administrator has what the others lack.
    let forms = |page: &str| page.matches("method=\"post\"").count() - page.matches("action=\"/logout\"").count();
    let [shop, configure, remote, snapshot] = pages("admin");
    assert!(shop.contains(">Configure<") && shop.contains("Back up now"));
    assert!(configure.contains(">Save<") && configure.contains("Save as policy") && configure.contains(">Add<"));
    assert!(remote.contains("Forget this remote of shop") && remote.contains(">Sync now<"));
    assert!(snapshot.contains("Remove v1"));
    let [shop, configure, remote, snapshot] = pages("backup");
    assert!(shop.contains("Back up now") && remote.contains(">Doctor<") && !remote.contains("Forget this"));
    assert!(snapshot.contains(">Tag<") && !snapshot.contains("Remove v1"), "{snapshot}");
    assert!(configure.contains("Show what would go") && forms(&configure) == 0, "{configure}");
    assert!(configure.contains("--every 10m --retention 7"), "{configure}");
    for page in pages("read") {
        assert_eq!(forms(&page), 0, "{page}");
        assert!(!page.contains(">Configure</a>") && !page.contains("Set a schedule"), "{page}");
    }
    // Whoever is told no is still inside.
    let eve = Browser::logged_in(&served, "ann-read", "correct horse");
    for (path, status) in [("/access", 403), ("/databases/nothing", 404), ("/nowhere", 404)] {
        let reply = eve.get(path);
        let page = text(&reply);
        assert!(reply.status == status && page.contains("action=\"/logout\""), "{reply}");
        assert!(page.contains("href=\"/jobs\"") && page.contains(&eve.csrf) && page.matches("<h1>").count() == 1);
    }
    assert!(!text(&Browser::open(&served).get("/login")).contains("href=\"/jobs\""));
}

#[test]
fn lists_become_cards_where_there_is_little_room() {
    let (machine, _path, served) = served();
    std::fs::create_dir(machine.path("elsewhere")).unwrap();
    machine.ok(&["backup", "configure", "--every", "10m"]);
    machine.ok(&["backup", "add", "far", "elsewhere"]);
    add_user(&machine, "ann", "admin");
    let ann = Browser::logged_in(&served, "ann", "correct horse");
    ann.done("/databases/shop/backup", &[]);
    for path in ["/schedule", "/jobs", "/remotes", "/access"] {
        let page = ann.page(path);
        let tables = page.split("<table").skip(1).map(|rest| rest.split("</table>").next().unwrap());
        let mut count = 0;
        for table in tables {
            assert!(table.starts_with(" class=\"stack\""), "{path}: {table}");
            // Each cell says what it is, but for the first, which names the card, and what can be done with it.
            let cells = table.split("<td").skip(1).filter(|cell| !cell.contains("data-label"));
            let plain = cells.filter(|cell| !cell.starts_with(" class=\"row-deeds\"")).count();
            assert!(plain < table.matches("<tr").count(), "{path}: {table}");
            count += 1;
        }
        assert!(count > 0, "{path}");
    }
}

#[test]
fn names_and_rows_are_shown_and_never_run() {
    let machine = Machine::new();
    let name = "<script>alert(1)&.json";
    let path = machine.database("odd.db", "wal");
    let db = Connection::open(&path).unwrap();
    db.execute_batch(
        "CREATE TABLE \"<b>\"\"x'\" (\"<i>\" TEXT); INSERT INTO \"<b>\"\"x'\" VALUES ('<img src=x onerror=alert(2)>'), (NULL), (x'00ff');",
    )
    .unwrap();
    machine.ok(&["init", "odd.db", "--name", name]);
    machine.ok(&["backup", "create", "--note", "<u>note"]);
    db.execute("UPDATE \"<b>\"\"x'\" SET \"<i>\" = '<s>' WHERE rowid = 1", []).unwrap();
    machine.ok(&["backup", "create"]);
    let served = Served::start(&machine, &[]);
    let browser = Browser::open(&served);
    let home = browser.page("/");
    let base = "/databases/%3Cscript%3Ealert%281%29%26%2Ejson";
    assert!(home.contains(&format!("href=\"{base}\"")), "{home}");
    let table = "%3Cb%3E%22x%27";
    let mut all = vec![home];
    for page in [
        "".to_owned(),
        "/configure?keep-last=1".into(),
        "/snapshots/1".into(),
        format!("/snapshots/1/rows?table={table}"),
        "/snapshots/1/sql?sql=SELECT%20*%20FROM%20%22%3Cb%3E%22%22x%27%22".to_owned(),
        "/snapshots/1/sql?sql=%3Cscript%3E".into(),
        "/snapshots/1/restore".into(),
        "/snapshots/1/forget".into(),
        format!("/diff?a=1&b=2&table={table}"),
    ] {
        all.push(browser.page(&format!("{base}{page}")));
    }
    let not_found = browser.get("/databases/%3Cscript%3E");
    assert_eq!(not_found.status, 404);
    all.push(text(&not_found));
    for page in &all {
        for raw in ["<script>alert", "<img", "<b>", "<i>", "<u>note", "<s>", "style=", "onclick="] {
            assert!(!page.contains(raw), "{raw}: {page}");
        }
    }
    let rows = &all[4];
    assert!(
        rows.contains("&lt;img src=x onerror=alert(2)&gt;") && rows.contains("NULL") && rows.contains("2 B"),
        "{rows}"
    );
    assert!(all[9].contains("<del>&lt;img") && all[9].contains("<ins>&lt;s&gt;"), "{}", all[9]);
    // A name that ends as a twin does is still a name.
    assert_eq!(browser.twin(&format!("{base}.json"))["database"]["name"], name);
    let reply = browser.get("/");
    let policy = header(&reply, "content-security-policy").unwrap();
    assert!(
        policy.contains("default-src 'none'") && policy.contains("script-src 'self'") && !policy.contains("unsafe"),
        "{policy}"
    );
    for page in &all {
        let addresses = page
            .split(['"', '\''])
            .filter(|part| part.starts_with("http:") || part.starts_with("https:") || part.starts_with("//"));
        let elsewhere: Vec<_> =
            addresses.filter(|address| !address.starts_with("http://www.w3.org/2000/svg")).collect();
        assert_eq!(elsewhere, Vec::<&str>::new());
    }
}

#[test]
fn the_life_of_a_database_by_forms_alone() {
    let (machine, path, served) = served();
    let browser = Browser::open(&served);
    assert!(browser.page("/").contains("no snapshot yet"));
    assert!(browser.page("/databases/shop").contains("No snapshot yet"));
    assert!(browser.page("/schedule").contains("Nothing runs by itself yet"));
    assert!(browser.page("/remotes").contains("No remote yet"));
    assert!(browser.page("/databases/shop/diff").contains("Nothing to compare yet"));
    let job = browser.done("/databases/shop/backup", &[("note", "first")]);
    assert_eq!(job["snapshot"], "shop@1", "{job}");
    assert!(browser.page(&format!("/jobs/{}", job["id"].as_str().unwrap())).contains("Open shop@1"));
    let before = std::fs::read(&path).unwrap();
    machine.insert(&path, 7);
    Connection::open(&path).unwrap().execute("DELETE FROM item WHERE id = 1", []).unwrap();
    assert_eq!(browser.done("/databases/shop/backup", &[])["snapshot"], "shop@2");

    let shop = browser.twin("/databases/shop.json");
    assert_eq!((&shop["stats"]["snapshots"], &shop["snapshots"][1]["note"]), (&json!(2), &json!("first")));
    assert_eq!(shop["standing"]["sizes"].as_array().unwrap().len(), 2);
    assert_eq!((&shop["standing"]["is_late"], &shop["standing"]["objective_s"]), (&json!(false), &json!(26 * 3600)));
    let pages = &shop["pages"];
    let cells = pages["cells"].as_array().unwrap();
    assert_eq!((cells.len(), &pages["since"]), (pages["pages"].as_u64().unwrap() as usize, &json!("shop@1")));
    let changed: u64 = cells.iter().map(|cell| cell.as_u64().unwrap()).sum();
    assert!(changed == pages["changed"] && changed > 0 && (changed as usize) < cells.len(), "{pages}");
    let first = browser.twin("/databases/shop/snapshots/1.json");
    assert_eq!(first["pages"]["changed"], first["pages"]["pages"], "all of the first is new");
    let tables: Vec<_> = first["tables"]
        .as_array()
        .unwrap()
        .iter()
        .map(|table| (table["name"].as_str().unwrap(), table["rows"].as_u64()))
        .collect();
    assert_eq!(tables, [("item", Some(200)), ("note", Some(0))]);

    let rows = browser.twin("/databases/shop/snapshots/1/rows.json?table=item&offset=150");
    assert_eq!((&rows["more"], rows["reply"]["results"][0]["rows"].as_array().unwrap().len()), (&json!(false), 50));
    assert!(browser.page("/databases/shop/snapshots/1/rows?table=item").contains("offset=50"));
    let page = browser.page("/databases/shop/snapshots/1/sql?sql=SELECT%20count(*)%20AS%20n%20FROM%20item");
    assert!(page.contains("<th class=\"number\">n</th>") && page.contains(">200<"), "{page}");
    let none = served.post("/api/v1/databases/shop/query", json!({"sql": "SELECT * FROM item", "limit": 0})).data();
    assert_eq!((&none["results"][0]["rows"], &none["truncated"]), (&json!([]), &json!(true)), "{none}");
    for list in ["databases", "databases/shop/snapshots", "jobs"] {
        served.get(&format!("/api/v1/{list}?limit=0")).refused(400, "usage", "limit is a number from 1 to");
    }
    let wrong = browser.page("/databases/shop/snapshots/1/sql?sql=DELETE%20FROM%20item");
    assert!(wrong.contains("class=\"wrong\"") && wrong.contains("DELETE FROM item</textarea>"), "{wrong}");

    let diff = browser.page("/databases/shop/diff?a=1&b=2");
    assert!(diff.contains("shop@1 \u{2192} shop@2") && diff.contains("pagekeep diff shop@1 shop@2"), "{diff}");
    let headers: Vec<_> = diff.split("class=\"data changes\"").nth(1).unwrap().split("<th>").skip(1).take(3).collect();
    assert!(headers[0].starts_with("Change<") && headers[1].starts_with("id<"), "the key comes first: {headers:?}");
    // Now is the live database for programs, too.
    machine.insert(&path, 1);
    for page in ["/api/v1/databases/shop/diff?a=2&b=now", "/api/v1/databases/shop/diff?a=2"] {
        let found = served.get(page).data();
        assert_eq!((&found["tables"][0]["added"], found["to"] == "shop@2"), (&json!(1), false), "{page}: {found}");
    }
    served.get("/api/v1/databases/shop/diff?a=now&b=2").refused(400, "usage", "begins with a snapshot");
    for page in ["diff?a=now&b=2", "diff.sql?a=now"] {
        let wrong = browser.get(&format!("/databases/shop/{page}"));
        assert!(wrong.status == 400 && text(&wrong).contains("begins with a snapshot"), "{wrong}");
    }
    Connection::open(&path).unwrap().execute("DELETE FROM item WHERE id = (SELECT max(id) FROM item)", []).unwrap();
    let patch = browser.get("/databases/shop/diff.sql?a=1&b=2");
    let copy = machine.path("copy.db");
    std::fs::write(&copy, &before).unwrap();
    Connection::open(&copy).unwrap().execute_batch(&text(&patch)).unwrap();
    let count = |path: &std::path::Path| -> i64 {
        Connection::open(path).unwrap().query_row("SELECT count(*) + sum(id) FROM item", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(count(&copy), count(&path), "the exported statements make the second state of the first");

    assert!(
        browser.sent("/databases/shop/snapshots/1/tag", &[("name", "keep-me")]).ends_with("/snapshots/1?said=tagged")
    );
    assert!(browser.page("/databases/shop/snapshots/1?said=tagged").contains("keep-me"));
    let refused = browser.send("/databases/shop/snapshots/1/forget", &[]);
    assert!(refused.status >= 400 && text(&refused).contains("keep-me"), "{refused}");
    browser.sent("/databases/shop/snapshots/1/untag", &[("name", "keep-me")]);
    assert!(browser.sent("/databases/shop/snapshots/1/hold", &[("reason", "audit")]).ends_with("said=held"));
    assert_eq!(browser.twin("/databases/shop/snapshots/1.json")["mark"]["mark"], "held");
    browser.sent("/databases/shop/snapshots/1/release", &[]);

    let plan = browser.twin("/databases/shop/snapshots/1/restore.json");
    let item = plan["since"]["tables"].as_array().unwrap().iter().find(|table| table["table"] == "item").unwrap();
    assert_eq!((&item["added"], &item["removed"]), (&json!(7), &json!(1)), "{plan}");
    assert!(browser.page("/databases/shop/snapshots/1/restore").contains("The present state is kept first"));
    let job = browser.done("/databases/shop/snapshots/1/restore", &[]);
    assert_eq!((&job["state"], &job["task"]), (&json!("completed"), &json!("sp_backup_restore")), "{job}");
    assert_eq!(count(&path), 200 + 200 * 201 / 2);

    assert!(browser.page("/databases/shop/snapshots/1/forget").contains("can be brought back"));
    assert_eq!(
        browser.sent("/databases/shop/snapshots/1/forget", &[("reason", "old")]),
        "/databases/shop?said=forgotten"
    );
    let left = browser.twin("/databases/shop.json");
    assert!(left["snapshots"].as_array().unwrap().iter().all(|one| one["number"] != 1), "{left}");
    let log = served.log();
    let errors: Vec<_> = log.lines().filter(|line| line.contains("ERROR")).collect();
    assert!(matches!(errors[..], [one] if one.contains("tag keep-me stands for it")), "{log}");
    assert_eq!(browser.twin("/.json")["total"], 1);
}

/// The commands that a page says do the same, each as its words.
fn commands(page: &str) -> Vec<Vec<String>> {
    let terminal = page.split("class=\"terminal\"").nth(1).unwrap();
    let lines = terminal.split("<code>").skip(1).map(|rest| rest.split("</code>").next().unwrap());
    let plain =
        |line: &str| line.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    let words = |line: String| {
        let ran = std::process::Command::new("sh").args(["-c", &format!("printf '%s\\n' {line}")]).output().unwrap();
        String::from_utf8(ran.stdout).unwrap().lines().map(str::to_owned).collect()
    };
    lines.map(plain).map(words).collect()
}

#[test]
fn the_commands_that_pages_say_work() {
    let (machine, path, served) = served();
    machine.ok(&["backup", "create"]);
    machine.insert(&path, 3);
    machine.ok(&["backup", "create"]);
    let browser = Browser::open(&served);
    let mut ran = 0;
    for page in [
        "/",
        "/databases/shop",
        "/databases/shop/configure",
        "/databases/shop/snapshots/1",
        "/databases/shop/snapshots/1/rows?table=item",
        "/databases/shop/snapshots/1/sql?sql=SELECT%20%27it%27%27s%27",
        "/databases/shop/diff?a=1&b=2",
        "/databases/shop/diff?a=1",
        "/databases/shop/snapshots/1/restore",
        "/databases/shop/snapshots/1/forget",
        "/jobs",
        "/schedule",
        "/remotes",
    ] {
        for words in commands(&browser.page(page)) {
            assert_eq!(words[0], "pagekeep", "{page}: {words:?}");
            // Without a remote, status says so by its exit code.
            match words[1..] == ["backup", "status"] {
                true => assert_eq!(machine.run(&words[1..]).code, 6),
                false => drop(machine.ok(&words[1..])),
            }
            ran += 1;
        }
    }
    assert!(ran > 12, "{ran}");
}

#[test]
fn configuring_shows_what_would_go_before_anything_does() {
    let (machine, path, served) = served();
    let remote = machine.path("elsewhere");
    std::fs::create_dir(&remote).unwrap();
    for rows in [1, 2, 3] {
        machine.insert(&path, rows);
        machine.ok(&["backup", "create"]);
    }
    let browser = Browser::open(&served);
    let shown = browser.twin("/databases/shop/configure.json?keep-last=1");
    assert_eq!(
        (&shown["trial"]["going"], &shown["trial"]["verdicts"][0]["reasons"]),
        (&json!(2), &json!([])),
        "{shown}"
    );
    assert_eq!(browser.twin("/databases/shop.json")["snapshots"].as_array().unwrap().len(), 3, "only shown");
    browser.sent("/databases/shop/configure/retention", &[("keep-last", "2")]);
    assert_eq!(browser.twin("/databases/shop.json")["snapshots"].as_array().unwrap().len(), 3, "only saved");
    assert_eq!(browser.twin("/databases/shop/configure.json")["policy"]["keep-last"], "2");
    browser.sent("/databases/shop/configure/retention", &[("keep-last", "2"), ("apply", "yes")]);
    assert_eq!(browser.twin("/databases/shop.json")["snapshots"].as_array().unwrap().len(), 2);

    // A policy's other rules are shown in the form, kept by it, and counted.
    machine.ok(&["retention", "set", "--keep-last", "1", "--keep-within", "14d", "--keep-tag", "v1"]);
    let page = browser.page("/databases/shop/configure");
    assert!(page.contains("name=\"keep-within\" value=\"14d\"") && page.contains("name=\"keep-tag\" value=\"v1\""));
    let shown = browser.twin("/databases/shop/configure.json?keep-last=1&keep-within=14d&keep-tag=v1&keep-tag=");
    assert_eq!(
        (&shown["trial"]["going"], &shown["trial"]["policy"]["keep-tag"]),
        (&json!(0), &json!(["v1"])),
        "{shown}"
    );
    let page = browser.page("/databases/shop/configure?keep-last=1&keep-within=14d&keep-tag=v1&keep-tag=");
    let save = page.split("configure/retention").nth(1).unwrap();
    assert!(save.contains("name=\"keep-within\" value=\"14d\"") && save.contains("name=\"keep-tag\" value=\"v1\""));
    let rules = [("keep-last", "2"), ("keep-within", "14d"), ("keep-tag", "v1")];
    browser.sent("/databases/shop/configure/retention", &rules);
    let policy = browser.twin("/databases/shop/configure.json")["policy"].clone();
    assert_eq!((&policy["keep-within"], &policy["keep-tag"]), (&json!("14d"), &json!(["v1"])), "{policy}");
    browser.sent("/databases/shop/configure/retention", &[("keep-last", "2")]);
    browser.sent("/databases/shop/configure/schedule", &[("every", "10m"), ("enabled", "yes"), ("retention", "7")]);
    let page = browser.page("/databases/shop/configure");
    assert!(
        page.contains("backup configure --every 10m --retention 7<") && page.contains("forget --keep-last 2 "),
        "{page}"
    );
    let all = browser.twin("/schedule.json");
    assert_eq!(
        (&all[0]["every"], &all[0]["retention"], all[0]["next"].as_array().unwrap().len()),
        (&json!("10m"), &json!(7), 5)
    );
    assert_eq!(browser.twin("/index.json")["databases"][0]["standing"]["objective_s"], 600 + 150 + 300);
    // What is emptied in the form is gone; a schedule without a time is none.
    let schedule = "/databases/shop/configure/schedule";
    let full = [("every", "10m"), ("timezone", "Europe/Berlin"), ("jitter", "5m"), ("retention", "7")];
    browser.sent(schedule, &full);
    assert_eq!(browser.twin("/schedule.json")[0]["timezone"], "Europe/Berlin");
    browser
        .sent(schedule, &[("every", "10m"), ("timezone", ""), ("jitter", ""), ("retention", ""), ("enabled", "yes")]);
    let one = &browser.twin("/schedule.json")[0];
    assert_eq!((&one["timezone"], &one["jitter"], &one["retention"]), (&json!(null), &json!(null), &json!(null)));
    let neither = browser.send(schedule, &[("every", ""), ("cron", ""), ("retention", "7")]);
    assert!(neither.status == 400 && text(&neither).contains("to have no schedule, remove it"), "{neither}");
    let wrong = browser.send("/databases/shop/configure/schedule", &[("cron", "every day"), ("enabled", "yes")]);
    assert!(wrong.status == 400 && text(&wrong).contains("That cannot be done"), "{wrong}");
    browser.sent("/databases/shop/configure/schedule/remove", &[]);
    assert_eq!(browser.twin("/schedule.json"), json!([]));

    let url = format!("file://{}", remote.display());
    let added = browser.done("/databases/shop/configure/remotes", &[("name", "far"), ("url", &url)]);
    assert_eq!(added["state"], "completed", "{added}");
    let page = browser.page(&format!("/jobs/{}", added["id"].as_str().unwrap()));
    assert!(
        page.contains("Add remote far of shop") && page.contains("Sync now") && page.contains("/configure#remotes"),
        "{page}"
    );
    // Too much for the record itself: it is kept in a pack.
    machine.insert(&path, 60_000);
    let synced = browser.done("/databases/shop/remotes/far/sync", &[]);
    assert_eq!(synced["state"], "completed", "{synced}");
    assert_eq!(browser.twin("/remotes.json")[0]["remote"]["up_to_date"], 1);
    let space = browser.twin("/databases/shop/remotes/far.json?space=yes");
    let stored = space["space"]["stored_bytes"].as_u64().unwrap();
    assert!(stored > 0 && space["space"]["cost"] == json!(null), "{space}");
    let priced = browser.twin("/databases/shop/remotes/far.json?space=yes&price-gb=2000&price-put=");
    let month = priced["space"]["cost"]["month"].as_f64().unwrap();
    assert!((month - stored as f64 / 1e9 * 2000.0).abs() < 1e-9, "{priced}");
    let wrong = browser.get("/databases/shop/remotes/far?space=yes&price-get=cheap");
    assert!(wrong.status == 400 && text(&wrong).contains("is a number, like 0.023"), "{wrong}");
    let doctor = browser.send("/databases/shop/doctor?remote=far", &[]);
    assert!(doctor.status == 200 && text(&doctor).contains("Doctor"), "{doctor}");
    assert!(browser.page("/databases/shop/remotes/far").contains("Forget this remote of shop<"));
    let unsure = browser.send("/databases/shop/remotes/far/remove", &[]);
    assert!(unsure.status == 400 && text(&unsure).contains("it is taken from shop"), "{unsure}");
    // What was synced lies there and not here: whoever removes the remote is told.
    let gone = browser.send("/databases/shop/remotes/far/remove", &[("sure", "yes")]);
    assert!(gone.status == 200 && text(&gone).contains("far is forgotten"), "{gone}");
    assert!(text(&gone).contains("the newest snapshot of shop, which lies there: pagekeep backup restore"), "{gone}");
    assert_eq!(browser.get("/databases/shop/remotes/far").status, 404);
}

#[test]
fn users_and_tokens_are_made_and_seen_once() {
    let (machine, _path, served) = served();
    let browser = Browser::open(&served);
    assert!(browser.page("/access").contains("Nobody has to log in yet"));
    let first = browser.send("/access/users", &[("name", "eve"), ("password", "correct horse"), ("scope", "read")]);
    assert!(first.status == 400 && text(&first).contains("administrator"), "nobody is locked out: {first}");
    browser.sent("/access/users", &[("name", "ann"), ("password", "correct horse"), ("scope", "admin")]);
    assert_eq!(browser.get("/access").status, 303, "from now on everybody logs in");
    let ann = Browser::logged_in(&served, "ann", "correct horse");
    let made = ann
        .send("/access/tokens", &[("name", "nightly"), ("scope", "backup"), ("databases", "shop"), ("expires", "90d")]);
    assert!(text(&made).contains("It ends <time"), "{made}");
    let wrong = ann.send("/access/tokens", &[("name", "short"), ("scope", "backup"), ("expires", "90")]);
    assert!(wrong.status == 400 && text(&wrong).contains("has no unit"), "{wrong}");
    let token = text(&made).split("pgk_").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let bearer = format!("Authorization: Bearer pgk_{token}");
    assert_eq!(served.send("GET", "/api/v1/databases", &[&bearer], b"").status, 200);
    assert!(!ann.page("/access").contains(&token), "it is shown once");
    let id = ann.twin("/access.json")["tokens"][0]["id"].as_str().unwrap().to_owned();
    ann.sent("/access/tokens/remove", &[("id", &id)]);
    assert_eq!(served.send("GET", "/api/v1/databases", &[&bearer], b"").status, 401);
    assert_eq!(ann.send("/access/users/remove", &[("id", "ann")]).status, 400, "the last one stays");
    let audit = ann.twin("/access.json")["audit"].clone();
    assert!(audit[0]["path"] == "/access/users/remove" && !audit.to_string().contains("correct horse"), "{audit}");
    drop(machine);
}

#[test]
fn every_route_is_in_the_reference() {
    let (_machine, _path, served) = served();
    let browser = Browser::open(&served);
    let page = browser.page("/reference");
    let document = browser.served.get("/reference.json").data();
    for path in document["paths"].as_object().unwrap().keys() {
        assert!(page.contains(&format!("<code>{path}</code>")), "{path}");
    }
    assert!(page.contains("timeout_ms"), "bodies are told");
    for (path, kind) in [("/style.css", "text/css"), ("/script.js", "text/javascript"), ("/icon.svg", "image/svg+xml")]
    {
        let reply = browser.get(path);
        assert!(reply.status == 200 && header(&reply, "content-type").unwrap().starts_with(kind), "{reply}");
    }
    assert_eq!(browser.get("/nothing").status, 404);
    assert!(text(&browser.get("/nothing")).contains("Not found"));
    served.get("/nothing").refused(404, "not_found", "nothing here");
}

#[test]
fn a_restore_that_broke_off_needs_somebody_and_leads_on() {
    let (machine, path, served) = served();
    machine.ok(&["backup", "create"]);
    machine.insert(&path, 2);
    machine.ok(&["backup", "create"]);
    // As a restore leaves it whose process was killed.
    let noted = json!({
        "to": "shop@1", "again": "pagekeep backup restore . shop.db --live --at shop@1",
        "back": "pagekeep backup restore . shop.db --live --at shop@2", "phase": "applying",
        "since": "2026-11-21T10:00:00Z", "failure": null,
    });
    std::fs::write(machine.path(".pagekeep/state/shop.restoring"), noted.to_string()).unwrap();
    // And its job.
    let id = "job-20261121-100000-abcdef";
    std::fs::create_dir_all(machine.path(".pagekeep/jobs")).unwrap();
    let job = json!({
        "id": id, "database": "shop", "state": "in_progress", "created_at": "2026-11-21T10:00:00Z",
        "task": {"kind": "call", "name": "sp_backup_restore", "arguments": {}, "roots": null, "addresses": false},
        "started_at": "2026-11-21T10:00:00Z", "finished_at": null, "process": 1, "snapshot": null, "error": null,
        "progress": {"phase": "applying", "done_bytes": 0, "total_bytes": 0, "moved_bytes": 0},
    });
    std::fs::write(machine.path(format!(".pagekeep/jobs/{id}.json")), job.to_string()).unwrap();
    std::fs::write(machine.path(format!(".pagekeep/jobs/{id}.lock")), "").unwrap();
    let browser = Browser::open(&served);
    let home = browser.page("/");
    assert!(home.contains("restore broke off") && home.contains("1 needs attention"), "{home}");
    for page in [browser.page("/databases/shop"), browser.page(&format!("/jobs/{id}"))] {
        assert!(page.contains("A restore to shop@1 broke off"), "{page}");
        assert!(page.contains("href=\"/databases/shop/snapshots/1/restore\">Restore again"), "{page}");
        assert!(page.contains("href=\"/databases/shop/snapshots/2/restore\">Go back"), "{page}");
        assert!(page.contains("--live --at shop@2") && !page.contains("Nothing half done"), "{page}");
    }
    assert_eq!(browser.done("/databases/shop/snapshots/1/restore", &[])["state"], "completed");
    assert!(!browser.page("/").contains("broke off"));
}
