// Follows a segmentation to its end by server-sent events, read from fetch: EventSource cannot send a key.
import { Problem, events, segmentation } from "./api";
import { type Segmentation, hasEnded } from "./contract";

const LONGEST_PAUSE_MS = 15_000;

/** Every change of a segmentation until it ends or `signal` aborts; a lost connection is taken up again. */
export async function* follow(id: string, signal: AbortSignal): AsyncGenerator<Segmentation> {
  for (let pause = 500; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
    try {
      for await (const data of messages(await events(id, signal))) {
        const change = JSON.parse(data) as Segmentation;
        yield change;
        if (hasEnded(change)) return;
        pause = 500;
      }
    } catch (error) {
      if (signal.aborted || isFinal(error)) throw error;
    }
    await sleep(pause, signal);
    const now = await segmentation(id).catch((error: unknown) => {
      if (isFinal(error)) throw error;
      return null;
    });
    if (now) yield now;
    if (now && hasEnded(now)) return;
  }
}

/** Whether trying again is pointless: the server understood and refused. */
function isFinal(error: unknown): boolean {
  return error instanceof Problem && error.status >= 400 && error.status < 500 && error.status !== 429;
}

/** The data of each event of a stream (HTML standard, section 9.2.6). */
async function* messages(response: Response): AsyncGenerator<string> {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const blocks = (text + part.value).split(/\r?\n\r?\n/);
    text = blocks.pop()!;
    for (const block of blocks) {
      const lines = block.split(/\r?\n/).filter((line) => line.startsWith("data:"));
      if (lines.length) yield lines.map((line) => line.slice(5).trimStart()).join("\n");
    }
  }
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });
}
