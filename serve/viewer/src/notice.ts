// Says what went wrong, in one place, and what to do about it.
import { Problem } from "./api";
import { byId } from "./dom";

const notice = byId("notice");

export function tell(error: unknown): void {
  if (error instanceof DOMException && error.name === "AbortError") return;
  const problem = error instanceof Problem ? error : null;
  byId("notice-what").textContent = sentence(error instanceof Error ? error.message : String(error));
  byId("notice-remedy").textContent = problem?.remedy ? sentence(problem.remedy) : "";
  byId("notice-code").textContent = problem?.code ?? "";
  notice.hidden = false;
}

export function hush(): void {
  notice.hidden = true;
}

/** The server's lines begin small and end without a stop. */
function sentence(text: string): string {
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}

byId("notice-close").addEventListener("click", hush);
