// A client of `pagekeep serve`: backups of SQLite databases on another machine. One file, no dependency; Node 18 or newer.
//
//     import { Client } from "./pagekeep.mjs";
//     const server = new Client("https://backup.example.org", { token: "..." });
//     const job = await server.backupDatabase("shop", { note: "before the move" });   // waits until it is kept
//     await server.download("shop", job.snapshot, "shop-copy.sqlite");
//     await server.restoreDatabase("shop", "shop@3");
//
// Every failure is a PagekeepError with `code`, `message` and `hint`.

import { createReadStream } from "node:fs";
import { link, lstat, open, readFile, rename, stat, unlink } from "node:fs/promises";
import http from "node:http";
import https from "node:https";
import { randomBytes } from "node:crypto";
import path from "node:path";
import { rootCertificates } from "node:tls";
import { setTimeout as sleep } from "node:timers/promises";

const FINISHED = ["completed", "failed", "cancelled", "interrupted"];
/** The most bytes of an answer in JSON. */
const MOST_JSON = 256 << 20;

/**
 * What did not happen. `code` is the server's word for the kind of failure, or `unreachable`, `redirected`, `foreign`,
 * `short`, `exists`, `timeout`, `cancelled`, `interrupted`; `hint` says what to do next, or is null.
 */
export class PagekeepError extends Error {
  constructor(code, message, hint = null, status = null) {
    super(message);
    Object.assign(this, { name: "PagekeepError", code, hint, status });
  }
}

/**
 * A server that is talked to. `timeout` is how many milliseconds nothing may come. `ca` is a file with the certificates of an
 * authority of your own. What is asked and changes nothing is asked again when the connection breaks; nothing else is.
 * Redirects are not followed.
 */
export class Client {
  #base;
  #headers = { "user-agent": "pagekeep-node" };
  #timeout;
  #ca;

  constructor(url = "http://127.0.0.1:7070", { token, user, password, ca, timeout = 150_000 } = {}) {
    let base;
    try {
      base = new URL(url);
    } catch {
      throw new PagekeepError("usage", `'${url}' is not the address of a server`, "it looks like https://host:7070");
    }
    if (!["http:", "https:"].includes(base.protocol) || base.search || base.hash) {
      throw new PagekeepError("usage", "this is not the address of a server", "it looks like https://host:7070");
    }
    if (base.username || base.password) {
      throw new PagekeepError("usage", "an address holds no name and password", "give them as user and password");
    }
    this.#base = base;
    this.#timeout = timeout;
    this.#ca = ca;
    if (token != null) this.#headers.authorization = `Bearer ${token}`;
    else if (user != null) {
      this.#headers.authorization = `Basic ${Buffer.from(`${user}:${password ?? ""}`).toString("base64")}`;
    }
  }

  // What there is.

  /** All databases, each with `name`, `snapshot`, `snapshot_age_s`, `remotes` and more. */
  async databases() {
    const found = [];
    for (let after; ; ) {
      const page = await this.#get(["databases"], { limit: 1000, after });
      found.push(...page.databases);
      if (page.next == null) return found;
      after = page.next;
    }
  }

  /** The snapshots of a database, newest first. */
  list(database, { limit = 1000 } = {}) {
    return this.#get(["databases", database, "snapshots"], { limit });
  }

  /** Where a job stands: `state`, `phase`, `done_bytes`, `total_bytes`, `snapshot`, `error` and more. */
  status(id) {
    return this.#get(["jobs", id]);
  }

  // What is done. Jobs are waited for unless `wait` is false; then they are returned as they were begun.

  /** Makes a snapshot; with `sync` all remotes are brought up to date, and nothing is made when nothing changed. */
  async backupDatabase(database, { note = null, sync = false, ...waiting } = {}) {
    return this.#end(await this.#post(["databases", database, "snapshots"], { note, sync }), waiting);
  }

  /**
   * Puts a database back to a snapshot while programs use it: `shop@3`, `latest~1`, a time, or a name like
   * `shop-20261121-020000.db`. Its present state is kept first.
   */
  async restoreDatabase(database, snapshot, waiting = {}) {
    return this.#end(await this.#post(["databases", database, "restore"], { snapshot }), waiting);
  }

  /** Makes a database file that nobody writes to the next snapshot; the database itself is not touched. */
  async upload(database, file, { note, ...waiting } = {}) {
    for (const ending of ["-wal", "-journal"]) {
      const beside = await stat(file + ending).catch(() => null);
      if (beside?.size > 0) {
        throw new PagekeepError("source", `${file} is in use: beside it lies ${file}${ending}`, "upload a copy of it");
      }
    }
    const headers = { "content-type": "application/octet-stream", "content-length": (await stat(file)).size };
    const answer = await this.#send("POST", ["databases", database, "upload"], { note }, headers, createReadStream(file));
    return this.#end(await this.#data(answer), waiting);
  }

  /**
   * Writes a snapshot to `file` as a plain SQLite file, which appears whole or not at all; gives its bytes.
   * `progress(done, total)` is called while it comes. When the connection breaks it is gone on with.
   */
  async download(database, snapshot, file, { progress, replace = false } = {}) {
    const taken = () => new PagekeepError("exists", `${file} is there already`, "say replace: true, or take another path");
    if (!replace && (await lstat(file).catch(() => null))) throw taken();
    // By its number it is the same one, whatever is made meanwhile.
    const title = (await this.#get(["databases", database, "snapshots", snapshot])).snapshot;
    const beside = path.join(path.dirname(path.resolve(file)), `.pagekeep-download-${randomBytes(8).toString("hex")}`);
    const out = await open(beside, "wx", 0o600);
    try {
      const size = await this.#fetch(["databases", database, "snapshots", title, "download"], out, progress);
      await out.sync();
      await out.close();
      if (replace) await rename(beside, file);
      else {
        await link(beside, file).catch((error) => {
          throw error.code === "EEXIST" ? taken() : error;
        });
        await unlink(beside);
      }
      return size;
    } catch (error) {
      await out.close().catch(() => {});
      await unlink(beside).catch(() => {});
      throw error;
    }
  }

  /** Asks a job to stop, which it does at its next safe point; nothing half done is visible then. */
  cancel(id) {
    return this.#post(["jobs", id, "cancel"], {});
  }

  /**
   * Waits for a job's end and gives it. `progress(job)` is called with each state that is seen. The server may be away for
   * `patience` milliseconds: the job goes on without it.
   */
  async wait(id, { progress, timeout = Infinity, patience = 60_000 } = {}) {
    const began = Date.now();
    for (let heard = began; ; ) {
      try {
        const job = await this.status(id);
        heard = Date.now();
        await progress?.(job);
        if (FINISHED.includes(job.state)) return completed(job);
      } catch (error) {
        if (!(error.code === "unreachable" && Date.now() - heard < patience)) throw error;
      }
      const passed = Date.now() - began;
      if (passed >= timeout) {
        throw new PagekeepError("timeout", `${id} did not end in ${timeout} ms; it goes on`, "wait for it again");
      }
      await sleep(passed < 3000 ? 100 : 500);
    }
  }

  // Requests and answers.

  #end(job, { wait = true, ...how }) {
    return wait ? this.wait(job.id, how) : job;
  }

  async #get(parts, query) {
    return this.#data(await this.#open(parts, query));
  }

  async #open(parts, query, headers) {
    for (const pause of [200, 1000, null]) {
      try {
        return await this.#send("GET", parts, query, headers);
      } catch (error) {
        if (error.code !== "unreachable" || pause === null) throw error;
        await sleep(pause);
      }
    }
  }

  async #post(parts, body) {
    const text = JSON.stringify(body);
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(text) };
    return this.#data(await this.#send("POST", parts, {}, headers, text));
  }

  /** One request, and the head of its answer. */
  async #send(method, parts, query = {}, headers = {}, body = null) {
    const url = new URL(this.#base);
    const given = Object.entries(query).filter(([, value]) => value != null);
    const route = ["api", "v1", ...parts].map((part) => encodeURIComponent(part)).join("/");
    url.pathname = `${this.#base.pathname.replace(/\/+$/, "")}/${route}`;
    url.search = new URLSearchParams(given).toString();
    const ca = this.#ca == null ? undefined : [...rootCertificates, await readFile(this.#ca, "utf8")];
    const options = { method, headers: { ...this.#headers, ...headers }, ca, agent: false };
    const answer = await new Promise((resolve, reject) => {
      const request = (url.protocol === "https:" ? https : http).request(url, options, resolve);
      request.setTimeout(this.#timeout, () => request.destroy(new Error(`nothing came for ${this.#timeout} ms`)));
      request.on("error", (error) => reject(this.#unreachable(error)));
      if (body === null || typeof body === "string") request.end(body ?? undefined);
      else {
        body.on("error", (error) => {
          request.destroy();
          reject(error);
        });
        body.pipe(request);
      }
    });
    if (answer.statusCode >= 300 && answer.statusCode < 400) {
      answer.destroy();
      throw new PagekeepError("redirected", `${url.host} redirects to '${answer.headers.location}'`);
    }
    return answer;
  }

  #unreachable(error) {
    if (/CERT|SELF_SIGNED|UNABLE_TO_/.test(error.code ?? "")) {
      return new PagekeepError("untrusted", error.message, "give your authority's certificates as ca");
    }
    const message = `${this.#base.host} does not answer: ${error.message || error.code}`;
    return new PagekeepError("unreachable", message, "is it running, and is the address right?");
  }

  async #data(answer) {
    const pieces = [];
    let size = 0;
    try {
      for await (const piece of answer) {
        pieces.push(piece);
        size += piece.length;
        if (size > MOST_JSON) throw new Error(`the answer has more than ${MOST_JSON} bytes`);
      }
    } catch (error) {
      throw this.#unreachable(error);
    }
    let told;
    try {
      told = JSON.parse(Buffer.concat(pieces).toString("utf8"));
    } catch {
      told = null;
    }
    const status = answer.statusCode;
    if (status >= 200 && status < 300 && told?.success === true) return told.data;
    if (told?.error?.code) throw new PagekeepError(told.error.code, told.error.message, told.error.hint ?? null, status);
    throw new PagekeepError("foreign", `${this.#base.host} answers with status ${status}, not as pagekeep does`, null, status);
  }

  async #fetch(parts, out, progress) {
    for (let got = 0, size = null, tries = 0; ; ) {
      const before = got;
      let reason = "it ended too early";
      const answer = await this.#open(parts, {}, got > 0 ? { range: `bytes=${got}-` } : {});
      if (answer.statusCode !== (got > 0 ? 206 : 200)) {
        await this.#data(answer);
        throw new PagekeepError("foreign", "no file came", null, answer.statusCode);
      }
      size ??= got + Number(answer.headers["content-length"] ?? 0);
      const pieces = answer[Symbol.asyncIterator]();
      for (;;) {
        const next = await pieces.next().catch((error) => ((reason = error.message), { done: true }));
        if (next.done) break;
        await out.writeFile(next.value);
        got += next.value.length;
        progress?.(got, size);
      }
      if (got === size) return size;
      tries = got > before ? 0 : tries + 1;
      if (got > size || tries === 3) {
        throw new PagekeepError("short", `${got} of ${size} bytes came: ${reason}`, "download it again");
      }
    }
  }
}

function completed(job) {
  if (job.state === "completed") return job;
  if (job.error) throw new PagekeepError(job.error.code, job.error.message, job.error.hint ?? null);
  throw new PagekeepError(job.state, `${job.id} is ${job.state}`);
}
