// Turns what was dropped or chosen into the one file that is sent. Names stay here: patients' names hide in them.
import { Zip, ZipPassThrough } from "fflate";

const ONE_FILE = /\.(nii|nii\.gz|mha|nrrd|zip)$/i;
const LARGEST_ZIP = 2 ** 32 - 2 ** 20; // bytes; more needs zip64
const MOST_ENTRIES = 65_535;

export interface Scan {
  /** What the caller calls it; shown, never sent. */
  title: string;
  file: File;
}

/** The files of a drop, those in folders included. */
export async function dropped(transfer: DataTransfer): Promise<File[]> {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  const files = [...transfer.files]; // to be read before the first await empties the transfer
  return entries.some((entry) => entry.isDirectory) ? (await Promise.all(entries.map(filesOf))).flat() : files;
}

async function filesOf(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isFile)
    return [await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject))];
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const entries: FileSystemEntry[] = [];
  for (;;) {
    const batch = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (!batch.length) break;
    entries.push(...batch);
  }
  return (await Promise.all(entries.map(filesOf))).flat();
}

/** One scan of one file of a known kind, or of the DICOM files of a folder. */
export async function scanOf(files: File[]): Promise<Scan> {
  const seen = files.filter((file) => !file.name.startsWith(".") && file.name !== "DICOMDIR" && file.size > 0);
  const whole = seen.filter((file) => ONE_FILE.test(file.name));
  if (whole.length > 1) throw new Error(`These are ${whole.length} scans: choose one.`);
  if (whole[0] && seen.length === 1) return { title: whole[0].name, file: anonymous(whole[0]) };
  if (!seen.length) throw new Error("There is no file in it.");
  return { title: seen.length === 1 ? seen[0]!.name : `DICOM, ${seen.length} files`, file: await zipped(seen) };
}

function anonymous(file: File): File {
  return new File([file], `scan${ONE_FILE.exec(file.name)![0].toLowerCase()}`, { type: "application/octet-stream" });
}

/** A zip without compression: DICOM that is worth it is compressed already. */
async function zipped(files: File[]): Promise<File> {
  const bytes = files.reduce((sum, file) => sum + file.size, 0);
  if (bytes > LARGEST_ZIP || files.length > MOST_ENTRIES)
    throw new Error("This folder is too large for the page (4 GB, 65 535 files): send one series of it.");
  const parts: BlobPart[] = [];
  const zip = new Zip((error, part) => {
    if (error) throw error;
    parts.push(part as Uint8Array<ArrayBuffer>);
  });
  for (const [index, file] of files.entries()) {
    const entry = new ZipPassThrough(`${String(index + 1).padStart(6, "0")}.dcm`);
    entry.mtime = new Date(1980, 0, 1);
    zip.add(entry);
    entry.push(new Uint8Array(await file.arrayBuffer()), true);
  }
  zip.end();
  return new File(parts, "scan.zip", { type: "application/zip" });
}
