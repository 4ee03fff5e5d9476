// The page: one of three parts is seen, and the address says which segmentation is open.
import * as api from "./api";
import { type Segmentation, hasEnded } from "./contract";
import { byId } from "./dom";
import { remember, showEarlier, titleOf } from "./earlier";
import type { Scan } from "./files";
import { follow } from "./follow";
import { listen } from "./keyboard";
import { hush, tell } from "./notice";
import { showSending, showTitle, showWork } from "./progress";
import { deleteQuestion, keyQuestion } from "./questions";
import { Result } from "./result";
import { Start } from "./start";
import "./style.css";

type Part = "start" | "progress" | "result";

const start = new Start();
const result = new Result();
let work = new AbortController(); // of what the page is busy with
let attempt: api.Submission | null = null; // kept, so that the same scan sent again after a failure is the same request
let open = ""; // id of the segmentation that is followed or shown

function see(part: Part): void {
  for (const name of ["start", "progress", "result"]) byId(name).hidden = name !== part;
  byId("fresh").hidden = part === "start";
  byId("forget").hidden = !api.hasKey();
  if (part !== "result") result.close();
  byId(`${part}-title`).focus({ preventScroll: true });
}

function begin(): AbortSignal {
  work.abort();
  work = new AbortController();
  hush();
  return work.signal;
}

async function send(scan: Scan, model: string): Promise<void> {
  const signal = begin();
  showTitle(scan.title);
  showSending(0);
  see("progress");
  if (attempt?.scan !== scan.file || attempt.model !== model) attempt = api.submission(scan.file, model);
  try {
    const accepted = await api.submit(attempt, showSending, signal);
    remember(accepted.id, scan.title);
    open = accepted.id;
    history.pushState(null, "", `#/segmentations/${accepted.id}`);
    await watch(accepted, signal);
  } catch (error) {
    if (!signal.aborted) see("start");
    tell(error);
  }
}

/** Follows a segmentation and shows what comes of it. */
async function watch(segmentation: Segmentation, signal: AbortSignal): Promise<void> {
  let now = segmentation;
  if (!hasEnded(now)) {
    showTitle(titleOf(now));
    showWork(now);
    see("progress");
    for await (now of follow(now.id, signal)) showWork(now);
  }
  if (now.state === "done") {
    see("result");
    await result.open(now);
  } else {
    home();
    tell(now.problem ? new api.Problem(now.problem) : new Error("This segmentation was cancelled."));
  }
}

async function show(id: string): Promise<void> {
  const signal = begin();
  open = id;
  try {
    await watch(await api.segmentation(id), signal);
  } catch (error) {
    if (!signal.aborted) home();
    tell(error);
  }
}

/** Back to the first page; its address is the page's own. */
function home(): void {
  begin();
  open = "";
  if (location.hash) history.pushState(null, "", location.pathname);
  start.reset();
  see("start");
}

function route(): void {
  const id = /^#\/segmentations\/([\w.-]+)$/.exec(location.hash)?.[1];
  if (!id) home();
  else if (id !== open) void show(id);
}

async function removeOpen(): Promise<void> {
  const id = open;
  home();
  try {
    if (id) await api.remove(id);
  } catch (error) {
    tell(error);
  }
}

async function removeAsked(): Promise<void> {
  if (await deleteQuestion()) await removeOpen();
}

function help(): void {
  byId<HTMLDialogElement>("help").showModal();
}

api.onKeyWanted(keyQuestion);
start.onGo = (scan, model) => void send(scan, model);
byId("skip").addEventListener("click", (event) => (event.preventDefault(), byId("main").focus())); // keeps the address
byId("fresh").addEventListener("click", home);
byId("cancel").addEventListener("click", () => void removeOpen());
byId("remove").addEventListener("click", () => void removeAsked());
byId("earlier-open").addEventListener("click", () => void showEarlier());
byId("help-open").addEventListener("click", help);
byId("forget").addEventListener("click", () => (api.forgetKey(), location.reload()));
window.addEventListener("hashchange", route);
listen([
  { keys: ["u"], what: "New scan", act: home },
  { keys: ["e"], what: "Earlier segmentations", act: () => void showEarlier() },
  ...result.shortcuts(),
  { keys: ["?"], what: "This help", act: help },
]);
start
  .load()
  .then(() => byId("forget").toggleAttribute("hidden", !api.hasKey()))
  .catch(tell);
route();
