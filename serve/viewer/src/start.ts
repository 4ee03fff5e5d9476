// The first page: choose a scan and a model.
import { models } from "./api";
import { counted } from "./bone_names";
import type { Model } from "./contract";
import { byId, make } from "./dom";
import { type Scan, dropped, scanOf } from "./files";
import { hush, tell } from "./notice";

const drop = byId("drop");
const file = byId<HTMLInputElement>("file");
const folder = byId<HTMLInputElement>("folder");
const select = byId<HTMLSelectElement>("model");
const go = byId<HTMLButtonElement>("go");

export class Start {
  onGo: (scan: Scan, model: string) => void = () => {};
  private scan: Scan | null = null;
  private known: Model[] = [];

  constructor() {
    byId("choose-file").addEventListener("click", () => file.click());
    byId("choose-folder").addEventListener("click", () => folder.click());
    for (const input of [file, folder]) input.addEventListener("change", () => void this.take([...input.files!]));
    for (const name of ["dragover", "drop"]) window.addEventListener(name, (event) => event.preventDefault());
    window.addEventListener("dragover", () => drop.classList.add("over"));
    window.addEventListener("dragleave", (event) => event.relatedTarget ?? drop.classList.remove("over"));
    window.addEventListener("drop", (event) => {
      drop.classList.remove("over");
      if (event.dataTransfer && !byId("start").hidden) void this.take(dropped(event.dataTransfer));
    });
    select.addEventListener("change", () => this.describe());
    byId<HTMLFormElement>("start-form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.scan) this.onGo(this.scan, select.value);
    });
  }

  /** Asks the server for its models. */
  async load(): Promise<void> {
    this.known = await models();
    select.replaceChildren(...this.known.map(({ name }) => make("option", { value: name }, name)));
    this.describe();
  }

  reset(): void {
    this.scan = null;
    file.value = folder.value = "";
    this.refresh();
  }

  private async take(files: File[] | Promise<File[]>): Promise<void> {
    hush();
    try {
      byId("chosen").textContent = "Reading …";
      this.scan = await scanOf(await files);
    } catch (error) {
      this.scan = null;
      tell(error);
    }
    this.refresh();
    if (this.scan) go.focus();
  }

  private refresh(): void {
    const megabytes = Math.max(0.1, (this.scan?.file.size ?? 0) / 1e6);
    byId("chosen").textContent = this.scan
      ? `${this.scan.title} · ${megabytes.toFixed(megabytes < 10 ? 1 : 0)} MB`
      : "";
    drop.classList.toggle("full", this.scan !== null);
    go.disabled = !this.scan || !select.value;
  }

  private describe(): void {
    const model = this.known.find(({ name }) => name === select.value);
    const spacing = model?.spacing_mm?.map((side) => Number(side.toFixed(2)));
    const grid = spacing && (new Set(spacing).size === 1 ? `${spacing[0]} mm` : `${spacing.join(" × ")} mm`);
    const about = model?.description?.replace(/\.$/, ""); // more follows, and it is one line
    const parts = [about, model?.bones && counted(model.bones.length), grid && `works at ${grid}`];
    byId("model-about").textContent = parts.filter(Boolean).join(" · ");
    this.refresh();
  }
}
