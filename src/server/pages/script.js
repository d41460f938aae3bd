// Keeps what moves up to date. Every page is whole without it.
"use strict";

const $ = (what, from = document) => from.querySelector(what);
const $$ = (what, from = document) => [...from.querySelectorAll(what)];

function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  while (count >= 1000 && at < units.length - 1) { count /= 1000; at += 1; }
  return `${at === 0 ? count : count.toFixed(1)} ${units[at]}`;
}

// A job as it goes on; when it has ended, the page as it is then.
function follow(box) {
  const id = encodeURIComponent(box.dataset.job);
  const log = $("[data-log]", box);
  const read = async () => {
    const reply = await fetch(`/api/v1/jobs/${id}/log`);
    if (!reply.ok) return;
    const text = (await reply.json()).data;
    if (!text || text === log.textContent) return;
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    log.textContent = text;
    if (atEnd) log.scrollTop = log.scrollHeight;
  };
  const events = new EventSource(`/api/v1/jobs/${id}/events`);
  events.addEventListener("job", (event) => {
    const job = JSON.parse(event.data);
    if (job.finished_at || !["pending", "in_progress"].includes(job.state)) {
      events.close();
      location.reload();
      return;
    }
    const badge = $("[data-state] .badge", box);
    if (badge) badge.textContent = job.state === "pending" ? "waits" : "at work";
    if (job.phase) $("[data-phase]", box).textContent = job.phase;
    const bar = $("progress", box);
    if (job.total_bytes > 0) { bar.max = job.total_bytes; bar.value = job.done_bytes; }
    $("[data-done]", box).textContent = bytes(job.done_bytes) + (job.total_bytes > 0 ? ` of ${bytes(job.total_bytes)}` : "");
    $("[data-moved]", box).textContent = bytes(job.moved_bytes);
    read();
  });
  events.onerror = () => { if (events.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 3000); };
  const timer = setInterval(read, 1500);
  addEventListener("pagehide", () => { events.close(); clearInterval(timer); });
}

// A list of things at work is looked at again, unless somebody is about to do something with it.
function refresh() {
  setTimeout(() => {
    const at = document.activeElement;
    const isIdle = !document.hidden && !(at && at.matches("input, select, textarea, button")) && !getSelection().toString();
    if (isIdle) location.reload(); else refresh();
  }, 4000);
}

$$("[data-job]").forEach(follow);
if ($("[data-busy]")) refresh();

$$("[data-filter]").forEach((field) => {
  const rows = $$(field.dataset.filter);
  field.addEventListener("input", () => {
    const wanted = field.value.toLowerCase();
    rows.forEach((row) => { row.hidden = !row.textContent.toLowerCase().includes(wanted); });
  });
});

$$(".terminal pre").forEach((line) => {
  if (!navigator.clipboard) return;
  const button = document.createElement("button");
  button.className = "copy quiet";
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText($("code", line).textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  line.append(button);
});

// One click is one job.
$$("form[method=post]").forEach((form) => form.addEventListener("submit", () => {
  setTimeout(() => $$("button", form).forEach((button) => { button.disabled = true; }), 0);
}));
addEventListener("pageshow", () => $$("button:disabled").forEach((button) => { button.disabled = false; }));

addEventListener("keydown", (event) => {
  const field = event.target;
  if (field.matches("[data-submit]") && event.key === "Enter" && (event.ctrlKey || event.metaKey)) field.form.requestSubmit();
  if (event.key !== "/" || field.matches("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
  const filter = $("[data-filter], [data-submit]");
  if (filter) { event.preventDefault(); filter.focus(); }
});
