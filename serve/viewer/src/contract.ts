// What the server sends (OpenAPI at /openapi.json), as far as the page reads it.

export type State = "accepted" | "reading" | "segmenting" | "finishing" | "done" | "failed" | "cancelled";
export type Format = "nifti" | "nrrd" | "dicomseg" | "omezarr" | "stl" | "json";

export interface Bone {
  name: string;
  id: number;
  volume_ml: number;
  color: string;
}

export interface ProblemJson {
  title?: string;
  status?: number;
  detail?: string;
  code?: string;
  where?: string | null;
  remedy?: string | null;
}

export interface Segmentation {
  id: string;
  state: State;
  /** 0 to 1. */
  progress: number;
  model: { name: string; digest: string | null };
  /** ISO 8601, UTC. */
  created: string;
  bones?: Bone[] | null;
  seconds?: Record<string, number | null> | null;
  problem?: ProblemJson | null;
  formats?: Format[] | null;
}

export interface Model {
  name: string;
  description?: string | null;
  spacing_mm?: number[] | null;
  bones?: unknown[] | null;
}

/** One bone of the measurements; the server may leave out what it did not measure. */
export interface Measures {
  name: string;
  volume_mm3?: number | null;
  surface_mm2?: number | null;
  is_cut_off?: boolean | null;
  hu?: { mean?: number | null; sd?: number | null } | null;
  cortex?: { mean_mm?: number | null; sd_mm?: number | null; measured_share?: number | null } | null;
}

export function hasEnded(segmentation: Segmentation): boolean {
  return ["done", "failed", "cancelled"].includes(segmentation.state);
}
