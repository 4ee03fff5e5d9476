// The caller's earlier segmentations, newest first.
import { page } from "./api";
import { counted } from "./bone_names";
import type { Segmentation, State } from "./contract";
import { byId, make } from "./dom";
import { tell } from "./notice";

export const STATES: Record<State, string> = {
  accepted: "Waiting",
  reading: "Reading the scan",
  segmenting: "Segmenting",
  finishing: "Finishing",
  done: "Done",
  failed: "Failed",
  cancelled: "Cancelled",
};

const dialog = byId<HTMLDialogElement>("earlier");
const list = byId<HTMLUListElement>("earlier-list");
const more = byId<HTMLButtonElement>("earlier-more");
const WHEN = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const titles = new Map<string, string>(); // by id, as long as the page lives: file names may name patients
let next: string | null = null;

export function remember(id: string, title: string): void {
  titles.set(id, title);
}

export function titleOf(segmentation: Segmentation): string {
  return titles.get(segmentation.id) ?? `Scan of ${WHEN.format(new Date(segmentation.created))}`;
}

export async function showEarlier(): Promise<void> {
  list.replaceChildren();
  next = null;
  if (!dialog.open) dialog.showModal();
  await showMore();
  byId("earlier-none").hidden = list.children.length > 0;
}

async function showMore(): Promise<void> {
  try {
    const found = await page(next);
    next = found.next;
    list.append(...found.items.map(row));
    more.hidden = next === null;
  } catch (error) {
    dialog.close();
    tell(error);
  }
}

function row(segmentation: Segmentation): HTMLLIElement {
  const { id, state, model, bones } = segmentation;
  const found = state === "done" ? ` · ${counted(bones?.length ?? 0)}` : "";
  const what = make("span", { className: "hint" }, `${STATES[state]} · ${model.name}${found}`);
  const link = make("a", { href: `#/segmentations/${id}` }, make("b", {}, titleOf(segmentation)), what);
  link.addEventListener("click", () => dialog.close());
  return make("li", {}, link);
}

more.addEventListener("click", () => void showMore());
