// The result page: pictures, tools, the list of bones and the downloads of one segmentation.
import * as api from "./api";
import { BoneList } from "./bone_list";
import { counted } from "./bone_names";
import type { Segmentation } from "./contract";
import { byId } from "./dom";
import { offer, save } from "./downloads";
import { titleOf } from "./earlier";
import type { Shortcut } from "./keyboard";
import { tell } from "./notice";
import { type Layout, type Location, View, type Window } from "./view";

const LAYOUTS: Layout[] = ["all", "axial", "coronal", "sagittal", "space"];
const stage = byId("stage");
const opacity = byId<HTMLInputElement>("opacity");
const windows = byId<HTMLSelectElement>("window");

export class Result {
  current: Segmentation | null = null;
  private readonly list = new BoneList();
  private view: View | null = null;
  private under = 0; // the label under the crosshair

  constructor() {
    this.list.onChosen = (bone) => this.view?.jump(bone.id);
    this.list.onHidden = (hidden) => this.view?.hide(hidden);
    this.list.onMesh = (bone) => void save(() => api.result(this.current!.id, "stl", bone.name));
    opacity.addEventListener("input", () => this.view?.opacity(opacity.valueAsNumber / 100));
    windows.addEventListener("change", () => this.view?.window(windows.value as Window));
    for (const button of document.querySelectorAll<HTMLButtonElement>("[data-layout]"))
      button.addEventListener("click", () => this.layout(button.dataset.layout as Layout));
    byId("planes").addEventListener("click", () => this.list.chooseId(this.under));
  }

  async open(segmentation: Segmentation): Promise<void> {
    this.current = segmentation;
    byId("result-title").textContent = titleOf(segmentation);
    byId("result-about").textContent = about(segmentation);
    byId("readout").textContent = "";
    this.list.fill(segmentation.bones ?? []);
    offer(segmentation);
    this.layout("all");
    windows.value = "bone";
    opacity.value = "55";
    await Promise.all([this.draw(segmentation), this.measure(segmentation)]);
  }

  close(): void {
    this.current = null;
    this.view?.clear();
  }

  shortcuts(): Shortcut[] {
    const withChosen = (act: (list: BoneList) => void) => () => this.current !== null && act(this.list) !== null;
    const digits = LAYOUTS.map((_, index) => String(index + 1));
    return [
      {
        keys: digits,
        what: "Three planes and 3D · axial · coronal · sagittal · 3D",
        act: (key) => this.layout(LAYOUTS[Number(key) - 1]!),
      },
      {
        keys: ["b", "s"],
        what: "Window for bone · for soft tissue",
        act: (key) => this.setWindow(key === "b" ? "bone" : "soft"),
      },
      { keys: ["[", "]"], what: "Bones fainter · stronger", act: (key) => this.fade(key === "[" ? -10 : 10) },
      {
        keys: ["n", "p"],
        what: "Next bone · previous bone",
        act: (key) => withChosen((list) => list.chooseNext(key === "n" ? 1 : -1))(),
      },
      {
        keys: ["h"],
        what: "Hide or show the chosen bone",
        act: withChosen((list) => list.chosen && list.toggle(list.chosen)),
      },
      {
        keys: ["i"],
        what: "Show only the chosen bone",
        act: withChosen((list) => list.chosen && list.showOnly(list.chosen)),
      },
      { keys: ["a"], what: "Show all bones", act: withChosen((list) => list.showAll()) },
      {
        keys: ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "PageUp", "PageDown"],
        what: "In the planes: move the crosshair; in 3D: turn the bones",
        act: (key) => this.steer(key),
      },
    ];
  }

  private async draw(segmentation: Segmentation): Promise<void> {
    stage.setAttribute("aria-busy", "true");
    byId("loading").hidden = false;
    try {
      const [scan, labels, view] = await Promise.all([
        api.scan(segmentation.id).then((response) => response.blob()),
        api.result(segmentation.id, "nifti").then((response) => response.blob()),
        this.pictures(),
      ]);
      if (this.current?.id !== segmentation.id) return;
      await view.show(scan, labels, segmentation.bones ?? []);
      view.opacity(opacity.valueAsNumber / 100);
      stage.dataset.shown = segmentation.id;
    } catch (error) {
      tell(error);
    } finally {
      stage.removeAttribute("aria-busy");
      byId("loading").hidden = true;
    }
  }

  private async pictures(): Promise<View> {
    if (this.view) return this.view;
    this.view = await View.over(byId<HTMLCanvasElement>("planes"), byId<HTMLCanvasElement>("space"));
    this.view.onLocation = (location) => this.read(location);
    this.layout(stage.dataset.layout as Layout);
    return this.view;
  }

  private async measure({ id }: Segmentation): Promise<void> {
    const measures = await api.measures(id).catch(() => new Map());
    if (this.current?.id !== id) return;
    this.list.measures = measures;
    this.list.refresh();
  }

  private layout(layout: Layout): void {
    stage.dataset.layout = layout;
    for (const button of document.querySelectorAll<HTMLButtonElement>("[data-layout]"))
      if (button !== stage) button.setAttribute("aria-pressed", String(button.dataset.layout === layout));
    this.view?.layout(layout);
  }

  private setWindow(window: Window): void {
    windows.value = window;
    this.view?.window(window);
  }

  private fade(by: number): void {
    opacity.valueAsNumber += by;
    this.view?.opacity(opacity.valueAsNumber / 100);
  }

  private steer(key: string): void {
    const [x, y] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[key] ?? [0, 0];
    const z = { PageUp: 1, PageDown: -1 }[key] ?? 0;
    if (document.activeElement === byId("space")) this.view?.turn(8 * x!, 8 * y!);
    else this.view?.step(-x!, y!, z); // left on the picture is the patient's right
  }

  private read({ hu, label }: Location): void {
    this.under = label;
    byId("readout").textContent = [`${hu} HU`, this.list.name(label)].filter(Boolean).join(" · ");
  }
}

function about({ model, bones, seconds }: Segmentation): string {
  const spent = Object.values(seconds ?? {}).reduce<number>((sum, each) => sum + (each ?? 0), 0);
  const digest = model.digest ? ` (${model.digest.slice(0, 12)})` : "";
  return [counted(bones?.length ?? 0), model.name + digest, spent ? `${spent.toFixed(0)} s` : ""]
    .filter(Boolean)
    .join(" · ");
}
