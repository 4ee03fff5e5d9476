// A coarser copy of labels for the view in space: there it costs four bytes a voxel twice, and shows surfaces only.
import { NVImage } from "@niivue/niivue";

const MOST_VOXELS = 24_000_000;
const UINT8 = 2; // NIfTI-1 codes
const UINT16 = 512;

/** Every n-th voxel of the labels along each axis, as a NIfTI file; null if they are few enough as they are. */
export function thinned(labels: NVImage): Blob | null {
  const [, nx, ny, nz] = labels.hdr!.dims as [number, number, number, number];
  const step = Math.ceil(Math.cbrt((nx * ny * nz) / MOST_VOXELS));
  if (step === 1) return null;
  const shape = [nx, ny, nz].map((size) => Math.ceil(size / step));
  const whole = labels.img as Uint8Array | Uint16Array;
  const voxels = new (whole.BYTES_PER_ELEMENT === 1 ? Uint8Array : Uint16Array)(shape[0]! * shape[1]! * shape[2]!);
  let at = 0;
  for (let z = 0; z < nz; z += step)
    for (let y = 0; y < ny; y += step) for (let x = 0; x < nx; x += step) voxels[at++] = whole[x + nx * (y + ny * z)]!;
  const spacing = labels.hdr!.pixDims.slice(1, 4).map((side) => side * step);
  const affine = labels.hdr!.affine.map((row) => row.map((value, column) => (column < 3 ? value * step : value)));
  const code = voxels instanceof Uint8Array ? UINT8 : UINT16;
  return new Blob([NVImage.createNiftiArray(shape, spacing, affine.flat(), code, voxels) as BlobPart]);
}
