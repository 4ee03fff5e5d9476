// Dialogs that wait for an answer.
import { byId } from "./dom";

function answer(dialog: HTMLDialogElement): Promise<boolean> {
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

/** The caller's key, or null if they would rather not. */
export async function keyQuestion(isRefused: boolean): Promise<string | null> {
  const field = byId<HTMLInputElement>("key-field");
  byId("key-refused").hidden = !isRefused;
  field.value = "";
  const isGiven = await answer(byId<HTMLDialogElement>("key"));
  const key = field.value.trim();
  field.value = "";
  return isGiven && key ? key : null;
}

export function deleteQuestion(): Promise<boolean> {
  return answer(byId<HTMLDialogElement>("delete"));
}
