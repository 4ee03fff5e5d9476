// The pictures: three planes of the scan with the bones over it, and the bones in space. Knows NiiVue, no server.
import { DRAG_MODE, type NVConfigOptions, NVImage, Niivue, SLICE_TYPE } from "@niivue/niivue";
import type { Bone } from "./contract";
import { type Voxel, placesOf } from "./places";
import { thinned } from "./thin";

export type Layout = "all" | "axial" | "coronal" | "sagittal" | "space";
export type Window = "bone" | "soft";

const WINDOWS: Record<Window, [number, number]> = { bone: [-500, 1300], soft: [-160, 240] }; // HU
const AIR = -1024; // HU; a pixel-wide border of a scan may hold less, which must not set the contrast
const SHARED: Partial<NVConfigOptions> = {
  backColor: [0.02, 0.025, 0.03, 1],
  crosshairColor: [0.45, 0.85, 1, 0.8],
  crosshairWidth: 0.4, // percent of the field of view: never less than a pixel
  crosshairWidthUnit: "percent",
  crosshairGap: 12,
  fontColor: [0.75, 0.8, 0.85, 1],
  fontMinPx: 12,
  fontSizeScaling: 0.3,
  dragAndDropEnabled: false,
  isRadiologicalConvention: true,
  sagittalNoseLeft: true,
  isCornerOrientationText: true,
  logLevel: "error",
  loadingText: "",
  showLegend: false,
};
type Tiles = Parameters<Niivue["setCustomLayout"]>[0]; // left, top, width and height as shares of the canvas
const TILES: Record<Exclude<Layout, "space">, Tiles> = {
  all: [
    { sliceType: SLICE_TYPE.AXIAL, position: [0, 0, 0.5, 0.5] },
    { sliceType: SLICE_TYPE.CORONAL, position: [0.5, 0, 0.5, 0.5] },
    { sliceType: SLICE_TYPE.SAGITTAL, position: [0, 0.5, 0.5, 0.5] },
  ],
  axial: [{ sliceType: SLICE_TYPE.AXIAL, position: [0, 0, 1, 1] }],
  coronal: [{ sliceType: SLICE_TYPE.CORONAL, position: [0, 0, 1, 1] }],
  sagittal: [{ sliceType: SLICE_TYPE.SAGITTAL, position: [0, 0, 1, 1] }],
};

export interface Location {
  hu: number;
  /** Label under the crosshair, 0 for none. */
  label: number;
}

interface NiivueLocation {
  values: { value: number }[];
}

/** The crosshair is one for all pictures; patient's left is on the right of the picture, as radiologists look. */
export class View {
  onLocation: (location: Location) => void = () => {};
  private readonly planes = new Niivue({ ...SHARED, dragMode: DRAG_MODE.pan });
  private readonly space = new Niivue({ ...SHARED, sliceType: SLICE_TYPE.RENDER, show3Dcrosshair: true });
  private bones: Bone[] = [];
  private places = new Map<number, Voxel>();

  /** Takes over both canvases; throws where the browser has no WebGL 2. */
  static async over(planes: HTMLCanvasElement, space: HTMLCanvasElement): Promise<View> {
    if (!document.createElement("canvas").getContext("webgl2"))
      throw new Error("This browser cannot draw here (WebGL 2 is switched off). The results can still be downloaded.");
    const view = new View();
    await view.planes.attachToCanvas(planes);
    await view.space.attachToCanvas(space);
    view.planes.onLocationChange = (location) => view.moved(location as NiivueLocation);
    view.space.setRenderAzimuthElevation(180, 8);
    await view.space.setVolumeRenderIllumination(0.55);
    return view;
  }

  /** Shows a scan with its labels, both NIfTI files on one grid. */
  async show(scan: Blob, labels: Blob, bones: Bone[]): Promise<void> {
    this.clear();
    this.bones = bones;
    const [minimum, maximum] = WINDOWS.bone;
    const picture = await NVImage.loadFromFile({ file: named(scan, "scan"), cal_min: minimum, cal_max: maximum });
    const overlay = await NVImage.loadFromFile({ file: named(labels, "labels") });
    const coarse = thinned(overlay);
    const solid = await NVImage.loadFromFile({
      file: coarse ? new File([coarse], "bones.nii") : named(labels, "bones"),
    });
    for (const image of [overlay, solid]) image.setColormapLabel(this.colors(new Set()));
    const [, nx, ny, nz] = overlay.hdr!.dims as [number, number, number, number];
    this.places = placesOf(overlay.img as ArrayLike<number>, [nx, ny, nz]);
    this.planes.addVolume(picture);
    this.planes.addVolume(overlay);
    this.space.addVolume(solid);
    this.space.setScale(1.15);
  }

  clear(): void {
    for (const niivue of [this.planes, this.space])
      while (niivue.volumes[0]) niivue.removeVolumeByIndex(niivue.volumes.length - 1);
  }

  layout(layout: Layout): void {
    if (layout !== "space") this.planes.setCustomLayout(TILES[layout]);
    this.planes.resizeListener();
    this.space.resizeListener();
  }

  window(name: Window): void {
    const picture = this.planes.volumes[0];
    if (!picture) return;
    [picture.cal_min, picture.cal_max] = WINDOWS[name];
    this.planes.updateGLVolume();
  }

  /** How much of the scan the bones cover, 0 to 1. */
  opacity(share: number): void {
    if (this.planes.volumes[1]) this.planes.setOpacity(1, share);
  }

  hide(hidden: ReadonlySet<number>): void {
    this.planes.volumes[1]?.setColormapLabel(this.colors(hidden));
    this.space.volumes[0]?.setColormapLabel(this.colors(hidden));
    this.planes.updateGLVolume();
    this.space.updateGLVolume();
  }

  /** Moves the crosshair into a bone. */
  jump(id: number): void {
    const place = this.places.get(id);
    const overlay = this.planes.volumes[1];
    if (!place || !overlay) return;
    const millimetres = overlay
      .hdr!.affine.slice(0, 3)
      .map((row) => row[0]! * place[0] + row[1]! * place[1] + row[2]! * place[2] + row[3]!);
    this.planes.scene.crosshairPos = this.planes.mm2frac(millimetres as [number, number, number]);
    this.planes.createOnLocationChange();
    this.planes.drawScene();
  }

  /** Moves the crosshair by voxels to the patient's left, posterior to anterior, and upward. */
  step(x: number, y: number, z: number): void {
    if (this.planes.volumes.length) this.planes.moveCrosshairInVox(x, y, z);
  }

  turn(azimuth: number, elevation: number): void {
    const { renderAzimuth, renderElevation } = this.space.scene;
    this.space.setRenderAzimuthElevation(renderAzimuth + azimuth, renderElevation + elevation);
  }

  private moved(location: NiivueLocation): void {
    const [picture, overlay] = location.values;
    this.onLocation({ hu: Math.max(AIR, Math.round(picture?.value ?? AIR)), label: Math.round(overlay?.value ?? 0) });
    if (!this.space.volumes.length) return;
    const millimetres = this.planes.frac2mm(this.planes.scene.crosshairPos);
    this.space.scene.crosshairPos = this.space.mm2frac([millimetres[0], millimetres[1], millimetres[2]]);
    this.space.drawScene();
  }

  /** A colour for each label; hidden ones and the background are clear. */
  private colors(hidden: ReadonlySet<number>): { R: number[]; G: number[]; B: number[]; A: number[]; I: number[] } {
    const rows = this.bones.map(({ id, color }) => [...rgb(color), hidden.has(id) ? 0 : 255, id] as const);
    const column = (index: 0 | 1 | 2 | 3 | 4): number[] => [0, ...rows.map((row) => row[index])];
    return { R: column(0), G: column(1), B: column(2), A: column(3), I: column(4) };
  }
}

function named(content: Blob, name: string): File {
  return new File([content], `${name}.nii.gz`);
}

function rgb(color: string): [number, number, number] {
  const value = Number.parseInt(color.slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}
