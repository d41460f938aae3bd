//! A place that lets one request through at a time, of whichever actor the seed says, under a clock of its own.

use pagekeep::store::sealing::{KeyRing, MasterKey};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// How long everybody is waited for before others go on.
const STUCK: std::time::Duration = std::time::Duration::from_secs(1);

/// SplitMix64.
#[derive(Clone, Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

/// What a run may do to its actors.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    /// One request in so many fails without effect.
    pub(crate) failures: u64,
    /// One put in so many takes effect and is said to have failed, or to have found something.
    pub(crate) lost_answers: u64,
    /// One request in so many is an actor's last.
    pub(crate) crashes: u64,
    /// One request in so many is followed by a long sleep of the actor.
    pub(crate) sleeps: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Actor {
    Running,
    Waiting,
    Done,
}

struct State {
    objects: BTreeMap<String, (Bytes, i64)>,
    /// Milliseconds since 1970.
    now: i64,
    actors: Vec<Actor>,
    /// Requests of each actor that wait. It makes one at a time, but for some that it makes together.
    waiting: Vec<usize>,
    asleep: Vec<u64>,
    crashed: Vec<bool>,
    turn: Option<usize>,
    steps: u64,
    dice: Dice,
    weather: Weather,
    log: Vec<String>,
}

/// The place, and who may go on.
pub(crate) struct World {
    state: Mutex<State>,
    changed: Condvar,
    /// The keys of the store, when it is encrypted.
    pub(crate) ring: Option<Arc<KeyRing>>,
}

impl World {
    pub(crate) fn new(seed: u64, actors: usize, weather: Weather) -> Arc<Self> {
        let state = State {
            objects: BTreeMap::new(),
            now: 1_800_000_000_000,
            actors: vec![Actor::Running; actors],
            waiting: vec![0; actors],
            asleep: vec![0; actors],
            crashed: vec![false; actors],
            turn: None,
            steps: 0,
            dice: Dice(seed),
            weather,
            log: Vec::new(),
        };
        let ring = (seed % 8 == 5).then(|| Arc::new(KeyRing::of(&MasterKey::from_bytes([7; 32]))));
        Arc::new(Self { state: Mutex::new(state), changed: Condvar::new(), ring })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn now(&self) -> i64 {
        self.lock().now
    }

    pub(crate) fn advance(&self, ms: i64) {
        self.lock().now += ms;
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.lock().log.clone()
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        self.lock().objects.keys().cloned().collect()
    }

    pub(crate) fn client(self: &Arc<Self>, actor: Option<usize>) -> Arc<dyn ObjectStore> {
        Arc::new(Client { world: Arc::clone(self), actor })
    }

    /// An actor that comes to its end, or falls.
    pub(crate) fn done(&self, actor: usize) {
        self.lock().actors[actor] = Actor::Done;
        self.changed.notify_all();
    }

    pub(crate) fn is_crashed(&self, actor: usize) -> bool {
        self.lock().crashed[actor]
    }

    /// Lets actors go on, one request at a time, until all are done.
    pub(crate) fn conduct(&self) {
        let mut state = self.lock();
        loop {
            while state.turn.is_some() || state.actors.contains(&Actor::Running) {
                let waited = self.changed.wait_timeout(state, STUCK);
                let (next, time) = waited.unwrap_or_else(|poisoned| poisoned.into_inner());
                state = next;
                // Who runs may wait, within this process, for a block that another is fetching and that comes only in turn.
                if time.timed_out() && state.turn.is_none() && state.actors.contains(&Actor::Waiting) {
                    break;
                }
            }
            let waiting: Vec<usize> =
                (0..state.actors.len()).filter(|actor| state.actors[*actor] == Actor::Waiting).collect();
            if waiting.is_empty() {
                return;
            }
            state.steps += 1;
            let steps = state.steps;
            let awake: Vec<usize> = waiting.iter().copied().filter(|actor| state.asleep[*actor] <= steps).collect();
            let from = if awake.is_empty() { waiting } else { awake };
            let next = from[state.dice.below(from.len() as u64) as usize];
            state.now += match state.dice.below(40) {
                // Hours go by: times of grace come to their end.
                0 => 3_600_000 * (1 + state.dice.below(80) as i64),
                n => n as i64 * 100,
            };
            state.asleep[next] = 0;
            state.turn = Some(next);
            self.changed.notify_all();
        }
    }
}

/// What happens to a request.
enum Fate {
    Done,
    Fails,
    LosesAnswer,
    SaysExists,
}

struct Client {
    world: Arc<World>,
    /// `None` goes through at once, without faults.
    actor: Option<usize>,
}

fn broken(reason: &str) -> Error {
    Error::Generic { store: "world", source: reason.into() }
}

impl Client {
    /// Waits for its turn, then does something to the objects.
    fn step<T>(&self, verb: &str, key: &str, act: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let mut state = self.world.lock();
        let Some(actor) = self.actor else {
            state.log.push(format!("- {verb} {key}"));
            return act(&mut state);
        };
        state.actors[actor] = Actor::Waiting;
        state.waiting[actor] += 1;
        self.world.changed.notify_all();
        while state.turn != Some(actor) {
            state = self.world.changed.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        state.turn = None;
        state.waiting[actor] -= 1;
        state.actors[actor] = if state.waiting[actor] == 0 { Actor::Running } else { Actor::Waiting };
        let fate = self.fate(&mut state, actor, verb);
        let entry = format!("{actor} {verb} {key}");
        state.log.push(entry);
        match fate {
            Fate::Fails => Err(broken("500 Internal Server Error")),
            Fate::Done => act(&mut state),
            Fate::LosesAnswer => act(&mut state).and_then(|_| Err(broken("the connection was reset"))),
            Fate::SaysExists => act(&mut state).and_then(|_| {
                Err(Error::AlreadyExists { path: key.to_owned(), source: "412 Precondition Failed".into() })
            }),
        }
    }

    fn fate(&self, state: &mut State, actor: usize, verb: &str) -> Fate {
        if state.crashed[actor] {
            return Fate::Fails;
        }
        let weather = state.weather;
        let mut happens = |one_in: u64| one_in > 0 && state.dice.one_in(one_in);
        if happens(weather.crashes) {
            let before = state.dice.one_in(2);
            state.crashed[actor] = true;
            return if before { Fate::Fails } else { Fate::LosesAnswer };
        }
        if happens(weather.sleeps) {
            state.asleep[actor] = state.steps + 20 + state.dice.below(300);
            return Fate::Done;
        }
        if happens(weather.failures) {
            return Fate::Fails;
        }
        if verb.starts_with("put") && happens(weather.lost_answers) {
            return if verb == "put" && state.dice.one_in(2) { Fate::SaysExists } else { Fate::LosesAnswer };
        }
        Fate::Done
    }
}

fn meta(key: &str, (bytes, ms): &(Bytes, i64)) -> ObjectMeta {
    ObjectMeta {
        location: Path::from(key),
        last_modified: (UNIX_EPOCH + Duration::from_millis(*ms as u64)).into(),
        size: bytes.len() as u64,
        e_tag: None,
        version: None,
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

#[async_trait]
impl ObjectStore for Client {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let (key, bytes) = (location.as_ref().to_owned(), Bytes::from(payload));
        let create = opts.mode == PutMode::Create;
        self.step(if create { "put" } else { "put over" }, location.as_ref(), |state| {
            if create && state.objects.contains_key(&key) {
                return Err(Error::AlreadyExists { path: key.clone(), source: "412 Precondition Failed".into() });
            }
            let now = state.now;
            state.objects.insert(key.clone(), (bytes, now));
            Ok(PutResult { e_tag: None, version: None, extensions: Default::default() })
        })
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let verb = if options.head { "head" } else { "get" };
        self.step(verb, location.as_ref(), |state| {
            let Some(found) = state.objects.get(location.as_ref()) else {
                return Err(Error::NotFound { path: location.to_string(), source: "404 Not Found".into() });
            };
            let len = found.0.len() as u64;
            let range = match &options.range {
                None => 0..len,
                Some(GetRange::Bounded(range)) => range.start..range.end.min(len),
                Some(GetRange::Offset(start)) => *start..len,
                Some(GetRange::Suffix(count)) => len.saturating_sub(*count)..len,
            };
            let bytes = found.0.slice(range.start as usize..range.end as usize);
            let payload = GetResultPayload::Stream(stream::once(async { Ok(bytes) }).boxed());
            let meta = meta(location.as_ref(), found);
            Ok(GetResult { payload, meta, range, attributes: Default::default(), extensions: Default::default() })
        })
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let this = Self { world: Arc::clone(&self.world), actor: self.actor };
        let delete = move |location: Result<Path>| {
            let answer = location.and_then(|location| {
                this.step("delete", location.as_ref(), |state| {
                    state.objects.remove(location.as_ref());
                    Ok(())
                })?;
                Ok(location)
            });
            async { answer }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let folder = prefix.map(|prefix| format!("{prefix}/")).unwrap_or_default();
        let listed = self.step("list", &folder, |state| {
            let below = state.objects.iter().filter(|(key, _)| key.starts_with(&folder));
            Ok(below.map(|(key, found)| Ok(meta(key, found))).collect::<Vec<_>>())
        });
        match listed {
            Ok(entries) => stream::iter(entries).boxed(),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        Err(broken("not used"))
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(broken("not used"))
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(broken("not used"))
    }
}
