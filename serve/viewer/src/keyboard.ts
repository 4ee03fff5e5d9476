// One key for each common action; listed in the help, and not heard while the caller writes.
import { byId, make } from "./dom";

export interface Shortcut {
  keys: string[];
  what: string;
  /** Returns false if the key means nothing just now. */
  act: (key: string) => boolean | void;
}

const NAMES: Record<string, string> = {
  ArrowLeft: "←",
  ArrowRight: "→",
  ArrowUp: "↑",
  ArrowDown: "↓",
  PageUp: "Page ↑",
  PageDown: "Page ↓",
};

/** Listens for the shortcuts and lists them in the help; the box there switches single letters off (WCAG 2.1.4). */
export function listen(shortcuts: Shortcut[]): void {
  const rows = shortcuts.map(({ keys, what }) => {
    const caps = keys.flatMap((key) => [make("kbd", {}, NAMES[key] ?? key), " "]);
    return make("tr", {}, make("td", {}, ...caps), make("td", {}, what));
  });
  byId("shortcuts").replaceChildren(...rows);
  const isOn = byId<HTMLInputElement>("shortcuts-on");
  const hear = (event: KeyboardEvent): void => {
    if (event.target instanceof HTMLCanvasElement) event.stopPropagation(); // NiiVue has keys of its own
    if (event.type !== "keydown" || event.ctrlKey || event.metaKey || event.altKey || isTaken(event)) return;
    if (!isOn.checked && event.key.length === 1) return;
    const shortcut = shortcuts.find(({ keys }) => keys.includes(event.key));
    if (shortcut && shortcut.act(event.key) !== false) event.preventDefault();
  };
  window.addEventListener("keydown", hear, { capture: true });
  window.addEventListener("keyup", hear, { capture: true });
}

/** Whether the key belongs to a field or a dialog; arrows move the pictures only where these have the focus. */
function isTaken(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement;
  if (document.querySelector("dialog[open]") || target.matches("input:not([type=checkbox]), select, textarea"))
    return true;
  return event.key.length > 1 && !(target instanceof HTMLCanvasElement);
}
