//! Three real servers, each with a copy of its own, and one remote: one of them does the work, whatever becomes of it; no
//! run is lost, none done twice.

#[path = "support/cli.rs"]
mod cli;
#[path = "support/cluster.rs"]
mod cluster;
#[path = "support"]
mod support {
    pub(crate) use super::cli;
    pub(crate) mod s3_double;
    pub(crate) mod server;
}

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use cli::Machine;
use cluster::{BUCKET, Cluster, Part};
use jiff::Timestamp;
use rusqlite::Connection;
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};
use support::s3_double::{Fault, S3Double};
use support::server::Served;

/// Time between runs, in seconds: a change of leaders takes five, on a machine that has nothing else to do.
const EVERY_S: i64 = 20;

/// Three machines with copies of one database that change all the time.
struct World {
    machines: Vec<Arc<Machine>>,
    over: Arc<AtomicBool>,
    writer: Option<JoinHandle<()>>,
}

impl World {
    fn new(url: &str, variables: &[(&str, &str)]) -> Self {
        let machine = || variables.iter().fold(Machine::new(), |machine, (name, value)| machine.with(name, value));
        let machines: Vec<Arc<Machine>> = (0..3).map(|_| Arc::new(machine())).collect();
        let path = machines[0].database("shop.db", "wal");
        machines[0].ok(&["init", "shop.db"]);
        machines[0].ok(&["backup", "add", "there", url]);
        machines[0].ok(&["backup", "sync", "there"]);
        for other in &machines[1..] {
            Connection::open(&path).unwrap().execute("VACUUM INTO ?1", [other.text("shop.db")]).unwrap();
            other.ok(&["init", "shop.db"]);
            other.ok(&["backup", "add", "there", url, "--join", "shop"]);
        }
        for machine in &machines {
            machine.ok(&["backup", "configure", "--every", &format!("{EVERY_S}s")]);
            let text = format!("folders = [\".\"]\n[cluster]\nlease = {url:?}\nlasts = \"3s\"\n");
            fs::write(machine.path("pagekeep.toml"), text).unwrap();
        }
        let (over, copies) = (Arc::new(AtomicBool::new(false)), machines.clone());
        let stop = Arc::clone(&over);
        let writer = std::thread::spawn(move || {
            while !stop.load(Relaxed) {
                for copy in &copies {
                    let db = Connection::open(copy.path("shop.db")).unwrap();
                    db.busy_timeout(Duration::from_secs(20)).unwrap();
                    db.execute("INSERT INTO note (body) VALUES (hex(randomblob(20)))", ()).unwrap();
                }
                std::thread::sleep(Duration::from_millis(500));
            }
        });
        Self { machines, over, writer: Some(writer) }
    }

    fn serve(&self, at: usize) -> Option<Served> {
        Some(Served::start(&self.machines[at], &["--config", "pagekeep.toml", "--verbose"]))
    }

    /// The scheduled runs that snapshots at the remote were made for, in order of the snapshots' numbers.
    fn runs(&self) -> Vec<Timestamp> {
        let listed = self.machines[0].ok(&["--json", "backup", "list", "--from", "there"]).json();
        let found = listed["snapshots"].as_array().unwrap().iter().rev();
        found.filter_map(|one| one["labels"]["run"].as_str()?.parse().ok()).collect()
    }

    /// Every run from the first to the last has one snapshot.
    #[track_caller]
    fn each_run_is_done_once(&self, logs: &[Option<Served>]) {
        let runs = self.runs();
        let logs = || logs.iter().flatten().map(|one| one.log()).collect::<Vec<_>>().join("\n---\n");
        assert!(runs.len() >= 3, "{runs:?}\n{}", logs());
        for pair in runs.windows(2) {
            assert_eq!(pair[1].duration_since(pair[0]).as_secs(), EVERY_S, "{runs:?}\n{}", logs());
        }
    }

    /// Waits until there are so many more snapshots of runs than now.
    #[track_caller]
    fn wait_for_runs(&self, more: usize, servers: &[Option<Served>]) {
        let (began, before) = (Instant::now(), self.runs().len());
        while self.runs().len() < before + more {
            let logs = || servers.iter().flatten().map(|one| one.log()).collect::<Vec<_>>().join("\n---\n");
            assert!(began.elapsed() < Duration::from_secs(120), "{before}: {:?}\n{}", self.runs(), logs());
            std::thread::sleep(Duration::from_millis(300));
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
        let _ = self.writer.take().map(JoinHandle::join);
    }
}

fn health(served: &Served) -> Value {
    served.get("/healthz").data()
}

/// Waits until one of these leads, and all others know; returns which, and since which epoch.
#[track_caller]
fn leader(servers: &[Option<Served>]) -> (usize, u64) {
    let began = Instant::now();
    loop {
        let all: BTreeMap<usize, Value> =
            servers.iter().enumerate().filter_map(|(at, one)| Some((at, health(one.as_ref()?)))).collect();
        let leads: Vec<usize> = all.iter().filter(|(_, one)| one["role"] == "leads").map(|(at, _)| *at).collect();
        assert!(leads.len() <= 1, "{all:?}");
        if let [at] = leads[..] {
            let epoch = all[&at]["epoch"].as_u64().unwrap();
            let address = format!("http://{}", servers[at].as_ref().unwrap().address);
            let knows = |one: &Value| one["leader_address"] == address.as_str() && one["epoch"] == epoch;
            if all.iter().all(|(other, one)| *other == at || one["role"] == "follows" && knows(one)) {
                return (at, epoch);
            }
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{all:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn killed_paused_and_resumed(world: &World) {
    let mut servers: Vec<Option<Served>> = (0..3).map(|at| world.serve(at)).collect();
    let (first, epoch) = leader(&servers);
    let follower = servers[(first + 1) % 3].as_ref().unwrap();
    let address = servers[first].as_ref().unwrap().address.to_string();
    follower.post("/api/v1/databases/shop/snapshots", json!({})).refused(409, "conflict", &address);
    follower.post("/backup/now", json!({})).refused(409, "conflict", "another server leads");
    assert_eq!(follower.get("/api/v1/databases/shop/snapshots").status, 200);
    assert_eq!(follower.get("/readyz").status, 200);
    world.wait_for_runs(1, &servers);

    servers[first].take().unwrap().kill();
    let (second, later) = leader(&servers);
    assert!(later > epoch);
    world.wait_for_runs(1, &servers);
    servers[first] = world.serve(first);
    assert_eq!(leader(&servers), (second, later), "who comes back does not take over");

    let paused = servers[second].take().unwrap();
    kill_process(paused.process(), Signal::STOP).unwrap();
    let (third, latest) = leader(&servers);
    assert!(latest > later);
    world.wait_for_runs(1, &servers);
    kill_process(paused.process(), Signal::CONT).unwrap();
    servers[second] = Some(paused);
    assert_eq!(leader(&servers), (third, latest));
    world.wait_for_runs(1, &servers);
    world.each_run_is_done_once(&servers);
    // One that is asked to stop lets go at once.
    servers[third].take().unwrap().stop();
    let (_, last) = leader(&servers);
    assert_eq!(last, latest + 1);
}

#[test]
fn three_servers_and_a_folder() {
    let shared = tempfile::tempdir_in("/var/tmp").unwrap();
    killed_paused_and_resumed(&World::new(&format!("file://{}", shared.path().join("store").display()), &[]));
}

#[test]
fn nobody_leads_while_the_remote_is_away() {
    let double = S3Double::start();
    let world = World::new(&double.url(), &[("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret")]);
    let servers: Vec<Option<Served>> = (0..3).map(|at| world.serve(at)).collect();
    let (_, epoch) = leader(&servers);
    world.wait_for_runs(1, &servers);
    double.fail(Fault::Status("503 Service Unavailable"));
    for one in servers.iter().flatten() {
        one.until(|| (health(one)["role"] == "undecided").then_some(()));
        one.post("/backup/now", json!({})).refused(409, "conflict", "no server leads");
        assert_eq!(one.get("/api/v1/databases").status, 200);
    }
    double.fail(Fault::None);
    // Whoever led goes on in the same epoch, unless another was faster.
    let (_, later) = leader(&servers);
    assert!(later >= epoch);
    world.wait_for_runs(2, &servers);
    world.each_run_is_done_once(&servers);
}

#[test]
fn three_servers_and_s3() {
    let Some(mut cluster) = Cluster::start() else { return };
    let url = format!("s3://{BUCKET}/leaders?endpoint=http://127.0.0.1:{}&region=us-east-1", cluster.s3_port());
    let world = World::new(&url, &Cluster::variables());
    killed_paused_and_resumed(&world);

    // The remote is away for longer than a lease lasts.
    let servers: Vec<Option<Served>> = (0..3).map(|at| world.serve(at)).collect();
    let (_, epoch) = leader(&servers);
    cluster.kill(Part::S3);
    let one = servers[0].as_ref().unwrap();
    one.until(|| (health(one)["role"] != "leads").then_some(()));
    one.post("/backup/now", json!({})).refused(409, "conflict", "");
    assert_eq!(one.get("/api/v1/databases").status, 200);
    cluster.start_all();
    // Whoever led goes on in the same epoch, unless another was faster.
    let (_, later) = leader(&servers);
    assert!(later >= epoch);
    world.wait_for_runs(2, &servers);
    world.each_run_is_done_once(&servers);
}

/// A job of a leader that was killed goes on, and is at work still when another has taken over: nothing of it becomes visible.
#[test]
fn what_a_late_leader_began_is_refused() {
    let shared = tempfile::tempdir_in("/var/tmp").unwrap();
    let world = World::new(&format!("file://{}", shared.path().join("store").display()), &[]);
    let mut servers = vec![world.serve(0), None, None];
    let (_, epoch) = leader(&servers);
    let gate = world.machines[0].path("go");
    let hook = format!("while [ ! -e '{}' ]; do sleep 0.1; done", gate.display());
    world.machines[0].ok(&["config", "hook", "before_snapshot", &hook]);
    let late = servers[0].as_ref().unwrap();
    let job = late.post("/api/v1/databases/shop/snapshots", json!({"note": "late"})).data();
    let job = job["id"].as_str().unwrap().to_owned();
    late.until(|| (late.get(&format!("/api/v1/jobs/{job}")).data()["state"] == "in_progress").then_some(()));
    servers[0].take().unwrap().kill();
    servers[1] = world.serve(1);
    let (_, later) = leader(&servers);
    assert!(later > epoch);
    world.wait_for_runs(1, &servers);
    fs::write(&gate, "").unwrap();
    let began = Instant::now();
    let ended = loop {
        let text = fs::read_to_string(world.machines[0].path(format!(".pagekeep/jobs/{job}.json"))).unwrap();
        let ended: Value = serde_json::from_str(&text).unwrap();
        if !["pending", "in_progress"].contains(&ended["state"].as_str().unwrap()) {
            break ended;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{ended}");
        std::thread::sleep(Duration::from_millis(100));
    };
    assert_eq!((&ended["state"], &ended["error"]["kind"]), (&json!("failed"), &json!("conflict")), "{ended}");
    let listed = world.machines[0].ok(&["--json", "backup", "list", "--from", "."]).json();
    assert!(!listed.to_string().contains("late"), "{listed}");
    // It leads again, and goes on after what the other made.
    servers[1].take().unwrap().stop();
    servers[0] = world.serve(0);
    leader(&servers);
    world.wait_for_runs(1, &servers);
    let aside = fs::read_dir(world.machines[0].path(".pagekeep")).unwrap().flatten();
    let aside: Vec<_> = aside.map(|entry| entry.file_name()).collect();
    assert!(!aside.iter().any(|name| name.to_string_lossy().contains("rebase")), "{aside:?}");
}
