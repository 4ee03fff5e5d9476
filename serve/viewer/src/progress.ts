// Shows how far a segmentation is, to eyes and to screen readers.
import { STATES } from "./earlier";
import type { Segmentation } from "./contract";
import { byId } from "./dom";

const STEPS = ["sending", "reading", "segmenting", "finishing"];
const bar = byId<HTMLProgressElement>("progress-bar");
const said = byId("progress-said");

export function showTitle(title: string): void {
  byId("progress-title").textContent = title;
}

export function showSending(share: number): void {
  show("sending", share < 1 ? "Sending the scan" : "Sent; the server takes it in", share);
}

export function showWork({ state, progress }: Segmentation): void {
  show(state === "accepted" ? "reading" : state, STATES[state], state === "accepted" ? undefined : progress);
}

/** Without a share the bar moves without saying how far. */
function show(step: string, words: string, share?: number): void {
  const now = STEPS.indexOf(step);
  byId("steps")
    .querySelectorAll("li")
    .forEach((item, index) => {
      item.classList.toggle("past", index < now);
      if (index === now) item.setAttribute("aria-current", "step");
      else item.removeAttribute("aria-current");
    });
  if (share === undefined) bar.removeAttribute("value");
  else bar.value = share;
  byId("progress-words").textContent = share === undefined ? words : `${words}, ${Math.floor(100 * share)} %`;
  announce(share === undefined ? words : `${words}, ${25 * Math.floor(4 * share)} %`);
}

/** Speaks by quarters only: every change would drown out the rest. */
function announce(text: string): void {
  if (said.textContent !== text) said.textContent = text;
}
