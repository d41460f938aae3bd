// The client against a running server: PAGEKEEP_URL, PAGEKEEP_TOKEN; a database is known there as shop.

import assert from "node:assert/strict";
import { appendFile, mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import test from "node:test";
import { Client, PagekeepError } from "./pagekeep.mjs";

const { PAGEKEEP_URL: url, PAGEKEEP_TOKEN: token } = process.env;
const server = new Client(url, { token });

async function folder(t) {
  const made = await mkdtemp(path.join(os.tmpdir(), "pagekeep-node-"));
  t.after(() => rm(made, { recursive: true }));
  return made;
}

function refused(code) {
  return (error) => {
    assert.ok(error instanceof PagekeepError && error.message, String(error));
    assert.equal(error.code, code, String(error));
    return true;
  };
}

test("a backup from begin to end", async (t) => {
  const seen = [];
  const job = await server.backupDatabase("shop", { note: "from node", progress: (job) => seen.push(job.state) });
  assert.deepEqual([job.state, seen.at(-1)], ["completed", "completed"]);
  const [newest] = await server.list("shop");
  assert.deepEqual([newest.snapshot, newest.note], [job.snapshot, "from node"]);
  assert.equal((await server.status(job.id)).snapshot, job.snapshot);
  assert.deepEqual((await server.databases()).map((one) => one.name), ["shop"]);

  const made = await folder(t);
  const copy = path.join(made, "copy.db");
  let far;
  const size = await server.download("shop", job.snapshot, copy, { progress: (...now) => (far = now) });
  assert.deepEqual([far, (await stat(copy)).size], [[size, size], size]);
  assert.equal((await readFile(copy)).subarray(0, 15).toString(), "SQLite format 3");
  const back = await server.restoreDatabase("shop", job.snapshot);
  assert.equal(back.state, "completed");

  const up = await server.upload("shop", copy, { note: "up" });
  await server.download("shop", up.snapshot, `${copy}2`, { replace: true });
  assert.deepEqual(await readFile(copy), await readFile(`${copy}2`));
  assert.deepEqual((await readdir(made)).sort(), ["copy.db", "copy.db2"]);
  const begun = await server.backupDatabase("shop", { wait: false });
  assert.equal((await server.cancel(begun.id)).id, begun.id);
});

test("failures say what and why", async (t) => {
  const made = await folder(t);
  const taken = path.join(made, "taken");
  await assert.rejects(server.list("nothing"), (error) => refused("not_found")(error) && error.status === 404 && !!error.hint);
  await assert.rejects(server.download("shop", "999", path.join(made, "x")), refused("no_snapshot"));
  assert.deepEqual(await readdir(made), []);
  await writeFile(taken, "no database");
  await assert.rejects(server.download("shop", "latest", taken), refused("exists"));
  await assert.rejects(server.upload("shop", taken), refused("source"));
  await appendFile(`${taken}-wal`, "x");
  await assert.rejects(server.upload("shop", taken), refused("source"));
  await assert.rejects(new Client(url, { token: "wrong" }).list("shop"), refused("unauthorized"));
  await assert.rejects(new Client("http://127.0.0.1:9").status("job-1"), refused("unreachable"));
  assert.throws(() => new Client("http://ann:secret@127.0.0.1"), refused("usage"));
});
