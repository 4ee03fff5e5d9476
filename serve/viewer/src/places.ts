// Where in a label volume each label lies.

export type Voxel = [number, number, number];

/** For each label the voxel of it that is nearest to its centre of mass: a rib's centre lies outside the rib. */
export function placesOf(labels: ArrayLike<number>, [nx, ny, nz]: Voxel): Map<number, Voxel> {
  const sums = new Map<number, [number, number, number, number]>();
  each(labels, nx, ny, nz, (id, x, y, z) => {
    let sum = sums.get(id);
    if (!sum) sums.set(id, (sum = [0, 0, 0, 0]));
    sum[0] += x;
    sum[1] += y;
    sum[2] += z;
    sum[3] += 1;
  });
  const places = new Map<number, Voxel>();
  const best = new Map<number, number>();
  each(labels, nx, ny, nz, (id, x, y, z) => {
    const [sx, sy, sz, n] = sums.get(id)!;
    const distance = (x - sx / n) ** 2 + (y - sy / n) ** 2 + (z - sz / n) ** 2;
    if (distance >= (best.get(id) ?? Infinity)) return;
    best.set(id, distance);
    places.set(id, [x, y, z]);
  });
  return places;
}

type Visit = (id: number, x: number, y: number, z: number) => void;

function each(labels: ArrayLike<number>, nx: number, ny: number, nz: number, visit: Visit): void {
  for (let z = 0, at = 0; z < nz; z++)
    for (let y = 0; y < ny; y++)
      for (let x = 0; x < nx; x++, at++) {
        const id = labels[at]!;
        if (id) visit(id, x, y, z);
      }
}
