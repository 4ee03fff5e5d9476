// What can be taken home, and how it gets there with the caller's key.
import { result, scan } from "./api";
import { type Format, type Segmentation } from "./contract";
import { byId, make } from "./dom";
import { tell } from "./notice";

const WORDS: Record<Format, [string, string]> = {
  nifti: ["NIfTI", "labels, .nii.gz"],
  nrrd: ["NRRD", "segments for Slicer"],
  dicomseg: ["DICOM SEG", "for the archive"],
  omezarr: ["OME-Zarr", "pyramid, zipped"],
  stl: ["Meshes", ".stl for each bone"],
  json: ["Measurements", "every bone, .json"],
};

/** Fills the list of formats. */
export function offer(segmentation: Segmentation): void {
  const rows = (segmentation.formats ?? [])
    .filter((format) => format in WORDS)
    .map((format) => {
      const [name, hint] = WORDS[format];
      return entry(name, hint, format, () => result(segmentation.id, format));
    });
  rows.push(entry("Scan", "same grid, .nii.gz", "scan", () => scan(segmentation.id)));
  byId("formats").replaceChildren(...rows);
}

function entry(name: string, hint: string, format: string, fetchIt: () => Promise<Response>): HTMLLIElement {
  const button = make(
    "button",
    { type: "button", data: { format } },
    make("b", {}, name),
    make("span", { className: "hint" }, hint),
  );
  button.addEventListener("click", () => void busy(button, () => save(fetchIt)));
  return make("li", {}, button);
}

async function busy(button: HTMLButtonElement, work: () => Promise<void>): Promise<void> {
  button.disabled = true;
  button.setAttribute("aria-busy", "true");
  await work();
  button.disabled = false;
  button.removeAttribute("aria-busy");
}

/** Saves an answer under the name that the server gives it. */
export async function save(fetchIt: () => Promise<Response>): Promise<void> {
  try {
    const response = await fetchIt();
    const name = /filename="?([^";]+)"?/.exec(response.headers.get("Content-Disposition") ?? "")?.[1];
    const url = URL.createObjectURL(await response.blob());
    make("a", { href: url, download: name ?? "segmentation" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000); // the browser reads it after this function has ended
  } catch (error) {
    tell(error);
  }
}
