"""What the rows of the bench database look like.

One `Rows` makes the values of every table from one seeded generator: words drawn by a Zipf-like law
(so that text compresses as text does), random hex for ids and tokens, random bytes for files. The same
seed gives the same rows on the same Python version; nothing else (clock, environment) is consulted.
"""

import itertools
import random

# The first moment of the data; the clock only moves by what the generator draws.
EPOCH = 1_700_000_000

VOCABULARY_WORDS = 240
# Whole strings that come again and again, as agents, devices, paths and stack frames do.
AGENT_COUNT, DEVICE_COUNT, PATH_COUNT, FRAME_COUNT = 6, 24, 60, 40
SYLLABLES = (
    "ba be bi bo ca ce co da de di do fa fe fi ga ge go ha he ho ja ka ke ki la le li lo ma me mi mo na ne "
    "ni no pa pe po ra re ri ro sa se si so ta te ti to va ve vi wa we za ing er ion est and ster mont"
).split()

EVENT_KINDS = ("login", "view", "view", "purchase", "message", "error", "upload")
STATUSES = ("new", "paid", "packed", "sent", "returned")
EVENT_STATES = ("open", "seen", "done", "postponed", "rejected")
MIME_TYPES = ("image/jpeg", "image/png", "application/pdf", "application/zip", "audio/ogg")
SETTING_KEYS = ("theme", "language", "timezone", "digest", "signature", "layout", "editor", "token", "quota", "filter")

# Share of blobs by size: most are small enough to lie in one page, a few fill a chain of pages.
BLOB_SIZES_BYTES = ((200, 1_500), (1_500, 6_000), (6_000, 20_000), (20_000, 90_000))
BLOB_SIZE_CUM_WEIGHTS = (50, 80, 95, 100)


def vocabulary(rng):
    """Words and their cumulative weights (rank r weighs 1/(r+2))."""
    words = set()
    while len(words) < VOCABULARY_WORDS:
        words.add("".join(rng.choices(SYLLABLES, k=1 + int(rng.random() * 4))))
    words = sorted(words)  # a set's order depends on the process's hash seed
    rng.shuffle(words)
    return words, list(itertools.accumulate(1.0 / (rank + 2) for rank in range(len(words))))


class Rows:
    """Makes rows as tuples, in the column order of the INSERTs in `make_db.SCHEMA`."""

    def __init__(self, seed):
        self.now = EPOCH
        # The words and the strings that recur belong to the application, not to one run: they have a seed of their own.
        self.rng = random.Random("words")
        self.words, self.weights = vocabulary(self.rng)
        self.agents = [self.text(12) for _ in range(AGENT_COUNT)]
        self.devices = [self.text(5) for _ in range(DEVICE_COUNT)]
        self.paths = ["/" + "/".join(self.rng.choices(self.words, k=4)) for _ in range(PATH_COUNT)]
        self.frames = [f"{self.text(3).replace(' ', '::')} line {self.below(2000)}" for _ in range(FRAME_COUNT)]
        self.rng = random.Random(seed)

    def text(self, count):
        return " ".join(self.rng.choices(self.words, cum_weights=self.weights, k=count))

    def below(self, limit):
        return int(self.rng.random() * limit)

    def hex(self, digits):
        return f"{self.rng.getrandbits(4 * digits):0{digits}x}"

    def pick(self, options):
        return options[int(self.rng.random() * len(options))]

    def tick(self):
        """The next moment, in milliseconds since 1970: a few seconds after the one before."""
        self.now += self.rng.random() * 4
        return int(self.now * 1000)

    def user(self, number):
        first, last, city = self.rng.choices(self.words, k=3)
        email = f"{first}.{last}{self.below(900)}.{number}@{self.pick(self.words)}.example"
        bio = self.text(4 + self.below(40))
        return (
            number,
            email,
            f"{first.title()} {last.title()}",
            city.title(),
            f"+{self.below(10**11):011d}",
            bio,
            self.tick(),
            0,
        )

    def event(self, number, users):
        return (number, 1 + self.below(users), self.tick(), *self.event_body())

    def event_body(self):
        """A kind and its JSON, as compact as SQLite's own json_set() would write it."""
        kind = self.pick(EVENT_KINDS)
        head = f'{{"id":"{self.hex(16)}","state":"{self.pick(EVENT_STATES)}","tries":{self.below(9)}'
        if kind == "view":
            fields = (
                f'"path":"{self.pick(self.paths)}","query":{{"page":{self.below(90)},"sort":"{self.pick(STATUSES)}"}},'
                f'"ms":{self.below(4000)},"agent":"{self.pick(self.agents)}","referrer":"{self.pick(self.paths)}",'
                f'"session":"{self.hex(16)}"'
            )
        elif kind == "login":
            fields = (
                f'"ip":"10.{self.below(256)}.{self.below(256)}.{self.below(256)}","mfa":{self.pick(("true", "false"))},'
                f'"device":"{self.pick(self.devices)}","agent":"{self.pick(self.agents)}","session":"{self.hex(16)}"'
            )
        elif kind == "purchase":
            items = ",".join(
                f'{{"sku":"{self.hex(6)}","title":"{self.pick(self.devices)}","count":{1 + self.below(5)},'
                f'"cents":{self.below(90000)},"tax":"reduced"}}'
                for _ in range(1 + self.below(6))
            )
            fields = f'"items":[{items}],"currency":"EUR","coupon":null'
        elif kind == "message":
            fields = f'"to":{self.below(10**6)},"subject":"{self.text(5)}","text":"{self.text(20 + self.below(120))}"'
        elif kind == "error":
            frames = ",".join(f'"{self.pick(self.frames)}"' for _ in range(4 + self.below(16)))
            fields = f'"code":{400 + self.below(120)},"message":"{self.pick(self.frames)}","stack":[{frames}]'
        else:
            fields = (
                f'"file":"{self.text(2)}.{self.pick(("pdf", "png"))}","bytes":{self.below(10**7)},'
                f'"sha256":"{self.hex(64)}","agent":"{self.pick(self.agents)}"'
            )
        return kind, f"{head},{fields}}}"

    def setting(self, number):
        """Three settings share one scope; a new scope comes behind all others in the order of the key."""
        scope_number = number // 3
        return (
            f"user/{scope_number:08d}",
            SETTING_KEYS[number % 3 * 3 + scope_number % 3],
            self.text(3 + self.below(8)),
        )

    def account(self, number, users):
        return (number, 1 + self.below(users), "EUR", 100_000, self.tick())

    def order(self, number, accounts):
        address = f"{self.text(2).title()} {self.below(200)}, {self.below(99999):05d} {self.pick(self.words).title()}"
        return (
            number,
            1 + self.below(accounts),
            self.tick(),
            self.pick(STATUSES),
            self.below(500_000),
            address,
            self.text(self.below(16)),
        )

    def blob(self, number):
        low, high = self.rng.choices(BLOB_SIZES_BYTES, cum_weights=BLOB_SIZE_CUM_WEIGHTS)[0]
        content = self.rng.randbytes(low + self.below(high - low))
        return (number, f"{self.text(2)}-{number}", self.pick(MIME_TYPES), self.tick(), content)
