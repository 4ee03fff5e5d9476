// The list of bones beside the pictures: colours, volumes, what is shown, and the numbers of the chosen one.
import { spoken } from "./bone_names";
import type { Bone, Measures } from "./contract";
import { byId, make } from "./dom";

const list = byId<HTMLUListElement>("bones");
const filter = byId<HTMLInputElement>("bone-filter");

export class BoneList {
  onChosen: (bone: Bone) => void = () => {};
  onHidden: (hidden: ReadonlySet<number>) => void = () => {};
  onMesh: (bone: Bone) => void = () => {};
  measures: Map<string, Measures> | null = null;
  chosen: Bone | null = null;
  private bones: Bone[] = [];
  private hidden = new Set<number>();
  private rows = new Map<number, HTMLLIElement>();

  constructor() {
    byId("show-all").addEventListener("click", () => this.showAll());
    byId("hide-all").addEventListener("click", () => this.hide(this.bones.map(({ id }) => id)));
    filter.addEventListener("input", () => this.sieve());
  }

  fill(bones: Bone[]): void {
    this.bones = bones;
    this.hidden = new Set();
    this.measures = this.chosen = null;
    filter.value = "";
    this.rows = new Map(bones.map((bone) => [bone.id, this.row(bone)]));
    list.replaceChildren(...this.rows.values());
    byId("bone-count").textContent = String(bones.length);
    byId("no-bones").hidden = bones.length > 0;
  }

  name(id: number): string {
    const bone = this.bones.find((each) => each.id === id);
    return bone ? spoken(bone.name) : "";
  }

  /** Opens a bone's numbers; `isSilent` when the pictures are there already. */
  choose(bone: Bone, isSilent = false): void {
    this.chosen = bone;
    this.refresh();
    this.rows.get(bone.id)?.scrollIntoView({ block: "nearest" });
    if (!isSilent) this.onChosen(bone);
  }

  chooseId(id: number): void {
    const bone = this.bones.find((each) => each.id === id);
    if (bone) this.choose(bone, true);
  }

  /** The next bone of the list, or with -1 the one before. */
  chooseNext(by: 1 | -1): void {
    const shown = this.bones.filter(({ id }) => !this.rows.get(id)!.hidden);
    const now = shown.findIndex(({ id }) => id === this.chosen?.id);
    const next = shown[now < 0 ? 0 : (now + by + shown.length) % shown.length];
    if (next) this.choose(next);
  }

  toggle(bone: Bone): void {
    const hidden = new Set(this.hidden);
    if (!hidden.delete(bone.id)) hidden.add(bone.id);
    this.hide(hidden);
  }

  showAll(): void {
    this.hide([]);
  }

  showOnly(bone: Bone): void {
    this.hide(this.bones.map(({ id }) => id).filter((id) => id !== bone.id));
  }

  /** Writes the chosen bone's numbers anew. */
  refresh(): void {
    for (const [id, row] of this.rows) {
      const isChosen = id === this.chosen?.id;
      row.classList.toggle("chosen", isChosen);
      row.querySelector("button")!.setAttribute("aria-expanded", String(isChosen));
      row.querySelector(".numbers")?.remove();
      if (isChosen) row.append(this.numbers(this.chosen!));
    }
  }

  private hide(ids: Iterable<number>): void {
    this.hidden = new Set(ids);
    for (const [id, row] of this.rows) row.querySelector("input")!.checked = !this.hidden.has(id);
    this.onHidden(this.hidden);
  }

  private sieve(): void {
    const wanted = filter.value.trim().toLowerCase();
    for (const { id, name } of this.bones)
      this.rows.get(id)!.hidden = !`${name} ${spoken(name)}`.toLowerCase().includes(wanted);
  }

  private row(bone: Bone): HTMLLIElement {
    const name = spoken(bone.name);
    const box = make("input", { type: "checkbox", checked: true, aria: { label: `Show ${name}` } });
    box.addEventListener("change", () => this.toggle(bone));
    const swatch = make("span", { className: "swatch" });
    swatch.style.background = bone.color;
    const label = make("span", { className: "name" }, name);
    const volume = make("span", { className: "volume" }, millilitres(bone.volume_ml));
    const button = make(
      "button",
      { type: "button", title: bone.name, aria: { expanded: "false" } },
      swatch,
      label,
      volume,
    );
    button.addEventListener("click", () => this.choose(bone));
    return make("li", { data: { bone: bone.name } }, box, button);
  }

  private numbers(bone: Bone): HTMLElement {
    const only = make("button", { type: "button", className: "small" }, "Show only this");
    only.addEventListener("click", () => this.showOnly(bone));
    const mesh = make("button", { type: "button", className: "small" }, "Mesh (.stl)");
    mesh.addEventListener("click", () => this.onMesh(bone));
    const terms = facts(bone, this.measures?.get(bone.name)).flatMap(([what, value]) => [
      make("dt", {}, what),
      make("dd", {}, value),
    ]);
    const waits = this.measures ? [] : [make("p", { className: "hint" }, "Measuring …")];
    return make(
      "div",
      { className: "numbers" },
      make("dl", {}, ...terms),
      ...waits,
      make("div", { className: "row" }, only, mesh),
    );
  }
}

function facts(bone: Bone, measures: Measures | undefined): [string, string][] {
  const { surface_mm2: surface, hu, cortex } = measures ?? {};
  const rows: [string, string | null][] = [
    ["Volume", millilitres(bone.volume_ml)],
    ["Cortical thickness", spread(cortex?.mean_mm, cortex?.sd_mm, 2, "mm") ?? (measures ? "not measured" : null)],
    ["… measured on", cortex?.measured_share == null ? null : `${percent(cortex.measured_share)} of the surface`],
    ["Surface", surface == null ? null : `${(surface / 100).toFixed(1)} cm²`],
    ["Density", spread(hu?.mean, hu?.sd, 0, "HU")],
    [
      "In the scan",
      measures?.is_cut_off == null ? null : measures.is_cut_off ? "in part: the scan ends in it" : "whole",
    ],
  ];
  return rows.filter((row): row is [string, string] => row[1] !== null);
}

function millilitres(volume: number): string {
  return `${volume < 10 ? volume.toFixed(1) : volume.toFixed(0)} ml`;
}

function percent(share: number): string {
  return share > 0 && share < 0.01 ? "under 1 %" : `${(100 * share).toFixed(0)} %`;
}

function spread(
  mean: number | null | undefined,
  sd: number | null | undefined,
  digits: number,
  unit: string,
): string | null {
  if (mean == null) return null;
  return `${mean.toFixed(digits)}${sd == null ? "" : ` ± ${sd.toFixed(digits)}`} ${unit}`;
}
