// Talks to the server. Knows its addresses, the caller's key and the shape of a refusal; knows nothing of the page.
import type { Format, Measures, Model, ProblemJson, Segmentation } from "./contract";

const KEY = "osteon-key";

/** Why something did not work, in the server's words. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly remedy: string;

  constructor(json: ProblemJson, status = json.status ?? 0) {
    super(json.detail || json.title || `the server answered ${status}`);
    this.status = status;
    this.code = json.code ?? "";
    this.remedy = json.remedy ?? "";
  }
}

type KeyQuestion = (isRefused: boolean) => Promise<string | null>;
let askForKey: KeyQuestion = async () => null;
let question: Promise<string | null> | null = null;

/** Sets how the caller is asked for a key when the server wants one. */
export function onKeyWanted(ask: KeyQuestion): void {
  askForKey = ask;
}

export function forgetKey(): void {
  sessionStorage.removeItem(KEY);
}

export function hasKey(): boolean {
  return sessionStorage.getItem(KEY) !== null;
}

/** Asks once, however many requests were refused together; the key lives as long as the browser's tab. */
async function newKey(refused: string | null): Promise<string | null> {
  question ??= askForKey(refused !== null).finally(() => (question = null));
  const key = await question;
  if (key) sessionStorage.setItem(KEY, key);
  return key;
}

/** What `send` gives; if it is refused for want of a key, asks for one and sends again. */
async function withKey<T>(send: (headers: Record<string, string>) => Promise<T>): Promise<T> {
  for (;;) {
    const key = sessionStorage.getItem(KEY);
    try {
      return await send(key ? { Authorization: `Bearer ${key}` } : {});
    } catch (error) {
      const isKeyWanted = error instanceof Problem && error.status === 401;
      if (!isKeyWanted || (key === sessionStorage.getItem(KEY) && !(await newKey(key)))) throw error;
    }
  }
}

const OFFLINE: ProblemJson = {
  detail: "The server cannot be reached.",
  code: "offline",
  remedy: "Check the network; the page goes on by itself where it can.",
};

function problemOf(status: number, body: string): Problem {
  try {
    return new Problem(JSON.parse(body) as ProblemJson, status);
  } catch {
    return new Problem({}, status);
  }
}

/** The answer to a request, or its Problem. */
export function request(path: string, init: RequestInit = {}): Promise<Response> {
  return withKey(async (headers) => {
    const response = await fetch(path, { ...init, headers: { ...headers, ...init.headers } }).catch(
      (error: unknown) => {
        throw error instanceof DOMException ? error : new Problem(OFFLINE);
      },
    );
    if (!response.ok) throw problemOf(response.status, await response.text());
    return response;
  });
}

async function json<T>(path: string): Promise<T> {
  return (await (await request(path)).json()) as T;
}

const at = (id: string): string => `/v1/segmentations/${encodeURIComponent(id)}`;

export async function models(): Promise<Model[]> {
  return (await json<{ models: Model[] }>("/v1/models")).models;
}

export function segmentation(id: string): Promise<Segmentation> {
  return json(at(id));
}

export function page(after: string | null): Promise<{ items: Segmentation[]; next: string | null }> {
  return json(`/v1/segmentations?limit=20${after ? `&after=${encodeURIComponent(after)}` : ""}`);
}

export async function remove(id: string): Promise<void> {
  await request(at(id), { method: "DELETE" });
}

export function scan(id: string): Promise<Response> {
  return request(`${at(id)}/scan`);
}

export function result(id: string, format: Format, bone?: string): Promise<Response> {
  return request(`${at(id)}/result?format=${format}${bone ? `&bone=${encodeURIComponent(bone)}` : ""}`);
}

/** Measurements by name of the bone. */
export async function measures(id: string): Promise<Map<string, Measures>> {
  const body = (await (await result(id, "json")).json()) as { bones?: Measures[] } | Measures[];
  const bones = Array.isArray(body) ? body : (body.bones ?? []);
  return new Map(bones.map((bone) => [bone.name, bone]));
}

export function events(id: string, signal: AbortSignal): Promise<Response> {
  return request(`${at(id)}/events`, { headers: { Accept: "text/event-stream" }, signal, cache: "no-store" });
}

export interface Submission {
  scan: File;
  model: string;
  /** The same for every attempt, so that a request that was sent twice is done once. */
  idempotencyKey: string;
}

export function submission(scan: File, model: string): Submission {
  // crypto.randomUUID exists on https only; hospitals also serve plain http inside.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return { scan, model, idempotencyKey: Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("") };
}

/** Sends a scan. XMLHttpRequest, because fetch does not tell how much has been sent. */
export function submit(
  { scan, model, idempotencyKey }: Submission,
  onSent: (share: number) => void,
  signal: AbortSignal,
): Promise<Segmentation> {
  const send = (headers: Record<string, string>): Promise<Segmentation> =>
    new Promise((resolve, reject) => {
      const form = new FormData();
      form.set("model", model); // before the file: a server that reads in order knows it early
      form.set("scan", scan);
      const call = new XMLHttpRequest();
      call.open("POST", "/v1/segmentations");
      for (const [name, value] of Object.entries({ ...headers, "Idempotency-Key": idempotencyKey }))
        call.setRequestHeader(name, value);
      call.upload.onprogress = (event) => onSent(event.loaded / event.total);
      call.onerror = () => reject(new Problem(OFFLINE));
      call.onabort = () => reject(new DOMException("cancelled", "AbortError"));
      call.onload = () =>
        call.status < 300
          ? resolve(JSON.parse(call.responseText) as Segmentation)
          : reject(problemOf(call.status, call.responseText));
      signal.addEventListener("abort", () => call.abort(), { once: true });
      call.send(form);
    });
  return withKey(send);
}
